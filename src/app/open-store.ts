/**
 * Opens the store: the only place that says which one. For one piece of work, it is closed whatever comes.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { type DatabaseLocation, hintForOrigin, type PostgresLocation } from '../config/database-location.ts';
import type { Store } from '../domain/store.ts';
import { ProxyError } from '../lib/errors.ts';
import { thisProcessSpace } from '../keys/exec-key.ts';
import { findServerSecret, fingerprintSecret } from '../keys/server-secret.ts';
import type { FileOptions } from '../store/sqlite/file.ts';
import type { SpillOptions } from '../store/spill/spill.ts';
import { printTalk } from './print.ts';
import { readKeyNames } from '../store/sqlite/key-names.ts';
import { parseDatabaseUrl } from '../store/postgres/url.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';

/** How a store is opened; what is left out is what most commands need. */
export interface StoreOptions extends FileOptions {
  /** Set if keys are sealed or opened: in PostgreSQL, all that do so must have the same secret. */
  readonly sealing?: Pick<Config, 'saltKey'> | undefined;
  /** Of PostgreSQL: makes our tables if they are not there, and brings them up to date. */
  readonly migrates?: boolean;
  /** Of a server on PostgreSQL: how long keys are used as they were last known while the database is away. */
  readonly staleKeysMs?: number;
  /** To PostgreSQL. */
  readonly maxConnections?: number;
}

/**
 * The store there; a file is made if there is none. The caller closes it. Throws ERR_STORE_UNAVAILABLE, and
 * ERR_BAD_OPTION if the secret is missing.
 */
export async function openStore(database: DatabaseLocation, options: StoreOptions = {}): Promise<Store> {
  if (database.kind === 'postgres') return openPostgres(database, options);
  return openSqliteStore(database.path, {
    ...options,
    onUpgrade: ({ from, to, keptIn }) =>
      printTalk(`note: The key database was upgraded (schema ${from} to ${to}); it is kept as it was in ${keptIn}.`),
  });
}

async function openPostgres(
  database: PostgresLocation,
  {
    sealing,
    migrates = false,
    threads = false,
    staleKeysMs: staleMs,
    maxConnections,
    onProblem = () => {},
  }: StoreOptions,
): Promise<Store> {
  const secret = sealing && findServerSecret(database, sealing.saltKey);
  const { openPostgresStore } = await import('../store/postgres/store.ts');
  const opening = openPostgresStore(database.url, {
    migrates,
    maxConnections,
    keyWatch: staleMs === undefined ? undefined : { staleMs, nowMs: Date.now },
    spill: threads ? { ...spillPlace(database), nowMs: Date.now, onProblem, tell: printTalk } : undefined,
    secretFingerprint: secret && fingerprintSecret(secret),
    onUpgrade: (upgrade) => printTalk(`note: ${describeMigration(database, upgrade)}`),
  });
  return opening.catch((error: unknown) => {
    throw error instanceof ProxyError ? naming(database, error) : error;
  });
}

/** Where rows wait that the database does not take. Each has a folder: they must not get into another one. */
function spillPlace({ folder, url }: PostgresLocation): Pick<SpillOptions, 'path' | 'space' | 'pid'> {
  const name = parseDatabaseUrl(url).shownUrl.replace(/^.*@/, '');
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 12);
  return { path: join(folder, `spill-${hash}`), space: thisProcessSpace(Date.now()), pid: process.pid };
}

function naming(database: PostgresLocation, error: ProxyError): ProxyError {
  const { code, message, cause } = error;
  const hint = error.hint && hintForOrigin(database, error.hint);
  return new ProxyError(code, message, { hint, detail: `${database.shown}, from ${database.origin}`, cause });
}

/** What was done to the schema of a database, as a sentence. */
export function describeMigration({ shown }: DatabaseLocation, { from, to }: { from: number; to: number }): string {
  if (from === to) return `The tables of bedrock-proxy in ${shown} are up to date (schema ${to}).`;
  if (from === 0) return `Made the tables of bedrock-proxy in ${shown}: the schema bedrock_proxy, version ${to}.`;
  return `Upgraded the tables of bedrock-proxy in ${shown} (schema ${from} to ${to}).`;
}

/**
 * Runs `work` on the store there, and closes it; a file is made if there is none. Throws ERR_STORE_UNAVAILABLE, and
 * ERR_BAD_OPTION if the secret is missing.
 */
export async function withStore<T>(
  database: DatabaseLocation,
  work: (store: Store) => Promise<T>,
  options: StoreOptions = {},
): Promise<T> {
  const store = await openStore(database, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The same if there is a database already; if its file is missing, undefined, and none is made. */
export async function withExistingStore<T>(
  database: DatabaseLocation,
  work: (store: Store) => Promise<T>,
): Promise<T | undefined> {
  return isFileMissing(database) ? undefined : withStore(database, work);
}

/** Whether the database is a file that is not there yet. */
export function isFileMissing(database: DatabaseLocation): boolean {
  return database.kind === 'file' && !existsSync(database.path);
}

/** The names of the keys in a file, which is only read; none if there is no file. */
export function listKeyNames(database: DatabaseLocation): readonly string[] {
  return database.kind === 'file' && existsSync(database.path) ? readKeyNames(database.path) : [];
}
