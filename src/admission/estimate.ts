/**
 * What a request may use and cost at most: its input as estimated from the body, its output as far as it may go. Pure.
 * Errs to the expensive side, within reason: what is reserved too much comes back when the request is settled.
 */
import { costOf, type ModelPrice } from '../pricing/cost.ts';
import type { RequestedUnits } from '../domain/units.ts';
import type { Usage } from '../domain/usage.ts';

/** Output tokens of a response without a limit, if nobody knows what its model writes at most. */
export const DEFAULT_MAX_OUTPUT_TOKENS = 8_192;
/** If only the context window of a model is known: no model on Bedrock is known to write more at once. */
const MAX_OUTPUT_OF_WINDOW = 128_000;

/** More than any model reads or writes: what a body asks for beyond that is not counted. */
const MAX_TOKENS = 1_000_000_000;
/** https://docs.claude.com/en/docs/build-with-claude/context-windows */
const LONG_CONTEXT_TOKENS = 1_000_000;
/** A text unit of a guardrail is 1,000 characters (AWS's price list); input counts a token for every 3 bytes. */
const INPUT_TOKENS_PER_TEXT_UNIT = 250;
/** A token of output has some four characters in English, and rarely more than six. */
const OUTPUT_TOKENS_PER_TEXT_UNIT = 166;
/** As many pictures as Converse takes: for input that the body does not tell. */
const OUTSIDE_PIECES = 20;

/** What the body says; any numbers, because they come from a client. */
export interface RequestedSize {
  readonly inputTokens: number;
  /** Pictures in it, and other input that is no text. */
  readonly pieces: number;
  /** There is more input than the body tells, up to the model's context window. */
  readonly hasOutsideInput: boolean;
  /** That window is one of LONG_CONTEXT_TOKENS at least. */
  readonly wantsLongContext: boolean;
  /** Of one response; undefined if the body sets no limit that AWS must obey. */
  readonly maxOutputTokens: number | undefined;
  /** What the body asks for in fields that AWS may obey or not; 0 if it does not. */
  readonly doubtfulMaxOutputTokens: number;
  /** Responses, or images, that are asked for at once. */
  readonly copies: number;
  /** Searches of the web that are allowed. */
  readonly webSearches: number;
  /** What is sold by the piece; undefined if nothing of the kind is asked for. */
  readonly requestedUnits?: RequestedUnits | undefined;
}

/** Whole counts, none of them negative or without bounds. */
export interface MaxUsage {
  readonly inputTokens: number;
  /** Of all responses together. */
  readonly outputTokens: number;
  readonly copies: number;
  readonly pieces: number;
  readonly units: NonNullable<Usage['units']>;
  /** A guardrail reads all of it. */
  readonly hasGuardrail: boolean;
}

/** What is known of a request besides its body. */
export interface UseContext {
  /** Whether the model writes at all; an embedding does not. */
  readonly makesText: boolean;
  /** Of one response, if the body sets no limit. */
  readonly assumedOutputTokens: number;
  readonly hasGuardrail: boolean;
}

/** What a request uses at most, by what is in its body. */
export function maxUsage(requested: RequestedSize, context: UseContext): MaxUsage {
  const copies = Math.max(1, bounded(requested.copies));
  const assumed = Math.max(context.assumedOutputTokens, requested.doubtfulMaxOutputTokens);
  const perResponse = bounded(requested.maxOutputTokens ?? assumed);
  const webSearches = bounded(requested.webSearches);
  return {
    inputTokens: bounded(requested.inputTokens),
    outputTokens: context.makesText ? bounded(perResponse * copies) : 0,
    copies,
    pieces: bounded(requested.pieces),
    units: { ...requested.requestedUnits?.counts, ...(webSearches === 0 ? {} : { webSearches }) },
    hasGuardrail: context.hasGuardrail,
  };
}

/** What one response may be at most if the request sets no limit: of several models, what the most talkative writes. */
export function maxOutputOf(prices: readonly (ModelPrice | undefined)[]): number {
  return Math.max(
    0,
    ...prices.map((price) => {
      const { maxOutputTokens, contextTokens } = price ?? {};
      if (maxOutputTokens !== undefined) return maxOutputTokens;
      return contextTokens === undefined ? DEFAULT_MAX_OUTPUT_TOKENS : Math.min(contextTokens, MAX_OUTPUT_OF_WINDOW);
    }),
  );
}

/**
 * The same if there is input that is not in the body, or of which it does not tell how much it is: as much as the model
 * can read. `prices` are those of all models that may do the work; undefined if the window of one of them is not known.
 */
export function withOutsideInput(
  use: MaxUsage,
  { wantsLongContext }: RequestedSize,
  prices: readonly (ModelPrice | undefined)[],
): MaxUsage | undefined {
  const window = findMax(prices.map((price) => price?.contextTokens));
  if (window === undefined) return undefined;
  const longest = wantsLongContext ? Math.max(window, LONG_CONTEXT_TOKENS) : window;
  return {
    ...use,
    inputTokens: Math.max(use.inputTokens, longest),
    pieces: Math.max(use.pieces, OUTSIDE_PIECES),
  };
}

