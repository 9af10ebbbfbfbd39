/** The names of keys, read from a database as it is: no schema is made newer, nothing is written. */
import { openForReading } from './connection.ts';

/** Aliases, and ids of keys without one, of keys that are not revoked. Throws if the file is none of ours. */
export function readKeyNames(path: string): string[] {
  const database = openForReading(path);
  try {
    const rows = database
      .prepare('SELECT coalesce(alias, id) AS name FROM virtual_keys WHERE revoked_at_ms IS NULL')
      .all();
    return rows.flatMap((row) =>
      typeof row === 'object' && row !== null && 'name' in row && typeof row.name === 'string' ? [row.name] : [],
    );
  } finally {
    database.close();
  }
}
