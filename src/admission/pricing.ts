/**
 * The price of what a request names: under which names it is to be looked up, and what the request can cost at most at
 * that price. Asks the price book, and AWS only for application inference profiles, whose names do not say the model.
 */
import type { PriceBook, PriceMoment } from '../pricing/cost.ts';
import { parseModelName, priceNamesOfProfile } from '../domain/model-name.ts';
import {
  type RequestedSize,
  DEFAULT_MAX_OUTPUT_TOKENS,
  findMax,
  maxCost,
  maxGuardrailCost,
  type MaxUsage,
  maxUsage,
  makesOutput,
  withOutsideInput,
} from './estimate.ts';
import type { FindProfileModels } from './models.ts';
import type { OperationFacts } from '../operations/facts.ts';

/** Where prices are looked up, and the models behind an inference profile. */
export interface PriceSources {
  readonly prices: PriceBook;
  readonly findProfileModels: FindProfileModels;
}

/** Nothing of a conversation is known when it begins: the input is taken to be as long as the output may be. */
const SPOKEN_INPUT_TOKENS = DEFAULT_MAX_OUTPUT_TOKENS;

/** What is to be priced. */
export interface PricedRequest {
  readonly requested: RequestedSize;
  /** For each model that the request names, its `findPriceNames`. */
  readonly models: readonly (readonly string[])[];
  readonly moment: PriceMoment;
  readonly medium: OperationFacts['medium'];
}

/**
 * The names under which a model's price may be found: the one the request uses, and, if that is an application
 * inference profile without a price of its own, those of the models behind it; only for these is there a promise.
 */
export function findPriceNames(
  raw: string,
  { region, moment }: { readonly region: string; readonly moment: PriceMoment },
  { prices, findProfileModels }: PriceSources,
): Promise<readonly string[]> | readonly string[] {
  const { lookup } = parseModelName(raw);
  if (lookup === undefined || prices.find(raw, moment) !== undefined) return [raw];
  return findProfileModels(lookup, region).then((behind = []) => [raw, ...priceNamesOfProfile(behind)]);
}

/** The largest use of a request, and its cost in nano-dollars; undefined if a part of it has no known price. */
export interface RequestEstimate {
  /** By what is in the body. */
  readonly use: MaxUsage;
  /** With what the body points to, if it can be told how much that is at most. */
  readonly wholeUse: MaxUsage;
  readonly costNanoUsd: number | undefined;
  /** All has a price, but how much the model may read besides the body is not known. */
  readonly hasUnknownInput: boolean;
}

/** What a request uses and costs at most. Of several models, the most expensive may do all of the work. */
export function estimateRequest(
  { requested, models, moment, medium }: PricedRequest,
  prices: PriceBook,
): RequestEstimate {
  if (medium === 'guardrail') {
    const use = maxUsage(requested, false);
    const price = prices.findGuardrail(moment);
    return { use, wholeUse: use, costNanoUsd: price && maxGuardrailCost(use, price), hasUnknownInput: false };
  }
  const found = models.flatMap((names) => findPrices(names, moment, prices));
  const writes = found.length === 0 || found.some((price) => price === undefined || makesOutput(price));
  const use = maxUsage(medium === 'speech' ? { ...requested, inputTokens: SPOKEN_INPUT_TOKENS } : requested, writes);
  const isSpeech = medium === 'speech';
  const wholeUse = requested.hasOutsideInput && !isSpeech ? withOutsideInput(use, requested, found) : use;
  const costNanoUsd = findMax(found.map((price) => price && maxCost(wholeUse ?? use, price, isSpeech)));
  const isKnown = requested.requestedUnits?.hasUnknown !== true;
  if (wholeUse !== undefined && isKnown) return { use, wholeUse, costNanoUsd, hasUnknownInput: false };
  const hasUnknownInput = wholeUse === undefined && costNanoUsd !== undefined;
  return { use, wholeUse: wholeUse ?? use, costNanoUsd: undefined, hasUnknownInput };
}

/** The price of the name itself, or else those of all that stand behind it: any of them may serve. */
function findPrices(
  [own = '', ...behind]: readonly string[],
  moment: PriceMoment,
  prices: PriceBook,
): readonly ReturnType<PriceBook['find']>[] {
  const price = prices.find(own, moment);
  if (price !== undefined || behind.length === 0) return [price];
  return behind.map((name) => prices.find(name, moment));
}
