/**
 * `GET /spend/logs/v2`: requests page by page, with how many there are. Reads piece by piece and lets the event loop go
 * on in between.
 */
import { setImmediate } from 'node:timers/promises';
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { LedgerStore, Store } from '../domain/store.ts';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { AdminError } from './envelope.ts';
import { readKey, readRange, tagFilter } from './spend-filter.ts';
import { describeRow, findKeysById, isFailure, ownerOf } from './spend-row.ts';
import * as schemas from './spend-schemas.ts';

const DEFAULT_SIZE = 50;
const PIECE_ROWS = 500;
/** To count them, each row is read: so many take a fifth of a second. */
const MAX_ROWS = 10_000;

/** The endpoint. */
export function createLogPagesEndpoint({ store }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/spend/logs/v2',
    summary: 'Requests, page by page, the newest first; the first 10,000 of them.',
    access: 'master key',
    query: schemas.logPagesQuery,
    response: schemas.logPages,
    respond: async ({ query }) => {
      const { page = 1, page_size: size = DEFAULT_SIZE, sort_order: order = 'desc', status_filter: status } = query;
      if (page * size > MAX_ROWS) {
        throw new AdminError(`Pages go to the first ${MAX_ROWS} requests.`, {
          param: 'page',
          hint: 'Name dates that lie closer together, or read on with /spend/logs?before=.',
        });
      }
      const filter = await readFilter(query, store);
      const rows: LedgerEntry[] = [];
      let total = 0;
      for await (const piece of readPieces(store, filter, order)) {
        for (const row of piece) {
          if (status !== undefined && isFailure(row) !== (status === 'failure')) continue;
          total += 1;
          if (total > (page - 1) * size && total <= page * size) rows.push(row);
        }
        if (total > MAX_ROWS) break;
      }
      const counted = Math.min(total, MAX_ROWS);
      const keys = await findKeysById(store, rows.map(ownerOf));
      return {
        data: rows.map((row) => describeRow(row, keys)),
        total: counted,
        total_is_capped: total > MAX_ROWS,
        page,
        page_size: size,
        total_pages: Math.ceil(counted / size),
      };
    },
  });
}

async function readFilter(query: schemas.LogPagesQuery, store: Store): Promise<LedgerFilter> {
  const { key_alias: alias, api_key: key } = query;
  const named = alias === undefined ? [] : await store.findKeys({ aliases: [alias] });
  return {
    ...readRange(query.start_date, query.end_date),
    ...(alias === undefined ? {} : { keyIds: named.map(({ id }) => id) }),
    ...(key === undefined ? {} : await readKey(key, store)),
    id: query.request_id,
    session: query.session_id,
    model: query.model,
    ...tagFilter({ user_id: query.user_id, team_id: query.team_id, end_user: query.end_user }),
  };
}

/** Session and tags are looked at here: see `readLastRows`. */
async function* readPieces(
  store: LedgerStore,
  { tags = {}, session, ...filter }: LedgerFilter,
  order: 'asc' | 'desc',
): AsyncGenerator<readonly LedgerEntry[]> {
  const wanted = Object.entries(tags);
  for (let edge: number | undefined; ; await setImmediate()) {
    const piece: readonly LedgerEntry[] =
      order === 'desc'
        ? await store.readLedgerBackwards(filter, { before: edge, limit: PIECE_ROWS })
        : await store.readLedger(filter, { after: edge ?? 0, limit: PIECE_ROWS });
    yield piece.filter(
      (row) =>
        (session === undefined || row.session === session) && wanted.every(([name, value]) => row.tags[name] === value),
    );
    if (piece.length < PIECE_ROWS) return;
    edge = piece.at(-1)?.sequence;
  }
}
