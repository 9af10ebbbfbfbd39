/**
 * THE WAY of a request, every stage in order. Read this first.
 *
 *   accept -> guard -> authenticate -> route -> read body -> sign -> forward -> observe
 *    400      403        401/403      400/404    408/413      403    AWS's own,   (never fails
 *    (in server/)        503                                         502/504       the request)
 *
 * `server/` has accepted and guarded the request before it comes here. The stages do not know each other; only this file
 * knows their order. One catch, one finally: whatever happens, the client gets one answer and the exchange is told once.
 */
import { answerError } from './answer.ts';
import { authenticate } from './auth/authenticate.ts';
import { ProxyError, toProxyError } from './errors.ts';
import { type ClientRequest, type ClientResponse, type Exchange, findHeader, openExchange } from './exchange.ts';
import { findRoute, type Route, type RoutingConfig, settleRouteByBody } from './routing/route.ts';
import type { Store } from './store/store.ts';
import { type Body, readBody } from './upstream/body.ts';
import type { CredentialSource } from './upstream/credentials.ts';
import type { Forwarder, SignedRequest } from './upstream/forward.ts';
import { isVia, selectUpstreamHeaders } from './upstream/headers.ts';
import { signRequest } from './upstream/sign.ts';

/** Everything the way needs, built by `cli/`. */
export interface ProxyDependencies {
  readonly store: Store;
  readonly masterKey: string | undefined;
  /** Opens keys at rest, for clients that sign with one. */
  readonly loadServerSecret: () => Buffer;
  readonly mountPath: string;
  readonly routing: RoutingConfig;
  readonly credentials: CredentialSource;
  readonly forwarder: Forwarder;
  readonly maxBodySizeBytes: number;
  readonly uploadIdleTimeoutMs: number;
  /**
   * Our name in `Via` (RFC 9110, section 7.6.3), by which a request that comes back to us is known; undefined where the
   * upstream is AWS itself and cannot be us.
   */
  readonly viaName: string | undefined;
  /** Epoch milliseconds. */
  readonly nowMs: () => number;
  /** Monotonic milliseconds, for durations. */
  readonly tickMs: () => number;
  readonly newId: () => string;
  /** Told once of every exchange, when it is over. Must not throw. */
  readonly observe: (exchange: Exchange) => void;
}

/** Makes the handler that serves everything below the mount. */
export function createProxy(
  dependencies: ProxyDependencies,
): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (clientRequest, clientResponse) => {
    const exchange = openExchange(dependencies.newId(), dependencies.nowMs(), clientRequest);
    const startedAt = dependencies.tickMs();
    const elapsedMs = (): number => dependencies.tickMs() - startedAt;
    try {
      refuseLoop(clientRequest, dependencies.viaName);
      const caller = await authenticate(clientRequest, dependencies);
      if (!caller.needsBody) exchange.principal = caller.prove(undefined).principal;
      const matched = route(clientRequest, dependencies);
      exchange.route = matched;
      const body = await readBody(clientRequest, {
        maxSizeBytes: dependencies.maxBodySizeBytes,
        idleTimeoutMs: dependencies.uploadIdleTimeoutMs,
      });
      exchange.requestBytes = body.sizeBytes;
      if (caller.needsBody) exchange.principal = caller.prove(body.sha256).principal;
      const settled = matched.needsBody ? settleRouteByBody(matched, Buffer.concat(body.chunks)) : matched;
      exchange.route = settled;
      const signedRequest = await sign(clientRequest, settled, body, dependencies);
      await dependencies.forwarder.forward(signedRequest, clientResponse, clientRequest.signal, {
        onStart: (status, headers) => {
          exchange.status = status;
          exchange.firstByteMs = elapsedMs();
          exchange.upstreamRequestId = findHeader(headers, 'x-amzn-requestid');
          if (areCredentialsRefused(status, findHeader(headers, 'x-amzn-errortype')))
            dependencies.credentials.invalidate();
        },
        onBytes: (chunk) => {
          exchange.responseBytes += chunk.length;
        },
      });
    } catch (thrown) {
      const error = toProxyError(thrown);
      exchange.error = error;
      exchange.status ??= error.status;
      answerError(error, clientResponse, exchange.id);
    } finally {
      exchange.totalMs = elapsedMs();
      dependencies.observe(exchange);
    }
  };
}

function route({ method, rawTarget, headers }: ClientRequest, { mountPath, routing }: ProxyDependencies): Route {
  const matched = findRoute({ method, rawTarget, headers, mountPath, config: routing });
  if (matched.streaming === 'none' || matched.streaming === 'response') return matched;
  throw new ProxyError(
    'ERR_NOT_SUPPORTED',
    `The proxy does not carry ${matched.streaming} streams yet (${matched.operation}).`,
  );
}

/** The last touch: nothing edits the request after this. */
async function sign(
  clientRequest: ClientRequest,
  matched: Route,
  body: Body,
  { credentials, viaName, nowMs }: ProxyDependencies,
): Promise<SignedRequest> {
  const headers = await signRequest({
    method: clientRequest.method,
    host: matched.host,
    rawPath: matched.upstreamPath,
    rawQuery: matched.rawQuery,
    headers: selectUpstreamHeaders(clientRequest.headers, viaName),
    bodySha256: body.sha256,
    credentials: await credentials.get(),
    region: matched.region,
    signingName: matched.signingName,
    signingDate: new Date(nowMs()),
  });
  const target = matched.rawQuery === undefined ? matched.upstreamPath : `${matched.upstreamPath}?${matched.rawQuery}`;
  return { method: clientRequest.method, origin: matched.origin, target, headers, body };
}

function refuseLoop({ headers }: ClientRequest, viaName: string | undefined): void {
  if (viaName === undefined || !isVia(headers, viaName)) return;
  throw new ProxyError('ERR_LOOP', 'The proxy received its own request: its upstream is itself.', {
    hint: 'Correct --endpoint-url; it must not lead back to the proxy.',
  });
}

/** AWS's words for keys that are no longer good. Another refusal (a policy, a model) says nothing about the credentials. */
function areCredentialsRefused(status: number, errorType: string | undefined): boolean {
  if (status !== 400 && status !== 401 && status !== 403) return false;
  return /^(ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidSignature)/.test(errorType ?? '');
}
