/**
 * `logs`: the last rows of the ledger, and with `-f` every one that is added, by whichever process. Reads only, and
 * makes no database where there is none: `-f` waits for it. Ends in order on a first signal, and when nobody reads any
 * more (`logs -f | head`).
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { explainError } from '../../diagnose/explain.ts';
import { matchesAnyGlob } from '../../lib/glob.ts';
import { parseModelPatterns } from '../../keys/policy.ts';
import { type RecordFilter, readRecordFilter } from '../../filter/record-filter.ts';
import { type DatabaseLocation, readDatabaseLocation } from '../../config/database-location.ts';
import { ProxyError } from '../../lib/errors.ts';
import { parseModelName } from '../../domain/model-name.ts';
import { rowToJson } from '../../domain/ledger-columns.ts';
import { escapeUnprintable, printable } from '../../lib/printable.ts';
import type { Flags } from '../../config/options.ts';
import { isFileMissing, openStore } from '../../app/open-store.ts';
import type { LedgerEntry, LedgerFilter } from '../../domain/ledger.ts';
import type { Store } from '../../domain/store.ts';
import { type PeriodInput, readKeyFilter, readPeriod, readStatus } from '../usage/ledger-filter.ts';
import { formatFields, printTalk } from '../../app/print.ts';
import { createLinePrinter } from '../../app/request-lines.ts';

/** How often a followed ledger is looked at. */
const POLL_INTERVAL_MS = 250;
/** Rows that are read at a time. */
const PAGE_ROWS = 500;
const DEFAULT_LINES = '20';
const MAX_LINES = 100_000;
/** So many looks at a database that does not answer before it is told. Each look is patient itself. */
const FAILURES_UNTIL_TOLD = 8;

interface LogsInput extends Flags, PeriodInput {
  readonly follow: boolean;
  readonly lines: string | undefined;
  readonly key: string | undefined;
  readonly status: string | undefined;
  readonly model: string | undefined;
  readonly operation: string | undefined;
  readonly session: string | undefined;
  readonly id: string | undefined;
  readonly filter: string | undefined;
  readonly json: boolean;
}

interface LogsQuery {
  readonly database: DatabaseLocation;
  readonly filter: Omit<LedgerFilter, 'keyIds' | 'principal'>;
  readonly key: string | undefined;
  readonly models: readonly string[];
  /** Undefined: all match. */
  readonly wanted: RecordFilter | undefined;
  /** Undefined: all since `sinceMs`. */
  readonly lines: number | undefined;
  readonly follow: boolean;
  readonly format: (entry: LedgerEntry) => string;
}

/** A ledger that is being read. State: how far. */
interface Reading {
  readonly store: Store;
  readonly query: LogsQuery;
  readonly filter: LedgerFilter;
  readonly sink: Sink;
  /** Sequence of the last row that was looked at. */
  after: number;
  /** Rows so far that were wanted. */
  found: number;
}

/** Where lines go. */
interface Sink {
  /** Waits until they are taken, or until it is time to end. */
  write(lines: readonly string[]): Promise<void>;
  /** Fires when it is time to end. */
  readonly signal: AbortSignal;
  close(): void;
}

/**
 * `logs`: prints rows, and follows the ledger with `-f` until a signal. Throws ERR_BAD_OPTION and
 * ERR_STORE_UNAVAILABLE.
 */
export async function printLogs(input: LogsInput): Promise<void> {
  const query = readQuery(input);
  const { database, follow } = query;
  if (isFileMissing(database)) {
    printTalk(`There is no database at ${database.shown} yet.${follow ? ' Waiting for the first request.' : ''}`);
    if (!follow) return;
  }
  const sink = openSink(process.stdout);
  try {
    while (isFileMissing(database) && !sink.signal.aborted) await pause(sink.signal);
    if (sink.signal.aborted) return;
    const store = await openStore(database);
    try {
      await showLedger(store, query, sink);
    } finally {
      await store.close();
    }
  } finally {
    sink.close();
  }
}

function readQuery(input: LogsInput): LogsQuery {
  const { model, lines } = input;
  const isAll = input.since !== undefined && lines === undefined;
  return {
    database: readDatabaseLocation(input, process.env),
    filter: {
      sinceMs: readPeriod(input, 'all', Date.now()).sinceMs,
      status: readStatus(input.status),
      operation: input.operation,
      session: input.session,
      id: input.id,
    },
    key: input.key,
    models: model === undefined ? [] : parseModelPatterns(model, '--model', 'ERR_BAD_OPTION'),
    wanted: input.filter === undefined ? undefined : readFilter(input.filter),
    lines: isAll ? undefined : readLines(lines),
    follow: input.follow,
    format: input.json ? formatJson : input.id === undefined ? lineFormat() : formatWhole,
  };
}

function readFilter(text: string): RecordFilter {
  const filter = readRecordFilter(text, Date.now());
  if (!('problem' in filter)) return filter;
  throw new ProxyError('ERR_BAD_OPTION', `--filter: ${filter.problem}`, { hint: filter.hint });
}

function readLines(value = DEFAULT_LINES): number {
  const lines = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN;
  if (lines <= MAX_LINES) return lines;
  throw new ProxyError('ERR_BAD_OPTION', `-n must be a whole number from 0 to ${MAX_LINES}, not "${value}".`);
}

