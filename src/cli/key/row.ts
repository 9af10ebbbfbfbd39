/**
 * A key as the commands show it, never the key itself: as JSON of a stable shape, and in words. Pure.
 */
import { findKeyEnd, findKeyState } from '../../keys/state.ts';
import { hasWindows } from '../../keys/budget.ts';
import { describePolicy, policyToJson } from '../../keys/limits.ts';
import { maskKey } from '../../keys/secret.ts';
import type { Budget, VirtualKeyRow } from '../../domain/key.ts';
import type { KeySpend } from '../../domain/budget.ts';
import { exactUsd, formatUsd } from '../../lib/usd.ts';
import { formatAge, formatSpan, formatTag, formatTime, isoTime } from '../../lib/format.ts';

type Field = readonly [name: string, value: string];

/** Without spend where it was not looked up. */
export function keyToJson(row: VirtualKeyRow, spend: KeySpend | undefined, nowMs: number): object {
  return {
    id: row.id,
    alias: row.alias ?? null,
    key_name: maskKey(row.lastFour),
    access_key_id: row.accessKeyId,
    created_at: isoTime(row.createdAtMs),
    updated_at: isoTime(row.updatedAtMs),
    last_used_at: isoTime(row.lastUsedAtMs),
    state: findKeyState(row, nowMs),
    ends_at: isoTime(findKeyEnd(row)),
    ...limitsToJson(row),
    ...(spend === undefined ? {} : { spend: spendToJson(row.policy.budget, spend) }),
  };
}

/** What was given to a key: expiry, limits, tags, note. Money in dollars, as decimal text. */
export function limitsToJson({
  expiresAtMs,
  policy,
  tags,
  note,
}: Pick<VirtualKeyRow, 'expiresAtMs' | 'policy' | 'tags' | 'note'>): object {
  return { expires_at: isoTime(expiresAtMs), ...policyToJson(policy), tags, note: note ?? null };
}

function spendToJson(budget: Budget | undefined, spend: KeySpend): object {
  const leftNanoUsd = findLeft(budget, spend);
  return {
    total_usd: exactUsd(spend.totalNanoUsd),
    window_usd: exactUsd(spend.windowNanoUsd),
    reserved_usd: exactUsd(spend.reservedNanoUsd),
    left_usd: leftNanoUsd === undefined ? null : exactUsd(leftNanoUsd),
    resets_at: isoTime(spend.resetsAtMs),
  };
}

/** What may still be spent; undefined without a budget. An overspent one has nothing left. */
function findLeft(budget: Budget | undefined, spend: KeySpend): number | undefined {
  if (budget === undefined) return undefined;
  return Math.max(0, budget.limitNanoUsd - spend.windowNanoUsd - spend.reservedNanoUsd);
}

/** `active`, `active (29 d left)`, `ending (in 9 min)`; `expired`, `blocked` and `revoked` with the time since when. */
function describeState(row: VirtualKeyRow, nowMs: number): string {
  const state = findKeyState(row, nowMs);
  if (state === 'ending') return `ending (in ${formatSpan((row.endsAtMs ?? nowMs) - nowMs)})`;
  if (state === 'active' && row.expiresAtMs !== undefined)
    return `active (${formatSpan(row.expiresAtMs - nowMs)} left)`;
  if (state === 'active') return state;
  return `${state} (since ${formatTime(state === 'blocked' ? row.blockedAtMs : findKeyEnd(row))})`;
}

/** The same for a narrow column: `active 29 d`, `ending 9 min`. */
export function shortState(row: VirtualKeyRow, nowMs: number): string {
  const state = findKeyState(row, nowMs);
  const endsAtMs = findKeyEnd(row);
  const isRunning = state === 'active' || state === 'ending';
  return isRunning && endsAtMs !== undefined ? `${state} ${formatSpan(endsAtMs - nowMs)}` : state;
}

/** The limits a key has, in the words of the flags that set them; those it does not have are left out. */
export function describeLimits({
  expiresAtMs,
  policy,
  tags,
  note,
}: Pick<VirtualKeyRow, 'expiresAtMs' | 'policy' | 'tags' | 'note'>): Field[] {
  const tagged = Object.entries(tags).map(formatTag);
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['expires', expiresAtMs === undefined ? undefined : formatTime(expiresAtMs)],
    ...describePolicy(policy),
    ['tags', tagged.length === 0 ? undefined : tagged.join(', ')],
    ['note', note],
  ];
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

/** Everything about a key, for `key show`. */
export function describeKey(row: VirtualKeyRow, spend: KeySpend, nowMs: number): Field[] {
  const { policy } = row;
  return [
    ['id', row.id],
    ['alias', row.alias ?? '-'],
    ['key', maskKey(row.lastFour)],
    ['access key id', row.accessKeyId],
    ['state', describeState(row, nowMs)],
    ['created', formatTime(row.createdAtMs)],
    ...(row.updatedAtMs > row.createdAtMs ? [['updated', formatTime(row.updatedAtMs)] as const] : []),
    ['last used', formatAge(row.lastUsedAtMs, nowMs)],
    ...(policy.scope === 'default' ? [['scope', 'default (calls models and agents, reads the rest)'] as const] : []),
    ...describeLimits(row),
    ...describeSpend(policy.budget, spend, nowMs),
  ];
}

function describeSpend(budget: Budget | undefined, spend: KeySpend, nowMs: number): Field[] {
  const { totalNanoUsd, windowNanoUsd, reservedNanoUsd, resetsAtMs } = spend;
  const fields: Field[] = [];
  if (hasWindows(budget)) fields.push(['spent', `${formatUsd(windowNanoUsd)} in this window`]);
  fields.push([hasWindows(budget) ? 'spent in all' : 'spent', formatUsd(totalNanoUsd)]);
  if (reservedNanoUsd > 0) fields.push(['reserved', `${formatUsd(reservedNanoUsd)} for requests under way`]);
  const leftNanoUsd = findLeft(budget, spend);
  if (leftNanoUsd !== undefined) fields.push(['left', formatUsd(leftNanoUsd)]);
  if (resetsAtMs !== undefined) {
    fields.push(['resets', `${formatTime(resetsAtMs)} (in ${formatSpan(resetsAtMs - nowMs)})`]);
  }
  return fields;
}
