/**
 * The `/spend` and `/global/spend` endpoints: what the ledger has, in LiteLLM's shapes. They only read.
 */
import type { LedgerFilter } from '../domain/ledger.ts';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { showKeyName } from './key-row.ts';
import { readKey, readRange, tagFilter } from './spend-filter.ts';
import { createLogPagesEndpoint } from './spend-log-pages.ts';
import { reportKeys, reportTeams, summarizeDays } from './spend-reports.ts';
import { describeRow, findKeysById, ownerOf, readLastRows } from './spend-row.ts';
import { findSpendUsd, tellUnpriced } from './spend-tally.ts';
import { createTotalEndpoints } from './spend-totals.ts';
import * as schemas from './spend-schemas.ts';

const DEFAULT_LOGS = 100;
const DEFAULT_TOP = 10;
/** What LiteLLM's `/global/spend` and its parts look back on. */
const GLOBAL_MS = 30 * 86_400_000;

/** All of them. */
export function createSpendEndpoints(options: AdminOptions): Endpoint[] {
  return [
    logsEndpoint(options),
    reportEndpoint(options),
    globalEndpoint(options),
    topKeysEndpoint(options),
    topModelsEndpoint(options),
    createLogPagesEndpoint(options),
    ...createTotalEndpoints(options),
  ];
}

function logsEndpoint({ store }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/spend/logs',
    summary: 'Requests, the newest first; between two dates, sums per day unless summarize is false.',
    access: 'master key',
    query: schemas.logsQuery,
    response: schemas.logs,
    respond: async ({ query }) => {
      const filter: LedgerFilter = {
        ...readRange(query.start_date, query.end_date),
        ...(await readKey(query.api_key, store)),
        id: query.request_id,
        session: query.session_id,
        ...tagFilter({ user_id: query.user_id }),
      };
      const hasRange = filter.sinceMs !== undefined && filter.untilMs !== undefined;
      if (hasRange && query.summarize !== false && query.request_id === undefined) {
        return summarizeDays(store, filter);
      }
      const { before, limit = DEFAULT_LOGS } = query;
      const rows = await readLastRows(store, filter, { before, limit });
      const keys = await findKeysById(store, rows.map(ownerOf));
      return rows.map((row) => describeRow(row, keys));
    },
  });
}

function reportEndpoint({ store }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/spend/report',
    summary: 'What was spent between two dates: by day and team, or by key and model.',
    access: 'master key',
    query: schemas.reportQuery,
    response: schemas.report,
    respond: async ({ query }) => {
      const { internal_user_id: user, team_id: team, api_key: key } = query;
      const filter = {
        ...readRange(query.start_date, query.end_date),
        ...(await readKey(key, store)),
        ...tagFilter({ user_id: user, team_id: team }),
      };
      const isByKey = query.group_by === 'api_key' || key !== undefined || user !== undefined;
      return isByKey ? reportKeys(store, filter) : reportTeams(store, filter);
    },
  });
}

function globalEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/spend',
    summary: 'What was spent in the last 30 days, by all keys together.',
    access: 'master key',
    response: schemas.globalSpend,
    respond: async () => {
      const { total } = await store.sumUsage({ filter: { sinceMs: nowMs() - GLOBAL_MS }, by: ['day'] });
      return { spend: findSpendUsd(total), max_budget: null, ...tellUnpriced(total) };
    },
  });
}

function topKeysEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/spend/keys',
    summary: 'The keys that spent most in the last 30 days.',
    access: 'master key',
    query: schemas.topQuery,
    response: schemas.topKeys,
    respond: async ({ query }) => {
      const filter = { sinceMs: nowMs() - GLOBAL_MS };
      const { groups } = await store.sumUsage({ filter, by: ['key'], limit: query.limit ?? DEFAULT_TOP });
      const keys = await findKeysById(
        store,
        groups.flatMap(({ names }) => names[0] ?? []),
      );
      return groups.map(({ names: [name], label, ...totals }) => {
        const row = name === undefined ? undefined : keys.get(name);
        return {
          api_key: row?.keySha256 ?? name ?? label ?? 'master',
          key_alias: row?.alias ?? null,
          key_name: row === undefined ? null : showKeyName(row),
          total_spend: findSpendUsd(totals),
          ...tellUnpriced(totals),
        };
      });
    },
  });
}

function topModelsEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/spend/models',
    summary: 'The models on which most was spent in the last 30 days.',
    access: 'master key',
    query: schemas.topQuery,
    response: schemas.topModels,
    respond: async ({ query }) => {
      const { groups } = await store.sumUsage({ filter: { sinceMs: nowMs() - GLOBAL_MS }, by: ['model'] });
      return groups
        .flatMap(({ names: [name], ...totals }) =>
          name === undefined ? [] : [{ model: name, total_spend: findSpendUsd(totals), ...tellUnpriced(totals) }],
        )
        .slice(0, query.limit ?? DEFAULT_TOP);
    },
  });
}
