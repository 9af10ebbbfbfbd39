/**
 * What a response has told of its usage so far: the counts as the many shapes name them, and what they come to in our
 * words. Pure. Upstream is not believed: a count that cannot be one is dropped, and the tally remembers that it was
 * told something wrong.
 */
import type { PieceUnit } from '../domain/units.ts';
import { sumInput, type Usage } from '../domain/usage.ts';

/** Larger counts are lies: a request of so many tokens would cost millions. */
export const MAX_COUNT = 1e12;
/** Longer names of tiers and models are not names. AWS's longest names of models have 2,048 characters. */
const MAX_NAME_LENGTH = 2048;
/** A part of a message that is enough to know it by. */
const MAX_MESSAGE_LENGTH = 4096;

/** Counts as answers have them. */
export type Count =
  /** AWS's own count, in headers or in a stream's invocation metrics, the same for every model. */
  | `aws${'Input' | 'Output' | 'CacheRead' | 'CacheWrite'}Tokens`
  | 'inputTokens'
  | 'outputTokens'
  | 'cacheReadTokens'
  | 'cacheWriteTokens'
  | `cacheWrite${'5m' | '1h'}Tokens`
  /**
   * All input tokens in OpenAI's shape, of which `promptCachedTokens` were read from a cache and `promptStoredTokens`
   * written.
   */
  | `prompt${'' | 'Cached' | 'Stored'}Tokens`
  | 'inputAudioTokens'
  | 'outputAudioTokens'
  /** What a model thought, if its shape does not say whether the output has it: see `#sumOutput`. */
  | 'reasoningTokens'
  | 'images';

/** The counts of one part of a response, as they were told. */
export type PartialCounts = Readonly<Partial<Record<Count, unknown>>>;

/** State: the counts of one response, and how far it has been understood. */
export class Tally {
  /** Something was reported that is no count. */
  hasInvalidCounts = false;
  /** A part that may tell of usage could not be read. */
  hasUnread = false;
  /** Something is billed besides, of which no count is told or no price can be known. */
  hasUnknownPart = false;
  /** A count was reported that stands where the final ones stand (it may still be the first of several). */
  isFinal = false;
  /** The last word on usage: nothing that can follow changes it. */
  isLast = false;
  /** Bytes of what the model wrote, as far as they are known; an estimate. */
  textBytes = 0;
  /** The input may hold what caches served and took, besides their own counts: the sum of all decides. */
  mayRepeatCaches = false;
  serviceTier: string | undefined;
  latency: string | undefined;
  /** AWS's type of error, if the response told of a failure; the first that it told. */
  errorType: string | undefined;
  /** What it said of it, as it came; only its first part. */
  errorMessage: string | undefined;
  readonly #counts: Partial<Record<Count, number>> = {};
  /** The counts of all steps together, if the response tells them step by step. */
  #steps: Partial<Record<Count, number>> = {};
  /** Input of the steps, caches included: of the longest, and of all. */
  #longestStep = 0;
  #allSteps = 0;
  readonly #pieces: Partial<Record<PieceUnit, number>> = {};
  readonly #units: Record<string, number> = Object.create(null);
  #totalTokens: number | undefined;
  #model: string | undefined;
  #hasSeveralModels = false;

  /** The newest value counts: streams report cumulated counts again and again. Null and undefined say nothing. */
  put(count: Count, value: unknown): void {
    this.putEarly(count, value);
    this.isFinal ||= isTold(value);
  }

  /** For what a stream tells at its beginning, which is not final. */
  putEarly(count: Count, value: unknown): void {
    const checked = this.#check(value);
    if (checked !== undefined) this.#counts[count] = checked;
  }

  /** For what comes at the very end. */
  putLast(count: Count, value: unknown): void {
    this.put(count, value);
    this.isLast ||= isTold(value);
  }

  /** For what is reported in parts. */
  add(count: Count, value: unknown): void {
    this.addEarly(count, value);
    this.isFinal ||= isTold(value);
  }

  /** For what is reported in parts, and is not final. */
  addEarly(count: Count, value: unknown): void {
    const sum = this.#check(value, this.#counts[count]);
    if (sum !== undefined) this.#counts[count] = sum;
  }

