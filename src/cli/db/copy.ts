/** `db copy`: all that is in a SQLite file, into a PostgreSQL database. */
import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { findRunning } from '../../app/find-running.ts';
import { isFileMissing, withExistingStore } from '../../app/open-store.ts';
import { EXIT_FAILED, formatTable, printData, printJson, printTalk } from '../../app/print.ts';
import { readSaltKey } from '../../config/config.ts';
import {
  type FileLocation,
  type PostgresLocation,
  readDatabaseLocation,
  userDataFolder,
} from '../../config/database-location.ts';
import type { Flags } from '../../config/options.ts';
import { sealKey, unsealKey } from '../../keys/secret.ts';
import { findServerSecret, fingerprintSecret, peekServerSecret } from '../../keys/server-secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import { exactUsd } from '../../lib/usd.ts';
import type { ImportedRow, RowImport, RowTally } from '../../store/postgres/import-rows.ts';
import { openStoredRows, type StoredRows } from '../../store/sqlite/export-rows.ts';

interface CopyInput extends Flags {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly json: boolean;
}

/** Of one thing: how many the file has, how many of these the database has now, and how many are new there. */
interface CopiedRows {
  readonly source: RowTally;
  readonly target: RowTally;
  readonly copied: number;
}

interface CopyReport {
  readonly keys: CopiedRows;
  readonly budgets: CopiedRows;
  readonly requests: CopiedRows;
  /** Keys that were sealed under a secret that is not here: nobody can sign with them, but they are good as tokens. */
  readonly unopened: number;
}

const BATCH_ROWS = 2_000;
const PROGRESS_ROWS = 100_000;

/**
 * Copies keys, what they have spent, and the ledger, and compares both sides; the exit code is 1 if something is
 * missing. What was copied before stays as it is there. Throws ERR_BAD_OPTION, and ERR_STORE_UNAVAILABLE.
 */
export async function copyDatabase(input: CopyInput): Promise<void> {
  const [source, target] = readEnds(input);
  await requireUnused(source);
  await withExistingStore(source, (store) => store.settleLost(Date.now()));
  const saltKey = readSaltKey(process.env);
  const targetSecret = findServerSecret(target, saltKey);
  const secrets = [undefined, saltKey].flatMap((salt) => peekServerSecret(source, salt) ?? []);
  const rows = openStoredRows(source.path);
  try {
    refuseReservations(rows);
    const { openRowImport } = await import('../../store/postgres/import-rows.ts');
    const into = await openRowImport(target.url, fingerprintSecret(targetSecret));
    try {
      const { keys, unopened } = resealKeys(rows, secrets, targetSecret);
      const requests = await copyLedger(rows, into, nameSource(source));
      printReport(input, [source, target], { ...(await copyKeys(rows, keys, into)), requests, unopened });
    } finally {
      await into.close();
    }
  } finally {
    rows.close();
  }
}

function readEnds(input: CopyInput): [FileLocation, PostgresLocation] {
  // Without --from it is the file of this user, whatever the environment names: that is where the copy goes.
  const noDatabase = { ...process.env, BEDROCK_PROXY_DB: undefined, DATABASE_URL: undefined };
  const source = readDatabaseLocation({ db: input.from }, noDatabase);
  const target = readDatabaseLocation({ ...input, db: input.to }, process.env);
  if (source.kind !== 'file') {
    throw new ProxyError('ERR_BAD_OPTION', '--from must name a SQLite file.', {
      hint: 'A PostgreSQL database is copied with `pg_dump` and `psql`.',
    });
  }
  if (target.kind !== 'postgres') {
    throw new ProxyError(
      'ERR_BAD_OPTION',
      '--to must name a PostgreSQL database, such as postgres://proxy@host/proxy.',
      {
        hint: 'Set BEDROCK_PROXY_DB instead if the URL has a password: every user of this machine sees a command line.',
      },
    );
  }
  if (isFileMissing(source)) {
    throw new ProxyError('ERR_BAD_OPTION', `There is no database at ${source.path}.`, { hint: 'Name it with --from.' });
  }
  return [source, target];
}

/** What a proxy writes to the file while it is copied would be missing in the copy. */
async function requireUnused({ path }: FileLocation): Promise<void> {
  const dataFolder = userDataFolder(process.env, process.platform);
  const running = await findRunning({ dataFolder, saltKey: readSaltKey(process.env) });
  const user = running.find(({ file }) => file.database === path);
  if (user === undefined) return;
  throw new ProxyError('ERR_BAD_OPTION', `A proxy uses ${path}: what it writes would be missing in the copy.`, {
    hint: `End it first: \`bedrock-proxy stop --port ${user.file.port}\`.`,
  });
}

function refuseReservations(rows: StoredRows): void {
  const count = rows.countReservations();
  if (count === 0) return;
  throw new ProxyError('ERR_STORE_UNAVAILABLE', `${count} requests are under way in the file: a proxy uses it.`, {
    hint: 'End it; if it was killed, wait for half a minute. Then copy again.',
  });
}

/** So that a copy that is asked for again goes on where it was. */
function nameSource({ path }: FileLocation): string {
  return createHash('sha256').update(`${hostname()}\0${path}`).digest('hex').slice(0, 16);
}

