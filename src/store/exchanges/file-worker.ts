/**
 * The thread that writes the file of exchanges: `exchange-file.ts` starts it and hands it what has ended. It hashes,
 * compresses and may wait for the disk; requests do not.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { clearTables } from './clear-file.ts';
import { codeOf, ExchangeTables } from './exchange-tables.ts';
import { openToWrite } from './open-file.ts';
import type { FileOrder, FileReport, FileWorkerTarget, WrittenExchange } from './orders.ts';

/** How often it is looked for what has become too old. */
const SWEEP_INTERVAL_MS = 60_000;
/** Beyond its limit, while old ones are going: then SQLite says that it is full. */
const GROWTH = 1.25;

const { path, caps } = workerData as FileWorkerTarget;
const database = openToWrite(path);
const tables = new ExchangeTables(database);
const pageBytes = Number(database.pragma('page_size', { simple: true }));
const pages = Number(database.pragma('page_count', { simple: true }));
database.pragma(`max_page_count = ${Math.max(pages, Math.ceil((caps.maxBytes * GROWTH) / pageBytes) + 64)}`);

function report(message: Partial<FileReport> & Pick<FileReport, 'order'>): void {
  const whole: FileReport = { failed: [], removed: [], code: undefined, ...message };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread; origins are a browser's.
  parentPort?.postMessage(whole);
}

/** The code of what went wrong, if it did. */
function attempt(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** Together; if that fails, one after the other, after room was made; unless somebody else holds the file. */
function write(exchanges: readonly WrittenExchange[]): Partial<FileReport> {
  const together = attempt(() => tables.put(exchanges));
  if (together === undefined) return {};
  if (together.startsWith('SQLITE_BUSY')) return { failed: exchanges.map(({ id }) => id), code: together };
  const removed: string[] = [];
  const failed: string[] = [];
  let code: string | undefined;
  for (const exchange of exchanges) {
    attempt(() => removed.push(...tables.evictSome(caps, Date.now())));
    const alone = attempt(() => tables.put([exchange]));
    if (alone === undefined) continue;
    failed.push(exchange.id);
    code = alone;
  }
  return { failed, removed, code };
}

let sweeping: NodeJS.Immediate | undefined;

/** In small steps, and orders come first. */
function sweep(): void {
  sweeping = undefined;
  let removed: readonly string[] = [];
  let hasMore = false;
  attempt(() => {
    removed = tables.evictSome(caps, Date.now());
    hasMore = removed.length > 0 || tables.vacuumSome();
  });
  if (removed.length > 0) report({ order: 'evict', removed });
  if (hasMore) sweeping ??= setImmediate(sweep);
}

function carryOut(order: FileOrder): Partial<FileReport> {
  switch (order.kind) {
    case 'write':
      return write(order.exchanges);
    case 'mark':
      return { code: attempt(() => tables.mark(order.id, order.isPinned, order.note)) };
    case 'remove':
      return { code: attempt(() => tables.remove(order.id)) };
    case 'clear':
      return { code: attempt(() => void clearTables(database, { upTo: order.upTo, withPinned: false })) };
    case 'close':
      return {};
  }
}

const timer = setInterval(sweep, SWEEP_INTERVAL_MS);

parentPort?.on('message', (order: FileOrder) => {
  report({ order: order.kind, ...carryOut(order) });
  if (order.kind !== 'close') {
    sweeping ??= setImmediate(sweep);
    return;
  }
  clearInterval(timer);
  clearImmediate(sweeping);
  database.close();
  parentPort?.close();
});
