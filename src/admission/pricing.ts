/**
 * The price of what a request names: under which names it is to be looked up, and what the request can cost at most at
 * that price. Asks the price book, and AWS only for application inference profiles, whose names do not say the model.
 */
import type { ModelPrice, PriceBook, PriceMoment } from '../pricing/cost.ts';
import { parseModelName, priceNamesOfProfile, withoutGeography } from '../domain/model-name.ts';
import {
  type RequestedSize,
  DEFAULT_MAX_OUTPUT_TOKENS,
  findMax,
  maxCost,
  maxGuardrailCost,
  maxOutputOf,
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
const SPOKEN_OUTPUT_TOKENS = DEFAULT_MAX_OUTPUT_TOKENS;

/** What is to be priced. */
export interface PricedRequest {
  readonly requested: RequestedSize;
  /** For each model that the request names, its `findPriceNames`. */
  readonly models: readonly (readonly string[])[];
  readonly moment: PriceMoment;
  readonly medium: OperationFacts['medium'];
  /** AWS bills a guardrail besides the model. */
  readonly namesGuardrail: boolean;
  /** What a response without a limit counts for; undefined: what its model writes at most. */
  readonly assumedOutputTokens: number | undefined;
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
  /**
   * By what is in the body; a response without a limit counts as DEFAULT_MAX_OUTPUT_TOKENS: with what its model writes
   * at most, a limit of tokens per minute would let hardly anything pass.
   */
  readonly use: MaxUsage;
  /** With what the body points to and all that the model may write. */
  readonly wholeUse: MaxUsage;
  readonly costNanoUsd: number | undefined;
  /** The same without what has no known price, be it a guardrail, searches or the rest of the input; 0 if all of it. */
  readonly pricedNanoUsd: number;
  /** All has a price, but how much the model may read besides the body is not known. */
  readonly hasUnknownInput: boolean;
}

/** What a request uses and costs at most. Of several models, the most expensive may do all of the work. */
export function estimateRequest(request: PricedRequest, prices: PriceBook): RequestEstimate {
  const { models, moment, medium, namesGuardrail: hasGuardrail } = request;
  if (medium === 'guardrail') return estimateGuardrail(request, prices);
  const found = models.flatMap((names) => findBudgetPrices(names, moment, prices));
  const makesText = found.length === 0 || found.some((price) => price === undefined || makesOutput(price));
  const isSpeech = medium === 'speech';
  const requested = isSpeech ? { ...request.requested, inputTokens: SPOKEN_INPUT_TOKENS } : request.requested;
  const usual = { makesText, hasGuardrail, assumedOutputTokens: DEFAULT_MAX_OUTPUT_TOKENS };
  const use = maxUsage(requested, usual);
  const assumedOutputTokens = isSpeech ? SPOKEN_OUTPUT_TOKENS : (request.assumedOutputTokens ?? maxOutputOf(found));
  const inBody = maxUsage(requested, { ...usual, assumedOutputTokens });
  const hasOutsideInput = requested.hasOutsideInput && !isSpeech && found.some(readsTokens);
  const wholeUse = hasOutsideInput ? withOutsideInput(inBody, requested, found) : inBody;
  const costOf = (of: MaxUsage): number | undefined =>
    findMax(found.map((price) => price && maxCost(of, price, isSpeech)));
  const costNanoUsd = costOf(wholeUse ?? inBody);
  const hasUnknownInput = wholeUse === undefined && costNanoUsd !== undefined;
  const known = { use, wholeUse: wholeUse ?? inBody, hasUnknownInput };
  const isKnown = requested.requestedUnits?.hasUnknown !== true;
  if (wholeUse !== undefined && costNanoUsd !== undefined && isKnown) {
    return { ...known, costNanoUsd, pricedNanoUsd: costNanoUsd };
  }
  const tokens = isKnown ? costOf({ ...(wholeUse ?? inBody), units: {}, hasGuardrail: false }) : undefined;
  return { ...known, costNanoUsd: undefined, pricedNanoUsd: tokens ?? 0 };
}

function estimateGuardrail({ requested, moment }: PricedRequest, prices: PriceBook): RequestEstimate {
  const use = maxUsage(requested, { makesText: false, hasGuardrail: true, assumedOutputTokens: 0 });
  const found = prices.findGuardrail(moment);
  const price = found?.ceiling ?? found;
  const costNanoUsd = price && maxGuardrailCost(use, price);
  return { use, wholeUse: use, costNanoUsd, pricedNanoUsd: costNanoUsd ?? 0, hasUnknownInput: false };
}

/** Whether the price depends on how much is read. */
function readsTokens(price: ModelPrice | undefined): boolean {
  return price === undefined || price.input !== undefined || price.request === undefined;
}

/**
 * What a budget reckons with: the price of the name itself, or else those of all that stand behind it, any of which may
 * serve; and of each the most expensive that sources tell and that AWS may serve it at.
 */
function findBudgetPrices(
  [own = '', ...behind]: readonly string[],
  moment: PriceMoment,
  prices: PriceBook,
): readonly (ModelPrice | undefined)[] {
  const price = prices.find(own, moment);
  const names = price !== undefined || behind.length === 0 ? [own] : behind;
  return names.flatMap((name) => findServedPrices(name, moment, prices));
}

/** The price as the request is to be served, and those at which AWS may serve it instead, if they are known. */
export function findServedPrices(
  name: string,
  moment: PriceMoment,
  prices: PriceBook,
): readonly (ModelPrice | undefined)[] {
  const price = prices.find(name, moment);
  if (price === undefined) return [undefined];
  const others = findOtherServings(moment).map((other) => prices.find(name, other));
  return [price, ...others.filter((other) => other !== undefined)].map((known) => {
    const { contextTokens, ...dearest } = known.ceiling ?? known;
    return { ...dearest, contextTokens: findWindow(name, contextTokens) };
  });
}

/** What Claude Sonnet 4 and 4.5 read of their million tokens unless a beta is asked for: see `wantsLongContext`. */
const WINDOW_WITHOUT_BETA = 200_000;
const NEEDS_BETA = /^anthropic\.claude-sonnet-4-(?:5-)?2025/;

function findWindow(name: string, contextTokens: number | undefined): number | undefined {
  if (contextTokens === undefined || contextTokens <= WINDOW_WITHOUT_BETA) return contextTokens;
  const { priceName = '' } = parseModelName(name);
  return NEEDS_BETA.test(withoutGeography(priceName)) ? WINDOW_WITHOUT_BETA : contextTokens;
}

/**
 * AWS serves in the standard way what it has no room for in another, and says so in its response; `auto` leaves the
 * choice to it. https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html
 */
function findOtherServings(moment: PriceMoment): readonly PriceMoment[] {
  const { serviceTier, latency } = moment;
  if (serviceTier === undefined && latency === undefined) return [];
  const tiers = serviceTier === 'auto' ? [undefined, 'priority', 'reserved'] : [undefined];
  return tiers.map((tier) => ({ ...moment, serviceTier: tier, latency: undefined }));
}
