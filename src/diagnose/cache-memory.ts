/**
 * What the cache doctor remembers: the last prompts as fingerprints, and the entries that the caches of models have by
 * AWS's rules. Bounded; holds no content.
 */
import type { MarkerTtl } from './cache-facts.ts';
import type { CachePrompt } from './cache-blocks.ts';
import type { PrintedBlock } from './cache-changes.ts';

/** Who shares a cache: what calls one model in one region through one account. */
export interface CacheScope {
  readonly model: string;
  readonly region: string;
  /** Of several upstreams. */
  readonly upstream: string;
}

/** A prompt that has passed. Times are milliseconds of one clock. */
export interface PastPrompt extends Pick<CachePrompt, 'dialect' | 'foreignMarkers' | 'misplacedMarkers'> {
  readonly id: string;
  /** Whose request it is: prompts of others are never laid beside it. */
  readonly caller: string;
  readonly scope: CacheScope;
  readonly blocks: readonly PrintedBlock[];
  /** One for each block: of everything up to it. */
  readonly prefixes: readonly string[];
  /** Of what the cache of messages goes by besides. */
  readonly params: string;
  readonly sentAtMs: number;
  begunAtMs: number | undefined;
  /** Tokens that were read and written; undefined before its end. */
  cached: { readonly read: number; readonly written: number } | undefined;
}

/** Something that a cache holds, as far as it can be known. */
export interface CacheEntry {
  readonly id: string;
  readonly scope: CacheScope;
  readonly ttl: MarkerTtl;
  readonly params: string;
  /** About; those of the last marker of a prompt are exact. */
  readonly tokens: number;
  /** When the request was sent that wrote it, when it could be used first, and when it was used last. */
  readonly writtenAtMs: number;
  readonly usableAtMs: number;
  readonly usedAtMs: number;
  /** When it ends if nothing uses it. */
  readonly endsAtMs: number;
}

const MAX_PROMPTS = 1_000;
/** In all prompts; each is some 200 bytes. */
const MAX_BLOCKS = 100_000;
const MAX_ENTRIES = 20_000;
/** So many prompts of a caller are looked at. */
const MAX_COMPARED = 50;

/** What is remembered. */
export class CacheMemory {
  /** By id, the oldest first. */
  readonly #prompts = new Map<string, PastPrompt>();
  /** The last of each caller and scope, the oldest first. */
  readonly #byCaller = new Map<string, readonly PastPrompt[]>();
  readonly #entries = new Map<string, CacheEntry>();
  #blocks = 0;

  add(prompt: PastPrompt): void {
    const own = this.#byCaller.get(callerOf(prompt)) ?? [];
    const others = own.filter(({ id }) => id !== prompt.id).slice(1 - MAX_COMPARED);
    this.#byCaller.set(callerOf(prompt), [...others, prompt]);
    const before = this.#prompts.get(prompt.id);
    this.#prompts.delete(prompt.id);
    this.#prompts.set(prompt.id, prompt);
    this.#blocks += sizeOf(prompt) - (before === undefined ? 0 : sizeOf(before));
    for (const [id, oldest] of this.#prompts) {
      if (this.#prompts.size <= MAX_PROMPTS && this.#blocks <= MAX_BLOCKS) break;
      this.#prompts.delete(id);
      this.#blocks -= sizeOf(oldest);
      this.#forget(oldest);
    }
  }

  #forget(prompt: PastPrompt): void {
    const name = callerOf(prompt);
    const left = (this.#byCaller.get(name) ?? []).filter(({ id }) => id !== prompt.id);
    if (left.length === 0) this.#byCaller.delete(name);
    else this.#byCaller.set(name, left);
  }

  find(id: string): PastPrompt | undefined {
    return this.#prompts.get(id);
  }

  /** Of this caller and scope, sent before: the newest first. */
  listEarlier(prompt: PastPrompt): PastPrompt[] {
    const all = this.#byCaller.get(callerOf(prompt)) ?? [];
    return all.filter((one) => one.id !== prompt.id && one.sentAtMs <= prompt.sentAtMs).toReversed();
  }

  /** What a scope has for everything up to a block; `params` undefined: whatever these are. */
  findEntry(scope: CacheScope, prefix: string, params: string | undefined): CacheEntry | undefined {
    return this.#entries.get(nameOf(scope, prefix, params));
  }

  /** What any scope has had for it last. */
  findElsewhere(prefix: string): CacheEntry | undefined {
    return this.#entries.get(prefix);
  }

  /** It was written, or used: it lives on from there. */
  keep(prefix: string, entry: CacheEntry, goesByParams: boolean): void {
    this.#set(prefix, entry);
    this.#set(nameOf(entry.scope, prefix, undefined), entry);
    const name = nameOf(entry.scope, prefix, goesByParams ? entry.params : '');
    const before = this.#entries.get(name);
    const isAlive = before !== undefined && entry.writtenAtMs < before.endsAtMs;
    this.#set(name, {
      ...entry,
      ...(isAlive && { writtenAtMs: before.writtenAtMs, usableAtMs: Math.min(before.usableAtMs, entry.usableAtMs) }),
      usedAtMs: Math.max(before?.usedAtMs ?? 0, entry.usedAtMs),
      endsAtMs: Math.max(before?.endsAtMs ?? 0, entry.endsAtMs),
    });
  }

  #set(name: string, entry: CacheEntry): void {
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#entries.delete(oldest);
  }

  /** How much there is. */
  get sizes(): { readonly prompts: number; readonly blocks: number; readonly entries: number } {
    return { prompts: this.#prompts.size, blocks: this.#blocks, entries: this.#entries.size };
  }
}

function sizeOf({ blocks }: PastPrompt): number {
  return blocks.reduce((sum, { content }) => sum + Math.max(1, content.length / 8), 1);
}

function nameOf({ model, region, upstream }: CacheScope, prefix: string, params: string | undefined): string {
  return `${model}\n${region}\n${upstream}\n${prefix}\n${params ?? '*'}`;
}

function callerOf({ caller, scope }: PastPrompt): string {
  return `${caller}\n${scope.model}\n${scope.region}\n${scope.upstream}`;
}

/** Whether two prompts share a cache. */
export function isSameScope(one: CacheScope, other: CacheScope): boolean {
  return one.model === other.model && one.region === other.region && one.upstream === other.upstream;
}
