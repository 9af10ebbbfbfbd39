/**
 * `/spend/keys`, `/spend/tags`, `/global/spend/tags` and `/global/activity`: what the ledger adds up to by key, by tag
 * and by day, in LiteLLM's shapes. They only read.
 */
import { formatTag } from '../lib/format.ts';
import type { LedgerFilter, UsageTotals } from '../domain/ledger.ts';
import type { LedgerStore } from '../domain/store.ts';
import { sumInput } from '../domain/usage.ts';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { findPage } from './key-list.ts';
import { FIELD_TAGS, toLiteLlmKey } from './key-row.ts';
import { readRange } from './spend-filter.ts';
import { findSpendUsd, type SpendTally, sum, tellUnpriced } from './spend-tally.ts';
import * as schemas from './spend-schemas.ts';

const MAX_KEYS = 1_000;
/** What is looked back on if no date is named. */
const GLOBAL_MS = 30 * 86_400_000;

/** All of them. */
export function createTotalEndpoints(options: AdminOptions): Endpoint[] {
  return [keysEndpoint(options), tagsEndpoint(options), globalTagsEndpoint(options), activityEndpoint(options)];
}

function keysEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/spend/keys',
    summary: 'Keys as /key/list shows them, those first that spent most in the present window of their budget.',
    access: 'master key',
    query: schemas.spendKeysQuery,
    response: schemas.spendKeys,
    respond: async ({ query }) => {
      const { rows, spend } = await findPage(
        store,
        { sort_by: 'spend', sort_order: 'desc', size: query.limit ?? MAX_KEYS, return_full_object: true },
        nowMs(),
      );
      return rows.map((row) => toLiteLlmKey(row, spend.get(row.id), nowMs()));
    },
  });
}

function tagsEndpoint({ store }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/spend/tags',
    summary: 'What was spent by tag, the most expensive first; without dates, by all that the ledger has.',
    access: 'master key',
    query: schemas.rangeQuery,
    response: schemas.spendTags,
    respond: async ({ query }) => {
      const tags = await sumTags(store, readRange(query.start_date, query.end_date));
      return tags.map(([name, tally]) => ({
        individual_request_tag: name,
        log_count: tally.requests,
        total_spend: findSpendUsd(tally),
        ...tellUnpriced(tally),
      }));
    },
  });
}

function globalTagsEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/spend/tags',
    summary: 'The same in another shape; without dates, of the last 30 days.',
    access: 'master key',
    query: schemas.globalTagsQuery,
    response: schemas.globalTags,
    respond: async ({ query }) => {
      const asked = query.tags?.split(',').map((tag) => tag.trim());
      const tags = await sumTags(store, readRecent(query, nowMs()));
      const told = asked === undefined ? tags : tags.filter(([name]) => asked.includes(name));
      return {
        spend_per_tag: told.map(([name, tally]) => ({
          name,
          spend: findSpendUsd(tally),
          log_count: tally.requests,
          ...tellUnpriced(tally),
        })),
      };
    },
  });
}

function activityEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/global/activity',
    summary: 'Requests and tokens by day, the oldest first; without dates, of the last 30 days.',
    access: 'master key',
    query: schemas.rangeQuery,
    response: schemas.activity,
    respond: async ({ query }) => {
      const { groups, total } = await store.sumUsage({ filter: readRecent(query, nowMs()), by: ['day'] });
      return {
        daily_data: groups.map(({ names: [day = ''], ...totals }) => ({
          date: day,
          api_requests: totals.requests,
          total_tokens: findTokens(totals),
        })),
        sum_api_requests: total.requests,
        sum_total_tokens: findTokens(total),
      };
    },
  });
}

function readRecent(
  query: { start_date?: string | undefined; end_date?: string | undefined },
  nowMs: number,
): LedgerFilter {
  const range = readRange(query.start_date, query.end_date);
  return Object.keys(range).length === 0 ? { sinceMs: nowMs - GLOBAL_MS } : range;
}

function findTokens(totals: UsageTotals): number | null {
  return sum(sumInput(totals), totals.outputTokens) ?? null;
}

/** By the tags that `request_tags` lists: a request with several counts under each. */
async function sumTags(store: LedgerStore, filter: LedgerFilter): Promise<(readonly [name: string, SpendTally])[]> {
  const { groups } = await store.sumUsage({ filter, by: ['tag'] });
  return groups.flatMap(({ names: [tag], ...tally }) => {
    if (tag === undefined) return [];
    const at = tag.indexOf('=');
    const [name, value] = [tag.slice(0, at), tag.slice(at + 1)];
    return FIELD_TAGS.some((field) => field === name) ? [] : [[formatTag([name, value]), tally] as const];
  });
}
