/**
 * What a response has told of its usage so far: the counts as the many shapes name them, and what they come to in our
 * words. Pure. Upstream is not believed: a count that cannot be one is dropped, and the tally remembers that it was
 * told something wrong.
 */
import type { JsonScalar } from '../protocol/json-scan.ts';
import type { Usage } from '../domain/usage.ts';

/** Larger counts are lies: a request of so many tokens would cost millions. */
export const MAX_COUNT = 1e12;
/** Longer names of tiers and models are not names. AWS's longest names of models have 2,048 characters. */
const MAX_NAME_LENGTH = 2048;

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
  | 'images';

/** State: the counts of one response. */
export class Tally {
  /** Something was reported that is no count. */
  hasInvalidCounts = false;
  /** A count was reported that stands where the final ones stand (it may still be the first of several). */
  isFinal = false;
  /** The last word on usage: nothing that can follow changes it. */
  isLast = false;
  serviceTier: string | undefined;
  latency: string | undefined;
  readonly #counts: Partial<Record<Count, number>> = {};
  readonly #units: Record<string, number> = Object.create(null);
  /** All units, those with a name that is not known included. */
  #allUnits = 0;
  #model: string | undefined;
  #hasSeveralModels = false;
  /** One half of a cache class, until the other half comes. */
  #classTtl: string | undefined;
  #classTokens: number | undefined;

  /** The newest value counts: streams report cumulated counts again and again. Null says nothing. */
  put(count: Count, value: JsonScalar): void {
    const checked = this.#check(value);
    if (checked !== undefined) this.#counts[count] = checked;
  }

  /** For what is reported in parts. */
  add(count: Count, value: JsonScalar): void {
    const sum = this.#check(value, this.#counts[count]);
    if (sum !== undefined) this.#counts[count] = sum;
  }

  /** Units of one policy, by AWS's name. */
  addUnits(name: string, value: JsonScalar): void {
    const sum = this.#check(value, this.#units[name]);
    if (sum !== undefined) this.#units[name] = sum;
  }

  /** Units of any policy; also to be called for those whose name is known. */
  addAnyUnits(value: JsonScalar): void {
    this.#allUnits = this.#check(value, this.#allUnits) ?? this.#allUnits;
  }

  /** Converse tells the class of a cache write in two members of one object, in either order. */
  putClassTtl(value: JsonScalar): void {
    if (typeof value !== 'string') return;
    this.#classTtl = value;
    this.#endClass();
  }

  putClassTokens(value: JsonScalar): void {
    this.#classTokens = this.#check(value);
    this.#endClass();
  }

  putServiceTier(value: JsonScalar): void {
    const tier = readName(value)?.toLowerCase();
    // `auto` is what was asked for. Anthropic's and OpenAI's word for the tier that AWS calls default is `standard`.
    if (tier !== undefined && tier !== 'auto') this.serviceTier = tier === 'standard' ? 'default' : tier;
  }

  putLatency(value: JsonScalar): void {
    this.latency = readName(value)?.toLowerCase() ?? this.latency;
  }

  putModel(value: JsonScalar): void {
    const model = readName(value);
    if (model === undefined) return;
    this.#hasSeveralModels ||= this.#model !== undefined && this.#model !== model;
    this.#model = model;
  }

  /** The model that answered, where the response names one, and only one. */
  get model(): string | undefined {
    return this.#hasSeveralModels ? undefined : this.#model;
  }

  /** Whether AWS itself told what went in and what came out. */
  get hasAwsCounts(): boolean {
    return this.#counts.awsInputTokens !== undefined && this.#counts.awsOutputTokens !== undefined;
  }

  /** Everything in our words; undefined where nothing was reported. */
  sum(): Usage | undefined {
    const counts = this.#counts;
    const inputTokens = this.#sumInput();
    const outputTokens = counts.awsOutputTokens ?? counts.outputTokens;
    const classes = addKnown(counts.cacheWrite5mTokens, counts.cacheWrite1hTokens);
    const cacheWriteTokens =
      counts.awsCacheWriteTokens ?? counts.cacheWriteTokens ?? counts.promptStoredTokens ?? classes;
    const usage: Usage = {
      inputTokens,
      outputTokens,
      cacheReadTokens: counts.awsCacheReadTokens ?? counts.cacheReadTokens ?? counts.promptCachedTokens,
      cacheWriteTokens,
      cacheWrite1hTokens: this.#partOf(cacheWriteTokens, counts.cacheWrite1hTokens),
      inputAudioTokens: this.#partOf(inputTokens, counts.inputAudioTokens),
      outputAudioTokens: this.#partOf(outputTokens, counts.outputAudioTokens),
      images: counts.images,
      guardrailUnits: this.#sumUnits(),
    };
    const known = Object.entries(usage).filter(([, value]) => value !== undefined);
    return known.length === 0 ? undefined : Object.fromEntries(known);
  }

  /**
   * AWS's count leaves out what caches served and took, like Converse's. Where it repeats OpenAI's count, and says
   * nothing of caches beside it, the model's own split is the finer word.
   */
  #sumInput(): number | undefined {
    const { awsInputTokens, awsCacheReadTokens, inputTokens, promptTokens } = this.#counts;
    const repeatsPrompt = awsInputTokens === promptTokens && awsCacheReadTokens === undefined;
    if (awsInputTokens !== undefined && !repeatsPrompt) return awsInputTokens;
    if (inputTokens !== undefined || promptTokens === undefined) return inputTokens;
    const rest = promptTokens - (this.#counts.promptCachedTokens ?? 0) - (this.#counts.promptStoredTokens ?? 0);
    if (rest >= 0) return rest;
    this.hasInvalidCounts = true;
    return undefined;
  }

  /** Units with a name that nobody knows must not look free. */
  #sumUnits(): Record<string, number> | undefined {
    const units = { ...this.#units };
    const unnamed = this.#allUnits - Object.values(units).reduce((sum, count) => sum + count, 0);
    if (unnamed > 0) units['otherUnits'] = unnamed;
    return Object.keys(units).length === 0 ? undefined : units;
  }

  #partOf(whole: number | undefined, part: number | undefined): number | undefined {
    if (part === undefined || part <= (whole ?? 0)) return part;
    this.hasInvalidCounts = true;
    return undefined;
  }

  #endClass(): void {
    if (this.#classTtl === undefined || this.#classTokens === undefined) return;
    this.add(this.#classTtl === '1h' ? 'cacheWrite1hTokens' : 'cacheWrite5mTokens', this.#classTokens);
    this.#classTtl = undefined;
    this.#classTokens = undefined;
  }

  /** The value as a count, on top of `base`. */
  #check(value: JsonScalar, base = 0): number | undefined {
    if (value === null) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && base + value <= MAX_COUNT)
      return base + value;
    this.hasInvalidCounts = true;
    return undefined;
  }
}

function addKnown(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined && other === undefined ? undefined : (one ?? 0) + (other ?? 0);
}

function readName(value: JsonScalar): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH ? value : undefined;
}