  /** For what a response tells of each of its steps: replaces what it told of them before. Not final. */
  putSteps(steps: readonly PartialCounts[]): void {
    this.#steps = {};
    this.#longestStep = 0;
    this.#allSteps = 0;
    for (const step of steps) {
      this.addStep(step);
      for (const [count, value] of Object.entries(step) as [Count, unknown][]) {
        const sum = this.#check(value, this.#steps[count]);
        if (sum !== undefined) this.#steps[count] = sum;
      }
    }
  }

  /** For what has a context of its own; its counts are told besides. */
  addStep({ inputTokens, cacheReadTokens, cacheWriteTokens }: PartialCounts): void {
    const counts = [inputTokens, cacheReadTokens, cacheWriteTokens].map((count) => this.#check(count) ?? 0);
    const length = counts.reduce((sum, count) => sum + count, 0);
    this.#longestStep = Math.max(this.#longestStep, length);
    this.#allSteps += length;
  }

  /** Of what is sold by the piece. The newest value counts; 0 says nothing: not every response has them. */
  putPieces(unit: PieceUnit, value: unknown): void {
    const checked = this.#check(value);
    if (checked !== undefined && checked > 0) this.#pieces[unit] = checked;
  }

  /**
   * Of what the request asked for and got: if nothing else is told, it is all that is sold. False if the response told
   * of it itself, which counts.
   */
  putRequested(unit: PieceUnit, count: number): boolean {
    this.isFinal = true;
    if (this.#pieces[unit] !== undefined) return false;
    this.putPieces(unit, count);
    return true;
  }

  /** Units of policies. Those whose name is not one of `known` are counted as others: they must not look free. */
  addUnits(units: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): void {
    for (const [name, value] of Object.entries(units)) {
      const isKnown = known.has(name);
      if (!isKnown && (value === 0 || typeof value === 'object')) continue;
      const key = isKnown ? name : 'otherUnits';
      const sum = this.#check(value, this.#units[key]);
      if (sum !== undefined) this.#units[key] = sum;
      this.isFinal ||= isKnown && isTold(value);
    }
  }

  putServiceTier(value: unknown): void {
    const tier = readName(value)?.toLowerCase();
    // `auto` is what was asked for. Anthropic's and OpenAI's word for the tier that AWS calls default is `standard`.
    if (tier !== undefined && tier !== 'auto') this.serviceTier = tier === 'standard' ? 'default' : tier;
  }

  /** The sum of all counts, as it was told: only to tell what the others hold. */
  putTotal(value: unknown): void {
    if (typeof value === 'number') this.#totalTokens = value;
  }

  putLatency(value: unknown): void {
    this.latency = readName(value)?.toLowerCase() ?? this.latency;
  }

  putError(type: unknown, message?: unknown): void {
    this.errorType ??= readName(type) ?? 'error';
    this.putErrorMessage(message);
  }

  putErrorMessage(message: unknown): void {
    if (typeof message === 'string') this.errorMessage ??= message.slice(0, MAX_MESSAGE_LENGTH);
  }

  /** For a failure in the midst: what was told of the usage before it may not be all of it. */
  breakOff(errorType: unknown, message?: unknown): void {
    this.putError(errorType, message);
    this.hasUnread = true;
  }

  putModel(value: unknown): void {
    const model = readName(value);
    if (model === undefined) return;
    this.#hasSeveralModels ||= this.#model !== undefined && this.#model !== model;
    this.#model = model;
  }

  /** The model that answered, if the response names one, and only one. */
  get model(): string | undefined {
    return this.#hasSeveralModels ? undefined : this.#model;
  }

  /** Whether AWS itself told what went in and what came out. */
  get hasAwsCounts(): boolean {
    return this.#counts.awsInputTokens !== undefined && this.#counts.awsOutputTokens !== undefined;
  }

  /** Everything in our words; undefined if nothing was reported. */
  sum(): Usage | undefined {
    const counts = this.#counts;
    const steps = this.#steps;
    const inputTokens = larger(this.#sumInput(), steps.inputTokens);
    const outputTokens = larger(this.#sumOutput(), steps.outputTokens);
    const classes = addKnown(counts.cacheWrite5mTokens, counts.cacheWrite1hTokens);
    const cacheReads = counts.awsCacheReadTokens ?? counts.cacheReadTokens ?? counts.promptCachedTokens;
    const cacheReadTokens = larger(cacheReads, steps.cacheReadTokens);
    const cacheWrites = counts.awsCacheWriteTokens ?? counts.cacheWriteTokens ?? counts.promptStoredTokens ?? classes;
    const cacheWriteTokens = larger(cacheWrites, steps.cacheWriteTokens);
    const cacheWrite1hTokens = larger(counts.cacheWrite1hTokens, steps.cacheWrite1hTokens);
    const usage: Usage = {
      inputTokens,
      outputTokens,
      cacheReadTokens,
      cacheWriteTokens,
      cacheWrite1hTokens: this.#partOf(cacheWriteTokens, cacheWrite1hTokens),
      inputAudioTokens: this.#partOf(inputTokens, counts.inputAudioTokens),
      outputAudioTokens: this.#partOf(outputTokens, counts.outputAudioTokens),
      longestInputTokens: this.#longestOf({ inputTokens, cacheReadTokens, cacheWriteTokens }),
      images: counts.images,
      units: Object.keys(this.#pieces).length === 0 ? undefined : { ...this.#pieces },
      guardrailUnits: Object.keys(this.#units).length === 0 ? undefined : { ...this.#units },
    };
    const known = Object.entries(usage).filter(([, value]) => value !== undefined);
    return known.length === 0 ? undefined : Object.fromEntries(known);
  }

  /**
   * AWS's count leaves out what caches served and took, like Converse's. If it repeats OpenAI's count, and says
   * nothing of caches beside it, the model's own split is the finer word.
   */
  #sumInput(): number | undefined {
    const { awsInputTokens, awsCacheReadTokens, inputTokens, promptTokens } = this.#counts;
    const repeatsPrompt = awsInputTokens === promptTokens && awsCacheReadTokens === undefined;
    if (awsInputTokens !== undefined && !repeatsPrompt) return awsInputTokens;
    if (inputTokens !== undefined) return this.#withoutCaches(inputTokens);
    if (promptTokens === undefined) return undefined;
    const rest = promptTokens - (this.#counts.promptCachedTokens ?? 0) - (this.#counts.promptStoredTokens ?? 0);
    if (rest >= 0) return rest;
    this.hasInvalidCounts = true;
    return undefined;
  }

  /** In a sum that adds the caches to an input that is as large as they are, they were counted twice. */
  #withoutCaches(inputTokens: number): number {
    const { cacheReadTokens = 0, cacheWriteTokens = 0, outputTokens = 0 } = this.#counts;
    const caches = cacheReadTokens + cacheWriteTokens;
    const isSum = this.#totalTokens === inputTokens + outputTokens + caches;
    return this.mayRepeatCaches && isSum && inputTokens >= caches ? inputTokens - caches : inputTokens;
  }

  /** Undefined if it is all of the input. What no step tells of may be of the longest. */
  #longestOf(usage: Usage): number | undefined {
    const input = sumInput(usage) ?? 0;
    const longest = this.#longestStep + Math.max(0, input - this.#allSteps);
    return longest < input ? longest : undefined;
  }

  /** In a sum that adds what the model thought to the output, the output was without it. */
  #sumOutput(): number | undefined {
    const { awsOutputTokens, outputTokens, promptTokens = 0, reasoningTokens = 0 } = this.#counts;
    if (awsOutputTokens !== undefined || outputTokens === undefined || reasoningTokens === 0)
      return awsOutputTokens ?? outputTokens;
    const withReasoning = outputTokens + reasoningTokens;
    return this.#totalTokens === promptTokens + withReasoning ? withReasoning : outputTokens;
  }

  #partOf(whole: number | undefined, part: number | undefined): number | undefined {
    if (part === undefined || part <= (whole ?? 0)) return part;
    this.hasInvalidCounts = true;
    return undefined;
  }

  /** The value as a count, on top of `base`. */
  #check(value: unknown, base = 0): number | undefined {
    if (!isTold(value)) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && base + value <= MAX_COUNT)
      return base + value;
    this.hasInvalidCounts = true;
    return undefined;
  }
}

function isTold(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function addKnown(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined && other === undefined ? undefined : (one ?? 0) + (other ?? 0);
}

function larger(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}

function readName(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH ? value : undefined;
}
