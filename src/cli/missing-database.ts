/**
 * A database that somebody named and that is not there: what is read of it is nothing, and would look as if it were
 * empty.
 */
import { existsSync } from 'node:fs';
import { readDatabasePath } from '../config/config.ts';
import { type Environment, findSetting, type Flags } from '../config/options.ts';
import { printTalk } from '../app/print.ts';

/** Says so. Nothing about the one that every user has, which comes with the first start. */
export function tellMissingDatabase(flags: Flags, environment: Environment): void {
  if (findSetting('db', flags, environment) === undefined) return;
  const path = readDatabasePath(flags, environment);
  if (!existsSync(path)) printTalk(`There is no database at ${path} yet.`);
}