/** Whether a model at this price writes text or speaks. */
export function makesOutput({ output, outputAudio }: ModelPrice): boolean {
  return output !== undefined || outputAudio !== undefined;
}

/**
 * In nano-dollars; undefined if the price does not say what the request would use. The input counts at the most
 * expensive it can become: a body may have all of it written to a cache. `speaks`: the input and the output are speech.
 */
export function maxCost(use: MaxUsage, price: ModelPrice, speaks: boolean): number | undefined {
  const { inputTokens } = use;
  const guardrailUnits = use.hasGuardrail ? guardrailUnitsOf(use, price) : {};
  const units = unitsOf(use, price);
  if (guardrailUnits === undefined || units === undefined) return undefined;
  const made: Usage = {
    ...(makesOutput(price) ? outputOf(use.outputTokens, price, speaks) : {}),
    ...(price.image === undefined ? {} : { images: use.copies }),
    ...(Object.keys(units).length === 0 ? {} : { units }),
    guardrailUnits,
  };
  const inputs = inputsOf(inputTokens, price);
  if (speaks && price.inputAudio !== undefined) inputs.push({ inputTokens, inputAudioTokens: inputTokens });
  if (inputs.length === 0) inputs.push({});
  return findMax(inputs.map((input) => costOf({ ...input, ...made }, price)));
}

/** What so much input may count as, where that has a price: all of it may be written to a cache. */
export function inputsOf(inputTokens: number, price: ModelPrice): Usage[] {
  const inputs: Usage[] = [];
  if (price.input !== undefined) inputs.push({ inputTokens });
  if (price.cacheWrite !== undefined) inputs.push({ cacheWriteTokens: inputTokens });
  if (price.cacheWrite1h !== undefined) inputs.push({ cacheWriteTokens: inputTokens, cacheWrite1hTokens: inputTokens });
  return inputs;
}

/**
 * What is sold by the piece, as far as the request tells it; undefined if the model sells by the piece what the request
 * must hold and does not tell.
 */
function unitsOf({ units, pieces }: MaxUsage, price: ModelPrice): MaxUsage['units'] | undefined {
  const { webSearches: _besides, inputImages, ...sold } = price.units ?? {};
  const names = Object.keys(sold);
  const isTold = names.length === 0 || names.some((name) => Object.hasOwn(units, name));
  if (!isTold && (price.input === undefined || pieces > 0)) return undefined;
  return inputImages === undefined ? units : { inputImages: pieces, ...units };
}

/** Of a guardrail that is applied alone, or of checks: each has policies of its own. */
export function maxGuardrailCost(use: MaxUsage, price: ModelPrice): number | undefined {
  return costOf({ guardrailUnits: countGuardrailUnits(use, Object.keys(price.guardrailUnits ?? {})) }, price);
}

/** Every policy that has a price reads all of the text and all pictures; undefined if none has. */
export function guardrailUnitsOf(use: GuardedUse, price: ModelPrice): Record<string, number> | undefined {
  // `contentFilter.textUnits` is of InvokeGuardrailChecks.
  const names = Object.keys(price.guardrailUnits ?? {}).filter((name) => !name.includes('.'));
  return names.length === 0 ? undefined : countGuardrailUnits(use, names);
}

type GuardedUse = Pick<MaxUsage, 'inputTokens' | 'outputTokens' | 'pieces'>;

function countGuardrailUnits(
  { inputTokens, outputTokens, pieces }: GuardedUse,
  names: readonly string[],
): Record<string, number> {
  const inputUnits = Math.max(1, Math.ceil(inputTokens / INPUT_TOKENS_PER_TEXT_UNIT));
  const units = inputUnits + Math.ceil(outputTokens / OUTPUT_TOKENS_PER_TEXT_UNIT);
  return Object.fromEntries(names.map((name) => [name, IMAGE_UNITS.test(name) ? pieces : units]));
}

/** `contentPolicyImageUnits` */
const IMAGE_UNITS = /Image/;

/** The largest of the numbers; undefined if there is none, or if one is not known. */
export function findMax(costs: readonly (number | undefined)[]): number | undefined {
  let most: number | undefined;
  for (const cost of costs) {
    if (cost === undefined) return undefined;
    if (most === undefined || cost > most) most = cost;
  }
  return most;
}

function outputOf(outputTokens: number, { output, outputAudio }: ModelPrice, speaks: boolean): Usage {
  const isSpeech = outputAudio !== undefined && (speaks || output === undefined);
  return isSpeech ? { outputTokens, outputAudioTokens: outputTokens } : { outputTokens };
}

function bounded(count: number): number {
  return count > 0 ? Math.min(Math.ceil(count), MAX_TOKENS) : 0;
}
