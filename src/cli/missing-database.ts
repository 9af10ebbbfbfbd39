/**
 * A database that somebody named and that is not there: what is read of it is nothing, and would look as if it were
 * empty.
 */
import { readDatabaseLocation } from '../config/database-location.ts';
import { type Environment, findSetting, type Flags } from '../config/options.ts';
import { isFileMissing } from '../app/open-store.ts';
import { printTalk } from '../app/print.ts';

/** Says so. Nothing about the one that every user has, which comes with the first start. */
export function tellMissingDatabase(flags: Flags, environment: Environment): void {
  if (findSetting('db', flags, environment) === undefined) return;
  const database = readDatabaseLocation(flags, environment);
  if (isFileMissing(database)) printTalk(`There is no database at ${database.shown} yet.`);
}