/** JSON lets most of what a terminal would act on stand: it is escaped. */
function formatJson(entry: LedgerEntry): string {
  return escapeUnprintable(JSON.stringify({ sequence: entry.sequence, ...rowToJson(entry) }));
}

/** What the error of AWS means, and what helps first. */
function findHint({ status, errorCode: type, errorMessage: message, ...row }: LedgerEntry): string | undefined {
  if (type === undefined || type.startsWith('ERR_')) return undefined;
  const { operation, service, region, model } = row;
  const found = explainError({ status, type, message, operation, service, region, model });
  return found === undefined ? undefined : [found.cause, ...found.steps.slice(0, 1)].join(' ');
}

/** A line for each value that is known, in the words of the JSON. */
function formatWhole(entry: LedgerEntry): string {
  const known = Object.entries(rowToJson(entry)).filter(([, value]) => value !== null);
  const hint = findHint(entry);
  const fields = hint === undefined ? known : [...known, ['hint', hint] as const];
  return formatFields(fields.map(([name, value]) => [name, printable(showValue(value), Number.POSITIVE_INFINITY)]));
}

function showValue(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 1000) / 1000);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Its heads make it say more than one line, in the order in which it is asked. */
function lineFormat(): (entry: LedgerEntry) => string {
  const printer = createLinePrinter(process.stdout);
  return (entry) => printer.print(entry).join('\n');
}

async function showLedger(store: Store, query: LogsQuery, sink: Sink): Promise<void> {
  const filter = { ...query.filter, ...(await readKeyFilter(query.key, store)) };
  const reading: Reading = { store, query, filter, sink, after: 0, found: 0 };
  if (query.lines === undefined) await showNew(reading);
  else await showLast(reading, query.lines);
  if (query.follow) await followLedger(reading);
  else if (reading.found === 0 && query.lines !== 0) printTalk('There is no such request in the ledger.');
}

async function showLast(reading: Reading, count: number): Promise<void> {
  const { store, query, filter, sink } = reading;
  reading.after = await findNewest(store);
  const found: LedgerEntry[] = [];
  for (let before = reading.after + 1; found.length < count;) {
    const page = await store.readLedgerBackwards(filter, { before, limit: PAGE_ROWS });
    found.push(...page.filter((entry) => isWanted(entry, query)));
    if (page.length < PAGE_ROWS) break;
    before = page.at(-1)?.sequence ?? 0;
  }
  reading.found = found.length;
  await sink.write(found.slice(0, count).toReversed().map(query.format));
}

/** Shows whatever came after the last row that was looked at. */
async function showNew(reading: Reading): Promise<void> {
  const { store, query, filter, sink } = reading;
  const newest = await findNewest(store);
  // Another database in the place of the one that was.
  if (newest > 0 && newest < reading.after) reading.after = 0;
  while (reading.after < newest && !sink.signal.aborted) {
    const page = await store.readLedger(filter, { after: reading.after, limit: PAGE_ROWS });
    const last = page.at(-1)?.sequence ?? 0;
    reading.after = page.length < PAGE_ROWS ? Math.max(newest, last) : last;
    const lines = page.filter((entry) => isWanted(entry, query)).map(query.format);
    reading.found += lines.length;
    await sink.write(lines);
  }
}

/** The sequence of the last row of all; 0 where there is none. */
async function findNewest(store: Store): Promise<number> {
  const [newest] = await store.readLedgerBackwards({}, { limit: 1 });
  return newest?.sequence ?? 0;
}

/** A pattern means every name that the model has, as it does in the limits of a key. */
function isWanted(entry: LedgerEntry, { models, wanted }: LogsQuery): boolean {
  if (wanted?.matches(entry) === false) return false;
  const { model } = entry;
  if (models.length === 0) return true;
  return model !== undefined && parseModelName(model).forms.some((form) => matchesAnyGlob(models, form));
}

async function followLedger(reading: Reading): Promise<void> {
  const { signal } = reading.sink;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await showNew(reading);
      if (failures >= FAILURES_UNTIL_TOLD) printTalk('note: the ledger answers again.');
      failures = 0;
    } catch (thrown) {
      // A busy database, or one that is being restored, is worth waiting for.
      if (!(thrown instanceof ProxyError) || thrown.code !== 'ERR_STORE_UNAVAILABLE') throw thrown;
      failures += 1;
      if (failures === FAILURES_UNTIL_TOLD) printTalk(`note: ${thrown.message} Waiting for it.`);
    }
    await pause(signal);
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(POLL_INTERVAL_MS, undefined, { signal }).catch(() => {});
}

/** Ends at a first signal, and when the reader of the stream is gone. A second signal ends the process. */
function openSink(stream: NodeJS.WriteStream): Sink {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  stream.on('error', end);
  for (const name of SIGNALS) process.once(name, end);
  return {
    signal: ending.signal,
    write: async (lines) => {
      if (lines.length === 0 || ending.signal.aborted) return;
      if (stream.write(`${lines.join('\n')}\n`)) return;
      await once(stream, 'drain', { signal: ending.signal }).catch(() => {});
    },
    close: () => {
      stream.off('error', end);
      for (const name of SIGNALS) process.off(name, end);
    },
  };
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
