/**
 * What the key endpoints take and answer, in LiteLLM's field names. Shapes only: what a value means is `key-fields`'
 * business. Everything here is shown in the OpenAPI document.
 */
import { z } from 'zod';
import { isObject, type JsonObject } from '../lib/json.ts';
import { limitRequestSchemas, limitRowSchemas } from './policy-fields.ts';

/** A query parameter, which always comes as text. */
export const queryInteger = (min: number, max: number): z.ZodType<number> =>
  z.preprocess((text) => (/^\d{1,15}$/.test(String(text)) ? Number(text) : text), z.int().min(min).max(max));

const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false, '1': true, '0': false };

/** A switch in a query: `true`, `false`, `1` or `0`, in any case. */
export const queryFlag = (): z.ZodType<boolean> =>
  z.preprocess((text) => FLAGS[String(text).toLowerCase()] ?? text, z.boolean());

const text = z.string().max(1_000);
/** By hash (LiteLLM's `token`), our `key_id`, or the key itself. */
const keyName = z.string().min(1).max(1_000).describe('The token (SHA-256) of the key, its key_id, or the key itself');

/** A JSON object as it came, without a look inside. */
const anyObject = z
  .custom<JsonObject>(isObject, 'expected an object')
  .meta({ type: 'object', additionalProperties: true });

/** What a key may be given. Null takes away; what is absent stays as it is. */
const KEY_FIELDS = {
  key_alias: text.nullish().describe('A name; no two active keys share one'),
  duration: text.nullish().describe('Time to live from now on, such as 30m, 12h or 30d; null or -1: for ever'),
  models: limitRequestSchemas.models,
  max_budget: z.number().nullish().describe('US dollars; what is less than a billionth is rounded up'),
  budget_duration: text
    .nullish()
    .describe('Windows of max_budget: 1d, 7d, 30d and 1mo by the calendar, 12h by length; null: one without end'),
  budget_timezone: text.nullish().describe('Zone of a day, week or month; absent: UTC; null: by length instead'),
  ...limitRequestSchemas.others,
  user_id: text.nullish().describe('Kept as the tag user_id'),
  team_id: text.nullish().describe('Kept as the tag team_id'),
  tags: z.array(text).nullish().describe('name=value, or a bare name; every ledger row of the key has them'),
  metadata: anyObject.nullish().describe('Kept and given back unchanged; at most 16 KB'),
  allowed_routes: z.array(text).nullish().describe('Empty, or llm_api_routes, which is the scope default'),
  key_type: z.enum(['default', 'llm_api']).nullish().describe('Both are the scope default'),
  ...limitRequestSchemas.ours,
  note: text.nullish(),
};
const BLOCKED = { blocked: z.boolean().nullish() };

/** The body of `POST /key/generate`. */
export const generateRequest = z.strictObject({ ...KEY_FIELDS, ...BLOCKED });
/** The body of `POST /key/update`. */
export const updateRequest = z.strictObject({
  key: keyName.nullish(),
  ...KEY_FIELDS,
  ...BLOCKED,
});
const GRACE = {
  grace_period: text.nullish().describe('How long the old key still counts, such as 10m or 24h; absent: not at all'),
};
/** The body of `POST /key/{key}/regenerate`. */
export const regenerateRequest = z.strictObject({ key: keyName.nullish(), ...KEY_FIELDS, ...GRACE });
/** The body of `POST /key/block` and `/key/unblock`. */
export const blockRequest = z.strictObject({ key: keyName });
const names = z.array(z.string().min(1).max(1_000)).max(1_000).nullish();
/** The body of `POST /key/delete`. */
export const deleteRequest = z.strictObject({
  keys: names.describe('Tokens, key_ids or the keys themselves'),
  key_aliases: names,
});
/** The query of `GET /key/info`. */
export const infoQuery = z.strictObject({ key: keyName.optional() });

/** The body of `POST /key/bulk_update`: what is in a member is checked as a body of `/key/update`. */
export const bulkUpdateRequest = z.strictObject({
  keys: z.array(anyObject).min(1).max(500).describe('Each as the body of /key/update'),
});
/** The query of `GET /key/aliases`. */
export const aliasesQuery = z.strictObject({
  page: queryInteger(1, 1_000_000).optional().describe('From 1 on, which is the default'),
  size: queryInteger(1, 100).optional().describe('Aliases per page; default 50'),
  search: text.optional().describe('Part of the alias, in any case'),
  team_id: text.optional(),
});
/** The query of `GET /key/aliases`, as it was checked. */
export type AliasesQuery = z.output<typeof aliasesQuery>;

/** The fields that a key may be given, as they were checked. */
export type KeyFields = Omit<z.output<typeof generateRequest>, 'blocked'>;

