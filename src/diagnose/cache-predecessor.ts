/**
 * The prompt that another one is laid beside: an earlier one of the same caller that begins in the same way, or is the
 * same thing with a change. Pure.
 */
import type { CacheFacts, ModelCacheFacts } from './cache-facts.ts';
import { countCommon, type PrintedBlock } from './cache-changes.ts';
import type { CacheMemory, PastPrompt } from './cache-memory.ts';

/** A prompt that is judged, and what AWS said of it. */
export interface JudgedPrompt {
  readonly prompt: PastPrompt;
  readonly memory: CacheMemory;
  readonly facts: CacheFacts;
  readonly model: ModelCacheFacts | undefined;
  readonly read: number;
  readonly written: number;
  /** All of the input. */
  readonly total: number;
  /** Indexes of its markers; those that AWS would take, the last ones. */
  readonly markers: readonly number[];
  /** The last of them; -1 if it has none. */
  readonly last: number;
}

/** An earlier prompt of the same caller. */
export interface Predecessor {
  readonly prompt: PastPrompt;
  /** How many blocks both begin with. */
  readonly common: number;
  /** Up to its last marker. */
  readonly tokens: number;
}

/** With the longest common beginning, and the newest of these; one that has nothing in common is none. */
export function findPredecessor({ prompt, memory, facts, last }: JudgedPrompt): Predecessor | undefined {
  let best: (Predecessor & { readonly likeness: number }) | undefined;
  for (const earlier of memory.listEarlier(prompt)) {
    const { cached, begunAtMs = Number.POSITIVE_INFINITY } = earlier;
    if (cached === undefined || begunAtMs > prompt.sentAtMs) continue;
    const ttl = earlier.blocks.some(({ marker }) => marker === '1h') ? '1h' : '5m';
    if (prompt.sentAtMs - earlier.sentAtMs >= facts.ttlMs[ttl]) continue;
    if (last !== -1 && cached.read + cached.written === 0) continue;
    const common = countCommon(prompt.blocks, earlier.blocks);
    const likeness = common * 4 + likenessAt(prompt.blocks, earlier.blocks, common);
    if (likeness === 0 || likeness <= (best?.likeness ?? 0)) continue;
    best = { prompt: earlier, common, tokens: cached.read + cached.written, likeness };
  }
  return best;
}

/** From 0 to 3: whether the first blocks that differ are the same thing all the same. */
function likenessAt(one: readonly PrintedBlock[], other: readonly PrintedBlock[], at: number): number {
  const [now, before] = [one[at], other[at]];
  if (now === undefined || before === undefined || now.field !== before.field) return 0;
  if (now.print.looseHash === before.print.looseHash || now.print.blankHash === before.print.blankHash) return 3;
  if (now.print.orderHash !== undefined && now.print.orderHash === before.print.orderHash) return 3;
  if (sharesChunk(now.print.chunks, before.print.chunks)) return 2;
  const rest = new Set(other.slice(at).map(({ print }) => print.hash));
  return one.slice(at).some(({ print }) => rest.has(print.hash)) ? 1 : 0;
}

function sharesChunk(one: Buffer, other: Buffer): boolean {
  for (let at = 0; at + 8 <= Math.min(one.length, other.length); at += 8) {
    if (one.subarray(at, at + 8).equals(other.subarray(at, at + 8))) return true;
  }
  return false;
}

/** Whether it differs before the last marker of both: otherwise nothing was lost. */
export function isLost({ prompt, last }: JudgedPrompt, { prompt: earlier, common }: Predecessor): boolean {
  const lastBefore = earlier.blocks.findLastIndex(({ marker }) => marker !== undefined);
  return common <= last && common <= lastBefore && common < prompt.blocks.length;
}
