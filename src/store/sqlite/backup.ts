/**
 * Backups of a database, made and put back such that no log ever stands beside the wrong file: a backup is one file
 * without a log, and a database is replaced only while nobody has it open.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { platform } from 'node:os';
import Database from 'better-sqlite3';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { openForReading, type Sqlite } from './connection.ts';
import { isBusy, toUnavailable, unavailable } from './trouble.ts';

/** All pages in one step: a step that others write after begins the copy anew. */
const ALL_PAGES = 0x7fffffff;
/** SQLite's files beside a database. */
const NEIGHBOURS = ['-wal', '-shm'] as const;

/**
 * Copies the database at `path`, as it is at one moment, to a new file, for its owner alone. Others may go on writing.
 * Returns the size in bytes. Throws ERR_BAD_OPTION if the file is there already, and ERR_STORE_UNAVAILABLE.
 */
export async function backUpDatabase(path: string, to: string): Promise<number> {
  if (existsSync(to)) throw alreadyThere(to);
  return copyVia(path, to, (draft) => {
    try {
      // Unlike a renaming, a link replaces nothing.
      linkSync(draft, to);
    } catch (error) {
      throw findCode(error) === 'EEXIST' ? alreadyThere(to) : toUnavailable(to, error);
    }
    return statSync(to).size;
  });
}

/**
 * Puts a copy of `from` in the place of the database at `path`. Returns the file that what was there is kept in;
 * undefined if there was nothing. Throws ERR_BAD_OPTION if `from` is not there, and ERR_STORE_UNAVAILABLE, with nothing
 * changed, if it is not a whole database of ours or if a process has the database open.
 */
export async function restoreDatabase(
  path: string,
  { from, nowMs }: { readonly from: string; readonly nowMs: number },
): Promise<string | undefined> {
  return copyVia(from, path, (draft) => {
    if (!existsSync(path) && NEIGHBOURS.every((end) => !existsSync(path + end))) {
      renameSync(draft, path);
      return undefined;
    }
    const kept = `${path}.replaced-${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
    if (existsSync(kept)) throw alreadyThere(kept);
    const current = takeForOurselves(path);
    try {
      // Windows renames no file that is open.
      if (platform() === 'win32') current?.close();
      for (const end of ['', ...NEIGHBOURS]) if (existsSync(path + end)) renameSync(path + end, kept + end);
      renameSync(draft, path);
    } finally {
      current?.close();
    }
    return kept;
  });
}

/** Copies into a draft beside the file that it is for, lets `use` take it, and leaves nothing. */
async function copyVia<T>(from: string, to: string, use: (draft: string) => T): Promise<T> {
  const draft = `${to}.${randomBytes(6).toString('hex')}`;
  let source: Sqlite | undefined;
  try {
    source = openForReading(from);
    refuseDamaged(source, from);
    // For the owner alone before it has a byte; the link of somebody else in its place is not followed.
    closeSync(openSync(draft, 'wx', 0o600));
    await source.backup(draft, { progress: () => ALL_PAGES });
    const copy = new Database(draft);
    // Without a log of its own, it is one file.
    copy.pragma('journal_mode = DELETE');
    copy.close();
    return use(draft);
  } catch (error) {
    throw toUnavailable(to, error);
  } finally {
    source?.close();
    for (const end of ['', ...NEIGHBOURS, '-journal']) rmSync(draft + end, { force: true });
  }
}

function refuseDamaged(database: Sqlite, path: string): void {
  const found = database.pragma('integrity_check(1)', { simple: true });
  if (found === 'ok') return;
  throw unavailable(path, 'is damaged', {
    hint: '`bedrock-proxy db check` says how.',
    cause: new Error(String(found)),
  });
}

/**
 * A connection beside which nobody can open the database: all of its log is in the file then. Undefined if it is too
 * damaged to be locked. Throws ERR_STORE_UNAVAILABLE if a process has it open.
 */
function takeForOurselves(path: string): Sqlite | undefined {
  if (!existsSync(path)) return undefined;
  const database = new Database(path, { timeout: 0 });
  try {
    database.pragma('locking_mode = EXCLUSIVE');
    if (database.pragma('journal_mode = DELETE', { simple: true }) !== 'delete') throw inUse(path);
    database.exec('BEGIN EXCLUSIVE; COMMIT');
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) throw inUse(path);
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(findCode(error) ?? '')) return undefined;
    throw error;
  }
}

function inUse(path: string): ProxyError {
  const hint = 'End every proxy and every `bedrock-proxy` command that uses it; then restore.';
  return unavailable(path, 'is in use', { hint });
}

function alreadyThere(path: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `${path} is there already.`, { hint: 'Name another file.' });
}
