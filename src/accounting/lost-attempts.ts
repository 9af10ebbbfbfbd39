/**
 * Attempts that AWS may bill though another one was answered: their connection broke after they had left. What they are
 * charged to a budget. Pure.
 */
import type { Admission } from '../admission/admit.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { ProxyError } from '../lib/errors.ts';
import type { PriceBook } from '../pricing/cost.ts';
import { findCharge, findChargePrices } from './charge.ts';
import { applyBill, kindOf } from './price-record.ts';

const LOST = new ProxyError('ERR_UPSTREAM_RESET', 'The upstream closed the connection without a response.');

/** What one of them is charged: as a request that AWS broke off before the first byte of its response. */
export function findLostCharge(record: RequestRecord, admission: Admission | undefined, prices: PriceBook): number {
  if (admission === undefined || kindOf(record) === 'free') return 0;
  const ended = { ...record, partial: true, error: LOST };
  return findCharge(ended, undefined, admission, findChargePrices(ended, undefined, admission, prices));
}

/**
 * Adds what all of them are charged to a record that is priced: what is known of its cost is a part then. A budget is
 * charged for both as far as what was reserved goes. `lost`: undefined if there were none.
 */
export function addLostCharge(record: RequestRecord, lost: number | undefined, reserved = 0): void {
  if (lost === undefined) return;
  const { pricing, costNanoUsd: cost, chargedNanoUsd, priceSource } = record;
  record.partial = true;
  const charge = Math.max(chargedNanoUsd, Math.min(chargedNanoUsd + lost, reserved));
  // AWS bills nothing that it refuses, but it may bill what was lost before.
  if (pricing === 'free') applyBill(record, { pricing: 'unpriced', cost: undefined, charge, priceSource: undefined });
  else applyBill(record, { pricing, cost, charge, priceSource });
}
