/**
 * Looks a database over: whether it is whole, whether its owner alone can read it, and whether what keys have spent is
 * what their rows say. Only reads; other processes may go on writing.
 */
import { statSync } from 'node:fs';
import { platform } from 'node:os';
import { openForReading, type Sqlite } from './connection.ts';
import { countWrongTotals } from './key-totals.ts';
import { MIGRATIONS } from './migrations.ts';
import { toUnavailable } from './trouble.ts';

/** What was found. Times are epoch milliseconds. */
export interface DatabaseReport {
  readonly sizeBytes: number;
  /** Of the write-ahead log; 0 if there is none. */
  readonly logBytes: number;
  readonly files: readonly InspectedFile[];
  readonly schemaVersion: number;
  /** Undefined for an older schema, as is `spend`. */
  readonly counts: LedgerCounts | undefined;
  readonly spend: SpendReport | undefined;
  /** In sentences; empty if all is well. */
  readonly problems: readonly string[];
}

/** A file of the database that is there. */
export interface InspectedFile {
  readonly path: string;
  /** Undefined on Windows, as is the mode. */
  readonly ownerId: number | undefined;
  readonly mode: number | undefined;
}

/** How much there is. */
export interface LedgerCounts {
  readonly keys: number;
  readonly rows: number;
  readonly reservations: number;
  readonly oldestRowMs: number | null;
  readonly newestRowMs: number | null;
}

/** Budget accounts beside the rows of their keys. */
export interface SpendReport {
  readonly accounts: number;
  /** Those that spent exactly what their rows say. */
  readonly equal: number;
  /** Those that spent more, while the oldest rows of the ledger are deleted: nobody can tell any more. */
  readonly unknown: number;
  /** Those that cannot be right. */
  readonly wrong: number;
}

const WRONG_TOTALS = 'the sums that were kept for them are not what their rows say';

/** Throws ERR_STORE_UNAVAILABLE if it cannot be read at all, ERR_BAD_OPTION if there is none. */
export function inspectDatabase(path: string): DatabaseReport {
  const problems: string[] = [];
  const files = ['', '-wal', '-shm', '.secret'].flatMap((end) => inspectFile(path + end));
  problems.push(...files.flatMap(findFileProblems));
  const database = openForReading(path);
  try {
    // One moment for all of it.
    return database.transaction(() => {
      const integrity = database.pragma('integrity_check') as { integrity_check: string }[];
      for (const { integrity_check: words } of integrity) if (words !== 'ok') problems.push(`Damaged: ${words}.`);
      const schemaVersion = Number(database.pragma('user_version', { simple: true }));
      const isPresent = schemaVersion === MIGRATIONS.length;
      if (!isPresent)
        problems.push(`An older bedrock-proxy made it (schema ${schemaVersion}): the next start migrates it.`);
      const counts = isPresent ? countAll(database) : undefined;
      const spend = isPresent ? compareSpend(database, problems) : undefined;
      const wrongTotals = isPresent ? countWrongTotals(database) : 0;
      if (wrongTotals > 0) problems.push(`Reports by key are wrong for ${wrongTotals} keys: ${WRONG_TOTALS}.`);
      const logBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
      return { sizeBytes: statSync(path).size, logBytes, files, schemaVersion, counts, spend, problems };
    })();
  } catch (error) {
    throw toUnavailable(path, error);
  } finally {
    database.close();
  }
}

function inspectFile(path: string): InspectedFile[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (platform() === 'win32') return [{ path, ownerId: undefined, mode: undefined }];
  return [{ path, ownerId: stats.uid, mode: stats.mode & 0o777 }];
}

function findFileProblems({ path, ownerId, mode }: InspectedFile): string[] {
  const problems: string[] = [];
  const userId = process.getuid?.();
  if (ownerId !== undefined && userId !== undefined && ownerId !== userId) {
    problems.push(`${path} belongs to the user ${ownerId}, not to you (${userId}).`);
  }
  if (mode !== undefined && (mode & 0o077) !== 0) {
    problems.push(`Others can reach ${path} (mode ${mode.toString(8)}): \`chmod 600\` it.`);
  }
  return problems;
}

function countAll(database: Sqlite): LedgerCounts {
  const counts = database
    .prepare<[], LedgerCounts>(
      `SELECT (SELECT count(*) FROM virtual_keys WHERE deleted_at_ms IS NULL) AS keys,
         (SELECT count(*) FROM ledger) AS rows, (SELECT count(*) FROM reservations) AS reservations,
         (SELECT min(started_at_ms) FROM ledger) AS oldestRowMs,
         (SELECT max(started_at_ms) FROM ledger) AS newestRowMs`,
    )
    .get();
  return counts ?? { keys: 0, rows: 0, reservations: 0, oldestRowMs: null, newestRowMs: null };
}

interface AccountSums {
  readonly account_id: string;
  readonly total_nano: number;
  readonly reserved_nano: number;
  readonly ledger_nano: number;
  readonly reservations_nano: number;
}

/**
 * A row and its charge are written together, so both are equal for ever, unless rows have been deleted, which are the
 * oldest ones: the account has spent more then.
 */
function compareSpend(database: Sqlite, problems: string[]): SpendReport {
  const hasAllRows = (database.prepare('SELECT min(sequence) FROM ledger').pluck().get() ?? 1) === 1;
  const accounts = database
    .prepare<[], AccountSums>(
      `WITH rows AS (SELECT coalesce(account_id, key_id) AS account_id, sum(charged) AS nano
         FROM (SELECT key_id, sum(charged_nano) AS charged FROM ledger WHERE key_id <> '' GROUP BY key_id)
         LEFT JOIN virtual_keys ON id = key_id GROUP BY 1),
       held AS (SELECT account_id, sum(amount_nano) AS nano FROM reservations GROUP BY 1),
       names AS (SELECT account_id FROM key_spend UNION SELECT account_id FROM rows UNION SELECT account_id FROM held)
       SELECT account_id, coalesce(total_nano, 0) AS total_nano, coalesce(reserved_nano, 0) AS reserved_nano,
         coalesce(rows.nano, 0) AS ledger_nano, coalesce(held.nano, 0) AS reservations_nano
       FROM names LEFT JOIN key_spend USING (account_id) LEFT JOIN rows USING (account_id)
         LEFT JOIN held USING (account_id)`,
    )
    .all();
  let [equal, unknown, wrong] = [0, 0, 0];
  for (const account of accounts) {
    const missingNano = account.total_nano - account.ledger_nano;
    const isReservedRight = account.reserved_nano === account.reservations_nano;
    if (missingNano === 0 && isReservedRight) equal += 1;
    else if (missingNano > 0 && !hasAllRows && isReservedRight) unknown += 1;
    else {
      wrong += 1;
      problems.push(describeAccount(account));
    }
  }
  return { accounts: accounts.length, equal, unknown, wrong };
}

function describeAccount({ account_id: id, ...sums }: AccountSums): string {
  const spent = `spent ${sums.total_nano} by its budget, ${sums.ledger_nano} by its rows`;
  const reserved = `${sums.reserved_nano} reserved, ${sums.reservations_nano} by its reservations`;
  return `The key ${id} does not add up: ${spent}; ${reserved} (nano-dollars).`;
}
