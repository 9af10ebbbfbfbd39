/**
 * THE WAY of a request, every stage in order. Read this first.
 *
 *   accept -> guard -> authenticate -> route -> enter -> read body -> verify -> admit -> prepare -> attempt -> settle,
 *   400/404   403     400/401/403    400/404   403/429  408/413/     401/429  402/403          400, 403, 501,  report
 *   503 (in server/)    429/503      501                429/507      503      429/503          502, 504, or    (never
 *                                                                                              AWS's own       fails)
 *
 * `server/` has accepted and guarded the request before it comes here. The stages do not know each other; only this
 * file knows their order. One catch, one finally: whatever happens, the client gets one response and the record ends
 * once. No stage is waited for when the client has left, or when its key has ended: that is watched from authentication
 * on.
 */
import type { MonotonicClock } from './lib/clock.ts';
import type { AdmissionDependencies } from './admission/admit.ts';
import { filterModelList } from './admission/model-list.ts';
import { openAdmissionStage } from './admission/stage.ts';
import { attributeRequest } from './accounting/attribution.ts';
import { openSettlement, type Settlement, type SettlementDependencies } from './accounting/settle.ts';
import { authenticate, type AuthenticatorOptions } from './auth/authenticate.ts';
import type { LiveRequests } from './auth/live-requests.ts';
import type { ModelAliases } from './domain/model-alias.ts';
import { modelAliasesOf } from './domain/principal.ts';
import { openRecord } from './domain/request-record.ts';
import { type Body, type BodyLimits, readBody, releaseBody } from './http/body.ts';
import { type ClientRequest, type ClientResponse, describeHead } from './http/message.ts';
import { sendError } from './http/send-response.ts';
import type { OpenWatch } from './inspector/watcher.ts';
import { parsePresentedCredential } from './keys/presented-credential.ts';
import { unlessAborted } from './lib/deadline.ts';
import { type ProxyError, toProxyError } from './lib/errors.ts';
import { EVENT_STREAM_BODY } from './protocol/sigv4/frame-chain.ts';
import {
  findRoute,
  possibleRoutes,
  refuseUnservedUpgrade,
  resolveRouteByBody,
  type RoutingConfig,
} from './routing/route.ts';
import { chooseWays } from './upstream/conversation.ts';
import type { FaultBoard } from './faults/board.ts';
import type { openFaultyUpstream } from './upstream/faulty-upstream.ts';
import { refuseLoop, wayHeaders } from './upstream/headers.ts';
import { prepare } from './upstream/prepare.ts';
import type { Upstream } from './upstream/upstream.ts';

/** Everything the way needs, put together by `app/`. */
export interface ProxyDependencies extends AuthenticatorOptions, SettlementDependencies {
  readonly mountPath: string;
  readonly routing: RoutingConfig;
  /** For every caller; those of its key are asked first. */
  readonly modelAliases: ModelAliases;
  readonly admission: AdmissionDependencies;
  readonly upstream: Upstream;
  /** Faults that tests inject between the proxy and its upstream. */
  readonly faults: FaultBoard;
  /** Looks at every exchange: what `--inspect` keeps, and the cache doctor; undefined: nobody does. */
  readonly openWatch: OpenWatch | undefined;
  /** Cuts requests whose key ends while they are under way. */
  readonly liveRequests: LiveRequests;
  readonly bodyLimits: BodyLimits;
  /**
   * Our name in `Via` (RFC 9110, section 7.6.3), by which a request that comes back to us is known; undefined if the
   * upstream is AWS itself and cannot be us.
   */
  readonly viaName: string | undefined;
  /** Whether AWS's invocation logs are told whose request it is. */
  readonly requestMetadata: boolean;
  /** Monotonic milliseconds, for durations. */
  readonly tickMs: MonotonicClock;
  readonly newId: () => string;
}

