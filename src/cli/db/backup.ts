/** `db backup`. */
import { resolve } from 'node:path';
import { printJson, printTalk } from '../../app/print.ts';
import { serverSecretPath } from '../../keys/server-secret.ts';
import { backUpDatabase } from '../../store/sqlite/backup.ts';
import { requireDatabaseFile } from './database-file.ts';

const INSTEAD = '`pg_dump -n bedrock_proxy` backs it up.';

/** Copies the database to a file. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function backUp(input: {
  readonly file: string;
  readonly db: string | undefined;
  readonly json: boolean;
}): Promise<void> {
  const { path } = requireDatabaseFile(input, process.env, INSTEAD);
  const file = resolve(input.file);
  const sizeBytes = await backUpDatabase(path, file);
  if (input.json) return printJson({ database: path, backup: file, size_bytes: sizeBytes });
  printTalk(`Backed up ${path} to ${file} (${sizeBytes} bytes).`);
  printTalk(`Not in it: ${serverSecretPath(path)}, which seals the keys.`);
}
