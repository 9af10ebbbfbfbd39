/**
 * Opens the database for one piece of work, and closes it whatever comes.
 */
import { existsSync } from 'node:fs';
import type { Store } from '../domain/store.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';

/**
 * Runs `work` on the store at `path`, which is made where there is none, and closes it. Throws ERR_STORE_UNAVAILABLE.
 */
export async function withStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqliteStore(path);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same where there is a database already; undefined otherwise, and none is made. */
export async function withExistingStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T | undefined> {
  return existsSync(path) ? withStore(path, work) : undefined;
}
