/**
 * `POST /key/generate` for people and scripts that know LiteLLM's key API: its field names, and its error envelope on these
 * paths only. Beside the way, not on it. Needs the master key.
 */
import { sendJson } from '../answer.ts';
import { isMasterKey } from '../auth/authenticate.ts';
import type { FailureLimit } from '../auth/failure-limit.ts';
import { findCredential } from '../auth/credential.ts';
import { type MintedKey, mintKey, parseAlias } from '../auth/mint.ts';
import { maskKey } from '../auth/virtual-key.ts';
import { ProxyError, toProxyError } from '../errors.ts';
import type { ClientRequest, ClientResponse, HeaderPair } from '../exchange.ts';
import type { Store } from '../store/store.ts';
import { readBody } from '../upstream/body.ts';

export interface KeyApiOptions {
  readonly store: Store;
  readonly masterKey: string | undefined;
  /** Read when the first key is made: a server that makes none needs none. */
  readonly loadServerSecret: () => Buffer;
  readonly failures: FailureLimit;
  readonly nowMs: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

const BODY_LIMITS = { maxSizeBytes: 1_000_000, idleTimeoutMs: 30_000 };

/** Makes the handler of everything below `/key`. */
export function createKeyApi(
  options: KeyApiOptions,
): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (clientRequest, clientResponse) => {
    const { failures } = options;
    try {
      failures.check(clientRequest.peerAddress);
      requireMasterKey(clientRequest, options.masterKey);
      const path = clientRequest.rawTarget.replace(/\?.*$/s, '');
      if (path !== '/key/generate') {
        throw new ProxyError('ERR_UNKNOWN_PATH', 'Of the key API, the proxy has POST /key/generate.', {
          hint: 'Use the commands `bedrock-proxy key list` and `bedrock-proxy key revoke` for the rest.',
        });
      }
      if (clientRequest.method !== 'POST') throw new ProxyError('ERR_BAD_REQUEST', '/key/generate wants POST.');
      const body = await readBody(clientRequest, BODY_LIMITS);
      const alias = parseGenerateRequest(Buffer.concat(body.chunks).toString('utf8'));
      const minted = await mintKey({
        store: options.store,
        serverSecret: options.loadServerSecret(),
        alias,
        nowMs: options.nowMs(),
        randomBytes: options.randomBytes,
      });
      sendJson(200, describeMintedKey(minted), clientResponse);
    } catch (thrown) {
      sendEnvelope(toProxyError(failures.note(thrown, clientRequest.peerAddress)), clientResponse);
    }
  };
}

function requireMasterKey({ headers }: ClientRequest, masterKey: string | undefined): void {
  if (masterKey === undefined) {
    throw new ProxyError('ERR_MASTER_KEY', 'The proxy was started without a master key, so its key API is closed.', {
      hint: 'Start it with BEDROCK_PROXY_MASTER_KEY, or use `bedrock-proxy key generate`.',
    });
  }
  const { token } = findCredential(headers);
  if (token !== undefined && isMasterKey(token, masterKey)) return;
  throw new ProxyError('ERR_MASTER_KEY', 'The key API wants the master key.', {
    hint: 'Send it as `Authorization: Bearer`.',
  });
}

/** The alias asked for. Fields the proxy cannot honour are refused by name: a limit that is silently dropped is no limit. */
function parseGenerateRequest(text: string): string | undefined {
  const fields = parseObject(text);
  const unsupported = Object.keys(fields).filter((name) => name !== 'key_alias' && !isEmpty(fields[name]));
  if (unsupported.length > 0) {
    throw new ProxyError(
      'ERR_BAD_REQUEST',
      `The proxy does not support these fields: ${unsupported.join(', ').slice(0, 300)}.`,
      {
        hint: 'It knows key_alias.',
      },
    );
  }
  const alias = fields['key_alias'] ?? undefined;
  return alias === undefined ? undefined : parseAlias(alias, 'key_alias', 'ERR_BAD_REQUEST');
}

/** LiteLLM's clients send fields they do not use as null, [] or {}: these ask for nothing. */
function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, like every other thing that is no object.
  }
  throw new ProxyError('ERR_BAD_REQUEST', 'The body must be a JSON object.');
}

function describeMintedKey(minted: MintedKey): object {
  const createdAt = new Date(minted.createdAtMs).toISOString();
  return {
    key: minted.key,
    key_name: maskKey(minted.lastFour).replace('…', '...'),
    key_alias: minted.alias ?? null,
    token: minted.keySha256,
    token_id: minted.keySha256,
    key_id: minted.id,
    access_key_id: minted.accessKeyId,
    secret_access_key: minted.key,
    expires: null,
    blocked: false,
    created_at: createdAt,
    updated_at: createdAt,
  };
}

/** LiteLLM's error envelope: `code` is a string there. */
function sendEnvelope(error: ProxyError, clientResponse: ClientResponse): void {
  const message = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  const type =
    error.status === 401 ? 'auth_error' : error.status >= 500 ? 'internal_server_error' : 'bad_request_error';
  const body = { error: { message, type, param: null, code: String(error.status) } };
  try {
    const { retryAfterSeconds } = error;
    const wait: HeaderPair[] = retryAfterSeconds === undefined ? [] : [['retry-after', String(retryAfterSeconds)]];
    sendJson(error.status, body, clientResponse, wait);
  } catch {
    clientResponse.breakOff();
  }
}
