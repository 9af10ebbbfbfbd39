/**
 * The thread that writes the ledger of a running server: `writer.ts` starts it and hands it what is to be written. It
 * has a connection of its own, on which it may wait. What it cannot write, it says so, and the event loop tries itself.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { prepareBudget } from './budget.ts';
import { connectAgain, wrapConnection } from './connection.ts';
import { areSameFiles, type ConnectionTarget } from './identity.ts';
import { prepareKeys } from './keys.ts';
import { prepareKeyTotals } from './key-totals.ts';
import { prepareLedger } from './ledger.ts';
import { MIGRATIONS } from './migrations.ts';
import type { WriterReport } from './writer.ts';
import { carryOut, type WriteOrder } from './writes.ts';

const target = workerData as ConnectionTarget;
const connection = wrapConnection(connectAgain(target, { readonly: false }), target.identity);
// Checkpoints wait for the disk: another thread does them.
connection.database.pragma('wal_autocheckpoint = 0');
const tables = {
  keys: prepareKeys(connection),
  budget: prepareBudget(connection),
  ledger: prepareLedger(connection),
  keyTotals: prepareKeyTotals(connection),
};

/** The number of rows; undefined if nothing was written. */
function tryTo(order: WriteOrder): number | undefined {
  try {
    // A log that was removed must never be written to, and what the columns of a newer program mean is not known here.
    if (!areSameFiles(target)) return undefined;
    return connection.atomically(() => {
      if ((connection.schemaVersion.get() ?? 0) > MIGRATIONS.length) throw new Error('migrated by a newer program');
      return carryOut(tables, order);
    });
  } catch {
    return undefined;
  }
}

function report(message: WriterReport): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread; origins are a browser's.
  parentPort?.postMessage(message);
}

parentPort?.on('message', (orders: readonly WriteOrder[] | 'close') => {
  if (orders === 'close') {
    connection.database.close();
    parentPort?.close();
    return;
  }
  report(orders.map(tryTo));
});
report('ready');
