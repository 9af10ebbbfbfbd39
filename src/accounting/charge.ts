/**
 * What one request is charged to a budget, whether its cost is known or not. Pure. Errs to the expensive side: a budget
 * is a promise to its owner, and the holder of the key chooses much of what decides the cost.
 */
import type { Admission } from '../admission/admit.ts';
import { findMax, guardrailUnitsOf, inputsOf } from '../admission/estimate.ts';
import { findServedPrices } from '../admission/pricing.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { costOf, type ModelPrice, type PriceBook, type PriceMoment } from '../pricing/cost.ts';
import type { Reading } from '../metering/tap.ts';
import { findFacts } from '../operations/find-facts.ts';
import { sumInput, type Usage } from '../domain/usage.ts';
import { withoutUnpriced } from './known-cost.ts';

/** Bytes of text that make a token, rather too few: for responses that AWS broke off before it said what they used. */
const BYTES_PER_TOKEN = 3;
/**
 * What a model writes in a second, seen or unseen: Claude and Nova write some 50 to 150 tokens, the fastest small ones
 * some 250.
 */
const TOKENS_PER_SECOND = 200;

/** A request at its end, and what was read of its response. */
interface Ending {
  readonly record: RequestRecord;
  readonly reading: Reading | undefined;
  readonly admission: Admission;
}

/** The prices of what may have done the work, each as it was served. */
export function findPrices(
  record: RequestRecord,
  reading: Reading | undefined,
  admission: Admission,
  prices: PriceBook,
): readonly ModelPrice[] {
  const at = momentOf(record, reading, admission);
  const names = findPricedNames(record, reading, admission);
  if (names.length === 0 && record.usage?.guardrailUnits !== undefined) {
    const guardrail = prices.findGuardrail(at);
    return guardrail === undefined ? [] : [guardrail];
  }
  return names.map((name) => prices.find(name, at)).filter((price) => price !== undefined);
}

/**
 * The same as a budget reckons: of each model the most expensive price that sources tell, and, unless the response says
 * how it was served, that it may have been served at.
 */
export function findChargePrices(
  record: RequestRecord,
  reading: Reading | undefined,
  admission: Admission,
  prices: PriceBook,
): readonly ModelPrice[] {
  if (reading?.serviceTier !== undefined || admission.serviceTier === undefined) {
    return findPrices(record, reading, admission, prices).map((price) => price.ceiling ?? price);
  }
  const names = findPricedNames(record, reading, admission);
  const at = momentOf(record, reading, admission);
  return names.flatMap((name) => findServedPrices(name, at, prices)).filter((price) => price !== undefined);
}

/** The models that may have done the work: as the response names it, or as the request did on the route it took. */
export function findPricedNames(
  { route }: RequestRecord,
  reading: Reading | undefined,
  { priceNames, renamed }: Admission,
): readonly string[] {
  return reading?.model === undefined ? (renamed.get(route?.modelId ?? '') ?? priceNames) : [reading.model];
}

function momentOf(
  { route, startedAtMs, serviceTier }: RequestRecord,
  reading: Reading | undefined,
  { variant }: Admission,
): PriceMoment {
  return { atMs: startedAtMs, region: route?.region ?? '', serviceTier, latency: reading?.latency, variant };
}

/**
 * What a budget is charged: the cost, at the most expensive of the models that the request names. If the usage is not
 * known in full, at least all that was reserved: a model thinks unseen, and whoever leaves early must not pay less for
 * it. Only if AWS itself failed, or if the stream was not asked for its usage, an estimate of what was written.
 */
export function findCharge(
  record: RequestRecord,
  reading: Reading | undefined,
  admission: Admission,
  prices: readonly ModelPrice[],
): number {
  const ending = { record, reading, admission };
  const { reservedNanoUsd = 0 } = admission;
  const { partial, error, upstreamErrorType } = record;
  const known = partial ? undefined : findMax(prices.map((price) => costOfKnown(billedUsage(ending, price), price)));
  if (known !== undefined) return known;
  const seen = prices.map((price) => estimateCharge(ending, price));
  // After silence it is the proxy that breaks off: AWS may still be at work.
  const isBroken = error?.fault === 'upstream' && error.code !== 'ERR_UPSTREAM_TIMEOUT';
  const isAwsFault = isBroken || upstreamErrorType !== undefined;
  const isUnknown = seen.length === 0 || seen.includes(undefined) || !(isAwsFault || endsUnreported(ending));
  return Math.max(isUnknown ? reservedNanoUsd : 0, ...seen.map((charge) => charge ?? 0));
}

