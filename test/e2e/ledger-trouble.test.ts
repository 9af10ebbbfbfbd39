/**
 * A ledger that cannot be written, under the running program: locked by another process for longer than anybody waits,
 * refusing every write, and gone. Requests that need no book-keeping go on, what is wrong is told once, and no row is
 * lost.
 * @module-tag slow
 */
import Database from 'better-sqlite3';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'vitest';
import { type FakeUpstream, sendJson, startFakeUpstream } from '../helpers/fake-upstream.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';
import {
  AWS_VARIABLES,
  launchServer,
  openWorkplace,
  run,
  type RunningServer,
  type Workplace,
} from '../helpers/program.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const BODY = '{"messages":[],"inferenceConfig":{"maxTokens":20}}';
const RESPONSE = { usage: { inputTokens: 5, outputTokens: 10, totalTokens: 15 } };
const MASTER_KEY = 'sk-master-of-this-test';
const POLL = { timeout: 15_000, interval: 20 };

/** Everything of one test: they run side by side, because the locked database takes its seconds. */
interface Scene extends AsyncDisposable {
  readonly place: Workplace;
  readonly upstream: FakeUpstream;
  readonly server: RunningServer;
  /** Without limits, and with a budget. */
  readonly free: string;
  readonly paid: string;
  ask(key: string): Promise<{ readonly status: number; readonly code: string | null; readonly id: string | null }>;
  readIds(): string[];
}

