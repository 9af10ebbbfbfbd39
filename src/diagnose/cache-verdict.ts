/**
 * What became of a prompt's cache, and why: what AWS reported is laid beside what a cache by its rules would have had.
 * Certain is only what AWS's numbers or the bytes of both prompts show. Pure.
 */
import { sumInput, type Usage } from '../domain/usage.ts';
import { type CacheFacts, findCacheFacts } from './cache-facts.ts';
import { findChange, type PrintedBlock, type PromptChange } from './cache-changes.ts';
import { type CacheEntry, type CacheMemory, type CacheScope, isSameScope, type PastPrompt } from './cache-memory.ts';
import { findPredecessor, isLost, type JudgedPrompt } from './cache-predecessor.ts';

/** What became of it. */
export type CacheVerdict =
  | 'hit'
  | 'hit-partial'
  | 'implicit'
  | 'no-marker'
  | 'wrong-dialect'
  | 'unsupported'
  | 'below-minimum'
  | 'too-many-markers'
  | 'ttl-order'
  | 'marker-place'
  | 'first'
  | 'expired'
  | 'changed'
  | 'params'
  | 'model-changed'
  | 'concurrent'
  | 'lookback'
  | 'volatile-marker'
  | 'evicted'
  | 'unknown';

/** How sure it is. */
export type CacheConfidence = 'certain' | 'likely' | 'possible' | 'unknown';

/** A verdict and what it goes by. */
export interface CacheFinding {
  readonly verdict: CacheVerdict;
  readonly confidence: CacheConfidence;
  /** What differs from the prompt before. */
  readonly change?: PromptChange | undefined;
  /** Id of the prompt that it was laid beside. */
  readonly previous?: string | undefined;
  /** Tokens that would have been read if all had been well. */
  readonly lostTokens: number;
  /** The last block of what was read; of what would have been. */
  readonly hitIndex?: number | undefined;
  /** Where a marker should stand: pointer of the block that it should follow. */
  readonly markAfter?: string | undefined;
  /** A marker that is wrong. */
  readonly pointer?: string | undefined;
  readonly gapMs?: number | undefined;
  readonly ttl?: '5m' | '1h' | undefined;
  readonly minTokens?: number | undefined;
  readonly tokens?: number | undefined;
  /** The model that has the entry. */
  readonly elsewhere?: CacheScope | undefined;
}

/** What AWS said. */
export interface PromptOutcome {
  readonly status: number | undefined;
  readonly errorMessage: string | undefined;
  readonly usage: Usage | undefined;
}

/** More are refused, whatever AWS's number is. */
const MAX_MARKERS = 20;

/** Undefined: nothing is to be said of it, because it failed for another reason. */
export function findVerdict(
  prompt: PastPrompt,
  outcome: PromptOutcome,
  memory: CacheMemory,
  facts: CacheFacts,
): CacheFinding | undefined {
  const { usage, status = 0 } = outcome;
  if (status === 0 || status >= 400) return findRefusal(prompt, outcome, facts);
  const total = sumInput(usage);
  if (usage === undefined || total === undefined) return { verdict: 'unknown', confidence: 'unknown', lostTokens: 0 };
  const markers = prompt.blocks.flatMap(({ marker }, at) => (marker === undefined ? [] : [at])).slice(-MAX_MARKERS);
  const open: JudgedPrompt = {
    prompt,
    memory,
    facts,
    model: findCacheFacts(facts, prompt.scope.model),
    read: usage.cacheReadTokens ?? 0,
    written: usage.cacheWriteTokens ?? 0,
    total,
    markers,
    last: markers.at(-1) ?? -1,
  };
  if (open.read > 0) return judgeHit(open);
  if (open.last === -1) return judgeUnmarked(open);
  return open.written === 0 ? judgeNothing(open) : judgeMiss(open);
}

