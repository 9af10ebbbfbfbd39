/**
 * What several processes do to one ledger at once, and what is left when one of them is killed: nothing of it may be
 * lost.
 */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import { RESERVATION_LEASE_MS } from '../../../src/domain/budget.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { namesAfter, startLedgerProcess } from '../../helpers/ledger-process.ts';
import { aBudget } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'keys.db');
});

it('does not overspend by a thousand reservations of two processes at once', async () => {
  const workers = ['one', 'two'].map((name) => startLedgerProcess(path, name, 10_000));
  await Promise.all(workers.map(({ said }) => said(1)));
  await Promise.all(workers.map(({ go }) => go()));
  await Promise.all(workers.map(({ ended }) => ended));
  const settled = workers.map(({ lines }) => namesAfter('settled', lines));
  for (const { lines } of workers) expect(lines.at(-1)).toBe('done');
  expect(settled.flat()).toHaveLength(1_000);
  // Both of them did something, or nothing was shown.
  for (const names of settled) expect(names.length).toBeGreaterThan(0);
  const store = await openSqliteStore(path);
  onTestFinished(() => store.close());
  const spend = await store.findSpend([{ id: 'vk_a', policy: { ...EMPTY_POLICY, budget: aBudget(10_000) } }], 0);
  expect(spend.get('vk_a')).toMatchObject({ totalNanoUsd: 10_000, reservedNanoUsd: 0 });
  expect((await store.sumUsage({ filter: {}, by: ['key'] })).total).toMatchObject({
    requests: 1_000,
    costNanoUsd: 10_000,
  });
});

it.each([1, 2, 3, 4, 5])('loses no settled row by kill -9, and charges what was under way (%i)', async () => {
  const worker = startLedgerProcess(path, 'killed', 1e12);
  await worker.go();
  await worker.said(50 + Math.floor(Math.random() * 400));
  worker.child.kill('SIGKILL');
  await worker.ended;
  expect(worker.child.signalCode).toBe('SIGKILL');

  const raw = new Database(path);
  expect(raw.pragma('integrity_check', { simple: true })).toBe('ok');
  const reserved = raw.prepare<[], string>('SELECT id FROM reservations').pluck().all() as string[];
  raw.close();
  const store = await openSqliteStore(path);
  onTestFinished(() => store.close());
  const idsOf = async (): Promise<string[]> =>
    (await store.readLedger({}, { after: 0, limit: 1e6 })).map(({ id }) => id);

  const settled = namesAfter('settled', worker.lines);
  expect(settled.length).toBeGreaterThan(10);
  const before = new Set(await idsOf());
  expect(settled.filter((id) => !before.has(id))).toEqual([]);
  expect(reserved.filter((id) => before.has(id))).toEqual([]);

  expect(await store.settleLost(Date.now())).toBe(0);
  expect(await store.settleLost(Date.now() + RESERVATION_LEASE_MS)).toBe(reserved.length);
  const after = await idsOf();
  expect(new Set(after).size).toBe(after.length);
  const known = new Set(after);
  expect(namesAfter('reserved', worker.lines).filter((id) => !known.has(id))).toEqual([]);
  const spend = await store.findSpend([{ id: 'vk_a', policy: EMPTY_POLICY }], 0);
  expect(spend.get('vk_a')).toMatchObject({ totalNanoUsd: 10 * after.length, reservedNanoUsd: 0 });
});
