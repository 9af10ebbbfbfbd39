/**
 * What one request is charged to a budget, whether its cost is known or not. Pure. Errs to the expensive side: a budget
 * is a promise to its owner, and the holder of the key chooses much of what decides the cost.
 */
import type { Admission } from '../admission/admit.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { costOf, type ModelPrice, type PriceBook } from '../pricing/cost.ts';
import type { Reading } from '../metering/tap.ts';
import { sumInput, type Usage } from '../domain/usage.ts';

/** Bytes of text that make a token, rather too few: for responses that broke off before AWS said what they used. */
const BYTES_PER_TOKEN = 3;

/** The prices of what may have done the work, each as it was served. */
export function findPrices(
  record: RequestRecord,
  reading: Reading | undefined,
  { priceNames, variant }: Admission,
  prices: PriceBook,
): readonly ModelPrice[] {
  const region = record.route?.region ?? '';
  const { startedAtMs, serviceTier } = record;
  const at = { atMs: startedAtMs, region, serviceTier, latency: reading?.latency, variant };
  const names = reading?.model === undefined ? priceNames : [reading.model];
  if (names.length === 0 && record.usage?.guardrailUnits !== undefined) {
    const guardrail = prices.findGuardrail(at);
    return guardrail === undefined ? [] : [guardrail];
  }
  return names.map((name) => prices.find(name, at)).filter((price) => price !== undefined);
}

/**
 * What a budget is charged: the cost, at the most expensive of the models that the request names. If the usage is not
 * known in full, at least all that was reserved: a model thinks unseen, and whoever leaves early must not pay less for
 * it. Only if AWS itself failed, what was seen.
 */
export function findCharge(
  { partial, error, upstreamErrorType, usage }: RequestRecord,
  reading: Reading | undefined,
  admission: Admission,
  prices: readonly ModelPrice[],
): number {
  const { reservedNanoUsd = 0 } = admission;
  const costs = prices.map((price) => costOf(usage ?? {}, price));
  const known = costs.filter((cost) => cost !== undefined);
  if (!partial && known.length > 0 && known.length === costs.length) return Math.max(...known);
  const seen = prices.map((price) => estimateCharge(usage, reading, admission, price));
  // After silence it is the proxy that breaks off: AWS may still be at work.
  const isBroken = error?.fault === 'upstream' && error.code !== 'ERR_UPSTREAM_TIMEOUT';
  const isAwsFault = isBroken || upstreamErrorType !== undefined;
  const isUnknown = seen.length === 0 || seen.includes(undefined) || (partial && !isAwsFault);
  return Math.max(isUnknown ? reservedNanoUsd : 0, ...seen.map((charge) => charge ?? 0));
}

/**
 * Reported input and output, at their prices; what was not reported is added, up to what was reserved for it: the input
 * as it was estimated, and the output by the bytes that came. Undefined if there is nothing to go by.
 */
function estimateCharge(
  usage: Usage | undefined,
  reading: Reading | undefined,
  { estimate, reservedNanoUsd = Number.POSITIVE_INFINITY }: Admission,
  price: ModelPrice,
): number | undefined {
  const { guardrailUnits: _units, images: _images, ...tokens } = usage ?? {};
  const seenOutput = Math.ceil((reading?.outputBytes ?? 0) / BYTES_PER_TOKEN);
  const inputTokens = sumInput(usage) ?? estimate?.inputTokens;
  if (inputTokens === undefined) return undefined;
  const reported = costOfTokens(tokens, price) ?? 0;
  const outputTokens = Math.max(tokens.outputTokens ?? 0, seenOutput);
  const all = { ...tokens, ...(sumInput(usage) === undefined ? { inputTokens } : {}), outputTokens };
  const guessed = costOfTokens(all, price);
  return guessed === undefined ? undefined : Math.max(reported, Math.min(guessed, reservedNanoUsd));
}

/** Cache tokens without a price of their own cost as input. */
function costOfTokens(tokens: Usage, price: ModelPrice): number | undefined {
  const { outputTokens } = tokens;
  const inputTokens = sumInput(tokens);
  const plain = {
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(outputTokens === undefined ? {} : { outputTokens }),
  };
  return costOf(tokens, price) ?? costOf(plain, price);
}
