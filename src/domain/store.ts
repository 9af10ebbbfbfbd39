/**
 * What the program keeps, as an interface: virtual keys with what they may do, the money they have spent, and one row per
 * request. Asynchronous, so that a database server can stand behind it later; SQLite (`sqlite.ts`) stands behind it now.
 * Types only. Times are epoch milliseconds, money is whole nano-dollars (USD).
 */
import type { Usage } from './usage.ts';

/** What a key may do. A limit that is undefined does not exist; an empty list allows everything. */
export interface KeyPolicy {
  /** Glob patterns (`*` any characters) of model names; see `admission/models.ts`. */
  readonly models: readonly string[];
  /** `default`: data plane, and what only reads of the control plane. */
  readonly scope: 'default' | 'all';
  /** Glob patterns of region names. */
  readonly regions: readonly string[];
  readonly budget: Budget | undefined;
  /** Whether a key with a budget may use what has no known price. */
  readonly allowUnpriced: boolean;
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  readonly maxParallel: number | undefined;
}

export interface Budget {
  readonly limitNanoUsd: number;
  /** Length of the windows that follow each other from `anchorMs` on; undefined: one window without end. */
  readonly windowMs: number | undefined;
  readonly anchorMs: number;
}

/** A virtual key at rest: never the key itself. */
export interface VirtualKeyRow {
  /** `vk_` and 16 lower-case characters; safe to show. */
  readonly id: string;
  readonly alias: string | undefined;
  /** Hex SHA-256 of the key. */
  readonly keySha256: string;
  /** The last four characters of the key, for people to recognise it. */
  readonly lastFour: string;
  /** 20 characters, upper case and digits; AWS's own ids never start like ours. */
  readonly accessKeyId: string;
  /** The key itself, sealed with AES-256-GCM under the server secret: SigV4 verification needs it again. */
  readonly sealedKey: Buffer;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly lastUsedAtMs: number | undefined;
  /** From here on it is over, whatever the clock does later. */
  readonly revokedAtMs: number | undefined;
  /** Set where it was rotated with a grace time: it is over as soon as the clock says so. */
  readonly endsAtMs: number | undefined;
  /** Set where it was given a time to live: it is over as soon as the clock says so. */
  readonly expiresAtMs: number | undefined;
  /** Set while it is blocked. */
  readonly blockedAtMs: number | undefined;
  readonly policy: KeyPolicy;
  /** Names and values that every ledger row of the key carries. */
  readonly tags: Readonly<Record<string, string>>;
  readonly note: string | undefined;
  /** What a caller of the admin API wants back unchanged; a JSON object. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export type NewVirtualKeyRow = Omit<
  VirtualKeyRow,
  'lastUsedAtMs' | 'revokedAtMs' | 'endsAtMs' | 'blockedAtMs' | 'updatedAtMs'
>;

/** What can be changed of a key; what is absent stays. `undefined` as a value takes away. */
export type KeyChanges = Partial<
  Pick<VirtualKeyRow, 'alias' | 'expiresAtMs' | 'blockedAtMs' | 'policy' | 'tags' | 'note' | 'metadata'>
>;

/** What keys may be called; a key that fits any of it is meant. */
export interface KeyNames {
  readonly ids?: readonly string[] | undefined;
  /** Several keys may have one alias: of those only one is active. */
  readonly aliases?: readonly string[] | undefined;
  /** Not empty. */
  readonly aliasPrefix?: string | undefined;
}

/** What a key has spent, together with those it was rotated from: they share one purse. */
export interface KeySpend {
  /** Since it was made, over all windows. */
  readonly totalNanoUsd: number;
  /** In the present window of its budget; the same as the total where it has no windows. */
  readonly windowNanoUsd: number;
  /** Held back for requests that are under way. */
  readonly reservedNanoUsd: number;
  /** End of the present window; undefined where it has none. */
  readonly resetsAtMs: number | undefined;
}

/** Money held back for one request that is about to be sent. */
export interface NewReservation {
  /** The id of the exchange. */
  readonly id: string;
  readonly keyId: string;
  readonly amountNanoUsd: number;
  readonly budget: Budget;
  readonly nowMs: number;
  /** What the ledger is to say of the request if this process dies before it settles. */
  readonly ifLost: LedgerRow;
}

/** `held`: all would be well if what is held back for others were not spent, so that another try may succeed. */
export type ReserveOutcome =
  | { readonly kind: 'reserved' }
  | { readonly kind: 'held' | 'exhausted'; readonly spend: KeySpend };

/** One request in the ledger. */
export interface LedgerRow {
  /** The id of the exchange. */
  readonly id: string;
  readonly startedAtMs: number;
  readonly principal: 'key' | 'master' | 'anyone';
  /** Set for `key`. */
  readonly keyId: string | undefined;
  /** Alias or masked key, as it was at the time. */
  readonly keyLabel: string;
  readonly service: string | undefined;
  readonly operation: string | undefined;
  readonly region: string | undefined;
  /** As the request named it, percent-decoded. */
  readonly model: string | undefined;
  /** Status sent to the client; undefined where none was. */
  readonly status: number | undefined;
  /** `ERR_…` of the proxy, or AWS's error type; undefined where nothing failed. */
  readonly errorCode: string | undefined;
  readonly upstreamRequestId: string | undefined;
  /** Undefined where nothing was reported. */
  readonly usage: Usage | undefined;
  readonly serviceTier: string | undefined;
  /** `free`: known to cost nothing. `unpriced`: nobody knows what it cost. */
  readonly pricing: 'priced' | 'unpriced' | 'free';
  /** Set for `priced` (of a partial row: of what was seen) and `free` (0). */
  readonly costNanoUsd: number | undefined;
  /** What the key's budget was charged: the cost, or an estimate where it is not known in full. */
  readonly chargedNanoUsd: number;
  /** The usage is not all: the client left, the answer broke off, or the proxy died. */
  readonly partial: boolean;
  readonly firstByteMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly tags: Readonly<Record<string, string>>;
  /** `boto3`, `claude-code`, …; undefined where the user agent is none we know. */
  readonly userAgentFamily: string | undefined;
}

/** A row of the ledger in its place. */
export interface LedgerEntry extends LedgerRow {
  /** Grows with every row; rows appear in its order. */
  readonly sequence: number;
}

export interface LedgerFilter {
  readonly sinceMs?: number | undefined;
  /** Not included. */
  readonly untilMs?: number | undefined;
  readonly keyIds?: readonly string[] | undefined;
  readonly id?: string | undefined;
  /** Inclusive; `[400, 499]` for 4xx. */
  readonly status?: readonly [from: number, to: number] | undefined;
  readonly model?: string | undefined;
  readonly operation?: string | undefined;
}

export type UsageGrouping = 'key' | 'model' | 'day' | 'operation' | 'region' | 'tag';

/** Sums over rows. A token count is of those rows that reported it. */
export interface UsageTotals {
  readonly requests: number;
  /** Status 400 and above, and those that got none. */
  readonly errors: number;
  readonly unpriced: number;
  readonly partial: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** Of priced rows. */
  readonly costNanoUsd: number;
  /** What budgets were charged beyond that: estimates of what is not known. */
  readonly estimatedNanoUsd: number;
}

export interface UsageGroup extends UsageTotals {
  /** Key id, model, `YYYY-MM-DD` (UTC), operation, region or `name=value`; undefined for rows that have none. */
  readonly name: string | undefined;
  /** Only for `key`: the label of its last row. */
  readonly label: string | undefined;
}

/** Every method throws ProxyError ERR_STORE_UNAVAILABLE where the store cannot answer. */
export interface Store {
  /** The key with this hash, revoked ones included, as of now: a change made by another process is seen at once. */
  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined>;
  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined>;
  /** True where any key was ever made: a revoked or deleted key does not open the proxy again. */
  hasAnyKey(): Promise<boolean>;
  /** Throws ERR_BAD_REQUEST where an active key has the same alias. */
  insertKey(row: NewVirtualKeyRow): Promise<void>;
  /**
   * Stores `successor` and ends the key it follows, both or neither: at `endsAtMs`, or at once where that is undefined. What the
   * old one has spent of its budget goes over to the new one. Throws ERR_BAD_REQUEST where that key has an end already.
   */
  rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void>;
  /**
   * Keys that are not deleted, oldest first: all of them, or at most `limit` of those that come after the key with the id
   * `after`. A hundred thousand at once keep everything else waiting for a second.
   */
  listKeys(page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]>;
  /** Those of them that are called one of these; revoked ones included, oldest first. */
  findKeys(names: KeyNames): Promise<VirtualKeyRow[]>;
  /** Marks a key revoked; the time of an earlier revocation stays. */
  revokeKey(id: string, revokedAtMs: number): Promise<void>;
  /** The row as it is then; undefined where there is no such key. Throws ERR_BAD_REQUEST where an active key has the alias. */
  updateKey(id: string, changes: KeyChanges, updatedAtMs: number): Promise<VirtualKeyRow | undefined>;
  /** Takes a key away for good, its secret first of all; what it did stays in the ledger. False where there is no such key. */
  deleteKey(id: string, deletedAtMs: number): Promise<boolean>;
  /** Notes that a key was used. Written later and in groups: never waits for the disk. */
  touchKey(id: string, usedAtMs: number): void;

