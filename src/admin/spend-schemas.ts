/**
 * What the spend endpoints take and answer, in LiteLLM's field names. Dollars are floats; null where nobody knows.
 */
import { z } from 'zod';
import { jsonTypeOf, LEDGER_COLUMNS, type LedgerColumn } from '../domain/ledger-columns.ts';
import { keyRow, queryFlag, queryInteger } from './schemas.ts';

const day = z.string().max(40).describe('YYYY-MM-DD or YYYY-MM-DD HH:MM:SS (UTC), or a time with its zone');
const endDay = z
  .string()
  .max(40)
  .describe('YYYY-MM-DD or YYYY-MM-DD HH:MM:SS (UTC, included), or a time with its zone (not included)');
const apiKey = z.string().max(1_000).describe('The token of a key, its key_id, or the key itself');
const name = z.string().max(1_000);

const RANGE = { start_date: day.optional(), end_date: endDay.optional() };

/** The query of `GET /spend/logs`. */
export const logsQuery = z.strictObject({
  ...RANGE,
  api_key: apiKey.optional(),
  user_id: name.optional(),
  request_id: name.optional(),
  session_id: name.optional(),
  summarize: queryFlag()
    .optional()
    .describe('With both dates: sums per day (default) or, where false, the requests themselves'),
  limit: queryInteger(1, 1_000).optional().describe('Requests at most; default 100'),
  before: queryInteger(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Only requests with a smaller metadata.sequence: the next page after the last one shown'),
});

/** The query of `GET /spend/logs/v2`. */
export const logPagesQuery = z.strictObject({
  ...RANGE,
  page: queryInteger(1, 10_000).optional().describe('From 1 on, which is the default'),
  page_size: queryInteger(1, 1_000).optional().describe('Default 50'),
  api_key: apiKey.optional(),
  key_alias: name.optional(),
  user_id: name.optional(),
  team_id: name.optional(),
  end_user: name.optional(),
  request_id: name.optional(),
  session_id: name.optional(),
  model: name.optional().describe('As the ledger has it'),
  status_filter: z.enum(['success', 'failure']).optional(),
  sort_by: z.literal('startTime').optional(),
  sort_order: z.enum(['asc', 'desc']).optional().describe('Default desc'),
});
/** The query of `GET /spend/logs/v2`, as it was checked. */
export type LogPagesQuery = z.output<typeof logPagesQuery>;
/** The query of `GET /spend/tags` and `/global/activity`. */
export const rangeQuery = z.strictObject(RANGE);
/** The query of `GET /global/spend/tags`. */
export const globalTagsQuery = z.strictObject({ ...RANGE, tags: name.optional().describe('Only these: a,b=c') });
/** The query of `GET /spend/keys`. */
export const spendKeysQuery = z.strictObject({
  limit: queryInteger(1, 1_000).optional().describe('Default, and at most, 1000'),
});

/** The query of `GET /global/spend/report`. */
export const reportQuery = z.strictObject({
  start_date: day,
  end_date: endDay,
  group_by: z.enum(['team', 'api_key']).optional().describe('Default team; api_key wherever a key or a user is named'),
  api_key: apiKey.optional(),
  internal_user_id: name.optional(),
  team_id: name.optional(),
});

/** The query of `GET /global/spend/keys` and `/global/spend/models`. */
export const topQuery = z.strictObject({ limit: queryInteger(1, 1_000).optional().describe('Default 10') });

const usd = z.number().nonnegative().nullable().describe('US dollars; null where nothing of it has a known price');
const tokens = z.int().nonnegative().nullable().describe('Null where nothing reported them');
const unpriced = z
  .int()
  .positive()
  .optional()
  .describe('Requests whose price is not known and that are not in the sum');
const token = z.string().describe("Hex SHA-256 of the key; a deleted key's key_id; master or anonymous");
const time = z.iso.datetime();

const JSON_TYPES = {
  string: z.string(),
  integer: z.int(),
  number: z.number(),
  boolean: z.boolean(),
  object: z.record(z.string(), z.union([z.string(), z.number()])),
};

function columnSchema(column: LedgerColumn): z.ZodType {
  const schema: z.ZodType = JSON_TYPES[jsonTypeOf(column)];
  return (column.isRequired ? schema : schema.nullable()).describe(column.description);
}

/** One request, as a row of LiteLLM's spend logs. */
export const logRow = z.strictObject({
  request_id: z.string(),
  call_type: z.string().nullable().describe("AWS's name of the operation"),
  api_key: token,
  spend: usd,
  total_tokens: tokens,
  prompt_tokens: tokens.describe('Those that a cache served or took included'),
  completion_tokens: tokens,
  startTime: time,
  completionStartTime: time.nullable(),
  endTime: time.nullable(),
  model: z.string().nullable(),
  custom_llm_provider: z.literal('bedrock'),
  user: z.string().describe('The tag user_id of the key at that time, or nothing'),
  team_id: z.string().nullable(),
  end_user: z.string().describe('The customer that the client named, or nothing'),
  session_id: z.string().nullable().describe('The session that the client named'),
  cache_hit: z.literal('False').describe('The proxy answers nothing by itself'),
  request_tags: z.array(z.string()),
  status: z.enum(['success', 'failure']),
  metadata: z
    .strictObject({
      sequence: z.int(),
      user_api_key_alias: z.string().describe('Alias or masked key, as it was at that time'),
      ...Object.fromEntries(LEDGER_COLUMNS.map((column) => [column.name, columnSchema(column)])),
    })
    .describe('All that the ledger has of it, in the names of `logs --json`'),
});

/** One day: beside these, one member per key, named by its token, with what it spent. */
export const daySummary = z.looseObject({
  startTime: z.iso.date(),
  spend: usd,
  users: z.record(z.string(), usd),
  models: z.record(z.string(), usd),
  unpriced_requests: unpriced,
});

/** The response of `GET /spend/logs`: requests, or sums by day. */
export const logs = z.union([z.array(logRow), z.array(daySummary)]);

const teamDay = z.strictObject({
  group_by_day: z.string().describe('YYYY-MM-DDT00:00:00+00:00'),
  teams: z.array(
    z.strictObject({
      team_name: z.string(),
      total_spend: usd,
      unpriced_requests: unpriced,
      metadata: z
        .array(z.strictObject({ model: z.string().nullable(), api_key: token, spend: usd, total_tokens: tokens }))
        .describe('By model and key'),
    }),
  ),
});

const keyReport = z.strictObject({
  api_key: token,
  total_cost: usd,
  total_input_tokens: tokens,
  total_output_tokens: tokens,
  unpriced_requests: unpriced,
  model_details: z.array(
    z.strictObject({
      model: z.string().nullable(),
      total_cost: usd,
      total_input_tokens: tokens,
      total_output_tokens: tokens,
    }),
  ),
});

/** The response of `GET /global/spend/report`: by team, or by key. */
export const report = z.union([z.array(teamDay), z.array(keyReport)]);

/** The response of `GET /global/spend`. */
export const globalSpend = z.strictObject({
  spend: usd,
  max_budget: z.null().describe('The proxy has none of its own'),
  unpriced_requests: unpriced,
});
/** The response of `GET /global/spend/keys`. */
export const topKeys = z.array(
  z.strictObject({
    api_key: token,
    key_alias: z.string().nullable(),
    key_name: z.string().nullable(),
    total_spend: usd,
    unpriced_requests: unpriced,
  }),
);
/** The response of `GET /global/spend/models`. */
export const topModels = z.array(z.strictObject({ model: z.string(), total_spend: usd, unpriced_requests: unpriced }));

/** The response of `GET /spend/logs/v2`. */
export const logPages = z.strictObject({
  data: z.array(logRow),
  total: z.int().describe('Rows that fit; 10000 if there are more'),
  total_is_capped: z.boolean().describe('Whether there are more'),
  page: z.int(),
  page_size: z.int(),
  total_pages: z.int(),
});
/** The response of `GET /spend/keys`. */
export const spendKeys = z.array(keyRow);
/** The response of `GET /spend/tags`. */
export const spendTags = z.array(
  z.strictObject({
    individual_request_tag: z.string().describe('As in request_tags: name=value, or the name of a tag without value'),
    log_count: z.int(),
    total_spend: usd,
    unpriced_requests: unpriced,
  }),
);
/** The response of `GET /global/spend/tags`. */
export const globalTags = z.strictObject({
  spend_per_tag: z.array(
    z.strictObject({ name: z.string(), spend: usd, log_count: z.int(), unpriced_requests: unpriced }),
  ),
});
/** The response of `GET /global/activity`. */
export const activity = z.strictObject({
  daily_data: z.array(z.strictObject({ date: z.iso.date(), api_requests: z.int(), total_tokens: tokens })),
  sum_api_requests: z.int(),
  sum_total_tokens: tokens,
});
