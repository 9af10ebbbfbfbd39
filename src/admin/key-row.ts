/**
 * Writes our row of a key with LiteLLM's fields. Pure. Our rows have whole nano-dollars, LiteLLM has dollars as floats.
 * Never shows the key itself.
 */
import { formatTag, isoTime } from '../lib/format.ts';
import { toUsd } from '../lib/usd.ts';
import { findKeyEnd, findKeyState } from '../keys/state.ts';
import { maskKey } from '../keys/secret.ts';
import type { KeySpend } from '../domain/budget.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import { toBudgetFields } from './budget-fields.ts';
import { toLimitFields } from './policy-fields.ts';
import type { KeyRow } from './schemas.ts';

/** Tags that are fields of their own here. */
export const FIELD_TAGS = ['user_id', 'team_id'] as const;

/** A key as LiteLLM shows one, with what we have beyond that. */
export function toLiteLlmKey(row: VirtualKeyRow, spend: KeySpend | undefined, nowMs: number): KeyRow {
  const { policy, tags } = row;
  const limits = toLimitFields(policy);
  return {
    ...describeIdentity(row, nowMs),
    models: limits.models,
    ...toBudgetFields(policy.budget),
    budget_reset_at: isoTime(spend?.resetsAtMs),
    spend: toUsd(spend?.windowNanoUsd ?? 0),
    total_spend: toUsd(spend?.totalNanoUsd ?? 0),
    ...limits.others,
    user_id: tags['user_id'] ?? null,
    team_id: tags['team_id'] ?? null,
    tags: listTags(tags),
    metadata: row.metadata,
    allowed_routes: policy.scope === 'all' ? [] : ['llm_api_routes'],
    ...limits.ours,
    note: row.note ?? null,
    config: {},
    permissions: {},
    model_max_budget: {},
    soft_budget: null,
    budget_id: null,
    organization_id: null,
    litellm_budget_table: null,
  };
}

function describeIdentity(
  row: VirtualKeyRow,
  nowMs: number,
): Pick<
  KeyRow,
  | 'token'
  | 'token_id'
  | 'key_name'
  | 'key_alias'
  | 'key_id'
  | 'access_key_id'
  | 'status'
  | 'blocked'
  | 'expires'
  | 'created_at'
  | 'updated_at'
  | 'last_used_at'
> {
  return {
    token: row.keySha256,
    token_id: row.keySha256,
    key_name: showKeyName(row),
    key_alias: row.alias ?? null,
    key_id: row.id,
    access_key_id: row.accessKeyId,
    status: findKeyState(row, nowMs),
    blocked: row.blockedAtMs !== undefined,
    expires: isoTime(findKeyEnd(row)),
    created_at: new Date(row.createdAtMs).toISOString(),
    updated_at: new Date(row.updatedAtMs).toISOString(),
    last_used_at: isoTime(row.lastUsedAtMs),
  };
}

/** `sk-...` and the last four characters, in plain ASCII as LiteLLM writes it. */
export function showKeyName({ lastFour }: Pick<VirtualKeyRow, 'lastFour'>): string {
  return maskKey(lastFour).replace('…', '...');
}

/** Tags as LiteLLM lists them, without those that are fields. */
export function listTags(tags: Readonly<Record<string, string>>): string[] {
  return Object.entries(tags)
    .filter(([name]) => !FIELD_TAGS.some((field) => field === name))
    .map(formatTag);
}
