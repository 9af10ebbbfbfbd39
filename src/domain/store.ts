/**
 * What a store must do, whatever it is made of: three interfaces, and the suite of test/contract/ that says the same in
 * tests. Types, and one bound. Times are epoch milliseconds, money is whole nano-dollars (USD). Every method throws
 * ERR_STORE_UNAVAILABLE if the store cannot respond.
 */
import type { KeySpend, NewReservation, ReserveOutcome } from './budget.ts';
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from './key.ts';
import type { LedgerEntry, LedgerFilter, LedgerRow, UsageQuery, UsageSums } from './ledger.ts';

/** For so long a process may not see what another one of its machine has done to a key. */
export const MAX_KEY_AGE_MS = 50;
/** The same of a process of any machine, as long as the database responds. */
export const MAX_SHARED_KEY_AGE_MS = 1_000;

/** Virtual keys, and what each may do. */
export interface KeyStore {
  /**
   * The key with this hash, revoked ones included. What this process changes is seen with the next call, what others
   * change within MAX_KEY_AGE_MS, or over machines within MAX_SHARED_KEY_AGE_MS.
   */
  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined>;
  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined>;
  /**
   * True if any key was ever made, but for those of `exec`: a revoked or deleted key does not open the proxy again. As
   * fresh as a key.
   */
  hasAnyKey(): Promise<boolean>;
  /** Throws ERR_BAD_REQUEST if an active key has the same alias. */
  insertKey(row: NewVirtualKeyRow): Promise<void>;
  /**
   * Stores `successor` and ends the key it follows, both or neither: at `endsAtMs`, or at once if that is undefined.
   * The new key goes on with what the old one has spent of its budget. Throws ERR_BAD_REQUEST if that key has an end
   * already.
   */
  rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void>;
  /**
   * Keys that are not deleted, oldest first: all of them, or at most `limit` of those that come after the key with the
   * id `after`. To read many, ask for pages.
   */
  listKeys(page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]>;
  /** Those of them that have one of these names; revoked ones included, oldest first. */
  findKeys(names: KeyNames): Promise<VirtualKeyRow[]>;
  /** Marks a key revoked; the time of an earlier revocation stays. */
  revokeKey(id: string, revokedAtMs: number): Promise<void>;
  /**
   * The row as it is then; undefined if there is no such key. Throws ERR_BAD_REQUEST if an active key has the alias.
   */
  updateKey(id: string, changes: KeyChanges, updatedAtMs: number): Promise<VirtualKeyRow | undefined>;
  /** Deletes a key for good, its secret included; its rows stay in the ledger. False if there is no such key. */
  deleteKey(id: string, deletedAtMs: number): Promise<boolean>;
  /**
   * Notes that a key was used. Never waits: the note is written later, and a kill may lose the last seconds of notes.
   */
  touchKey(id: string, usedAtMs: number): void;
}

/** What keys spend. What a call has reserved or settled is durable when the call resolves. */
export interface BudgetStore {
  /** What keys have spent, by id; for a key that never spent, zeros. */
  findSpend(rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[], nowMs: number): Promise<Map<string, KeySpend>>;
  /**
   * Reserves money if the budget has that much left, in one transaction: whatever runs at the same time, in whichever
   * process, spent and reserved never exceed the budget.
   */
  reserve(reservation: NewReservation): Promise<ReserveOutcome>;
  /**
   * Writes the row, charges it and gives back what was reserved under its id, all or nothing. Once it resolves, a kill
   * loses nothing of it. A row that is there already (the reservation was thought lost), of the same id and the same
   * start, is replaced, and its charge corrected.
   */
  settle(row: LedgerRow): Promise<void>;
  /** The same for several at once, in one transaction: all of them, or none. */
  settleAll(rows: readonly LedgerRow[]): Promise<void>;
  /** Renews the leases of this process's reservations: a reservation whose lease is not renewed counts as lost. */
  renewLeases(nowMs: number): Promise<void>;
  /** Settles lost reservations as their `ifLost` says, charged in full. Returns the number of them. */
  settleLost(nowMs: number): Promise<number>;
}

/** One row per request, and what they add up to. */
export interface LedgerStore {
  /** Rows with a sequence above `after`, oldest first, at most `limit`. */
  readLedger(filter: LedgerFilter, page: { readonly after: number; readonly limit: number }): Promise<LedgerEntry[]>;
  /** The last `limit` rows, newest first. */
  readLedgerBackwards(
    filter: LedgerFilter,
    page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]>;
  /** Sums by group and over all. However many rows there are, requests are served while it runs. */
  sumUsage(query: UsageQuery): Promise<UsageSums>;
  /**
   * Deletes at most `maxRows` of the rows that are older, or as many as are deleted as one. Returns the number of them.
   * `nowMs`: the time of the caller. A store with a clock of its own deletes nothing that is younger by that one.
   */
  pruneLedger(beforeMs: number, maxRows: number, nowMs?: number): Promise<number>;
  /**
   * Sums up to `maxRows` more of the rows in advance, for reports to come. Returns 0 if reports are quick as it is.
   */
  prepareReports(maxRows: number): Promise<number>;
  /** What the store has written, without the room that deleted rows have left. */
  findSizeBytes(): Promise<number>;
}

/** How a store is, as far as is known without asking it: for whoever watches the proxy. */
export interface StoreHealth {
  /** Set if it is shared: a database that is reached over a network. */
  readonly shared?:
    | {
        /** For how long it has not responded; undefined if it did when it was asked last. */
        readonly awayForMs: number | undefined;
        /** Whether keys may be used as they are known: while it is away, for a while. */
        readonly areKeysUsable: boolean;
        /** Rows of the ledger that wait in files of this process, until it takes them. */
        readonly spilledRows: number;
        /** Rows that it will never take, since the start; they are kept apart. */
        readonly refusedRows: number;
        readonly connections: ConnectionCounts;
      }
    | undefined;
}

/** The connections of a process to its database. */
export interface ConnectionCounts {
  readonly open: number;
  readonly idle: number;
  /** Who waits for one. */
  readonly waiting: number;
}

/** Everything that the program stores. */
export interface Store extends KeyStore, BudgetStore, LedgerStore {
  /** Writes what is still to be written, and releases what it holds. */
  close(): Promise<void>;
  /** Asks nobody, and never throws. */
  readHealth(): StoreHealth;
}
