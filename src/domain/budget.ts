/**
 * What keys spend: money that is reserved for requests under way, and what was spent. Types and one bound. Times are
 * epoch milliseconds, money is whole nano-dollars (USD).
 */
import type { Budget } from './key.ts';
import type { LedgerRow } from './ledger.ts';

/** A reservation is lost if its process has not renewed it for this long. */
export const RESERVATION_LEASE_MS = 30_000;

/** What a key has spent, together with those it was rotated from: they share one budget account. */
export interface KeySpend {
  /** Since it was made, over all windows. */
  readonly totalNanoUsd: number;
  /** In the present window of its budget; the same as the total if it has no windows. */
  readonly windowNanoUsd: number;
  /** Reserved for requests that are under way. */
  readonly reservedNanoUsd: number;
  /** End of the present window; undefined if it has none. */
  readonly resetsAtMs: number | undefined;
}

/** Money reserved for one request that is about to be sent. */
export interface NewReservation {
  /** The id of the request. */
  readonly id: string;
  readonly keyId: string;
  readonly amountNanoUsd: number;
  readonly budget: Budget;
  readonly nowMs: number;
  /** What the ledger is to say of the request if this process dies before it settles. */
  readonly ifLost: LedgerRow;
}

/** `held`: the rest of the budget is reserved for other requests, so that another try may succeed. */
export type ReserveOutcome =
  | { readonly kind: 'reserved' }
  | { readonly kind: 'held' | 'exhausted'; readonly spend: KeySpend };
