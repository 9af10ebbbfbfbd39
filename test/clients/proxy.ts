// The proxy under test: the built program as users start it, on the offline Bedrock or on a cassette, with a home and a database of its
// own. It demands keys, because there is one before it starts. Its log, one JSON line a request, tells which client
// really came through it, and how.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

const START_LIMIT_MS = 60_000;
const END_LIMIT_MS = 10_000;
/**
 * Every kind of limit, and none that a client reaches: their requests are checked, reserved and settled like anybody's.
 */
const LIMITS =
  '--models * --regions us-* --budget 1000 --allow-unpriced --rpm 100000 --tpm 1000000000 --max-parallel 1000'.split(
    ' ',
  );

export interface VirtualKey {
  /** Also its secret access key. */
  readonly key: string;
  readonly accessKeyId: string;
}

/** A line of the proxy's log, as far as it is looked at. */
export interface LogEntry {
  /** The alias of the key that was shown. */
  readonly key: string | null;
  /** `1.1` or `2`. */
  readonly http: string;
  readonly operation: string | null;
}

export interface RunningProxy {
  readonly url: string;
  readonly tlsUrl: string;
  /** What clients shall trust. */
  readonly caFile: string;
  makeKey(alias: string): Promise<VirtualKey>;
  /** Ends it and gives the lines of its log by the alias of their key. */
  end(): Promise<ReadonlyMap<string | null, readonly LogEntry[]>>;
}

interface ProxyOptions {
  /** The checkout. */
  readonly root: string;
  /** For its database and home. */
  readonly folder: string;
  /** Of `start`: where the responses come from. */
  readonly source: readonly string[];
  /** Kills it. */
  readonly signal: AbortSignal;
}

type Started = ChildProcessByStdio<null, Readable, Readable>;

/**
 * Starts it on a free port, which serves http and https. Throws where it does not start.
 */
export async function startProxy({ root, folder, source, signal }: ProxyOptions): Promise<RunningProxy> {
  const database = join(folder, 'proxy', 'keys.db');
  mkdirSync(dirname(database), { recursive: true });
  const program = join(root, 'bin', 'bedrock-proxy.js');
  // The launcher takes this for a start by npm, and so ends the proxy if this run is killed.
  const env = { PATH: process.env['PATH'], HOME: dirname(database), npm_lifecycle_event: 'test:clients' };
  const runProgram = (words: readonly string[]): Started =>
    spawn(process.execPath, [program, ...words], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const makeKey = async (alias: string): Promise<VirtualKey> => {
    const child = runProgram(['key', 'generate', '--json', '--alias', alias, ...LIMITS, '--db', database]);
    const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if (output === '') throw new Error(`no key could be made: ${complaint}`);
    const { key, access_key_id: accessKeyId } = JSON.parse(output) as { key: string; access_key_id: string };
    return { key, accessKeyId };
  };
  await makeKey('first');
  const words = 'start --tls --port 0 --log-format json --db'.split(' ');
  const child = runProgram([...words, database, ...source]);
  const ended = once(child, 'close');
  const stop = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const seen = collectLog(child.stdout);
  const port = await findPort(child);
  return {
    url: `http://localhost:${port}/bedrock`,
    tlsUrl: `https://localhost:${port}/bedrock`,
    caFile: join(dirname(database), 'tls-ca.pem'),
    makeKey,
    end: async () => {
      child.kill('SIGTERM');
      const killer = setTimeout(stop, END_LIMIT_MS);
      await ended;
      clearTimeout(killer);
      signal.removeEventListener('abort', stop);
      return seen;
    },
  };
}

/** Reads the port from the banner on standard error. */
async function findPort(child: Started): Promise<string> {
  let banner = '';
  const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  for await (const bytes of child.stderr.iterator({ destroyOnReturn: false })) {
    banner += String(bytes);
    const port = /^\s*address\s+https?:\/\/[^/\s]+:(\d+)\//m.exec(banner)?.[1];
    if (port === undefined) continue;
    clearTimeout(limit);
    child.stderr.resume();
    return port;
  }
  throw new Error(`the proxy did not start:\n${banner}`);
}

function collectLog(output: Readable): Map<string | null, LogEntry[]> {
  const seen = new Map<string | null, LogEntry[]>();
  createInterface({ input: output }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    const entry = JSON.parse(line) as LogEntry;
    const entries = seen.get(entry.key) ?? [];
    seen.set(entry.key, [...entries, entry]);
  });
  return seen;
}
