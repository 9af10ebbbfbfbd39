#!/usr/bin/env node
/**
 * Reports and pages over ten million rows in PostgreSQL, and what rows that are settled meanwhile notice of it. Apart
 * from `npm run bench`, because the rows take minutes to make and 8 GB of disk:
 *
 *     node bench/postgres-usage.ts [--rows 10000000] [--keys 5000] [--database postgres://…]
 *
 * Starts a server of its own, or takes a database that this has filled before.
 */
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import type { LedgerFilter, UsageGrouping } from '../src/domain/ledger.ts';
import type { Store } from '../src/domain/store.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { removePostgres, startPostgres } from '../test/helpers/postgres.ts';
import { aLedgerRow } from '../test/helpers/store-rows.ts';
import { DAY_MS } from './ledger-rows.ts';
import { type LedgerTiming, timed, timingOf } from './ledger-timing.ts';
import { countRows, fillPostgresLedger, measureSizes } from './postgres-rows.ts';
import { quantile } from './statistics.ts';
import { megabytes, section, short, spread } from './table.ts';

const ROUNDS = 3;
/** As the maintenance of a proxy asks. */
const STEP_ROWS = 500;
const SETTLED_BESIDE = 4;
const RESOLUTION_MS = 1;
/** So long is watched if nothing is asked. */
const COMPARED_MS = 3_000;

interface Question {
  readonly name: string;
  readonly ask: (store: Store) => Promise<unknown>;
}

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000000' },
    keys: { type: 'string', default: '5000' },
    database: { type: 'string' },
  },
});

const server =
  options.database === undefined
    ? await startPostgres({ durable: true, settings: ['shared_buffers=1GB', 'max_wal_size=4GB'] })
    : undefined;
try {
  await measure(options.database ?? (await server?.createDatabase({ migrated: true })) ?? '');
} finally {
  if (server !== undefined) await removePostgres(server);
}

async function measure(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const store = await openPostgresStore(url);
  const lines: string[] = [];
  if ((await countRows(client)) === 0) {
    const made = await timed(() =>
      fillPostgresLedger(client, { rows: Number(options.rows), keys: Number(options.keys) }),
    );
    lines.push(`The database made the rows in ${short(made.micros / 1e6)} s.`, '');
  }
  lines.push(...(await sumUp(store)));
  await client.query('VACUUM ANALYZE');
  const rows = (await countRows(client)).toLocaleString('en-US');
  const sizes = (await measureSizes(client)).map(({ name, count, bytes }) => [
    name,
    count.toLocaleString('en-US'),
    megabytes(bytes),
  ]);
  lines.push(...section(`What ${rows} rows take`, [['table', 'rows', 'with indexes'], ...sizes]));
  const timings = [];
  for (const question of await findQuestions(store)) timings.push(await ask(store, question));
  lines.push(...section(`Reports and pages over ${rows} rows, ms`, formatTimings(timings)));
  lines.push(...section('Rows settled one by one while a report is made', await watchReports(store)));
  process.stdout.write(`${lines.join('\n')}\n`);
  await store.close();
  await client.end();
}

/** All rows that were not yet, in steps one after the other, without the pauses of a proxy. */
async function sumUp(store: Store): Promise<string[]> {
  const times: number[] = [];
  let summed = 0;
  for (let rows = 1; rows > 0;) {
    const step = await timed(() => store.prepareReports(STEP_ROWS));
    rows = step.result;
    summed += rows;
    if (rows > 0) times.push(step.micros / 1000);
  }
  if (times.length === 0) return [];
  const ms = times.reduce((left, right) => left + right, 0);
  const cells = [summed, ms / 1000, (summed * 1000) / ms, quantile(times, 0.5), Math.max(...times)].map((value) =>
    value >= 1_000 ? Math.round(value).toLocaleString('en-US') : short(value),
  );
  const head = ['rows', 's', 'rows/s', 'one step, ms', 'the longest, ms'];
  return section('Rows summed in advance, of a ledger that nobody has summed before', [head, cells]);
}

