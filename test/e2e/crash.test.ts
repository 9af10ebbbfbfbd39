/**
 * `kill -9` of the program under load, at moments that nobody chose: what its log has told is in the ledger, nothing is
 * there twice, and what was under way is charged as soon as its lease is over. Restarts on the same database, several
 * times.
 * @module-tag slow
 */
import Database from 'better-sqlite3';
import { beforeEach, expect, it } from 'vitest';
import { RESERVATION_LEASE_MS } from '../../src/domain/budget.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { launchServer, openProgramTest, type ProgramTest, run } from '../helpers/program.ts';

const ROUNDS = 5;
const LANES = 12;
/** 20 ms, and more if the machine is busy with other tests: until then a row may be lost. */
const SETTLED_MS = 150;
const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST_NANO_USD = 100 * 60 + 10 * 240;
const BODY = JSON.stringify({
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
  inferenceConfig: { maxTokens: 20 },
});

let place: ProgramTest;

beforeEach(async () => {
  place = await openProgramTest();
});

/** A line of the access log, as far as it is looked at. */
interface Line {
  readonly id: string;
  readonly status: number | null;
  readonly cost_usd: number | null;
  readonly time: string;
  readonly total_ms: number | null;
}

async function makeKey(...flags: string[]): Promise<string> {
  return (await run(['key', 'generate', '--quiet', ...flags], place.environment)).stdout.trim();
}

/** Every seventh stream does not end before the kill. */
function respond(): void {
  let streams = 0;
  place.upstream.respondWith(({ rawTarget }, response) => {
    if (rawTarget.endsWith('/converse')) return sendJson(response, 200, USAGE);
    streams += 1;
    const isEndless = streams % 7 === 0;
    startEventStream(response);
    response.write(eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 }));
    if (!isEndless) setImmediate(() => response.end(eventFrame('metadata', USAGE)));
  });
}

/** Sends one request after another until the server is gone; `told` hears how many were answered so far. */
async function keepAsking(port: number, key: string, told: (answered: number) => void): Promise<void> {
  for (let answered = 0; ;) {
    try {
      const operation = answered % 2 === 0 ? 'converse' : 'converse-stream';
      const response = await fetch(`http://127.0.0.1:${port}/bedrock/model/${NOVA}/${operation}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: BODY,
      });
      await response.arrayBuffer();
    } catch {
      return;
    }
    answered += 1;
    told(answered);
  }
}

/**
 * A server under load, killed SETTLED_MS after so many requests were answered; the lines of those that had ended
 * before.
 */
async function runUntilKilled(keys: readonly string[], responsesBeforeKill: number): Promise<Line[]> {
  const server = await launchServer(['--log-format', 'json'], place.environment);
  let responses = 0;
  let toldAtMs = 0;
  const told = (): void => {
    responses += 1;
    if (responses !== responsesBeforeKill) return;
    toldAtMs = Date.now();
    setTimeout(() => server.child.kill('SIGKILL'), SETTLED_MS);
  };
  await Promise.all(
    Array.from({ length: LANES }, (_, lane) => keepAsking(server.port, keys[lane % keys.length] ?? '', told)),
  );
  const { signal, stdout } = await server.ended;
  expect(signal).toBe('SIGKILL');
  // What follows the last line end was cut off.
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
    .filter(({ time, total_ms: totalMs }) => Date.parse(time) + (totalMs ?? 0) < toldAtMs);
}

async function readRows(): Promise<LedgerEntry[]> {
  const store = await openSqliteStore(place.databasePath);
  try {
    return await store.readLedger({}, { after: 0, limit: 100_000 });
  } finally {
    await store.close();
  }
}

it('loses no logged request by a kill -9 under load, and charges what was under way', async () => {
  respond();
  const keys = [await makeKey('--alias', 'paid', '--budget', '100'), await makeKey('--alias', 'free')];
  const lines: Line[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    lines.push(...(await runUntilKilled(keys, 20 + Math.floor(Math.random() * 80))));
    const database = new Database(place.databasePath);
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    database.close();
    const rows = new Map((await readRows()).map((row) => [row.id, row]));
    for (const { id, status, cost_usd: costUsd } of lines) {
      const costNanoUsd = costUsd === null ? undefined : Math.round(costUsd * 1e9);
      expect(rows.get(id)).toMatchObject({ id, status, costNanoUsd });
    }
  }
  expect(lines.length).toBeGreaterThan(ROUNDS * 15);
  const store = await openSqliteStore(place.databasePath);
  const database = new Database(place.databasePath, { readonly: true });
  const held = database
    .prepare<[], { id: string; amount_nano: number }>('SELECT id, amount_nano FROM reservations')
    .all();
  const before = await readRows();
  expect(held.filter(({ id }) => before.some((row) => row.id === id))).toEqual([]);

  await store.settleLost(Date.now() + RESERVATION_LEASE_MS);
  const rows = await readRows();
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  const lost = rows.filter(({ errorCode }) => errorCode === 'ERR_INTERRUPTED');
  expect(lost.map(({ id, chargedNanoUsd }) => ({ id, amount_nano: chargedNanoUsd }))).toEqual(held);
  for (const row of lost) expect(row).toMatchObject({ partial: true, pricing: 'unpriced', costNanoUsd: undefined });
  const whole = rows.filter(({ errorCode }) => errorCode === undefined);
  expect(new Set(whole.map(({ costNanoUsd }) => costNanoUsd))).toEqual(new Set([COST_NANO_USD]));
  const spends = await store.findSpend(await store.listKeys(), Date.now());
  for (const [id, { totalNanoUsd, reservedNanoUsd }] of spends) {
    const own = rows.filter(({ keyId }) => keyId === id);
    const charged = own.reduce((sum, { chargedNanoUsd }) => sum + chargedNanoUsd, 0);
    expect([totalNanoUsd, reservedNanoUsd]).toEqual([charged, 0]);
  }
  database.close();
  await store.close();
});
