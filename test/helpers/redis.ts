/**
 * A Redis server of this machine (or Valkey), in memory and on a free port of the loopback interface. Where there is no
 * program of either, `REDIS` is undefined, and tests are named as skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { findClosedPort } from './ports.ts';

/** The program of the server; undefined: the machine has none. */
export const REDIS = (process.env['PATH'] ?? '')
  .split(delimiter)
  .concat('/usr/bin', '/usr/local/bin', '/opt/homebrew/bin')
  .flatMap((folder) => ['redis-server', 'valkey-server'].map((name) => join(folder, name)))
  .find((path) => existsSync(path));

/** A server. */
export class RedisServer {
  readonly port: number;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  constructor(port: number, settings: readonly string[]) {
    this.port = port;
    this.#settings = settings;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', ...this.#settings];
    // It ends with whoever holds the other end of its standard input, however that one ends.
    const child = spawn(
      'sh',
      ['-c', 'exec 3<&0; "$@" </dev/null & p=$!; (cat <&3 >/dev/null; kill -KILL $p 2>/dev/null) & wait $p', 'sh']
        .concat(REDIS ?? '')
        .concat(settings),
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    this.#child = child;
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
    for (let attempt = 0; !told.includes('eady to accept connections'); attempt += 1) {
      if (attempt > 400 || child.exitCode !== null) throw new Error(`Redis does not start: ${told}`);
      await delay(25);
    }
    child.unref();
  }

  /** As kill -9 does: what it had in memory is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const ended = child.exitCode === null ? once(child, 'exit') : undefined;
    child.stdin?.destroy();
    await ended;
  }

  /** Says something to it as somebody else. */
  async run(...command: string[]): Promise<unknown> {
    const client = createClient({ url: this.url, socket: { reconnectStrategy: false }, RESP: 2 });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.sendCommand(command);
    } finally {
      client.destroy();
    }
  }
}

/** Starts one. Whoever starts it kills it. */
export async function startRedis(...settings: readonly string[]): Promise<RedisServer> {
  const server = new RedisServer(await findClosedPort(), settings);
  await server.start();
  return server;
}

let shared: Promise<RedisServer> | undefined;

/** The server of this file's tests, started with the first call. `afterAll(stopSharedRedis)` ends it. */
export function sharedRedis(): Promise<RedisServer> {
  return (shared ??= startRedis());
}

/** Ends it, if it was started. */
export async function stopSharedRedis(): Promise<void> {
  const server = await shared;
  shared = undefined;
  await server?.kill();
}