function usage(name: string, filter: LedgerFilter, ...by: UsageGrouping[]): Question {
  return { name: `usage ${name}`, ask: (store) => store.sumUsage({ filter, by }) };
}

function logs(name: string, filter: LedgerFilter): Question {
  return { name: `logs ${name}`, ask: (store) => store.readLedgerBackwards(filter, { limit: 100 }) };
}

async function findQuestions(store: Store): Promise<Question[]> {
  const nowMs = Date.now();
  const [last] = await store.readLedgerBackwards({}, { limit: 1 });
  const ofKey = { keyIds: [last?.keyId ?? ''] };
  return [
    ...(['key', 'model', 'day', 'region', 'tag'] as const).map((by) => usage(`--by ${by} --since all`, {}, by)),
    usage('--by key,model --since all', {}, 'key', 'model'),
    usage('--by key --since 30d', { sinceMs: nowMs - 30 * DAY_MS }, 'key'),
    usage('--by key --since 1d', { sinceMs: nowMs - DAY_MS }, 'key'),
    usage('--by model --since 30d', { sinceMs: nowMs - 30 * DAY_MS }, 'model'),
    usage('--key ID --by day --since all', ofKey, 'day'),
    usage('--tag team=team-7 --by day --since all', { tags: { team: 'team-7' } }, 'day'),
    usage('--by session --since 7d, from the rows', { sinceMs: nowMs - 7 * DAY_MS }, 'session'),
    usage('--by session --since all, from the rows', {}, 'session'),
    logs('', {}),
    logs('--key ID', ofKey),
    logs('--status 5xx', { status: [500, 599] }),
    logs('--since 1h', { sinceMs: nowMs - 3_600_000 }),
    logs('--id ID', { id: last?.id ?? '' }),
    logs('--until 60 days ago', { untilMs: nowMs - 60 * DAY_MS }),
    logs('--model, of which there is no row', { model: 'none' }),
  ];
}

async function ask(store: Store, question: Question): Promise<LedgerTiming> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push((await timed(() => question.ask(store))).micros / 1000);
  return timingOf(question.name, 'ms', times);
}

function formatTimings(timings: readonly LedgerTiming[]): string[][] {
  return [['', 'ms'], ...timings.map(({ name, spread: ms }) => [name, spread(ms)])];
}

async function watchReports(store: Store): Promise<string[][]> {
  const report = (by: UsageGrouping) => (): Promise<unknown> => store.sumUsage({ filter: {}, by: [by] });
  const watched = [
    ['none', await watch(store, () => delay(COMPARED_MS))],
    ['--by key', await watch(store, report('key'))],
    ['--by session, from the rows', await watch(store, report('session'))],
  ] as const;
  return [
    ['report', 'its ms', 'rows/s', 'settled in, ms', 'p99', 'longest stall of the event loop'],
    ...watched.map(([name, { ms, stallMs, times }]) => [
      name,
      short(ms),
      short((times.length * 1000) / ms),
      short(quantile(times, 0.5)),
      short(quantile(times, 0.99)),
      short(stallMs),
    ]),
  ];
}

async function watch(
  store: Store,
  work: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly stallMs: number; readonly times: number[] }> {
  const times: number[] = [];
  const over = new AbortController();
  const settle = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const row = aLedgerRow({ id: randomUUID(), startedAtMs: Date.now(), keyId: 'vk_bench' });
      times.push((await timed(() => store.settle(row))).micros / 1000);
      await delay(1);
    }
  };
  const settling = Array.from({ length: SETTLED_BESIDE }, settle);
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  loop.enable();
  const { micros } = await timed(work);
  loop.disable();
  over.abort();
  await Promise.all(settling);
  return { ms: micros / 1000, stallMs: Math.max(0, loop.max / 1e6 - RESOLUTION_MS), times };
}