function resealKeys(
  rows: StoredRows,
  secrets: readonly Buffer[],
  targetSecret: Buffer,
): { readonly keys: readonly ImportedRow[]; readonly unopened: number } {
  let unopened = 0;
  const keys = rows.readKeys().map((row) => {
    const { id, sealed_key: sealed, deleted_at_ms: deletedAtMs } = row;
    const updated = { ...row, updated_at_ms: row['updated_at_ms'] ?? row['created_at_ms'] ?? null };
    if (deletedAtMs !== null || typeof id !== 'string' || !Buffer.isBuffer(sealed)) return updated;
    const [key] = secrets.flatMap((secret) => unsealKey(sealed, id, secret) ?? []);
    if (key !== undefined) return { ...updated, sealed_key: sealKey(key, id, targetSecret, randomBytes) };
    unopened += 1;
    return updated;
  });
  return { keys, unopened };
}

async function copyLedger(rows: StoredRows, into: RowImport, source: string): Promise<CopiedRows> {
  const total = rows.countLedger();
  const from = await into.findProgress(source);
  const sums = { source: { rows: 0, nanoUsd: 0 }, target: { rows: 0, nanoUsd: 0 } };
  let copied = 0;
  for (const page of pagesOf(rows)) {
    const isNew = page.last > from;
    if (isNew) await into.addLedger(page.rows, { source, sequence: page.last });
    if (isNew) copied += page.rows.filter(({ sequence }) => Number(sequence) > from).length;
    sums.source = addTallies(sums.source, tally(page.rows, 'charged_nano'));
    sums.target = addTallies(sums.target, await into.tallyLedger(page.rows));
    if (sums.source.rows % PROGRESS_ROWS === 0) printTalk(`${sums.source.rows} of ${total} requests`);
  }
  return { ...sums, copied };
}

function* pagesOf(rows: StoredRows): Generator<{ readonly rows: readonly ImportedRow[]; readonly last: number }> {
  for (let after = 0; ;) {
    const page = rows.readLedger(after, BATCH_ROWS);
    const last = page.at(-1)?.['sequence'];
    if (last === undefined) return;
    after = Number(last);
    yield { rows: page, last: after };
  }
}

async function copyKeys(
  rows: StoredRows,
  keys: readonly ImportedRow[],
  into: RowImport,
): Promise<Pick<CopyReport, 'keys' | 'budgets'>> {
  const accounts = rows.readAccounts();
  const ids = keys.map(({ id }) => String(id));
  const accountIds = accounts.map(({ account_id: id }) => String(id));
  const before = [await into.countKeys(ids), (await into.tallyAccounts(accountIds)).rows] as const;
  await into.addKeys(keys, accounts);
  const after = [await into.countKeys(ids), await into.tallyAccounts(accountIds)] as const;
  return {
    keys: {
      source: { rows: keys.length, nanoUsd: 0 },
      target: { rows: after[0], nanoUsd: 0 },
      copied: after[0] - before[0],
    },
    budgets: { source: tally(accounts, 'total_nano'), target: after[1], copied: after[1].rows - before[1] },
  };
}

function tally(rows: readonly ImportedRow[], column: string): RowTally {
  return { rows: rows.length, nanoUsd: rows.reduce((sum, row) => sum + Number(row[column]), 0) };
}

function addTallies(one: RowTally, other: RowTally): RowTally {
  return { rows: one.rows + other.rows, nanoUsd: one.nanoUsd + other.nanoUsd };
}

function printReport({ json }: CopyInput, ends: readonly [FileLocation, PostgresLocation], report: CopyReport): void {
  const { keys, budgets, requests, unopened } = report;
  const all = { keys, budgets, requests };
  // What a key has spent since it was copied is more than the file has of it.
  const isComplete = Object.values(all).every(
    ({ source, target }) => source.rows === target.rows && source.nanoUsd <= target.nanoUsd,
  );
  if (!isComplete) process.exitCode = EXIT_FAILED;
  const [from, to] = ends.map(({ shown }) => shown);
  if (json) {
    const counts = Object.fromEntries(Object.entries(all).map(([name, copied]) => [name, copiedToJson(copied)]));
    return printJson({ from, to, complete: isComplete, ...counts, keys_unopened: unopened });
  }
  const lines = Object.entries(all).map(([name, { source, target, copied }]) => [
    name,
    ...[source, target].flatMap(({ rows, nanoUsd }) => [String(rows), name === 'keys' ? '' : `$${exactUsd(nanoUsd)}`]),
    String(copied),
  ]);
  printData(formatTable(['', 'file', '', 'database', '', 'copied now'], lines));
  if (unopened > 0) {
    printTalk(
      `note: ${unopened} keys are sealed under a secret that is not here: they work as tokens, and sign nothing.`,
    );
  }
  printTalk(isComplete ? `${to ?? ''} has all of ${from ?? ''}.` : 'The database has not all that the file has.');
}

function copiedToJson({ source, target, copied }: CopiedRows): object {
  return {
    source: source.rows,
    target: target.rows,
    copied,
    source_usd: exactUsd(source.nanoUsd),
    target_usd: exactUsd(target.nanoUsd),
  };
}
