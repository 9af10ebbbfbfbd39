/**
 * The thread that checkpoints the database of a running server: copies what commits have put into the write-ahead log
 * over to the file and waits for the disk, so that the event loop need not. `checkpoints.ts` starts it and says when;
 * it has a connection of its own and writes no row.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type CheckpointOrder, type CheckpointReport, MAX_LOG_PAGES } from './checkpoints.ts';
import { checkpoint, connectAgain } from './connection.ts';
import { areSameFiles, type ConnectionTarget } from './identity.ts';
import { isBusy } from './trouble.ts';

const target = workerData as ConnectionTarget;
const database = connectAgain(target, { readonly: false });

/**
 * While nobody waits as much as can be; then, if the log is too long, the few pages that came meanwhile, while nobody
 * commits.
 */
function carryOut(order: CheckpointOrder): void {
  // A log that was removed must never be copied: others have written past it. The server notices by itself.
  if (!areSameFiles(target)) return;
  const pages = checkpoint(database, 'PASSIVE');
  try {
    if (order === 'truncate' || pages > MAX_LOG_PAGES) checkpoint(database, 'TRUNCATE');
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
}

function report(message: CheckpointReport): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread; origins are a browser's.
  parentPort?.postMessage(message);
}

parentPort?.on('message', (order: CheckpointOrder) => {
  if (order === 'close') {
    database.close();
    parentPort?.close();
    return;
  }
  carryOut(order);
  report('done');
});
report('ready');