async function openScene(): Promise<Scene> {
  const place = await openWorkplace();
  const upstream = await startFakeUpstream(AWS_PAIR);
  upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
  const endpoint = { BEDROCK_PROXY_ENDPOINT_URL: `http://${upstream.authority}` };
  const environment = { ...place.environment, ...AWS_VARIABLES, ...endpoint, BEDROCK_PROXY_MASTER_KEY: MASTER_KEY };
  const makeKey = async (...flags: string[]): Promise<string> =>
    (await run(['key', 'generate', '--quiet', ...flags], environment)).stdout.trim();
  const [free, paid] = [await makeKey(), await makeKey('--budget', '1')];
  const server = await launchServer([], environment);
  return {
    place,
    upstream,
    server,
    free,
    paid,
    ask: async (key) => {
      const response = await fetch(`http://127.0.0.1:${server.port}/bedrock/model/${NOVA}/converse`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: BODY,
      });
      await response.arrayBuffer();
      const { status, headers } = response;
      const id = headers.get('x-bedrock-proxy-request-id');
      return { status, code: headers.get('x-bedrock-proxy-error'), id };
    },
    readIds: () => {
      const database = new Database(place.databasePath, { readonly: true });
      const ids = database.prepare<[], string>('SELECT id FROM ledger ORDER BY rowid').pluck().all() as string[];
      database.close();
      return ids;
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await upstream.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** Ends the server in order and gives what it complained of, without the place of the file. */
async function endAndReadComplaints({ server }: Scene): Promise<string[]> {
  server.child.kill('SIGTERM');
  const { stderr } = await server.ended;
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('error:'))
    .map((line) => line.replace(/ \[.*\]$/, ''));
}

const PASSED = { status: 200, code: null };

describe.concurrent('under the running program', () => {
  it('keeps serving while another process has locked the database for seconds', async ({ expect }) => {
    await using scene = await openScene();
    const { ask, free, paid, readIds, upstream } = scene;
    const other = new Database(scene.place.databasePath, { timeout: 0 });
    other.exec('BEGIN IMMEDIATE');
    const startedAt = performance.now();
    const responses = await Promise.all(Array.from({ length: 10 }, () => ask(free)));
    expect(responses).toMatchObject(responses.map(() => PASSED));
    // They do not wait for the lock, whose patience is five seconds.
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await ask(paid)).toMatchObject({ status: 503, code: 'ERR_STORE_UNAVAILABLE' });
    expect(upstream.requests).toHaveLength(10);
    await scene.server.untilStderr('is locked by another process');
    responses.push(await ask(free));
    const waiting = ask(paid);
    expect(readIds()).toEqual([]);
    other.exec('COMMIT');
    other.close();
    responses.push(await waiting);
    expect(responses.at(-1)).toMatchObject(PASSED);
    const ids = new Set(responses.map(({ id }) => id));
    // And the row of the one that was refused.
    await expect.poll(() => readIds().length, POLL).toBe(13);
    expect(readIds().filter((id) => ids.has(id))).toHaveLength(12);
    expect(await endAndReadComplaints(scene)).toEqual(['error: The key database is locked by another process.']);
  });

  it('keeps serving while the database takes no rows', async ({ expect }) => {
    await using scene = await openScene();
    const { ask, free, paid, readIds } = scene;
    const other = new Database(scene.place.databasePath);
    const refuse = (): unknown =>
      other.exec("CREATE TRIGGER refuse BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no room'); END");
    refuse();
    const responses = [];
    for (let turn = 0; turn < 20; turn += 1) responses.push(await ask(turn % 2 === 0 ? free : paid));
    expect(responses).toMatchObject(responses.map(() => PASSED));
    await scene.server.untilStderr('cannot be used');
    expect(readIds()).toEqual([]);
    other.exec('DROP TRIGGER refuse');
    await expect.poll(() => readIds().length, POLL).toBe(20);
    expect(new Set(readIds())).toEqual(new Set(responses.map(({ id }) => id)));
    expect(other.prepare('SELECT count(*) FROM reservations').pluck().get()).toBe(0);
    const { total, charged, reserved } = other
      .prepare<[], Record<'total' | 'charged' | 'reserved', number>>(
        `SELECT sum(total_nano) AS total, sum(reserved_nano) AS reserved, (SELECT sum(charged_nano) FROM ledger) AS charged
         FROM key_spend`,
      )
      .get() ?? { total: -1, charged: -2, reserved: -3 };
    expect([total, reserved]).toEqual([charged, 0]);
    // Another trouble is another line.
    refuse();
    expect(await ask(free)).toMatchObject(PASSED);
    const countComplaints = async (): Promise<number> =>
      (await scene.server.untilStderr('cannot be used')).split('cannot be used').length - 1;
    await expect.poll(countComplaints, POLL).toBe(2);
    other.exec('DROP TRIGGER refuse');
    other.close();
    await expect.poll(() => readIds().length, POLL).toBe(21);
    const complaints = await endAndReadComplaints(scene);
    const words = 'error: The key database cannot be used (SQLITE_CONSTRAINT_TRIGGER).';
    expect(complaints).toEqual([words, words]);
  });

  it('keeps serving while the database is gone', async ({ expect }) => {
    await using scene = await openScene();
    const { ask, free, readIds, upstream, place } = scene;
    const first = await ask(free);
    const held = new Promise<ServerResponse>((resolve) => {
      upstream.respondWith((_request, response) => resolve(response));
    });
    const underWay = ask(free);
    const pending = await held;
    upstream.respondWith((_request, later) => sendJson(later, 200, RESPONSE));
    const files = ['', '-wal', '-shm'].map((suffix) => `${place.databasePath}${suffix}`).filter(existsSync);
    for (const file of files) await rename(file, `${file}.away`);
    const served: (string | null)[] = [];
    // For up to a second nobody looks whether the file is there: so long it is written all the same.
    const untilRefused = async (): Promise<string | null> => {
      const { status, code, id } = await ask(free);
      if (status === 200) served.push(id);
      return code;
    };
    await expect.poll(untilRefused, POLL).toBe('ERR_STORE_UNAVAILABLE');
    sendJson(pending, 200, RESPONSE);
    const response = await underWay;
    expect(response).toMatchObject(PASSED);
    // Whom nobody has to look up is served all the same.
    const master = await ask(MASTER_KEY);
    expect(master).toMatchObject(PASSED);
    await scene.server.untilStderr('is gone');
    // The database last: a proxy that sees it without its log does not use it again.
    for (const file of files.toReversed()) await rename(`${file}.away`, file);
    await expect.poll(async () => (await ask(free)).status, POLL).toBe(200);
    const all = [first.id, ...served, response.id, master.id];
    await expect.poll(() => all.filter((id) => !readIds().includes(id ?? '')), POLL).toEqual([]);
    const ids = readIds();
    expect(new Set(ids).size).toBe(ids.length);
    expect(await endAndReadComplaints(scene)).toEqual(['error: The key database is gone.']);
  });
});
