/**
 * Every store that there is, as the contract suite opens it. A new one gets a line in STORES, and with it all rules of
 * this folder.
 */
import { join } from 'node:path';
import { afterAll, describe, onTestFinished } from 'vitest';
import { MAX_KEY_AGE_MS, MAX_SHARED_KEY_AGE_MS, type Store } from '../../src/domain/store.ts';
import { openPostgresStore, type PostgresOptions } from '../../src/store/postgres/store.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../helpers/postgres.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

/** One database, fresh and empty. */
export interface StorePlace {
  /** Opens it, as one more process would. It is closed after the test. */
  open(): Promise<Store>;
  /** The time as whoever calls the store has it, in epoch milliseconds. */
  now(): number;
  /** Lets so much time pass, for all who have opened it. */
  advance(ms: number): Promise<void>;
}

/** A kind of store. */
export interface StoreUnderTest {
  readonly name: string;
  /** For so long a process may not see what another one has done to a key. */
  readonly keyAgeMs: number;
  /** Makes a database for the test that runs; it is removed after the test. */
  create(): Promise<StorePlace>;
}

const sqlite = (name: string, options: Parameters<typeof openSqliteStore>[1]): StoreUnderTest => ({
  name,
  keyAgeMs: MAX_KEY_AGE_MS,
  create: async () => {
    const folder = await makeTemporaryFolder();
    let aheadMs = 0;
    return {
      open: async () => {
        const store = await openSqliteStore(join(folder, 'keys.db'), options);
        onTestFinished(() => store.close());
        return store;
      },
      now: () => Date.now() + aheadMs,
      advance: async (ms) => void (aheadMs += ms),
    };
  },
});

/** No test hands in a later time of its own: windows that have not begun by the database's clock do not begin. */
const LATEST_MS = Date.parse('2026-11-01T00:00Z');

const postgres = (name: string, options: PostgresOptions): StoreUnderTest => ({
  name,
  keyAgeMs: options.keyWatch === undefined ? 0 : MAX_SHARED_KEY_AGE_MS,
  create: async () => {
    const server = await sharedPostgres();
    const url = await server.borrowDatabase();
    onTestFinished(() => server.giveBack(url));
    const database = new URL(url).pathname.slice(1);
    let aheadMs = 0;
    const advance = async (ms: number): Promise<void> => {
      aheadMs += ms;
      await server.run(
        `CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
           $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + ${aheadMs} $$`,
        database,
      );
    };
    if (Date.now() < LATEST_MS) await advance(LATEST_MS - Date.now());
    return {
      open: async () => {
        const store = await openPostgresStore(url, options);
        onTestFinished(() => store.close());
        return store;
      },
      now: () => Date.now() + aheadMs,
      advance,
    };
  },
});

afterAll(stopSharedPostgres);

const STORES: readonly StoreUnderTest[] = [
  sqlite('SQLite', {}),
  sqlite('SQLite, as a server has it', { threads: true, writesBeforeWriter: 0, onProblem: () => {} }),
  postgres('PostgreSQL', {}),
  postgres('PostgreSQL, as a server has it', { keyWatch: { staleMs: 30_000, nowMs: Date.now } }),
];

/** Runs the suite against each store; one whose programs this machine does not have is named as skipped. */
export function describeStores(suite: (store: StoreUnderTest) => void): void {
  for (const store of STORES) {
    const isMissing = store.name.startsWith('PostgreSQL') && POSTGRES === undefined;
    describe.skipIf(isMissing)(store.name, () => suite(store));
  }
}
