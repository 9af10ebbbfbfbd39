/**
 * The thread that checkpoints the database of a running server: copies what commits have put into the write-ahead log
 * over to the file and waits for the disk, so that the event loop need not. `checkpoints.ts` starts it and says when;
 * it has a connection of its own and writes no row.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type CheckpointOrder, type CheckpointTarget, type CheckpointReport, MAX_LOG_PAGES } from './checkpoints.ts';
import { checkpoint, connectForCheckpoints } from './connection.ts';

/**
 * The log begins anew only if there is no commit while its last pages are copied. These are fewer with every pass, and
 * the pass is shorter: below some hundred requests a second one of these hits a pause.
 */
const MORE_PASSES = 5;

const database = connectForCheckpoints(workerData as CheckpointTarget);

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
  let pages = checkpoint(database);
  for (let left = MORE_PASSES; pages > MAX_LOG_PAGES && left > 0; left -= 1) pages = checkpoint(database);
  report(pages);
});
report('ready');
