/** Deletes exchanges from their file, while a proxy may write into it. */
import { ExchangeTables } from './exchange-tables.ts';
import { openToRead, openToWrite, toExchangeFileError } from './open-file.ts';
import { ExchangeReader } from './read-exchanges.ts';

/**
 * All of them, or those that are not pinned; what is deleted is gone from the disk. Throws ERR_BAD_OPTION if there is
 * no file, and ERR_STORE_UNAVAILABLE.
 */
export function clearFile(path: string, withPinned: boolean): { readonly removed: number; readonly kept: number } {
  openToRead(path).close();
  const database = openToWrite(path);
  try {
    const removed = clearTables(database, { upTo: Number.MAX_SAFE_INTEGER, withPinned });
    return { removed, kept: new ExchangeReader(path, database).measure().exchanges };
  } catch (error) {
    throw toExchangeFileError(path, error);
  } finally {
    database.close();
  }
}

/** In small steps, so that another process gets its turn. How many were deleted. Throws what SQLite throws. */
export function clearTables(
  database: ReturnType<typeof openToWrite>,
  { upTo, withPinned }: { readonly upTo: number; readonly withPinned: boolean },
): number {
  const tables = new ExchangeTables(database);
  let removed = 0;
  database.pragma('secure_delete = ON');
  for (let ids = tables.clearSome(upTo, withPinned); ids.length > 0; ids = tables.clearSome(upTo, withPinned)) {
    removed += ids.length;
  }
  while (tables.vacuumSome(0));
  database.pragma('secure_delete = FAST');
  database.pragma('wal_checkpoint(TRUNCATE)');
  return removed;
}
