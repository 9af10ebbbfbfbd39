/**
 * Two running proxies on one PostgreSQL, as on two machines: what is done to a key at one of them counts at the other
 * within a second, for its next request and for its stream that is under way, and also if notifications are lost.
 * While the database is away, keys that are known go on, and then fail closed.
 * @module-tag slow
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { MAX_SHARED_KEY_AGE_MS } from '../../src/domain/store.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../helpers/postgres.ts';
import { launchServer, openProgramTest, openWorkplace, run, type RunningServer } from '../helpers/program.ts';

const MODEL = '/bedrock/model/amazon.nova-lite-v1%3A0';
const MASTER_KEY = 'sk-master-0123456789abcdef';
const STALE_SECONDS = 2;
/** Of a busy machine, on the way there and back. */
const NOISE_MS = 1_000;
/** So often running requests are looked at. */
const LOOK_MS = 500;

describe.skipIf(POSTGRES === undefined)('two proxies on one PostgreSQL', () => {
  let database: PostgresServer;
  let url: string;
  let upstream: FakeUpstream;
  let environment: Readonly<Record<string, string>>;
  let one: RunningServer;
  let other: RunningServer;

  beforeAll(async () => {
    database = await startPostgres();
  });
  afterAll(() => removePostgres(database));

  beforeEach(async () => {
    const test = await openProgramTest();
    ({ upstream } = test);
    upstream.respondWith((request, response) => {
      if (!request.rawTarget.endsWith('-stream')) return sendJson(response, 200, {});
      startEventStream(response);
      response.write(eventFrame('contentBlockDelta', { delta: { text: 'and on' }, contentBlockIndex: 0 }));
    });
    url = await database.createDatabase();
    const shared = {
      ...test.environment,
      BEDROCK_PROXY_DB: url,
      BEDROCK_PROXY_MASTER_KEY: MASTER_KEY,
      BEDROCK_PROXY_SALT_KEY: 'salt-of-both-0123456789',
      BEDROCK_PROXY_STALE_KEYS: String(STALE_SECONDS),
    };
    environment = shared;
    // Each has a home of its own, as on two machines.
    const launched = [0, 1].map(async () => {
      const place = await openWorkplace();
      onTestFinished(() => place[Symbol.asyncDispose]());
      const server = await launchServer([], { ...shared, HOME: place.folder, XDG_DATA_HOME: `${place.folder}/share` });
      onTestFinished(() => server[Symbol.asyncDispose]());
      return server;
    });
    [one, other] = (await Promise.all(launched)) as [RunningServer, RunningServer];
  });

  async function admin(path: string, body: object): Promise<{ readonly key?: string }> {
    const response = await fetch(`http://127.0.0.1:${one.port}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect([path, response.status]).toEqual([path, 200]);
    return (await response.json()) as { key?: string };
  }

  const makeKey = async (alias: string): Promise<string> =>
    (await admin('/key/generate', { key_alias: alias })).key ?? '';

  async function loseNotifications(): Promise<void> {
    const name = new URL(url).pathname.slice(1);
    const [source] = await database.run<{ text: string }>(
      "SELECT pg_get_functiondef('bedrock_proxy.note_key_change()'::regprocedure) AS text",
      name,
    );
    await database.run((source?.text ?? '').replace(/PERFORM pg_notify[^;]*;/, ''), name);
  }

  const ENDINGS = [
    { name: 'blocked', path: '/key/block', code: 'ERR_KEY_BLOCKED', trouble: async () => {} },
    { name: 'deleted', path: '/key/delete', code: 'ERR_KEY_UNKNOWN', trouble: async () => {} },
    { name: 'blocked unheard', path: '/key/block', code: 'ERR_KEY_BLOCKED', trouble: loseNotifications },
  ];

  it('end a key that is ended at the other one, and its streams, though notifications are lost', async () => {
    for (const { name, path, code, trouble } of ENDINGS) {
      const key = await makeKey(name);
      await trouble();
      for (const server of [one, other]) expect(await ask(server, key)).toBeNull();
      const ended = await beginStream(other, key);
      await admin(path, path === '/key/delete' ? { keys: [key] } : { key });
      const changedAt = performance.now();
      expect([name, await ask(one, key)]).toEqual([name, code]);
      expect(await untilAnswered(other, key, code)).toBeLessThan(MAX_SHARED_KEY_AGE_MS + NOISE_MS);
      expect((await ended()) - changedAt).toBeLessThan(MAX_SHARED_KEY_AGE_MS + LOOK_MS + NOISE_MS);
    }
  });

  it('go on with keys that they know while the database is away, then fail closed, and recover', async () => {
    const key = await makeKey('alice');
    for (const server of [one, other]) expect(await ask(server, key)).toBeNull();
    // They hear that the key was made, and read it once more.
    await delay(MAX_SHARED_KEY_AGE_MS);
    for (const server of [one, other]) expect(await ask(server, key)).toBeNull();
    await database.stop();
    const stoppedAt = performance.now();
    for (const server of [one, other]) expect(await ask(server, key)).toBeNull();
    for (const server of [one, other]) await untilAnswered(server, key, 'ERR_STORE_UNAVAILABLE');
    expect(performance.now() - stoppedAt).toBeLessThan(STALE_SECONDS * 1_000 + NOISE_MS);
    expect((await post(one, key, 'converse')).status).toBe(503);
    await database.start();
    for (const server of [one, other]) await untilAnswered(server, key, null);
    const { code } = await run(['key', 'revoke', 'alice'], environment);
    expect(code).toBe(0);
    for (const server of [one, other]) {
      expect(await untilAnswered(server, key, 'ERR_KEY_REVOKED')).toBeLessThan(MAX_SHARED_KEY_AGE_MS + NOISE_MS);
    }
  });
});

function post({ port }: RunningServer, key: string, operation: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${MODEL}/${operation}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: '{"messages":[]}',
  });
}

/** Null: it was served. */
async function ask(server: RunningServer, key: string): Promise<string | null> {
  const response = await post(server, key, 'converse');
  await response.arrayBuffer();
  return response.headers.get('x-bedrock-proxy-error');
}

/** Resolves when the stream has begun, with what resolves with the moment in which it ends. */
async function beginStream(server: RunningServer, key: string): Promise<() => Promise<number>> {
  const reader = (await post(server, key, 'converse-stream')).body?.getReader();
  expect((await reader?.read())?.done).toBe(false);
  const rest = (async () => {
    while ((await reader?.read())?.done === false);
  })();
  const ended = rest.catch(() => {}).then(() => performance.now());
  return () => ended;
}

/** How long it took. */
async function untilAnswered(server: RunningServer, key: string, wanted: string | null): Promise<number> {
  const began = performance.now();
  for (let code = await ask(server, key); code !== wanted; code = await ask(server, key)) {
    if (performance.now() - began > 10_000) throw new Error(`still ${code}`);
    await delay(5);
  }
  return performance.now() - began;
}
