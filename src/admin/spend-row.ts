/**
 * A row of our ledger as a row of LiteLLM's spend logs, and the names that keys have there. Pure but for the look-up of
 * names.
 */
import { setImmediate } from 'node:timers/promises';
import { rowToJson } from '../domain/ledger-columns.ts';
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { KeyStore, LedgerStore } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import type { z } from 'zod';
import { isoTime } from '../lib/format.ts';
import { listTags } from './key-row.ts';
import { toUsd } from '../lib/usd.ts';
import type { logRow } from './spend-schemas.ts';
import { sumInput } from '../domain/usage.ts';
import { sum } from './spend-tally.ts';

/** Each piece costs some milliseconds in which nothing else is served. */
const PIECE_KEYS = 500;
const PAGE_ROWS = 500;

/** Keys by id. One that was deleted is not there. */
export type KeysById = ReadonlyMap<string, VirtualKeyRow>;

/** Those of these ids. Lets the event loop go on between two pieces. */
export async function findKeysById(store: KeyStore, ids: Iterable<string>): Promise<KeysById> {
  const found = new Map<string, VirtualKeyRow>();
  const wanted = [...new Set(ids)];
  for (let from = 0; from < wanted.length; from += PIECE_KEYS) {
    if (from > 0) await setImmediate();
    for (const row of await store.findKeys({ ids: wanted.slice(from, from + PIECE_KEYS) })) found.set(row.id, row);
  }
  return found;
}

/** What rows are counted under that name a key or a caller without one: `nameOfKey` before keys are looked up. */
export function ownerOf({ keyId, principal }: Pick<LedgerEntry, 'keyId' | 'principal'>): string {
  return keyId ?? principal;
}

/** LiteLLM's `api_key` of an owner: the hash; the id of a key that was deleted; `master` or `anonymous`. */
export function nameOfOwner(owner: string, keys: KeysById): string {
  return keys.get(owner)?.keySha256 ?? owner;
}

/**
 * At most `limit` rows, newest first. Session and tags are looked at here, page by page: the event loop goes on between
 * two pages, however few rows have them.
 */
export async function readLastRows(
  store: LedgerStore,
  { tags = {}, session, ...filter }: LedgerFilter,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<LedgerEntry[]> {
  const found: LedgerEntry[] = [];
  for (let edge = before; ; await setImmediate()) {
    const page = await store.readLedgerBackwards(filter, { before: edge, limit: PAGE_ROWS });
    const ofSession = session === undefined ? page : page.filter((row) => row.session === session);
    found.push(...ofSession.filter((row) => Object.entries(tags).every(([name, value]) => row.tags[name] === value)));
    if (found.length >= limit || page.length < PAGE_ROWS) return found.slice(0, limit);
    edge = page.at(-1)?.sequence;
  }
}

/** Whether the client got no good response, or one that failed on the way. */
export function isFailure({ status, errorCode }: LedgerEntry): boolean {
  return status === undefined || status >= 400 || errorCode !== undefined;
}

/** A row of the ledger as LiteLLM's spend logs have one. Money is dollars, as a float; null if nobody knows. */
export function describeRow(row: LedgerEntry, keys: KeysById): z.output<typeof logRow> {
  const { usage } = row;
  const promptTokens = sumInput(usage);
  const { startedAtMs, firstByteMs, totalMs } = row;
  return {
    request_id: row.id,
    call_type: row.operation ?? null,
    api_key: nameOfOwner(ownerOf(row), keys),
    spend: row.pricing === 'unpriced' || row.costNanoUsd === undefined ? null : toUsd(row.costNanoUsd),
    total_tokens: sum(promptTokens, usage?.outputTokens) ?? null,
    prompt_tokens: promptTokens ?? null,
    completion_tokens: usage?.outputTokens ?? null,
    startTime: new Date(startedAtMs).toISOString(),
    completionStartTime: firstByteMs === undefined ? null : isoTime(Math.round(startedAtMs + firstByteMs)),
    endTime: totalMs === undefined ? null : isoTime(Math.round(startedAtMs + totalMs)),
    model: row.model ?? null,
    custom_llm_provider: 'bedrock',
    user: row.tags['user_id'] ?? '',
    team_id: row.tags['team_id'] ?? null,
    end_user: row.tags['end_user'] ?? '',
    session_id: row.session ?? null,
    cache_hit: 'False',
    request_tags: listTags(row.tags),
    status: isFailure(row) ? 'failure' : 'success',
    // All that the ledger has of it, in the names of `logs --json`.
    metadata: { sequence: row.sequence, user_api_key_alias: row.keyLabel, ...rowToJson(row) },
  };
}
