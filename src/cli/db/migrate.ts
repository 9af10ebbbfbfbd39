/** `db migrate`. */
import { describeMigration, withExistingStore } from '../../app/open-store.ts';
import { printJson, printTalk } from '../../app/print.ts';
import { locateFile, readDatabaseLocation } from '../../config/database-location.ts';
import type { Flags } from '../../config/options.ts';
import { inspectDatabase } from '../../store/sqlite/inspect.ts';

interface MigrateInput extends Flags {
  readonly json: boolean;
}

/** Brings the schema up to date. Throws ERR_BAD_OPTION if there is no such file, and ERR_STORE_UNAVAILABLE. */
export async function migrateDatabase(input: MigrateInput): Promise<void> {
  const database = readDatabaseLocation(input, process.env);
  const done = database.kind === 'file' ? await migrateFile(database.path) : await migrateShared(database.url);
  if (input.json) return printJson({ database: database.shown, from: done.from, to: done.to });
  printTalk(describeMigration(database, done));
}

interface Migration {
  readonly from: number;
  readonly to: number;
}

async function migrateShared(url: string): Promise<Migration> {
  const { migratePostgres } = await import('../../store/postgres/database-status.ts');
  return migratePostgres(url);
}

/** Whoever opens it migrates it. */
async function migrateFile(path: string): Promise<Migration> {
  const { schemaVersion: from } = inspectDatabase(path);
  await withExistingStore(locateFile(path), async () => {});
  return { from, to: inspectDatabase(path).schemaVersion };
}
