/**
 * Keeps conversations where their prompt cache is: which upstream a prefix was served by last, and, for one that nobody
 * knows, where it begins, by weights. Prompt caches live per account and region, for an hour at most. Pure, but for
 * what it remembers.
 */
import { createHash } from 'node:crypto';
import type { MonotonicClock } from '../../lib/clock.ts';

/** A prefix costs some 200 bytes. */
const MAX_PREFIXES = 50_000;
/** The longest life of a prompt cache, counted from its last use. */
const CACHE_LIFE_MS = 60 * 60_000;
/** At an upstream of last resort a conversation stays as long as an ordinary cache lives, and then goes back. */
const GUEST_MS = 5 * 60_000;

interface Place {
  readonly upstream: string;
  readonly untilTick: number;
}

/** State: prefixes and where they were served, those used last at the end. */
export class Affinity {
  readonly #tickMs: MonotonicClock;
  readonly #places = new Map<string, Place>();

  constructor(tickMs: MonotonicClock) {
    this.#tickMs = tickMs;
  }

  /** The upstream that served the first of these prefixes that is known; the longest one comes first. */
  find(prefixes: readonly string[]): string | undefined {
    const now = this.#tickMs();
    for (const prefix of prefixes) {
      const place = this.#places.get(prefix);
      if (place !== undefined && now < place.untilTick) return place.upstream;
    }
    return undefined;
  }

  /** All of these prefixes are there now. `isGuest`: at an upstream of last resort. */
  remember(prefixes: readonly string[], upstream: string, isGuest: boolean): void {
    const now = this.#tickMs();
    for (const prefix of prefixes) {
      const before = this.#places.get(prefix);
      const stays = isGuest && before?.upstream === upstream && now < before.untilTick;
      const untilTick = stays ? before.untilTick : now + (isGuest ? GUEST_MS : CACHE_LIFE_MS);
      this.#places.delete(prefix);
      this.#places.set(prefix, { upstream, untilTick });
    }
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= MAX_PREFIXES) return;
      this.#places.delete(oldest);
    }
  }
}

/** What is ranked: its name, and its share of all. */
export interface Weighted {
  readonly name: string;
  readonly weight: number;
}

/**
 * By rendezvous hashing: the same order for the same prefix, each first for its share of all prefixes; if one goes or
 * comes, no other prefix changes its place. Those of weight 0 come last, in their own order.
 */
export function rankByWeight<T extends Weighted>(prefix: string, weighted: readonly T[]): T[] {
  const shared = weighted.filter(({ weight }) => weight > 0);
  const last = weighted.filter(({ weight }) => weight === 0);
  if (shared.length < 2) return [...shared, ...last];
  const scored = shared.map((one) => ({ one, score: scoreOf(prefix, one) }));
  return [...scored.toSorted((a, b) => b.score - a.score).map(({ one }) => one), ...last];
}

function scoreOf(prefix: string, { name, weight }: Weighted): number {
  const hash = createHash('sha256').update(`${prefix}\n${name}`).digest();
  // Above 0 and below 1.
  const part = (hash.readUIntBE(0, 6) + 1) / (2 ** 48 + 2);
  return weight / -Math.log(part);
}
