/**
 * Which files a database is made of: the file itself, and the write-ahead log and the shared memory that SQLite keeps
 * beside it under names of their own. Only the names say that they belong together, so a file that takes the place of
 * another one must never be opened beside what the other one left.
 */
import { rmSync, statSync } from 'node:fs';
import { unavailable } from './trouble.ts';

/**
 * Device and inode of each; undefined for a file that is not there. As long as a connection is open, all three stay the
 * same, unless somebody else than SQLite touches them.
 */
export interface DatabaseIdentity {
  readonly main: string | undefined;
  readonly wal: string | undefined;
  readonly shm: string | undefined;
}

/** Which file a connection is to, and which it must still be. */
export interface ConnectionTarget {
  readonly path: string;
  readonly identity: DatabaseIdentity;
}

/** Of the database at `path`, as it is now. */
export function findIdentity(path: string): DatabaseIdentity {
  return { main: identify(path), wal: identify(`${path}-wal`), shm: identify(`${path}-shm`) };
}

function identify(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/** Whether the path still leads to these files. */
export function areSameFiles({ path, identity }: ConnectionTarget): boolean {
  const found = findIdentity(path);
  return found.main === identity.main && hasSameLog(found, identity);
}

/** Whether SQLite's files beside the database are the same. */
export function hasSameLog(one: DatabaseIdentity, other: DatabaseIdentity): boolean {
  return one.wal === other.wal && one.shm === other.shm;
}

/**
 * SQLite would throw away a log that stands beside no database, under a process that may still write to it. The log is
 * looked at first: SQLite makes it after the database has its first page.
 */
export function refuseOrphanedLog(path: string): void {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (log === undefined || log.size === 0) return;
  const main = statSync(path, { throwIfNoEntry: false });
  if (main !== undefined && main.size > 0) return;
  const hint = 'End every proxy; then restore the database, or delete what is left of it to begin with an empty one.';
  throw unavailable(path, 'is gone, but its write-ahead log is still there', { hint });
}

/**
 * To be called when the connection is closed to a database that is not at its path any more: takes away the log that it
 * leaves, before anybody takes it for the log of the file that is there now. Leaves the files of others alone.
 */
export function removeLeftLog({ path, identity }: ConnectionTarget): void {
  const found = findIdentity(path);
  if (found.main === identity.main) return;
  if (found.wal !== undefined && found.wal === identity.wal) rmSync(`${path}-wal`, { force: true });
  if (found.shm !== undefined && found.shm === identity.shm) rmSync(`${path}-shm`, { force: true });
}