/** What was reported; of a guardrail of which a response says nothing, as many units as its policies may take. */
function billedUsage({ record: { usage = {} }, admission }: Ending, price: ModelPrice): Usage {
  const { estimate, namesGuardrail } = admission;
  if (!namesGuardrail || usage.guardrailUnits !== undefined || estimate === undefined) return usage;
  const read = { ...estimate, outputTokens: usage.outputTokens ?? estimate.outputTokens };
  const guardrailUnits = guardrailUnitsOf(read, price);
  return guardrailUnits === undefined ? usage : { ...usage, guardrailUnits };
}

/** The cost of all that has a price; undefined if the tokens have none, or if nothing has. */
function costOfKnown(usage: Usage, price: ModelPrice): number | undefined {
  return costOf(usage, price) ?? costOfTokens(withoutUnpriced(usage, price), price);
}

/**
 * Reported input and output, at their prices; what was not reported is added, up to what was reserved for it: the input
 * as it was estimated, and the output by the bytes that came and the time that passed. Undefined if there is nothing to
 * go by.
 */
function estimateCharge(ending: Ending, price: ModelPrice): number | undefined {
  const { record, admission } = ending;
  const { estimate, reservedNanoUsd = Number.POSITIVE_INFINITY } = admission;
  const { usage } = record;
  const { guardrailUnits: _units, images: _images, units: _pieces, ...tokens } = usage ?? {};
  const inputTokens = sumInput(usage) ?? estimate?.inputTokens;
  if (inputTokens === undefined) return undefined;
  const reported = costOfTokens(tokens, price) ?? 0;
  const outputTokens = Math.max(tokens.outputTokens ?? 0, estimateOutput(ending));
  const inputs = sumInput(usage) === undefined ? inputsOf(inputTokens, price) : [];
  const all = inputs.length === 0 ? [{}] : inputs;
  const guessed = findMax(all.map((input) => costOfTokens({ ...tokens, ...input, outputTokens }, price)));
  return guessed === undefined ? undefined : Math.max(reported, Math.min(guessed, reservedNanoUsd));
}

/**
 * What the model has written, as far as it can be told from outside. Whoever does not ask for the usage could have it
 * write text of one token a byte, again and again: each byte counts then.
 */
function estimateOutput(ending: Ending): number {
  const { record, reading, admission } = ending;
  const { sentMs, totalMs, firstByteMs } = record;
  const seconds = Math.max(0, (totalMs ?? firstByteMs ?? 0) - (sentMs ?? 0)) / 1_000;
  const unseen = Math.ceil(seconds * TOKENS_PER_SECOND * (admission.estimate?.copies ?? 1));
  const bytes = reading?.outputBytes ?? 0;
  return Math.max(unseen, endsUnreported(ending) ? bytes : Math.ceil(bytes / BYTES_PER_TOKEN));
}

/** A stream that is at its end, and reports no usage because it was not asked to; all that is shown of it was seen. */
function endsUnreported({ record: { route, isStreamed, hasEnded, upstreamErrorType }, reading }: Ending): boolean {
  const isSeen = hasEnded && reading !== undefined && reading.usage === undefined && reading.outputBytes > 0;
  if (!isSeen || !isStreamed || upstreamErrorType !== undefined || route === undefined) return false;
  return findFacts(route.service, route.operation).response === 'chat';
}

/** Cache tokens without a price of their own cost as input. */
function costOfTokens(usage: Usage, price: ModelPrice): number | undefined {
  const { outputTokens, images, units, guardrailUnits } = usage;
  const inputTokens = sumInput(usage);
  const plain = {
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(outputTokens === undefined ? {} : { outputTokens }),
  };
  return costOf(usage, price) ?? costOf({ ...plain, images, units, guardrailUnits }, price);
}
