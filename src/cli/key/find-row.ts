/**
 * How a command finds a key by whatever name it is called. Straight on the database, whether or not a server runs,
 * which sees a change with its next request.
 */
import type { DatabaseLocation } from '../../config/database-location.ts';
import { text } from 'node:stream/consumers';
import { findNamesakes, keepWorking } from '../../keys/namesakes.ts';
import { findKeyState } from '../../keys/state.ts';
import { hashKey, looksLikeKey, maskKey } from '../../keys/secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import { isFileMissing, type StoreOptions, withStore } from '../../app/open-store.ts';
import type { Store } from '../../domain/store.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import { findNearest } from '../../lib/nearest-name.ts';

/** What is done to a key, which was called `name`. */
export type KeyWork<T> = (row: VirtualKeyRow, store: Store, name: string) => Promise<T>;

/**
 * Runs `work` on the key of that name (see `findRowByName`; `-` reads it from standard input, which keeps a key out of
 * the process list). Makes no database. Throws ERR_BAD_REQUEST where there is no such key, ERR_STORE_UNAVAILABLE.
 */
export async function withKey<T>(
  database: DatabaseLocation,
  nameOrDash: string,
  work: KeyWork<T>,
  options: StoreOptions = {},
): Promise<T> {
  const name = nameOrDash === '-' ? (await text(process.stdin)).trim() : nameOrDash;
  if (isFileMissing(database)) throw noSuchKey([], name);
  return withStore(database, async (store) => work(await requireKey(store, name), store, name), options);
}

/** Never empty. */
export type KeyRows = readonly [VirtualKeyRow, ...VirtualKeyRow[]];

/** What a command did. */
export interface KeysOutcome {
  /** The keys that the name meant, as they are now. */
  readonly rows: KeyRows;
  /** Other keys of the alias that still work: the name was no alias, or another process has just made them. */
  readonly others: readonly VirtualKeyRow[];
}

/**
 * As `withKey`, for what must reach every key of an alias: if the name is one, `work` gets the key that `withKey`
 * finds, and then the others of that alias that work. It gives them back as they are then.
 */
export async function withKeys(
  database: DatabaseLocation,
  nameOrDash: string,
  work: (rows: KeyRows, store: Store) => Promise<KeyRows>,
): Promise<KeysOutcome> {
  return withKey(database, nameOrDash, async (row, store, name) => {
    const namesakes = name === row.alias ? await findNamesakes(row, store, Date.now()) : [];
    const rows = await work([row, ...namesakes], store);
    const meant = new Set(rows.map(({ id }) => id));
    const after = await findNamesakes(row, store, Date.now());
    const others = keepWorking(after, Date.now()).filter(({ id }) => !meant.has(id));
    return { rows, others };
  });
}

/**
 * `findRowByName` of the rows that may have that name. Throws ERR_BAD_REQUEST, with the name that may have been meant.
 */
export async function requireKey(store: Store, name: string): Promise<VirtualKeyRow> {
  const found = await findKeyByName(store, name);
  if (found !== undefined) return found;
  throw noSuchKey(await store.listKeys(), name);
}

/** Reads no more than the rows that may have that name: a database can have a hundred thousand. */
async function findKeyByName(store: Store, name: string): Promise<VirtualKeyRow | undefined> {
  const exact = looksLikeKey(name)
    ? await store.findKeyBySha256(hashKey(name))
    : await store.findKeyByAccessKeyId(name);
  return exact ?? findRowByName(await store.findKeys({ ids: [name], aliases: [name] }), name);
}

/**
 * By id, access key id, the key itself, or alias; of several with one alias that which has no end, then the one that is
 * ending, then the last.
 */
function findRowByName(rows: readonly VirtualKeyRow[], name: string): VirtualKeyRow | undefined {
  const sha256 = looksLikeKey(name) ? hashKey(name) : undefined;
  const aliased = rows.filter((row) => row.alias === name);
  return (
    rows.find((row) => row.id === name || row.accessKeyId === name || row.keySha256 === sha256) ??
    aliased.find((row) => row.revokedAtMs === undefined && row.endsAtMs === undefined) ??
    aliased.find((row) => findKeyState(row, Date.now()) === 'ending') ??
    aliased.at(-1)
  );
}

/** The same; throws ERR_BAD_REQUEST, with the name that may have been meant, where there is none. */
export function requireRow(rows: readonly VirtualKeyRow[], name: string): VirtualKeyRow {
  const found = findRowByName(rows, name);
  if (found === undefined) throw noSuchKey(rows, name);
  return found;
}

/** What a message calls a name: never a key in full. */
export function showName(name: string): string {
  return looksLikeKey(name) ? maskKey(name.slice(-4)) : JSON.stringify(name.slice(0, 100));
}

function noSuchKey(rows: readonly VirtualKeyRow[], name: string): ProxyError {
  const names = rows.flatMap((row) => (row.alias === undefined ? [row.id] : [row.alias, row.id]));
  const meant = looksLikeKey(name) ? undefined : findNearest(name, names);
  const hint = meant === undefined ? 'See `bedrock-proxy key list` for ids and aliases.' : `Did you mean ${meant}?`;
  return new ProxyError('ERR_BAD_REQUEST', `There is no key ${showName(name)} in this database.`, { hint });
}
