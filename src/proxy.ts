/**
 * THE WAY of a request, every stage in order. Read this first.
 *
 *   accept -> guard -> authenticate -> route -> read body -> verify -> admit -> authorize -> forward -> settle, observe
 *    400      403      401/403/429   400/404   408/413/507   401   402/403/429   403      AWS's own,  (never fail
 *    (in server/)          503                                         503                 502/504     the request)
 *
 * `server/` has accepted and guarded the request before it comes here. The stages do not know each other; only this file
 * knows their order. One catch, one finally: whatever happens, the client gets one response and the exchange is told once.
 */
import { type ClientRequest, type ClientResponse, describeHead } from './http/message.ts';
import { type AdmissionDependencies, admit } from './admission/admit.ts';
import { sendError } from './http/send-response.ts';
import { authenticate, type AuthenticatorOptions, showsOwnKey } from './auth/authenticate.ts';
import { clientGone, toProxyError } from './lib/errors.ts';
import { type RequestRecord, openRecord } from './domain/request-record.ts';
import { rowIfLost } from './accounting/ledger-row.ts';
import { openSettlement, type SettlementDependencies } from './accounting/settle.ts';
import { findRoute, type Route, type RoutingConfig, resolveRouteByBody } from './routing/route.ts';
import type { LedgerRow } from './domain/ledger.ts';
import { authorizeRequest, findOauthToken, type UpstreamAuthority } from './upstream/aws/authorize.ts';
import {
  type BidirectionalForwarder,
  EVENT_STREAM_BODY,
  type SignedEventStream,
} from './upstream/aws/bidirectional.ts';
import { type Body, type BodyLimits, readBody, releaseBody } from './http/body.ts';
import type { Forwarder, SignedRequest } from './upstream/aws/forward.ts';
import { areCredentialsRefused } from './upstream/aws/credentials.ts';
import { refuseLoop, selectUpstreamHeaders } from './upstream/aws/headers.ts';
import { checkUpgrade } from './upstream/aws/websocket.ts';

/** Everything the way needs, built by `cli/`. */
export interface ProxyDependencies extends AuthenticatorOptions, SettlementDependencies {
  readonly mountPath: string;
  readonly routing: RoutingConfig;
  readonly admission: AdmissionDependencies;
  readonly authority: UpstreamAuthority;
  readonly forwarder: Forwarder;
  readonly bidirectional: BidirectionalForwarder;
  readonly bodyLimits: BodyLimits;
  /**
   * Our name in `Via` (RFC 9110, section 7.6.3), by which a request that comes back to us is known; undefined where the
   * upstream is AWS itself and cannot be us.
   */
  readonly viaName: string | undefined;
  /** Monotonic milliseconds, for durations. */
  readonly tickMs: () => number;
  readonly newId: () => string;
  /** Told once of every exchange, when it is over. Must not throw. */
  readonly observe: (record: RequestRecord) => void;
}

/** Makes the handler that serves everything below the mount. */
export function createProxy(
  dependencies: ProxyDependencies,
): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (clientRequest, clientResponse) => {
    const record = openRecord(dependencies.newId(), dependencies.nowMs(), describeHead(clientRequest));
    const startedAt = dependencies.tickMs();
    const elapsedMs = (): number => dependencies.tickMs() - startedAt;
    const settlement = openSettlement({ record, elapsedMs }, dependencies);
    let body: Body | undefined;
    try {
      refuseLoop(clientRequest.headers, dependencies.viaName);
      const caller = await authenticate(clientRequest, dependencies);
      let proof = caller.needsBody ? undefined : caller.verify(undefined);
      record.principal = proof?.principal;
      const matched = route(clientRequest, dependencies);
      record.route = matched;
      const isBidirectional = matched.streaming === 'bidirectional';
      const beforeBody = elapsedMs();
      body = isBidirectional ? EVENT_STREAM_BODY : await readBody(clientRequest, dependencies.bodyLimits);
      const bodyMs = elapsedMs() - beforeBody;
      record.requestBytes = body.sizeBytes;
      proof ??= caller.verify(body.sha256);
      // While the body was coming, the key may have been blocked.
      const principal = body.sizeBytes === 0 ? proof.principal : await caller.revalidate(proof.principal);
      record.principal = principal;
      const settled = matched.needsBody ? resolveRouteByBody(matched, Buffer.concat(body.chunks)) : matched;
      record.route = settled;
      const ifLost = (): LedgerRow => rowIfLost(record, principal);
      const { headers } = clientRequest;
      const admission = await admit(
        { requestId: record.id, principal, route: settled, headers, body, ifLost },
        dependencies.admission,
      );
      settlement.onAdmitted(admission);
      const signedRequest = await authorize(clientRequest, settled, body, dependencies);
      if (clientRequest.signal.aborted) throw clientGone();
      const watcher = settlement.onReady(bodyMs, (status, errorType) => {
        if (areCredentialsRefused(status, errorType)) dependencies.authority.credentials.invalidate();
      });
      const { forwarder, bidirectional } = dependencies;
      await (isBidirectional
        ? bidirectional.relay(signedRequest, clientRequest, clientResponse, watcher, proof.checkFrame)
        : forwarder.forward(signedRequest, clientResponse, clientRequest.signal, watcher));
    } catch (thrown) {
      const error = toProxyError(thrown);
      record.error = error;
      // 499 is never sent: nobody is there to read it.
      if (error.code !== 'ERR_CLIENT_GONE') record.status ??= error.status;
      sendError(error, clientResponse, record.id);
    } finally {
      if (body !== undefined) releaseBody(body, dependencies.bodyLimits);
      record.totalMs = elapsedMs();
      settlement.finish(() => dependencies.observe(record));
    }
  };
}

function route(clientRequest: ClientRequest, { mountPath, routing }: ProxyDependencies): Route {
  const { method, rawTarget, headers, upgrade } = clientRequest;
  const matched = findRoute({ method, rawTarget, headers, mountPath, config: routing });
  checkUpgrade(upgrade !== undefined, matched.streaming === 'websocket');
  return matched;
}

/** The last touch: nothing edits the request after this. */
async function authorize(
  { method, headers, upgrade }: ClientRequest,
  matched: Route,
  body: Body,
  { authority, viaName, nowMs, masterKey }: ProxyDependencies,
): Promise<SignedRequest & SignedEventStream> {
  const { host, region, signingName, operation, bearerKeys, rawQuery, upstreamPath, origin } = matched;
  const oauth = matched.takesOauth ? findOauthToken(headers) : undefined;
  const signed = await authorizeRequest(
    {
      method,
      host,
      rawPath: upstreamPath,
      rawQuery,
      region,
      signingName,
      operation,
      bearerKeys,
      headers: selectUpstreamHeaders(headers, { viaName, keepsTarget: matched.keepsTarget }),
      bodySha256: body.sha256,
      oauthAuthorization: oauth === undefined || showsOwnKey(oauth, masterKey) ? undefined : oauth,
      signingDate: new Date(nowMs()),
    },
    authority,
  );
  const target = rawQuery === undefined ? upstreamPath : `${upstreamPath}?${rawQuery}`;
  const { credentials } = signed;
  const signedWith = credentials === undefined ? undefined : { credentials, region, signingName };
  return { method, origin, target, headers: signed.headers, body, upgrade, signedWith };
}
