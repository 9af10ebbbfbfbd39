/**
 * What a request may use and cost at most: its input as estimated from the body, its output as far as it may go. Pure.
 * Errs to the expensive side, within reason: what is reserved too much comes back when the request is settled.
 */
import { costOf, type ModelPrice } from '../pricing/cost.ts';
import type { RequestedUnits } from '../domain/units.ts';
import type { Usage } from '../domain/usage.ts';

/**
 * Output tokens that a request may make if its body sets no limit. AWS's own default is the model's maximum, and hardly
 * any response comes near it; with that, a small budget would never let anything pass.
 */
export const DEFAULT_MAX_OUTPUT_TOKENS = 8_192;

/** More than any model reads or writes: what a body asks for beyond that is not counted. */
const MAX_TOKENS = 1_000_000_000;
/** https://docs.claude.com/en/docs/build-with-claude/context-windows */
const LONG_CONTEXT_TOKENS = 1_000_000;
/** A text unit of a guardrail is 1,000 characters (AWS's price list); a token is about four. */
const TOKENS_PER_TEXT_UNIT = 250;

/** What the body says; any numbers, because they come from a client. */
export interface RequestedSize {
  readonly inputTokens: number;
  /** There is more input than the body holds, up to the model's context window. */
  readonly hasOutsideInput: boolean;
  /** That window is one of LONG_CONTEXT_TOKENS at least. */
  readonly wantsLongContext: boolean;
  /** Of one response; undefined if the body sets no limit. */
  readonly maxOutputTokens: number | undefined;
  /** Responses, or images, that are asked for at once. */
  readonly copies: number;
  /** What is sold by the piece; undefined if nothing of the kind is asked for. */
  readonly requestedUnits?: RequestedUnits | undefined;
}

/** Whole counts, none of them negative or without bounds. */
export interface MaxUsage {
  readonly inputTokens: number;
  /** Of all responses together. */
  readonly outputTokens: number;
  readonly copies: number;
  readonly units?: RequestedUnits['counts'];
}

/** `makesText`: whether the model writes at all; an embedding does not. */
export function maxUsage(
  requested: Pick<RequestedSize, 'inputTokens' | 'maxOutputTokens' | 'copies' | 'requestedUnits'>,
  makesText: boolean,
): MaxUsage {
  const copies = Math.max(1, bounded(requested.copies));
  const perResponse = bounded(requested.maxOutputTokens ?? DEFAULT_MAX_OUTPUT_TOKENS);
  return {
    inputTokens: bounded(requested.inputTokens),
    outputTokens: makesText ? bounded(perResponse * copies) : 0,
    copies,
    ...(requested.requestedUnits === undefined ? {} : { units: requested.requestedUnits.counts }),
  };
}

/**
 * The same if there is input that is not in the body: as much as the model can read. `prices` are those of all models
 * that may do the work; undefined if the window of one of them is not known.
 */
export function withOutsideInput(
  use: MaxUsage,
  { wantsLongContext }: RequestedSize,
  prices: readonly (ModelPrice | undefined)[],
): MaxUsage | undefined {
  const window = findMax(prices.map((price) => price?.contextTokens));
  if (window === undefined) return undefined;
  const longest = wantsLongContext ? Math.max(window, LONG_CONTEXT_TOKENS) : window;
  return { ...use, inputTokens: Math.max(use.inputTokens, longest) };
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
  const made: Usage = {
    ...(makesOutput(price) ? outputOf(use.outputTokens, price, speaks) : {}),
    ...(price.image === undefined ? {} : { images: use.copies }),
    ...(use.units === undefined ? {} : { units: use.units }),
  };
  const inputs: Usage[] = [];
  if (price.input !== undefined) inputs.push({ inputTokens });
  if (price.cacheWrite !== undefined) inputs.push({ cacheWriteTokens: inputTokens });
  if (price.cacheWrite1h !== undefined) inputs.push({ cacheWriteTokens: inputTokens, cacheWrite1hTokens: inputTokens });
  if (speaks && price.inputAudio !== undefined) inputs.push({ inputTokens, inputAudioTokens: inputTokens });
  if (inputs.length === 0) inputs.push({});
  return findMax(inputs.map((input) => costOf({ ...input, ...made }, price)));
}

/** Of a guardrail that is applied alone: every policy that has a price reads all of the text. */
export function maxGuardrailCost({ inputTokens }: MaxUsage, price: ModelPrice): number | undefined {
  const units = Math.max(1, Math.ceil(inputTokens / TOKENS_PER_TEXT_UNIT));
  const names = Object.keys(price.guardrailUnits ?? {});
  return costOf({ guardrailUnits: Object.fromEntries(names.map((name) => [name, units])) }, price);
}

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
