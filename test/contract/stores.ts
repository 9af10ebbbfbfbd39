/**
 * Every store that there is, as the contract suite opens it. A new one gets a line in STORES, and with it all rules of
 * this folder.
 */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Store } from '../../src/domain/store.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

/** One database, fresh and empty. */
export interface StorePlace {
  /** Opens it, as one more process would. It is closed after the test. */
  open(): Promise<Store>;
}

/** A kind of store. */
export interface StoreUnderTest {
  readonly name: string;
  /** Makes a database for the test that runs; it is removed after the test. */
  create(): Promise<StorePlace>;
}

const sqlite = (name: string, options: Parameters<typeof openSqliteStore>[1]): StoreUnderTest => ({
  name,
  create: async () => {
    const folder = await makeTemporaryFolder();
    return {
      open: async () => {
        const store = await openSqliteStore(join(folder, 'keys.db'), options);
        onTestFinished(() => store.close());
        return store;
      },
    };
  },
});

/** The stores that the suite is run against. */
export const STORES: readonly StoreUnderTest[] = [
  sqlite('SQLite', {}),
  sqlite('SQLite, as a server has it', { threads: true, writesBeforeWriter: 0, onProblem: () => {} }),
];
