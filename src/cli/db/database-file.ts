/** The database of the commands that are for a SQLite file alone. */
import { type FileLocation, readDatabaseLocation } from '../../config/database-location.ts';
import type { Environment, Flags } from '../../config/options.ts';
import { ProxyError } from '../../lib/errors.ts';

/** Throws ERR_BAD_OPTION with `instead`, a sentence on what does this for PostgreSQL, if it is no file. */
export function requireDatabaseFile(flags: Flags, environment: Environment, instead: string): FileLocation {
  const database = readDatabaseLocation(flags, environment);
  if (database.kind === 'file') return database;
  throw new ProxyError('ERR_BAD_OPTION', `${database.origin} names a PostgreSQL database; this is for a SQLite file.`, {
    hint: instead,
    detail: database.shown,
  });
}
