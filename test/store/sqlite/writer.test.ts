/** What a server writes on a thread: rows are there soon, whatever the event loop does and however the process ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Store } from '../../../src/domain/store.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { failureOf } from '../../helpers/failure.ts';
import { aBudget, aKeyRow, aLedgerRow, aReservation } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

let path: string;

beforeEach(async () => {
  path = join(await makeTemporaryFolder(), 'keys.db');
});

async function open(options: Parameters<typeof openSqliteStore>[1] = { writesBeforeWriter: 0 }): Promise<Store> {
  const store = await openSqliteStore(path, { threads: true, ...options });
  onTestFinished(() => store.close());
  return store;
}

function openRaw(): Database.Database {
  const raw = new Database(path);
  onTestFinished(() => void raw.close());
  return raw;
}

/** Stands still, as a long computation would. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

it('writes while the event loop stands still', async () => {
  const store = await open();
  await store.settle(aLedgerRow({ id: 'first' }));
  const count = openRaw().prepare<[], number>('SELECT count(*) FROM ledger').pluck();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const settling = store.settleAll(Array.from({ length: 100 }, () => aLedgerRow()));
  await new Promise(setImmediate);
  for (let tries = 0; tries < 100 && count.get() !== 101; tries += 1) block(20);
  expect(count.get()).toBe(101);
  await settling;
});

it('leaves the first writes to the event loop, and starts a thread for those that follow', async () => {
  const store = await open({});
  const count = openRaw().prepare<[], number>('SELECT count(*) FROM ledger').pluck();
  const settling = store.settle(aLedgerRow());
  await Promise.resolve();
  expect(count.get()).toBe(1);
  await settling;
  for (let index = 0; index < 30; index += 1) await store.settle(aLedgerRow());
  expect(process.getActiveResourcesInfo()).toContain('MessagePort');
});

it('reserves beside what is written, and overspends nothing', async () => {
  const store = await open();
  const other = await openSqliteStore(path);
  onTestFinished(() => other.close());
  const key = aKeyRow();
  await store.insertKey(key);
  const budget = aBudget(2_000);
  let reserved = 0;
  const lane = async (by: Store, name: string): Promise<void> => {
    for (let index = 0; index < 100; index += 1) {
      const id = `${name}${index}`;
      const { kind } = await by.reserve(
        aReservation({ id, keyId: key.id, amountNanoUsd: 10, budget, nowMs: Date.now() }),
      );
      if (kind !== 'reserved') continue;
      reserved += 1;
      await by.settle(aLedgerRow({ id, keyId: key.id, chargedNanoUsd: 10 }));
    }
  };
  await Promise.all([lane(store, 'a'), lane(store, 'b'), lane(store, 'c'), lane(other, 'd')]);
  const spend = (await store.findSpend([{ ...key }], Date.now())).get(key.id);
  expect(spend).toMatchObject({ totalNanoUsd: reserved * 10, reservedNanoUsd: 0 });
  expect(reserved).toBe(200);
});

it('tells in words what the thread could not write', async () => {
  const store = await open();
  await store.settle(aLedgerRow());
  const broken = { ...aLedgerRow(), keyLabel: Buffer.from('no text') as unknown as string };
  const failure = await failureOf(() => store.settleAll([aLedgerRow({ id: 'good' }), broken]));
  expect(failure.code).toBe('ERR_STORE_UNAVAILABLE');
  expect(openRaw().prepare("SELECT count(*) FROM ledger WHERE id = 'good'").pluck().get()).toBe(0);
});

it('writes what waits before it closes', async () => {
  const store = await openSqliteStore(path, { threads: true, writesBeforeWriter: 0 });
  for (let index = 0; index < 50; index += 1) void store.settle(aLedgerRow());
  await store.close();
  expect(openRaw().prepare('SELECT count(*) FROM ledger').pluck().get()).toBe(50);
});

it('ends although another process holds the database for ever', { timeout: 20_000 }, async () => {
  const store = await openSqliteStore(path, { threads: true, writesBeforeWriter: 0 });
  await store.settle(aLedgerRow());
  const raw = openRaw();
  raw.exec('BEGIN IMMEDIATE');
  void store.settle(aLedgerRow()).catch(() => {});
  store.touchKey('vk_a', 5);
  await store.close();
  raw.exec('ROLLBACK');
});

it('loses at most the last 20 ms of requests by kill -9', { timeout: 60_000 }, async () => {
  const script = fileURLToPath(new URL('../../helpers/write-ledger.ts', import.meta.url));
  const windowsMs: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      // Some time after its thread has begun.
      if (text.split('\n').length > 400 + round * 37) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const ended = text
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    const raw = new Database(path);
    expect(raw.pragma('integrity_check', { simple: true })).toBe('ok');
    const kept = new Set(raw.prepare('SELECT id FROM ledger').pluck().all());
    raw.exec('DELETE FROM ledger');
    raw.close();
    const lost = ended.filter(([id]) => !kept.has(id));
    const [first, last] = [lost[0]?.[1], ended.at(-1)?.[1]];
    windowsMs.push(first === undefined ? 0 : (Number(last) - Number(first)) / 1000);
    expect(kept.size).toBeGreaterThan(100);
  }
  // A machine that is busy with other tests may stop a thread for a while; not in most rounds.
  expect(windowsMs.toSorted((a, b) => a - b)[2]).toBeLessThanOrEqual(20);
  expect(Math.max(...windowsMs)).toBeLessThan(1_000);
});
