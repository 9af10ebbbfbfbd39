/**
 * Opens the store: the only place that says which one. For one piece of work, it is closed whatever comes.
 */
import { existsSync } from 'node:fs';
import type { Store } from '../domain/store.ts';
import type { FileOptions } from '../store/sqlite/file.ts';
import { printTalk } from './print.ts';
import { readKeyNames } from '../store/sqlite/key-names.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';

/** The store at `path`, which is made if there is none. The caller closes it. Throws ERR_STORE_UNAVAILABLE. */
export async function openStore(path: string, options: FileOptions = {}): Promise<Store> {
  if (/^postgres(ql)?:\/\//.test(path)) {
    const { openPostgresStore } = await import('../store/postgres/store.ts');
    return openPostgresStore(path);
  }
  return openSqliteStore(path, {
    ...options,
    onUpgrade: ({ from, to, keptIn }) =>
      printTalk(`note: The key database was upgraded (schema ${from} to ${to}); it is kept as it was in ${keptIn}.`),
  });
}

/**
 * Runs `work` on the store at `path`, which is made if there is none, and closes it. Throws ERR_STORE_UNAVAILABLE.
 */
export async function withStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(path);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same if there is a database already; otherwise undefined, and none is made. */
export async function withExistingStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T | undefined> {
  return existsSync(path) ? withStore(path, work) : undefined;
}

/** The names of the keys at `path`, which is only read; none if there is no database. */
export function listKeyNames(path: string): readonly string[] {
  return existsSync(path) ? readKeyNames(path) : [];
}