/** The query of `GET /key/list`. */
export const listQuery = z.strictObject({
  page: queryInteger(1, 1_000_000).optional().describe('From 1 on, which is the default'),
  size: queryInteger(1, 100).optional().describe('Keys per page; default 10'),
  key_alias: text.optional(),
  substring_matching: queryFlag().optional().describe('Whether key_alias and user_id need only be contained'),
  key_hash: keyName.optional(),
  user_id: text.optional(),
  team_id: text.optional(),
  search: text.optional().describe('Part of alias, key_id, token, user_id or team_id, in any case'),
  status: z
    .enum(['active', 'ending', 'expired', 'blocked', 'revoked'])
    .optional()
    .describe('Absent: all but revoked ones'),
  sort_by: z
    .enum(['created_at', 'updated_at', 'key_alias', 'user_id', 'team_id', 'spend', 'max_budget', 'expires'])
    .optional()
    .describe('Default created_at'),
  sort_order: z.enum(['asc', 'desc']).optional().describe('Default desc'),
  return_full_object: queryFlag().optional().describe('Objects in place of tokens'),
  include_team_keys: queryFlag().optional().describe('Without effect: the master key sees all'),
  include_created_by_keys: queryFlag().optional().describe('Without effect: the master key sees all'),
});

/** The query of `GET /key/list`, as it was checked. */
export type ListQuery = z.output<typeof listQuery>;

const time = z.iso.datetime();
const usd = z.number().nonnegative();
const never = z.null().describe('The proxy has no such thing');
const none = z.strictObject({}).describe('The proxy has no such thing');

const KEY_ROW = {
  token: z.string().describe('Hex SHA-256 of the key'),
  token_id: z.string().describe('The same as token'),
  key_name: z.string().describe('sk-... and the last four characters'),
  key_alias: z.string().nullable(),
  key_id: z.string(),
  access_key_id: z.string().describe('For clients that sign; the secret is the key'),
  status: z.enum(['active', 'ending', 'expired', 'blocked', 'revoked']),
  blocked: z.boolean(),
  expires: time.nullable(),
  models: limitRowSchemas.models,
  max_budget: usd.nullable(),
  budget_duration: z.string().nullable().describe('As it was asked for'),
  budget_timezone: z.string().nullable().describe('Null if the windows are none of the calendar'),
  budget_reset_at: time.nullable().describe('When the present window ends'),
  spend: usd.describe('US dollars in the present window of the budget; without windows, ever'),
  total_spend: usd.describe('US dollars, ever'),
  ...limitRowSchemas.others,
  user_id: z.string().nullable(),
  team_id: z.string().nullable(),
  tags: z.array(z.string()),
  metadata: anyObject,
  allowed_routes: z.array(z.string()).describe('Empty for the scope all'),
  ...limitRowSchemas.ours,
  note: z.string().nullable(),
  created_at: time,
  updated_at: time,
  last_used_at: time.nullable(),
  config: none,
  permissions: none,
  model_max_budget: none,
  soft_budget: never,
  budget_id: never,
  organization_id: never,
  litellm_budget_table: never,
};

/** A key as every response shows it. */
export const keyRow = z.strictObject(KEY_ROW).meta({ title: 'Key' });
/** A key as LiteLLM's clients read it. */
export type KeyRow = z.output<typeof keyRow>;

const still_working = z
  .array(z.string())
  .optional()
  .describe('The key_ids of other keys of this alias that still work: rotated ones in their grace time');

/** Told once: nobody can ask for the key again. */
export const generatedKey = z.strictObject({
  key: z.string(),
  secret_access_key: z.string().describe('The same as key'),
  ...KEY_ROW,
  still_working,
});
/** The response of `POST /key/block` and `/key/unblock`. */
export const blockedKey = z.strictObject({ ...KEY_ROW, still_working });
/** The response of `POST /key/update`. */
export const updatedKey = z.strictObject({ key: z.string().describe('The same as token'), ...KEY_ROW, still_working });
/** The response of `POST /key/bulk_update`: one that fails does not keep the others from being changed. */
export const bulkUpdated = z.strictObject({
  total_requested: z.int(),
  successful_updates: z.array(
    z.strictObject({ key: z.string().describe('As the request named it'), key_info: updatedKey }),
  ),
  failed_updates: z.array(
    z.strictObject({
      key: z.string().describe('As the request named it'),
      key_info: z.null(),
      failed_reason: z.string(),
    }),
  ),
});
/** The response of `GET /key/aliases`. */
export const keyAliases = z.strictObject({
  aliases: z.array(z.string()).describe('Of keys that are not revoked, each once, sorted'),
  total_count: z.int(),
  current_page: z.int(),
  total_pages: z.int(),
  size: z.int(),
});
/** The response of `POST /key/health`. */
export const keyHealth = z.strictObject({
  key: z.literal('healthy').describe('Of any other the answer is a 401'),
  logging_callbacks: z.null().describe('The proxy has no such thing'),
});
/** The response of `GET /key/info`. */
export const keyInfo = z.strictObject({ key: z.string().describe('The token'), info: keyRow });
/** The response of `GET /key/list`. */
export const keyList = z.strictObject({
  keys: z.array(z.union([z.string(), keyRow])).describe('Tokens, or objects with return_full_object'),
  total_count: z.int(),
  current_page: z.int(),
  total_pages: z.int(),
});
/** The response of `POST /key/delete`. */
export const deletedKeys = z.strictObject({
  deleted_keys: z.array(z.string()).describe('As the request named them'),
  still_working,
});

/** LiteLLM's error envelope. */
export const errorEnvelope = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().describe('The status'),
  }),
});
