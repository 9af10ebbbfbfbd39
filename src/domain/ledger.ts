/**
 * The ledger: one row per request, and what rows add up to. Types only. Times are epoch milliseconds, money is whole
 * nano-dollars (USD).
 */
import type { Usage } from './usage.ts';

/** One request in the ledger, or several that were refused for the same reason. */
export interface LedgerRow {
  /** The id of the request, or of the first. */
  readonly id: string;
  /** How many requests it stands for; only of refused ones more than 1. */
  readonly requests: number;
  readonly startedAtMs: number;
  readonly principal: 'key' | 'master' | 'anonymous';
  /** Set for `key`. */
  readonly keyId: string | undefined;
  /** Alias or masked key, as it was at the time. */
  readonly keyLabel: string;
  readonly service: string | undefined;
  readonly operation: string | undefined;
  readonly region: string | undefined;
  /** The name of the upstream that responded, or was asked last, and how many attempts were made; undefined: of one. */
  readonly upstream: string | undefined;
  readonly attempts: number | undefined;
  /** As the request named it, percent-decoded; of an alias, what was sent in its place. */
  readonly model: string | undefined;
  /** The alias by which the request named it; undefined if it was none. */
  readonly modelAlias: string | undefined;
  /** ARN of the application inference profile that was sent in place of the model; undefined if none was. */
  readonly inferenceProfile: string | undefined;
  /** Status sent to the client; undefined if none was. */
  readonly status: number | undefined;
  /** `ERR_…` of the proxy, or AWS's error type; undefined if nothing failed. */
  readonly errorCode: string | undefined;
  /** What the error said, to whoever called; printable, bounded and without secrets. Never part of an answer. */
  readonly errorMessage: string | undefined;
  /** Of requests that failed; the raw path without its query, bounded, keys masked. */
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly upstreamRequestId: string | undefined;
  /** Undefined if nothing was reported. */
  readonly usage: Usage | undefined;
  readonly serviceTier: string | undefined;
  /** A session of the client's, and an agent in it, if it named one. */
  readonly session: string | undefined;
  readonly agent: string | undefined;
  /** `free`: known to cost nothing. `unpriced`: its cost is unknown. */
  readonly pricing: 'priced' | 'unpriced' | 'free';
  /** Set for `priced` (of a partial row: of what was seen) and `free` (0). */
  readonly costNanoUsd: number | undefined;
  /** Who told the price, such as `aws`; undefined if it is not priced. */
  readonly priceSource: string | undefined;
  /** What the key's budget was charged: the cost, or an estimate if that is not known in full. */
  readonly chargedNanoUsd: number;
  /** The usage is not all: the client left, the response broke off, or the proxy died. */
  readonly partial: boolean;
  readonly firstByteMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** `cassette` if a recording was played, and nothing was sent: the cost is what it would have been. */
  readonly source: 'cassette' | undefined;
  /** The fault that was injected, such as `throttle#3`; undefined if none was. */
  readonly fault: string | undefined;
  /** What became of the cache of its prompt, in the cache doctor's words; undefined if nobody looked. */
  readonly cacheVerdict: string | undefined;
  /** What was paid more because the cache was not read; undefined: nothing, or nobody knows. */
  readonly cacheLostNanoUsd: number | undefined;
  /** Those of the key at that time, and those that the client named for this request. */
  readonly tags: Readonly<Record<string, string>>;
  /** `boto3`, `claude-code`, …; undefined if the user agent is none we know. */
  readonly userAgent: string | undefined;
}

/** A row of the ledger and its position. */
export interface LedgerEntry extends LedgerRow {
  /** Grows with every row; rows appear in its order. */
  readonly sequence: number;
}

/** Which rows match; an absent field excludes none. */
export interface LedgerFilter {
  readonly sinceMs?: number | undefined;
  /** Not included. */
  readonly untilMs?: number | undefined;
  readonly keyIds?: readonly string[] | undefined;
  readonly principal?: LedgerRow['principal'] | undefined;
  readonly id?: string | undefined;
  /** Inclusive; `[400, 499]` for 4xx. */
  readonly status?: readonly [from: number, to: number] | undefined;
  readonly model?: string | undefined;
  readonly operation?: string | undefined;
  readonly session?: string | undefined;
  /** Tags that a row has, each with its value. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
}

/**
 * What rows are grouped by. `tier`: the service tier, `default` if AWS was asked for none and named none. `source`: who
 * told the price. `client`: the user agent. `tag`: each tag of a row, as `name=value`; `tag:NAME`: the value of that
 * one.
 */
export type UsageGrouping =
  | 'key'
  | 'principal'
  | 'model'
  | 'day'
  | 'operation'
  | 'region'
  | 'upstream'
  | 'tier'
  | 'source'
  | 'client'
  | 'session'
  | 'agent'
  | 'tag'
  | `tag:${string}`;

/** Which rows are added up, and how they are grouped. */
export interface UsageQuery {
  readonly filter: LedgerFilter;
  /** A group for each combination of these; at least one. */
  readonly by: readonly UsageGrouping[];
  /** Only so many groups, the first ones; all of them if undefined. What all add up to is told in any case. */
  readonly limit?: number | undefined;
}

/** What a query of usage adds up to. */
export interface UsageSums {
  /** Grouped by one thing: the most expensive first, days the oldest first. By several: in no order. */
  readonly groups: UsageGroup[];
  readonly total: UsageTotals;
}

/** Sums over rows. A token count is of those rows that reported it; undefined if none did. */
export interface UsageTotals {
  readonly requests: number;
  /** Status 400 and above, and those that got none. */
  readonly errors: number;
  readonly unpriced: number;
  readonly partial: number;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  readonly cacheReadTokens: number | undefined;
  readonly cacheWriteTokens: number | undefined;
  /** Of priced rows. */
  readonly costNanoUsd: number;
  /** What budgets were charged beyond that: estimates of what is not known. */
  readonly estimatedNanoUsd: number;
}

/** Sums over the rows of one group. */
export interface UsageGroup extends UsageTotals {
  /** One for each grouping: a key id, a day as `YYYY-MM-DD` (UTC), …; undefined for rows that have none. */
  readonly names: readonly (string | undefined)[];
  /** Only by `key`, alone or with others: the label of its last row. */
  readonly label: string | undefined;
}
