/**
 * `GET /key/list`: which keys a query means, in which order, and which page of them. Reads piece by piece and lets the
 * event loop go on in between: a hundred thousand keys must not hold up a stream.
 */
import { setImmediate } from 'node:timers/promises';
import { findKeyEnd, findKeyState } from '../keys/state.ts';
import { hashKey, looksLikeKey } from '../keys/secret.ts';
import type { KeySpend } from '../domain/budget.ts';
import type { Store } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import type { AliasesQuery, ListQuery } from './schemas.ts';

const DEFAULT_SIZE = 10;
/** Each costs some milliseconds in which nothing else is served. */
const PIECE_KEYS = 500;

type SortColumn = Exclude<NonNullable<ListQuery['sort_by']>, 'created_at'>;

/** One page of the keys that fit, and where it stands. */
export interface KeyPage {
  readonly rows: readonly VirtualKeyRow[];
  /** Of the rows; empty where nobody needs it. */
  readonly spend: ReadonlyMap<string, KeySpend>;
  readonly total: number;
  readonly page: number;
  readonly pages: number;
}

/** What a query asks for. Keys that are made while it reads may be in it or not. */
export async function findPage(store: Store, query: ListQuery, nowMs: number): Promise<KeyPage> {
  const found: VirtualKeyRow[] = [];
  for await (const piece of readKeys(store)) found.push(...filterKeys(piece, query, nowMs));
  const spendOfAll = query.sort_by === 'spend' ? await findSpend(store, found, nowMs) : new Map<string, KeySpend>();
  const { rows, page, pages } = cutPage(sortKeys(found, query, spendOfAll), query);
  const spend = query.return_full_object === true ? await findSpend(store, rows, nowMs) : new Map<string, KeySpend>();
  return { rows, spend, total: found.length, page, pages };
}

/** One page of the aliases of keys that are not revoked, each once, sorted. */
export async function findAliasPage(
  store: Store,
  { search = '', team_id, page, size }: AliasesQuery & { readonly size: number },
  nowMs: number,
): Promise<{
  readonly rows: readonly string[];
  readonly total: number;
  readonly page: number;
  readonly pages: number;
}> {
  const aliases = new Set<string>();
  for await (const piece of readKeys(store)) {
    for (const { alias } of filterKeys(piece, { team_id }, nowMs)) {
      if (alias !== undefined && contains(alias, search)) aliases.add(alias);
    }
  }
  return { ...cutPage([...aliases].toSorted(), { page, size }), total: aliases.size };
}

async function* readKeys(store: Store): AsyncGenerator<VirtualKeyRow[]> {
  for (let after: string | undefined; ;) {
    const piece = await store.listKeys({ after, limit: PIECE_KEYS });
    yield piece;
    if (piece.length < PIECE_KEYS) return;
    after = piece.at(-1)?.id;
    await setImmediate();
  }
}

async function findSpend(
  store: Store,
  rows: readonly VirtualKeyRow[],
  nowMs: number,
): Promise<ReadonlyMap<string, KeySpend>> {
  const spend = new Map<string, KeySpend>();
  for (let from = 0; from < rows.length; from += PIECE_KEYS) {
    const piece = await store.findSpend(rows.slice(from, from + PIECE_KEYS), nowMs);
    for (const [id, each] of piece) spend.set(id, each);
    await setImmediate();
  }
  return spend;
}

/** The keys that fit all filters; of revoked ones only those that are asked for. Order as given. */
function filterKeys(rows: readonly VirtualKeyRow[], query: ListQuery, nowMs: number): VirtualKeyRow[] {
  const fits = query.substring_matching === true ? contains : (text: string, part: string) => text === part;
  const hash = query.key_hash !== undefined && looksLikeKey(query.key_hash) ? hashKey(query.key_hash) : query.key_hash;
  return rows.filter((row) => {
    const state = findKeyState(row, nowMs);
    if (query.status === undefined ? state === 'revoked' : state !== query.status) return false;
    if (query.key_alias !== undefined && !fits(row.alias ?? '', query.key_alias)) return false;
    if (query.user_id !== undefined && !fits(row.tags['user_id'] ?? '', query.user_id)) return false;
    if (query.team_id !== undefined && row.tags['team_id'] !== query.team_id) return false;
    if (hash !== undefined && row.keySha256 !== hash && row.id !== hash) return false;
    return query.search === undefined || isFoundBy(query.search, row);
  });
}

function isFoundBy(search: string, { alias, id, keySha256, tags }: VirtualKeyRow): boolean {
  return [alias, id, keySha256, tags['user_id'], tags['team_id']].some((text) => contains(text ?? '', search));
}

function contains(text: string, part: string): boolean {
  return text.toLowerCase().includes(part.toLowerCase());
}

/**
 * Rows that come oldest first, sorted as asked, the newest first unless told otherwise; what has no value comes last.
 */
function sortKeys(
  rows: readonly VirtualKeyRow[],
  { sort_by: column = 'created_at', sort_order: order = 'desc' }: ListQuery,
  spend: ReadonlyMap<string, KeySpend>,
): VirtualKeyRow[] {
  // They come oldest first.
  if (column === 'created_at') return order === 'desc' ? rows.toReversed() : [...rows];
  const sign = order === 'desc' ? -1 : 1;
  // Keys of one millisecond, in the order in which they were made.
  const valued = rows.map((row, index) => ({ row, index, value: findValue(row, column, spend) }));
  valued.sort((left, right) => {
    if (left.value === undefined || right.value === undefined) {
      return Number(left.value === undefined) - Number(right.value === undefined) || sign * (left.index - right.index);
    }
    if (left.value === right.value) return sign * (left.index - right.index);
    return left.value < right.value ? -sign : sign;
  });
  return valued.map(({ row }) => row);
}

function findValue(
  row: VirtualKeyRow,
  column: SortColumn,
  spend: ReadonlyMap<string, KeySpend>,
): string | number | undefined {
  switch (column) {
    case 'updated_at':
      return row.updatedAtMs;
    case 'key_alias':
      return row.alias;
    case 'user_id':
    case 'team_id':
      return row.tags[column];
    case 'spend':
      return spend.get(row.id)?.windowNanoUsd;
    case 'max_budget':
      return row.policy.budget?.limitNanoUsd;
    case 'expires':
      return findKeyEnd(row);
    default:
      return column satisfies never;
  }
}

/** One page, and where it stands. A page beyond the last is empty. */
export function cutPage<T>(
  rows: readonly T[],
  { page = 1, size = DEFAULT_SIZE }: ListQuery,
): { readonly rows: readonly T[]; readonly page: number; readonly pages: number } {
  return { rows: rows.slice((page - 1) * size, page * size), page, pages: Math.ceil(rows.length / size) };
}
