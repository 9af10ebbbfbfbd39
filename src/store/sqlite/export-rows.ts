/**
 * The rows of a database as they are kept, for a copy of all that is in it: as of one moment, whoever writes meanwhile.
 * Only reads.
 */
import { openForReading } from './connection.ts';
import { toUnavailable } from './trouble.ts';

/** A row, by the names of its columns. */
export type StoredRow = Readonly<Record<string, string | number | Buffer | null>>;

/** The tables that a copy has. Keys and accounts are read at once, the ledger in pages. */
export interface StoredRows {
  /** Deleted ones too; in the order in which they were made. */
  readKeys(): StoredRow[];
  readAccounts(): StoredRow[];
  /** Rows with a sequence above `after`, at most `limit`, oldest first. */
  readLedger(after: number, limit: number): StoredRow[];
  countLedger(): number;
  countReservations(): number;
  close(): void;
}

/**
 * Opens the database at `path`, whose schema is the present one. Throws ERR_BAD_OPTION if there is none, and
 * ERR_STORE_UNAVAILABLE. The caller closes it.
 */
export function openStoredRows(path: string): StoredRows {
  const database = openForReading(path);
  const select = (sql: string, ...values: number[]): StoredRow[] => {
    try {
      return database.prepare<number[], StoredRow>(sql).all(...values);
    } catch (error) {
      throw toUnavailable(path, error);
    }
  };
  const count = (table: string): number => Number(select(`SELECT count(*) AS n FROM ${table}`)[0]?.['n']);
  // The first statement takes the moment, and the transaction keeps it.
  database.exec('BEGIN');
  return {
    readKeys: () => select('SELECT * FROM virtual_keys ORDER BY rowid'),
    readAccounts: () => select('SELECT * FROM key_spend'),
    readLedger: (after, limit) =>
      select('SELECT * FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?', after, limit),
    countLedger: () => count('ledger'),
    countReservations: () => count('reservations'),
    close: () => void database.close(),
  };
}
