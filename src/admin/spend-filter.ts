/**
 * Which rows of the ledger a spend endpoint is asked about, read from its query.
 */
import { findDateMs } from '../keys/policy.ts';
import type { LedgerFilter } from '../domain/ledger.ts';
import type { KeyStore } from '../domain/store.ts';
import { AdminError, keyNotFound } from './envelope.ts';
import { findKey } from './key-lookup.ts';

const MAX_RANGE_MS = 400 * 86_400_000;
/** As LiteLLM's dashboard writes it, in UTC. */
const UTC_TIME = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})(:\d{2})?$/;

/** A last day is included. Throws AdminError naming the parameter. */
export function readRange(start: string | undefined, end: string | undefined): { sinceMs?: number; untilMs?: number } {
  const sinceMs = readDate(start, 'start_date', 'start');
  const untilMs = readDate(end, 'end_date', 'end');
  if (sinceMs !== undefined && untilMs !== undefined) {
    if (untilMs <= sinceMs) throw new AdminError('end_date must not lie before start_date.', { param: 'end_date' });
    if (untilMs - sinceMs > MAX_RANGE_MS) {
      throw new AdminError('The dates must lie at most 400 days apart.', { param: 'end_date' });
    }
  }
  return { ...(sinceMs === undefined ? {} : { sinceMs }), ...(untilMs === undefined ? {} : { untilMs }) };
}

function readDate(text: string | undefined, param: string, side: 'start' | 'end'): number | undefined {
  if (text === undefined) return undefined;
  const [, day, time, seconds] = UTC_TIME.exec(text) ?? [];
  if (day === undefined) {
    const dateMs = findDateMs(text, side);
    if (dateMs !== undefined) return dateMs;
  } else {
    const timeMs = findDateMs(`${day}T${time}${seconds ?? ':00'}Z`, side);
    // The last second, or minute, is included, as the last day is.
    if (timeMs !== undefined) return side === 'start' ? timeMs : timeMs + (seconds === undefined ? 60_000 : 1_000);
  }
  throw new AdminError(
    `${param} must be a day such as 2030-12-31, a time of UTC such as 2030-12-31 23:59:59, or one with its zone.`,
    { param },
  );
}

/** The filter for the tags that were asked for. */
export function tagFilter(asked: Record<string, string | undefined>): Pick<LedgerFilter, 'tags'> {
  const tags = Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return tags.length === 0 ? {} : { tags: Object.fromEntries(tags) };
}

/** The filter for a named key. One that was deleted is found by its id only: its hash is gone. */
export async function readKey(named: string | undefined, store: KeyStore): Promise<{ keyIds?: string[] }> {
  if (named === undefined) return {};
  const id = (await findKey(named, store))?.id ?? (named.startsWith('vk_') ? named : undefined);
  if (id !== undefined) return { keyIds: [id] };
  throw keyNotFound(named, 'api_key');
}
