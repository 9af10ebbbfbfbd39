/** `db restore`. */
import { resolve } from 'node:path';
import { printJson, printTalk } from '../../app/print.ts';
import { restoreDatabase } from '../../store/sqlite/backup.ts';
import { requireDatabaseFile } from './database-file.ts';

const INSTEAD = '`pg_restore` and `psql` take back what `pg_dump` made, while no proxy runs.';

/** Puts a backup in the place of the database. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function restore(input: {
  readonly file: string;
  readonly db: string | undefined;
  readonly json: boolean;
}): Promise<void> {
  const { path } = requireDatabaseFile(input, process.env, INSTEAD);
  const file = resolve(input.file);
  const kept = await restoreDatabase(path, { from: file, nowMs: Date.now() });
  if (input.json) return printJson({ database: path, restored: file, replaced: kept ?? null });
  printTalk(`Restored ${path} from ${file}.`);
  if (kept !== undefined) printTalk(`What was there is kept as ${kept}.`);
}
