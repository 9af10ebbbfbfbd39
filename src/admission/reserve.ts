/**
 * Reserves what a request may cost from the budget of its key, or says why there is not enough. The store counts, in
 * one transaction; this file words the refusal.
 */
import { ProxyError } from '../lib/errors.ts';
import type { NewReservation } from '../domain/budget.ts';
import type { BudgetStore } from '../domain/store.ts';
import { fullUsd } from '../lib/usd.ts';

/** What is reserved for others comes free as their responses end; most take some seconds. */
const HELD_RETRY_SECONDS = 2;

/**
 * `hasOutputLimit`: the request itself says how much its response may be. Throws ERR_BUDGET_EXCEEDED if the budget has
 * less left than the request may cost, ERR_BUDGET_HELD if it would be enough without what is reserved for other
 * requests under way, ERR_STORE_UNAVAILABLE.
 */
export async function reserveBudget(
  reservation: NewReservation,
  { store, hasOutputLimit }: { readonly store: Pick<BudgetStore, 'reserve'>; readonly hasOutputLimit: boolean },
): Promise<void> {
  const outcome = await store.reserve(reservation);
  if (outcome.kind === 'reserved') return;
  const { amountNanoUsd, budget } = reservation;
  const { windowNanoUsd, reservedNanoUsd, resetsAtMs } = outcome.spend;
  const spent = `This key has spent ${fullUsd(windowNanoUsd)} of its budget of ${fullUsd(budget.limitNanoUsd)}`;
  const cost = `this request may cost up to ${fullUsd(amountNanoUsd)}`;
  if (outcome.kind === 'held') {
    const reserved = `${fullUsd(reservedNanoUsd)} is reserved for its requests under way`;
    throw new ProxyError('ERR_BUDGET_HELD', `${spent}, ${reserved}, and ${cost}.`, {
      hint: 'Try again when they are over.',
      retryAfterSeconds: HELD_RETRY_SECONDS,
    });
  }
  const reset = resetsAtMs === undefined ? '' : `A new budget starts at ${new Date(resetsAtMs).toISOString()}. `;
  const smaller = hasOutputLimit
    ? 'A smaller max_tokens may still pass'
    : 'It sets no max_tokens, so that all counts that its model may write: with one it may still pass';
  throw new ProxyError('ERR_BUDGET_EXCEEDED', `${spent}, and ${cost}.`, {
    hint: `${reset}${smaller}; the owner of the key can give it more.`,
  });
}
