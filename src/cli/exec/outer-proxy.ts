/**
 * The proxy and the key of an `exec` around this command: what an `exec` leaves in the environment of its command, and
 * how commands in it find that proxy, wherever it listens.
 */
import type { DatabaseLocation } from '../../config/database-location.ts';
import { type Config, readConfig } from '../../config/config.ts';
import type { Environment, Flags } from '../../config/options.ts';
import type { KeyStore } from '../../domain/store.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import { ACCESS_KEY_ID_PREFIX, hashKey, looksLikeKey } from '../../keys/secret.ts';
import { findKeyState } from '../../keys/state.ts';

/** Host and port of the proxy around this command, as a URL. */
const ADDRESS_VARIABLE = 'BEDROCK_PROXY_EXEC_ADDRESS';
/** Where `env` and `exec` put a key for one client or another. */
const KEY_VARIABLES = ['AWS_SECRET_ACCESS_KEY', 'AWS_BEARER_TOKEN_BEDROCK', 'OPENAI_API_KEY'] as const;

/** The variables for commands within an `exec`. */
export function describeOuterProxy(
  { host, port }: Pick<Config, 'host' | 'port'>,
  database: DatabaseLocation,
): [string, string][] {
  const name = host.includes(':') ? `[${host}]` : host;
  return [
    [ADDRESS_VARIABLE, `http://${name}:${port}`],
    ['BEDROCK_PROXY_DB', database.shown],
  ];
}

/**
 * `readConfig` of a command that looks for a proxy: where flags name none, it is that of the `exec` around it. Throws
 * ERR_BAD_OPTION.
 */
export function readClientConfig(flags: Flags, environment: Environment): Config {
  const text = environment[ADDRESS_VARIABLE] ?? '';
  if (!URL.canParse(text)) return readConfig(flags, environment);
  const { hostname, port } = new URL(text);
  const host = hostname.replace(/^\[|\]$/g, '');
  return readConfig(flags, { ...environment, BEDROCK_PROXY_HOST: host, BEDROCK_PROXY_PORT: port });
}

/** The key that the `exec` around this command has lent it, if it still counts. */
export async function findOuterKey(
  store: Pick<KeyStore, 'findKeyBySha256' | 'findKeyByAccessKeyId'>,
  environment: Environment,
  nowMs: number,
): Promise<VirtualKeyRow | undefined> {
  if (environment[ADDRESS_VARIABLE] === undefined) return undefined;
  const id = environment['AWS_ACCESS_KEY_ID'] ?? '';
  const byId = id.startsWith(ACCESS_KEY_ID_PREFIX) ? await store.findKeyByAccessKeyId(id) : undefined;
  const keys = KEY_VARIABLES.flatMap((name) => environment[name] ?? []).filter(looksLikeKey);
  const rows = [byId, ...(await Promise.all(keys.map((key) => store.findKeyBySha256(hashKey(key)))))];
  return rows.find((row) => row !== undefined && ['active', 'ending'].includes(findKeyState(row, nowMs)));
}
