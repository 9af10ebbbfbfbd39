/**
 * A process for the tests of the store, started with `node kill-ledger.ts DATABASE NAME BUDGET`: it reserves ten
 * nano-dollars for a request of the key `vk_a` and settles it with what it reserved, one request after another, until
 * its budget is exhausted or it is killed. It begins when its input ends, and prints `ready` before, `reserved ID` and
 * `settled ID`, each after the store has said so.
 */
import { writeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { aBudget, aLedgerRow, aReservation } from './store-rows.ts';

const [path = '', name = '', limit = '0'] = process.argv.slice(2);
const budget = aBudget(Number(limit));
const store = await (path.startsWith('postgres:') ? openPostgresStore(path) : openSqliteStore(path));

// To the pipe itself, not into a buffer that would die with the process.
const say = (line: string): void => void writeSync(1, `${line}\n`);

async function work(index: number): Promise<boolean> {
  const id = `${name}-${index}`;
  const startedAtMs = Date.now();
  const reservation = aReservation({ id, amountNanoUsd: 10, budget, nowMs: startedAtMs });
  let outcome = await store.reserve(reservation);
  while (outcome.kind === 'held') {
    await new Promise(setImmediate);
    outcome = await store.reserve(reservation);
  }
  if (outcome.kind === 'exhausted') return false;
  say(`reserved ${id}`);
  await new Promise(setImmediate);
  await store.settle(aLedgerRow({ id, startedAtMs, chargedNanoUsd: 10, costNanoUsd: 10 }));
  say(`settled ${id}`);
  return true;
}

/** Several requests at the same time, as a server has them. */
async function lane(first: number): Promise<void> {
  for (let index = first; await work(index); index += 4) continue;
}

say('ready');
await text(process.stdin);
await Promise.all([0, 1, 2, 3].map(lane));
await store.close();
say('done');