/** By AWS's message, where it refused the markers. */
function findRefusal(
  { blocks, misplacedMarkers, scope }: PastPrompt,
  { errorMessage = '' }: PromptOutcome,
  facts: CacheFacts,
): CacheFinding | undefined {
  const certain = { confidence: 'certain', lostTokens: 0 } as const;
  const markers = blocks.filter(({ marker }) => marker !== undefined);
  if (/maximum of \d+ blocks with cache_control|too many cache ?points?/i.test(errorMessage)) {
    return { ...certain, verdict: 'too-many-markers', pointer: markers[facts.maxMarkers]?.markerPointer };
  }
  if (/ttl='?1h'? .*must not come after/i.test(errorMessage)) {
    const short = markers.findIndex(({ marker }) => marker === '5m');
    const late = markers.find(({ marker }, index) => marker === '1h' && index > short);
    return { ...certain, verdict: 'ttl-order', pointer: late?.markerPointer };
  }
  // Of Nova's models, tools have no markers.
  const fields = findCacheFacts(facts, scope.model)?.fields ?? [];
  const misfit = fields.length === 0 ? undefined : markers.find(({ field }) => !fields.includes(field));
  if (misfit !== undefined && /cachePoint.*not permitted/i.test(errorMessage)) {
    return { ...certain, verdict: 'marker-place', pointer: misfit.markerPointer };
  }
  if (/did not allow prompt caching|not support prompt caching|cachePoint.*not permitted/i.test(errorMessage)) {
    return { ...certain, verdict: 'unsupported', pointer: markers[0]?.markerPointer };
  }
  if (/cache point cannot be inserted|cache_control cannot be set/i.test(errorMessage)) {
    return { ...certain, verdict: 'marker-place', pointer: misplacedMarkers[0] ?? markers[0]?.markerPointer };
  }
  return undefined;
}

function judgeHit(open: JudgedPrompt): CacheFinding {
  const { prompt, written, last } = open;
  if (last === -1) return { verdict: 'implicit', confidence: 'certain', lostTokens: 0, hitIndex: guessHit(open) };
  const usable = findUsable(open);
  const hitIndex = usable?.index ?? guessHit(open);
  const hit = { confidence: 'certain', lostTokens: 0, hitIndex } as const;
  if (written === 0) return { ...hit, verdict: 'hit' };
  const past = findPredecessor(open);
  const partial = { ...hit, verdict: 'hit-partial', previous: past?.prompt.id } as const;
  if (past === undefined || !isLost(open, past)) return partial;
  const lostTokens = Math.max(0, Math.min(past.tokens, open.read + written) - open.read);
  return { ...partial, lostTokens, change: findChange(prompt.blocks, past.prompt.blocks, past.common) };
}

function judgeUnmarked(open: JudgedPrompt): CacheFinding {
  const { prompt, model, total } = open;
  const [pointer] = prompt.foreignMarkers;
  const mayPay = total >= (model?.minTokens ?? Number.POSITIVE_INFINITY);
  const past = mayPay ? findPredecessor(open) : undefined;
  const common = past?.common ?? 0;
  const tokens = Math.round((total * sizeUpTo(prompt.blocks, common)) / sizeUpTo(prompt.blocks, prompt.blocks.length));
  const isWorth = model?.minTokens !== undefined && tokens >= model.minTokens;
  const found = {
    lostTokens: isWorth ? tokens : 0,
    previous: isWorth ? past?.prompt.id : undefined,
    markAfter: isWorth ? prompt.blocks[common - 1]?.pointer : undefined,
  };
  if (pointer !== undefined) return { ...found, verdict: 'wrong-dialect', confidence: 'certain', pointer };
  return { ...found, verdict: 'no-marker', confidence: 'certain' };
}

