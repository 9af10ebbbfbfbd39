/**
 * One request at its end, in money: from what was read of its response and what admission knew, its usage, its cost as
 * far as it is known, who told the price, and what its budget is charged. No I/O.
 */
import type { Admission } from '../admission/admit.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { Usage } from '../domain/usage.ts';
import type { Reading } from '../metering/tap.ts';
import type { UsageKind } from '../operations/facts.ts';
import { findFacts } from '../operations/find-facts.ts';
import { type ModelPrice, type PriceBook, priceSourceOf } from '../pricing/cost.ts';
import { findCharge, findChargePrices, findPrices } from './charge.ts';
import { findKnownCost, type KnownCost } from './known-cost.ts';

/** Longer request ids, error types and tiers are none of AWS's: they would only fill the ledger. */
export const MAX_NAME_LENGTH = 128;

/** How the operation of a request tells what it uses. */
export function kindOf({ route }: RequestRecord): UsageKind {
  return route === undefined ? 'unreported' : findFacts(route.service, route.operation).usage;
}

/**
 * Fills in usage, cost and charge, from what is known now. `admission` is undefined if nothing was sent. Gives the
 * price by which the cost was found.
 */
export function priceRecord(
  record: RequestRecord,
  reading: Reading | undefined,
  admission: Admission | undefined,
  prices: PriceBook,
): ModelPrice | undefined {
  const { error, upstreamStatus = 0 } = record;
  const isFailed = upstreamStatus >= 400 || reading?.isRefused === true;
  const kind = kindOf(record);
  record.upstreamErrorType ??= reading?.errorType?.slice(0, MAX_NAME_LENGTH);
  record.upstreamErrorMessage ??= reading?.errorMessage;
  // AWS does not bill what it refuses, and a request that never left costs nothing.
  if (admission === undefined || isFailed || kind === 'free') {
    applyBill(record, { pricing: 'free', cost: 0, charge: 0, priceSource: undefined });
    return undefined;
  }
  record.usage = reading?.usage;
  record.serviceTier = (reading?.serviceTier ?? admission.serviceTier)?.slice(0, MAX_NAME_LENGTH);
  const isFaulty = error !== undefined || record.upstreamErrorType !== undefined;
  record.partial = kind === 'metered' ? reading?.complete !== true : isFaulty;
  const found = findPrices(record, reading, admission, prices);
  // Of several models, the first is the one that was called.
  const { costNanoUsd: cost, isPart } = findCost(record, found[0], { admission, reading });
  const dearest = findChargePrices(record, reading, admission, prices);
  const charge = Math.max(cost ?? 0, findCharge(record, reading, admission, dearest));
  // Only now: what is charged goes by how much of the usage was seen.
  record.partial ||= isPart;
  const priceSource = found[0] && priceSourceOf(found[0]);
  if (cost === undefined) applyBill(record, { pricing: 'unpriced', cost, charge, priceSource: undefined });
  else applyBill(record, { pricing: 'priced', cost, charge, priceSource });
  return found[0];
}

/** Without usage, only what is sold by the request has a cost. */
function findCost(
  { usage = {}, route }: RequestRecord,
  price: ModelPrice | undefined,
  { admission, reading }: { readonly admission: Admission; readonly reading: Reading | undefined },
): KnownCost {
  const hasNoUnits = usage.guardrailUnits === undefined;
  const lacksUnits = hasNoUnits && (admission.namesGuardrail || (isConverse(route) && hasReadNothing(usage)));
  const hasUnknownPart = lacksUnits || reading?.hasUnknownPart === true;
  if (price === undefined) return { costNanoUsd: undefined, isPart: hasUnknownPart };
  return findKnownCost(usage, price, hasUnknownPart);
}

/** No model answers that has read nothing: a guardrail stood before it, perhaps one that the account enforces. */
function hasReadNothing({ inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 }: Usage): boolean {
  return inputTokens === 0 && outputTokens === 0 && cacheReadTokens + cacheWriteTokens === 0;
}

function isConverse(route: RequestRecord['route']): boolean {
  return route !== undefined && findFacts(route.service, route.operation).serving === 'converse';
}

/** What is known of the money at the end. */
export interface RecordCharge {
  readonly pricing: RequestRecord['pricing'];
  readonly cost: number | undefined;
  readonly charge: number;
  readonly priceSource: string | undefined;
}

/** Writes it into the record. */
export function applyBill(record: RequestRecord, { pricing, cost, charge, priceSource }: RecordCharge): void {
  record.pricing = pricing;
  record.priceSource = priceSource;
  record.costNanoUsd = cost;
  record.chargedNanoUsd = charge;
}