/** Makes the handler that serves everything below the mount, and at the root what is Bedrock's. */
export function createProxy(
  dependencies: ProxyDependencies,
): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (clientRequest, bareResponse) => {
    const record = openRecord(dependencies.newId(), dependencies.nowMs(), describeHead(clientRequest));
    const startedAt = dependencies.tickMs();
    const elapsedMs = (): number => dependencies.tickMs() - startedAt;
    const settlement = openSettlement({ record, elapsedMs }, dependencies);
    const { bodyLimits, mountPath, routing, upstream, faults, tickMs } = dependencies;
    const onLateReservation = (): void => dependencies.ledger.settle(record, 'reserved');
    const admission = openAdmissionStage({ record, clientRequest, onLateReservation }, dependencies.admission);
    const { method, target, headers, upgrade, signal } = clientRequest;
    const watch = dependencies.openWatch?.(record, clientRequest);
    const clientResponse = watch?.watchClient(bareResponse) ?? bareResponse;
    let body: Body | undefined;
    let unwatch: (() => void) | undefined;
    let owner = '';
    try {
      refuseLoop(headers, dependencies.viaName);
      const presented = parsePresentedCredential(headers, target.query);
      const caller = await unlessAborted(signal, authenticate(clientRequest, presented, dependencies));
      record.principal = caller.principal;
      attributeRequest(record, headers);
      watch?.onCaller(caller.principal);
      unwatch = dependencies.liveRequests.watch(caller.claimed, cutOf(clientRequest, settlement));
      const found = (record.route = findRoute({
        method,
        target,
        headers,
        scope: presented.scope ?? clientRequest.replay?.scope,
        mountPath,
        config: routing,
        modelAliases: [modelAliasesOf(caller.claimed.principal), dependencies.modelAliases],
      }));
      refuseUnservedUpgrade(upgrade !== undefined, found.streaming === 'websocket');
      const early = caller.principal && upstream.findWays(found, caller.principal);
      const entering = admission.enter(caller.principal, early?.flatMap((way) => possibleRoutes(way.route)) ?? []);
      if (entering !== undefined) await entering;
      const beforeBody = elapsedMs();
      owner = caller.bodyOwner;
      body = found.streaming === 'bidirectional' ? EVENT_STREAM_BODY : await readBody(clientRequest, bodyLimits, owner);
      record.bodyMs = elapsedMs() - beforeBody;
      record.requestBytes = body.sizeBytes;
      watch?.onBody(body);
      const verified = await unlessAborted(signal, caller.verify(body));
      const { principal } = verified;
      record.principal = principal;
      const resolved = found.needsBody ? await unlessAborted(signal, resolveRouteByBody(found, body)) : found;
      const ways = upstream.findWays(resolved, principal);
      const [{ route }, ...others] = ways;
      record.route = route;
      const elsewhere = others.map((way) => way.route);
      const admitted = await admission.admit({ principal, route, elsewhere, body });
      settlement.onAdmitted(admitted);
      watch?.onAdmitted();
      const prepared = prepare(headers, route, body, {
        viaName: dependencies.viaName,
        oauthAuthorization: caller.oauthAuthorization,
        toldPrincipal: dependencies.requestMetadata ? principal : undefined,
      });
      const holdBytes = (sizeBytes: number): void => bodyLimits.quota?.hold(caller.bodyOwner, sizeBytes);
      const { checkFrame } = verified;
      const shown = filterModelList(clientResponse, principal, { method, path: route.upstreamTarget.path });
      const attempt = { principal, prepared, clientRequest, clientResponse: shown, checkFrame, holdBytes };
      const chosen = chooseWays(ways, record, admitted);
      const reached = faults.concerns(headers)
        ? await openFaults(upstream, { board: faults, record, tickMs })
        : upstream;
      const observer = watch?.watchUpstream(settlement.observer) ?? settlement.observer;
      await reached.send({ ...attempt, ...chosen }, observer, settlement.policy);
    } catch (thrown) {
      const error = toProxyError(thrown);
      record.error = error;
      // 499 is never sent: nobody is there to read it. A response that was waiting to be complete is not sent either.
      if (error.code !== 'ERR_CLIENT_GONE' && !clientResponse.headersSent) record.status = error.status;
      const told = dependencies.responseHeaders ? wayHeaders(record.upstream, record.attempts) : [];
      sendError(error, clientResponse, record.id, told);
    } finally {
      unwatch?.();
      if (body !== undefined) releaseBody(body, bodyLimits, owner);
      settlement.finish();
      watch?.onEnd();
      admission.leave(record.error);
    }
  };
}

/** Loaded by the first fault. */
async function openFaults(...parts: Parameters<typeof openFaultyUpstream>): Promise<Pick<Upstream, 'send'>> {
  return (await import('./upstream/faulty-upstream.ts')).openFaultyUpstream(...parts);
}

/** Apart from the way: a closure there would keep all of it in memory for as long as anything of it is. */
function cutOf(clientRequest: ClientRequest, settlement: Settlement): (error: ProxyError) => void {
  return (error) => {
    settlement.onCut();
    clientRequest.cut(error);
  };
}