  /** What keys have spent, by id; for a key that never spent, zeros. */
  findSpend(rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[], nowMs: number): Promise<Map<string, KeySpend>>;
  /**
   * Holds back money where the budget has that much left, in one transaction: whatever runs at the same time, in whichever
   * process, spent and held back never exceed the budget.
   */
  reserve(reservation: NewReservation): Promise<ReserveOutcome>;
  /**
   * Writes the row, books what it was charged and gives back what was held back under its id, all or nothing, and within the
   * present turn of the event loop unless the database is busy. A row that is there already (the reservation was thought
   * lost) is replaced, and its charge corrected.
   */
  settle(row: LedgerRow): Promise<void>;
  /** The same for several at once, in one transaction: all of them, or none. */
  settleAll(rows: readonly LedgerRow[]): Promise<void>;
  /** Tells that this process still works on its reservations: those of which nobody tells so any more count as lost. */
  keepReservations(nowMs: number): Promise<void>;
  /** Settles lost reservations as their `ifLost` says, charged in full. The number of them. */
  settleLost(nowMs: number): Promise<number>;

  /** Rows with a sequence above `after`, oldest first, at most `limit`. */
  readLedger(filter: LedgerFilter, page: { readonly after: number; readonly limit: number }): Promise<LedgerEntry[]>;
  /** The last `limit` rows, newest first. */
  readLedgerBackwards(
    filter: LedgerFilter,
    page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]>;
  /** Sums by group, the most expensive first (days: oldest first), and over all. */
  sumUsage(
    filter: LedgerFilter,
    by: UsageGrouping,
  ): Promise<{ readonly groups: UsageGroup[]; readonly total: UsageTotals }>;
  /** Deletes at most `maxRows` of the rows that are older; the number of them. */
  pruneLedger(beforeMs: number, maxRows: number): Promise<number>;

  /** Writes what is still to be written and closes the files. */
  close(): Promise<void>;
}
