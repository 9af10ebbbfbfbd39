/**
 * `GET /metrics` for Prometheus. Beside the way, not on it. This machine reads without a key, as it reads the proxy's
 * log; other machines need the master key, for the labels tell who uses what. Spends no money.
 */
import { sendResponse, sendJson } from '../http/send-response.ts';
import { findClientAddress } from '../auth/client-address.ts';
import { findMasterKeyFor, findMasterToken, MIN_MASTER_KEY_LENGTH } from '../auth/master-key.ts';
import { findToken, parsePresentedCredential } from '../keys/presented-credential.ts';
import type { FailureLimit } from '../auth/failure-limit.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import type { ClientRequest, ClientResponse, HeaderPair } from '../http/message.ts';

/** What `/metrics` shows, and who may see it. */
export interface MetricsEndpointOptions {
  readonly metrics: {
    /** All metrics as text, and the media type of that text. A promise if several processes are asked. */
    render(): RenderedText | Promise<RenderedText>;
  };
  readonly masterKey: string | undefined;
  readonly failures: FailureLimit;
}

interface RenderedText {
  readonly contentType: string;
  readonly body: string;
}

/** Makes the handler of `/metrics`. Its errors are plain JSON: `error` and `code`. */
export function createMetricsEndpoint({
  metrics,
  masterKey,
  failures,
}: MetricsEndpointOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (clientRequest, clientResponse) => {
    const { method, target } = clientRequest;
    try {
      if (target.path !== '/metrics') {
        throw new ProxyError('ERR_UNKNOWN_PATH', 'There is nothing below /metrics.');
      }
      failures.check(clientRequest);
      requireLeave(clientRequest, { masterKey, failures });
      if (method !== 'GET' && method !== 'HEAD') return sendWrongMethod(clientResponse);
      const { contentType, body } = await metrics.render();
      sendText(contentType, Buffer.from(body), method === 'HEAD', clientResponse);
    } catch (thrown) {
      sendError(toProxyError(await failures.note(thrown, clientRequest)), clientResponse);
    }
  };
}

/** Throws ERR_MASTER_KEY, or ERR_KEYS_DIFFER. */
function requireLeave(clientRequest: ClientRequest, options: Omit<MetricsEndpointOptions, 'metrics'>): void {
  if (findClientAddress(clientRequest).kind === 'local') return;
  const token = findToken(parsePresentedCredential(clientRequest.headers, undefined));
  if (token !== undefined && findMasterToken(clientRequest, [token], options) !== undefined) return;
  const message = 'From other machines, metrics want the master key.';
  throw new ProxyError('ERR_MASTER_KEY', message, {
    hint:
      findMasterKeyFor(clientRequest, options.masterKey, options.failures) === undefined
        ? `Start the proxy with a BEDROCK_PROXY_MASTER_KEY of at least ${MIN_MASTER_KEY_LENGTH} characters, and send ` +
          'that key as `Authorization: Bearer`.'
        : 'Send it as `Authorization: Bearer`.',
  });
}

function sendText(contentType: string, body: Buffer, isHead: boolean, clientResponse: ClientResponse): void {
  const headers: HeaderPair[] = [
    ['content-type', contentType],
    ['content-length', String(body.length)],
    ['cache-control', 'no-store'],
  ];
  sendResponse({ status: 200, headers, body: isHead ? Buffer.alloc(0) : body }, clientResponse);
}

function sendWrongMethod(clientResponse: ClientResponse): void {
  sendJson(405, { error: '/metrics wants GET.', code: 'ERR_BAD_REQUEST' }, clientResponse, [['allow', 'GET, HEAD']]);
}

function sendError(error: ProxyError, clientResponse: ClientResponse): void {
  const { message, hint, code, retryAfterSeconds } = error;
  const headers: HeaderPair[] = [['x-bedrock-proxy-error', code]];
  if (retryAfterSeconds !== undefined) headers.push(['retry-after', String(retryAfterSeconds)]);
  try {
    sendJson(
      error.status,
      { error: hint === undefined ? message : `${message} ${hint}`, code },
      clientResponse,
      headers,
    );
  } catch {
    clientResponse.breakOff();
  }
}
