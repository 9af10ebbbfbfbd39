/**
 * The prompt cache of the offline Bedrock, by AWS's rules: at most four checkpoints, a least number of tokens for each
 * model, five minutes or an hour since the last use. What a prompt shares with an earlier one up to a checkpoint is
 * read; what comes after it, up to the last checkpoint, is written. Holds state, and does no I/O.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
 */
import { createHash } from 'node:crypto';

/** How long a checkpoint lives after its last use. */
export type CacheTtl = '5m' | '1h';

/** A part of a prompt, in the order in which the model reads it. */
export interface PromptSegment {
  /** What tells it from another. */
  readonly text: string;
  readonly tokens: number;
  /** If a checkpoint comes right after it. */
  readonly checkpoint?: CacheTtl;
}

/** The tokens of a prompt. */
export interface PromptTokens {
  /** Neither read nor written. */
  readonly input: number;
  readonly read: number;
  readonly written: Readonly<Record<CacheTtl, number>>;
}

/** What a prompt costs a model without a cache. */
export const NO_CACHE_USE = { read: 0, written: { '5m': 0, '1h': 0 } } as const;

/** Checkpoints in one request, at most. */
const MAX_CHECKPOINTS = 4;

const TTL_MS: Readonly<Record<CacheTtl, number>> = { '5m': 5 * 60_000, '1h': 60 * 60_000 };
/** A match is looked for so many parts before a checkpoint (Anthropic's documentation). */
const LOOKBACK = 20;
/** Entries of one server; the oldest goes first. */
const MAX_ENTRIES = 10_000;

/** How a prompt is sent. */
export interface CacheUse {
  /** What shares a cache. */
  readonly scope: string;
  /** The model's. */
  readonly leastTokens: number;
  /** When the request is sent; from then on an entry lives. */
  readonly nowMs: number;
  /** When the response begins: before, nobody can read what was written. Else at once. */
  readonly readyAtMs?: number;
}

interface CacheEntryTimes {
  readonly endsAtMs: number;
  readonly ttl: CacheTtl;
  readonly readyAtMs: number;
}

/** All prompts of one server. */
export class PromptCache {
  /** By the hash of everything up to its checkpoint; the oldest first. */
  readonly #entries = new Map<string, CacheEntryTimes>();

  /** The tokens of a prompt, with what is read of it and what is written. */
  use(segments: readonly PromptSegment[], { scope, leastTokens, nowMs, readyAtMs = nowMs }: CacheUse): PromptTokens {
    const prefixes = measurePrefixes(segments, scope);
    const total = prefixes.at(-1)?.tokens ?? 0;
    const checkpoints =
      leastTokens === 0 ? [] : prefixes.filter((prefix) => prefix.ttl && prefix.tokens >= leastTokens);
    const last = checkpoints.at(-1);
    if (last === undefined) return { input: total, ...NO_CACHE_USE };
    const hit = this.#findHit(prefixes, checkpoints, nowMs);
    const written = { '5m': 0, '1h': 0 };
    let doneTokens = hit?.tokens ?? 0;
    for (const { hash, tokens, ttl } of checkpoints) {
      if (ttl === undefined) continue;
      if (tokens > doneTokens) {
        written[ttl] += tokens - doneTokens;
        doneTokens = tokens;
      }
      this.#keep(hash, ttl, { nowMs, readyAtMs });
    }
    return { input: total - last.tokens, read: hit?.tokens ?? 0, written };
  }

  #findHit(prefixes: readonly Prefix[], checkpoints: readonly Prefix[], nowMs: number): Prefix | undefined {
    const near = prefixes.filter(({ index }) =>
      checkpoints.some((checkpoint) => index <= checkpoint.index && index >= checkpoint.index - LOOKBACK),
    );
    const hit = near.findLast(({ hash }) => {
      const entry = this.#entries.get(hash);
      return entry !== undefined && entry.endsAtMs > nowMs && entry.readyAtMs <= nowMs;
    });
    const entry = hit && this.#entries.get(hit.hash);
    // A use makes an entry live on as long as it was made for.
    if (hit !== undefined && entry !== undefined) this.#keep(hit.hash, entry.ttl, { nowMs, readyAtMs: nowMs });
    return hit;
  }

  #keep(hash: string, ttl: CacheTtl, { nowMs, readyAtMs }: Pick<Required<CacheUse>, 'nowMs' | 'readyAtMs'>): void {
    const before = this.#entries.get(hash);
    const isAlive = before !== undefined && before.endsAtMs > nowMs;
    const endsAtMs = Math.max(before?.endsAtMs ?? 0, nowMs + TTL_MS[ttl]);
    this.#entries.delete(hash);
    this.#entries.set(hash, { endsAtMs, ttl, readyAtMs: isAlive ? Math.min(before.readyAtMs, readyAtMs) : readyAtMs });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }
}

const MEDIA = /"(?:image|document|video|audio)":|"type":"(?:image|document)"/;

/** Messages whose cache goes by parameters besides, and by whether there is an image among them. */
export function withParams(messages: readonly PromptSegment[], params: readonly unknown[]): PromptSegment[] {
  const hasMedia = messages.some(({ text }) => MEDIA.test(text));
  const told = JSON.stringify([...params.map((param) => param ?? null), hasMedia]);
  return messages.map((segment, index) => (index === 0 ? { ...segment, text: `${told} ${segment.text}` } : segment));
}

/** All tokens of a prompt. */
export function countSegments(segments: readonly PromptSegment[]): number {
  return segments.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** Models whose checkpoints may live for an hour: Claude from 4.5 on. */
const WITH_HOUR = /^offline\.|^anthropic\.claude-(?:opus|sonnet|haiku)-4-[5-9]|^anthropic\.claude-[a-z]+-5/;

/** Why a model refuses the checkpoints of a prompt; undefined if it does not. */
export function findCheckpointProblem(checkpoints: readonly CacheTtl[], modelId: string): string | undefined {
  if (checkpoints.includes('1h') && modelId.includes('.') && !WITH_HOUR.test(modelId)) {
    return `The model ${modelId} does not keep cache checkpoints for 1h.`;
  }
  if (checkpoints.length > MAX_CHECKPOINTS) {
    return `A maximum of ${MAX_CHECKPOINTS} blocks with cache_control may be provided. Found ${checkpoints.length}.`;
  }
  if (checkpoints.lastIndexOf('1h') > checkpoints.indexOf('5m') && checkpoints.includes('5m')) {
    return "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.";
  }
  return undefined;
}

/** Everything up to a part of a prompt, that part included. */
interface Prefix {
  readonly index: number;
  readonly hash: string;
  readonly tokens: number;
  readonly ttl: CacheTtl | undefined;
}

function measurePrefixes(segments: readonly PromptSegment[], scope: string): Prefix[] {
  let hash = scope;
  let total = 0;
  return segments.map(({ text, tokens, checkpoint }, index) => {
    hash = createHash('sha256').update(hash).update('\0').update(text).digest('base64');
    total += tokens;
    return { index, hash, tokens: total, ttl: checkpoint };
  });
}
