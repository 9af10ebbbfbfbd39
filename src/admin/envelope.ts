/**
 * How the admin API says no: LiteLLM's error envelope, on its paths only, where the rest of the proxy speaks as AWS
 * does. Beside the way, not on it. Must not show a key: what names one here is masked.
 */
import { sendJson } from '../http/send-response.ts';
import { looksLikeKey, maskKey } from '../keys/secret.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import type { ClientResponse, HeaderPair } from '../http/message.ts';

/** LiteLLM's words for what went wrong, as far as they happen here. */
type AdminErrorType =
  | 'auth_error'
  | 'expired_key'
  | 'token_not_found_in_db'
  | 'not_found_error'
  | 'bad_request_error'
  | 'internal_server_error';

/** An ERR_BAD_REQUEST that knows which field is wrong, and may have another status than 400. */
export class AdminError extends ProxyError {
  override readonly status: number;
  readonly type: AdminErrorType;
  /** The field or query parameter at fault. */
  readonly param: string | undefined;
  readonly headers: readonly HeaderPair[];

  constructor(
    message: string,
    options: {
      status?: number;
      type?: AdminErrorType;
      param?: string | undefined;
      hint?: string | undefined;
      headers?: readonly HeaderPair[];
      cause?: unknown;
    } = {},
  ) {
    super('ERR_BAD_REQUEST', message, { hint: options.hint, cause: options.cause });
    this.status = options.status ?? 400;
    this.type = options.type ?? 'bad_request_error';
    this.param = options.param;
    this.headers = options.headers ?? [];
  }
}

/** 404 for a key that the store does not have (any more); `named` as the caller named it. */
export function keyNotFound(named: string, param: string): AdminError {
  return new AdminError(`There is no key ${quoteKeyName(named)}.`, {
    status: 404,
    type: 'token_not_found_in_db',
    param,
    hint: 'Name it by its token (the SHA-256 of the key), its key_id or the key itself; see GET /key/list.',
  });
}

/** A key as a message may show it: the key itself masked, a hash shortened, anything else quoted. */
export function quoteKeyName(named: string): string {
  if (looksLikeKey(named)) return maskKey(named.length >= 20 ? named.slice(-4) : '').replace('…', '...');
  return /^[0-9a-f]{64}$/.test(named) ? `${named.slice(0, 8)}...` : JSON.stringify(named.slice(0, 100));
}

/** What `read` answers; its refusal, told with the field that it is about. */
export function readField<T>(param: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProxyError) || error instanceof AdminError) throw error;
    throw new AdminError(error.message, { param, hint: error.hint, cause: error });
  }
}

/** Responds with LiteLLM's envelope, in which `code` is a string. Never throws. */
export function sendEnvelope(thrown: unknown, clientResponse: ClientResponse): void {
  const error = toProxyError(thrown);
  const message = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  const param = error instanceof AdminError ? (error.param ?? null) : null;
  const headers: HeaderPair[] = [['x-bedrock-proxy-error', error.code]];
  if (error.retryAfterSeconds !== undefined) headers.push(['retry-after', String(error.retryAfterSeconds)]);
  if (error instanceof AdminError) headers.push(...error.headers);
  try {
    if (clientResponse.headersSent) return clientResponse.breakOff();
    const body = { error: { message, type: findType(error), param, code: String(error.status) } };
    sendJson(error.status, body, clientResponse, headers);
  } catch {
    clientResponse.breakOff();
  }
}

function findType(error: ProxyError): AdminErrorType {
  if (error instanceof AdminError) return error.type;
  if (error.code === 'ERR_KEY_UNKNOWN') return 'token_not_found_in_db';
  if (error.code === 'ERR_KEY_EXPIRED') return 'expired_key';
  if (error.status === 401 || error.status === 403) return 'auth_error';
  return error.status >= 500 ? 'internal_server_error' : 'bad_request_error';
}