/** There are markers, and neither was anything read nor written. */
function judgeNothing(open: JudgedPrompt): CacheFinding {
  const { prompt, model, total, last } = open;
  const lastMarker = prompt.blocks[last]?.markerPointer;
  if (model?.minTokens === undefined) {
    return { verdict: 'unsupported', confidence: 'likely', lostTokens: 0, pointer: lastMarker };
  }
  const { minTokens, doubtBelow = minTokens } = model;
  const marked = Math.round(
    (total * sizeUpTo(prompt.blocks, last + 1)) / sizeUpTo(prompt.blocks, prompt.blocks.length),
  );
  const below = { verdict: 'below-minimum', lostTokens: 0, minTokens, pointer: lastMarker } as const;
  if (total < minTokens) return { ...below, confidence: 'certain', tokens: total };
  if (marked < doubtBelow * ESTIMATE_ERROR) return { ...below, confidence: 'likely', tokens: marked };
  const [misplaced] = prompt.misplacedMarkers;
  if (misplaced !== undefined) {
    return { verdict: 'marker-place', confidence: 'likely', lostTokens: 0, pointer: misplaced };
  }
  return { verdict: 'unknown', confidence: 'unknown', lostTokens: 0, pointer: lastMarker };
}

/** Bytes are no tokens: so much more may still be too little. */
const ESTIMATE_ERROR = 1.25;

/** Something was written, and nothing was read. */
function judgeMiss(open: JudgedPrompt): CacheFinding {
  const { prompt, written } = open;
  const usable = findUsable(open);
  const of = (entry: CacheEntry, index: number) => ({
    previous: entry.id,
    lostTokens: Math.min(entry.tokens, written),
    hitIndex: index,
    gapMs: prompt.sentAtMs - entry.usedAtMs,
    ttl: entry.ttl,
  });
  if (usable !== undefined) {
    return { verdict: 'evicted', confidence: 'possible', ...of(usable.entry, usable.index), hitIndex: undefined };
  }
  for (let index = open.last; index >= 0; index -= 1) {
    const entry = findEntryAt(open, index);
    if (entry === undefined) continue;
    const verdict = whyUnusable(open, entry, index);
    const confidence = verdict === 'expired' ? 'certain' : 'likely';
    return { verdict, confidence, ...of(entry, index), hitIndex: undefined, markAfter: prompt.blocks[index]?.pointer };
  }
  return judgeOtherEntries(open, of) ?? findRunning(open) ?? judgeChange(open) ?? firstOf();
}

function firstOf(): CacheFinding {
  return { verdict: 'first', confidence: 'likely', lostTokens: 0 };
}

type Describe = (entry: CacheEntry, index: number) => Partial<CacheFinding> & { readonly lostTokens: number };

/** There is an entry for the same prompt, but with other parameters, or of another model. */
function judgeOtherEntries(open: JudgedPrompt, of: Describe): CacheFinding | undefined {
  const { prompt, memory } = open;
  const isAlive = (entry: CacheEntry): boolean =>
    entry.writtenAtMs <= prompt.sentAtMs && prompt.sentAtMs < entry.endsAtMs;
  for (let index = open.last; index >= 0; index -= 1) {
    const prefix = prompt.prefixes[index] ?? '';
    if (!isReachable(open, index)) continue;
    const sameScope = memory.findEntry(prompt.scope, prefix, undefined);
    if (sameScope !== undefined && sameScope.params !== prompt.params && isAlive(sameScope)) {
      return { verdict: 'params', confidence: 'likely', ...of(sameScope, index), hitIndex: undefined };
    }
    const entry = memory.findElsewhere(prefix);
    if (entry === undefined || !isAlive(entry) || isSameScope(entry.scope, prompt.scope)) continue;
    const found = { ...of(entry, index), hitIndex: undefined, elsewhere: entry.scope };
    return { verdict: 'model-changed', confidence: 'likely', ...found };
  }
  return undefined;
}

