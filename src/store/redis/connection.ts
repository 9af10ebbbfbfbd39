/**
 * One connection to Redis or Valkey, which comes back by itself. What is asked while it is away fails at once. Scripts
 * are sent by their hash, and as text to a server that does not have them.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createClient } from '@redis/client';
import { ProxyError } from '../../lib/errors.ts';
import { within } from '../../lib/deadline.ts';
import { toRedisTrouble } from './trouble.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** How long a start waits for it. */
const FIRST_CONNECT_MS = 2_000;
const MAX_RECONNECT_MS = 1_000;
/** A connection of which the other end is gone without a word is found by these. */
const PING_MS = 3_000;
const SILENCE_MS = 10_000;
/** Beyond it the server is not keeping up, and every further command would wait. */
const MAX_WAITING = 20_000;

/** A script, and its hash. */
export interface RedisScript {
  readonly text: string;
  readonly sha1: string;
}

/** A server. */
export interface RedisConnection {
  /** The address without the password. */
  readonly shownUrl: string;
  /** What the script returns. Throws ERR_STORE_UNAVAILABLE. */
  run(script: RedisScript, keys: readonly string[], values: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

/** A script of this text. */
export function redisScript(text: string): RedisScript {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

/**
 * Resolves when it is connected, or when that has failed or takes too long: it goes on trying. Throws ERR_BAD_OPTION if
 * a file that the URL names cannot be read.
 */
export async function connectRedis(url: string): Promise<RedisConnection> {
  const shownUrl = hideRedisPassword(url);
  const client = createClient({
    url: url.replace(/^valkey/i, 'redis').replace(/\?.*$/s, ''),
    socket: {
      ...readTls(url),
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (retries) => Math.min(MAX_RECONNECT_MS, 50 * 2 ** Math.min(retries, 6)),
    },
    name: 'bedrock-proxy',
    // Every server speaks it.
    RESP: 2,
    pingInterval: PING_MS,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_WAITING,
    maintNotifications: 'disabled',
  });
  let lastError: unknown;
  client.on('error', (error: unknown) => (lastError = error));
  client.on('ready', () => (lastError = undefined));
  const failed = new Promise<void>((resolve) => client.once('error', () => resolve()));
  await within(FIRST_CONNECT_MS, Promise.race([client.connect().catch(() => {}), failed]));
  const send = (command: 'EVALSHA' | 'EVAL', script: string, rest: readonly string[]): Promise<unknown> =>
    client.sendCommand([command, script, ...rest]);
  return {
    shownUrl,
    run: async (script, keys, values) => {
      const rest = [String(keys.length), ...keys, ...values];
      try {
        return await send('EVALSHA', script.sha1, rest).catch((error: unknown) => {
          if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
          return send('EVAL', script.text, rest);
        });
      } catch (error) {
        throw toRedisTrouble(shownUrl, client.isReady ? error : (lastError ?? error));
      }
    },
    close: async () => client.destroy(),
  };
}

/** The address as it may be shown. */
export function hideRedisPassword(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return 'redis://…';
  if (parsed.password !== '') parsed.password = '***';
  return parsed.toString();
}

/** `sslrootcert`, as in the URL of PostgreSQL: a PEM file with the authorities that are trusted. */
function readTls(url: string): { readonly tls: true; readonly ca?: string } | object {
  if (!/^(rediss|valkeys):/i.test(url)) return {};
  const file = URL.parse(url)?.searchParams.get('sslrootcert') ?? undefined;
  if (file === undefined) return { tls: true };
  try {
    return { tls: true, ca: readFileSync(file, 'utf8') };
  } catch (error) {
    const message = 'The certificates that the URL of Redis names (sslrootcert) cannot be read.';
    throw new ProxyError('ERR_BAD_OPTION', message, { detail: file, cause: error });
  }
}
