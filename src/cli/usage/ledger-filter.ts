/**
 * The flags by which `usage` and `logs` choose rows of the ledger and group them, read. Pure but for the clock and the
 * store, which are handed in; every mistake is ERR_BAD_OPTION naming its flag.
 */
import { findDateMs, findDurationMs, TAG_NAME } from '../../keys/policy.ts';
import { looksLikeKey } from '../../keys/secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import { findMeant } from '../../lib/nearest-name.ts';
import { quote } from '../../lib/printable.ts';
import type { LedgerFilter, UsageGrouping } from '../../domain/ledger.ts';
import type { Store } from '../../domain/store.ts';
import { requireKey } from '../key/find-row.ts';
import { GROUPING_NAMES, GROUPINGS } from './groupings.ts';

/** `--since` and `--until` as they were given. */
export interface PeriodInput {
  readonly since: string | undefined;
  readonly until?: string | undefined;
}

type Period = Pick<LedgerFilter, 'sinceMs' | 'untilMs'>;

/** A key id: it stays in the ledger when its key is deleted. */
const KEY_ID = /^vk_[a-z2-7]{16}$/;
const PERIOD_WORDS = 'must be a length of time such as 7d or 12h, a date such as 2030-12-31, or all';

/**
 * `--since` and `--until`: a length of time back from now, a day (UTC; from its first moment, or through its last), a
 * time with its zone, or `all`. `defaultSince` as such a text.
 */
export function readPeriod({ since, until }: PeriodInput, defaultSince: string, nowMs: number): Period {
  const sinceMs = readMoment(since ?? defaultSince, '--since', 'start', nowMs);
  const untilMs = until === undefined ? undefined : readMoment(until, '--until', 'end', nowMs);
  if (sinceMs === undefined || untilMs === undefined || sinceMs < untilMs) return { sinceMs, untilMs };
  throw new ProxyError('ERR_BAD_OPTION', `--since must lie before --until, which ${since ?? defaultSince} does not.`);
}

function readMoment(value: string, flag: string, side: 'start' | 'end', nowMs: number): number | undefined {
  if (value === 'all') return undefined;
  const backMs = findDurationMs(value);
  const momentMs = backMs === undefined ? findDateMs(value, side) : nowMs - backMs;
  if (momentMs !== undefined) return momentMs;
  throw new ProxyError('ERR_BAD_OPTION', `${flag} ${PERIOD_WORDS}, not ${JSON.stringify(value)}.`);
}

/** `--status`: `429`, `4xx` or `400-499`. */
export function readStatus(value: string | undefined): readonly [from: number, to: number] | undefined {
  if (value === undefined) return undefined;
  const text = value.toLowerCase();
  if (/^[1-5]xx$/.test(text)) return [Number(text[0]) * 100, Number(text[0]) * 100 + 99];
  const [, from = '', to = from] = /^([1-9]\d\d)(?:-([1-9]\d\d))?$/.exec(text) ?? [];
  if (from !== '' && Number(from) <= Number(to)) return [Number(from), Number(to)];
  throw new ProxyError('ERR_BAD_OPTION', `--status must be like 429, 4xx or 400-499, not ${JSON.stringify(value)}.`);
}

/** `--by`: one or several of them, with commas. Throws ERR_BAD_OPTION. */
export function parseGroupings(value: string): readonly UsageGrouping[] {
  const groupings = value.split(',').map((name) => parseGrouping(name.trim()));
  if (new Set(groupings).size === groupings.length) return groupings;
  throw new ProxyError('ERR_BAD_OPTION', `--by must not name a group twice, as ${quote(value)} does.`);
}

function parseGrouping(name: string): UsageGrouping {
  const known = GROUPINGS.find((grouping) => grouping === name);
  if (known !== undefined) return known;
  const [, tag = ''] = /^tag:(.+)$/su.exec(name) ?? [];
  if (TAG_NAME.test(tag)) return `tag:${tag}`;
  const meant = findMeant(name, GROUPINGS);
  const hint = meant === undefined ? {} : { hint: `Did you mean --by ${meant}?` };
  throw new ProxyError('ERR_BAD_OPTION', `--by must be of ${GROUPING_NAMES}, not ${quote(name)}.`, hint);
}

/**
 * What `--key` names: a key, or whom `usage` shows among them without one, `anonymous` and `master`. Of all keys that
 * ever had the alias, because a rotated key goes on under it. Throws ERR_BAD_REQUEST if there is none.
 */
export async function readKeyFilter(
  value: string | undefined,
  store: Store,
): Promise<Pick<LedgerFilter, 'keyIds' | 'principal'>> {
  if (value === undefined) return {};
  const aliased = looksLikeKey(value) ? [] : await store.findKeys({ aliases: [value] });
  if (aliased.length > 0) return { keyIds: aliased.map(({ id }) => id) };
  if (value === 'anonymous' || value === 'master') return { principal: value };
  return { keyIds: KEY_ID.test(value) ? [value] : [(await requireKey(store, value)).id] };
}