/** A request under way writes the same entry. */
function findRunning(open: JudgedPrompt): CacheFinding | undefined {
  const { prompt, memory, written } = open;
  for (const other of memory.listEarlier(prompt)) {
    const isRunning = other.begunAtMs === undefined || other.begunAtMs > prompt.sentAtMs;
    if (!isRunning) continue;
    const index = other.blocks.findLastIndex(
      ({ marker }, at) => marker !== undefined && other.prefixes[at] === prompt.prefixes[at] && isReachable(open, at),
    );
    if (index === -1) continue;
    return { verdict: 'concurrent', confidence: 'likely', previous: other.id, lostTokens: written };
  }
  return undefined;
}

/** Prompts before had a marker beyond where this one differs. */
function judgeChange(open: JudgedPrompt): CacheFinding | undefined {
  const { prompt, written, total, model } = open;
  const past = findPredecessor(open);
  if (past === undefined || !isLost(open, past)) return undefined;
  const change = findChange(prompt.blocks, past.prompt.blocks, past.common);
  const found = {
    previous: past.prompt.id,
    change,
    confidence: past.common > 0 || change?.isExact === true ? 'certain' : 'likely',
  } as const;
  const stable = Math.round(
    (total * sizeUpTo(prompt.blocks, past.common)) / sizeUpTo(prompt.blocks, prompt.blocks.length),
  );
  const isMarkedBefore = prompt.blocks.slice(0, past.common).some(({ marker }) => marker !== undefined);
  const writesEachTime = past.prompt.cached?.read === 0;
  if (!isMarkedBefore && writesEachTime && stable >= (model?.minTokens ?? Number.POSITIVE_INFINITY)) {
    const markAfter = prompt.blocks[past.common - 1]?.pointer;
    return { ...found, verdict: 'volatile-marker', lostTokens: Math.min(stable, written), markAfter };
  }
  return { ...found, verdict: 'changed', lostTokens: Math.min(past.tokens, written) };
}

/** The longest entry that should have been read. */
function findUsable(open: JudgedPrompt): { readonly entry: CacheEntry; readonly index: number } | undefined {
  for (let index = open.last; index >= 0; index -= 1) {
    const entry = findEntryAt(open, index);
    if (entry !== undefined && whyUnusable(open, entry, index) === 'unknown') return { entry, index };
  }
  return undefined;
}

function findEntryAt({ prompt, memory }: JudgedPrompt, index: number): CacheEntry | undefined {
  const goesByParams = prompt.blocks[index]?.field === 'messages';
  const entry = memory.findEntry(prompt.scope, prompt.prefixes[index] ?? '', goesByParams ? prompt.params : '');
  return entry !== undefined && entry.writtenAtMs <= prompt.sentAtMs ? entry : undefined;
}

/** `unknown`: nothing speaks against it. */
function whyUnusable(
  open: JudgedPrompt,
  entry: CacheEntry,
  index: number,
): 'expired' | 'concurrent' | 'lookback' | 'unknown' {
  const { prompt } = open;
  if (prompt.sentAtMs >= entry.endsAtMs) return 'expired';
  if (entry.usableAtMs > prompt.sentAtMs) return 'concurrent';
  return isReachable(open, index) ? 'unknown' : 'lookback';
}

/** Whether a marker looks back so far. */
function isReachable({ markers, facts }: JudgedPrompt, index: number): boolean {
  return markers.some((at) => index <= at && index >= at - facts.lookback);
}

/** The block up to which so many tokens were read, by bytes. */
function guessHit({ prompt, read, total }: JudgedPrompt): number {
  const { blocks } = prompt;
  const wanted = (read / total) * sizeUpTo(blocks, blocks.length) * GUESS_ERROR;
  let size = 0;
  const beyond = blocks.findIndex(({ print }) => (size += print.sizeBytes) > wanted);
  return (beyond === -1 ? blocks.length : beyond) - 1;
}

const GUESS_ERROR = 1.05;

/** Bytes of content of so many blocks. */
export function sizeUpTo(blocks: readonly PrintedBlock[], count: number): number {
  let size = 0;
  for (let at = 0; at < count; at += 1) size += blocks[at]?.print.sizeBytes ?? 0;
  return size;
}
