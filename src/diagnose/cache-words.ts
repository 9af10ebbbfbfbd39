/** A finding of the cache doctor in words: what happened, and what to do. Names places, never content. Pure. */
import { formatCount, formatSpan } from '../lib/format.ts';
import { formatUsd } from '../lib/usd.ts';
import type { ChangeKind } from './cache-changes.ts';
import type { CacheFacts } from './cache-facts.ts';
import type { PastPrompt } from './cache-memory.ts';
import type { CacheFinding, CacheVerdict } from './cache-verdict.ts';

const CHANGES: Readonly<Record<ChangeKind, string>> = {
  timestamp: 'a time stamp',
  uuid: 'an id',
  counter: 'a number',
  'key-order': 'the order of members',
  'white-space': 'white space',
  reordered: 'another order',
  added: 'added',
  removed: 'removed',
  description: 'a description',
  image: 'an image or a document',
  text: 'its text',
};

/** Verdicts by which money was lost. */
export const LOSSES: ReadonlySet<CacheVerdict> = new Set([
  'hit-partial',
  'no-marker',
  'wrong-dialect',
  'expired',
  'changed',
  'params',
  'model-changed',
  'concurrent',
  'lookback',
  'volatile-marker',
  'evicted',
]);

/** `tool 3`, `system block 2`, `message 5, block 1`: what a pointer points at, counted from 1. */
function namePlace(pointer: string): string {
  const steps = pointer.split('/').slice(1);
  const numbers = steps.filter((step) => /^\d+$/.test(step)).map((step) => Number(step) + 1);
  const [first, second] = numbers;
  if (steps.includes('tools')) return `tool ${first ?? 1}`;
  if (steps[0] === 'system' || steps[0] === 'instructions')
    return first === undefined ? 'system' : `system block ${first}`;
  if (first === undefined) return steps[0] ?? 'the request';
  return second === undefined ? `message ${first}` : `message ${first}, block ${second}`;
}

/** `system block 2, bytes 1,284–1,303, a time stamp`. */
function describePlace({ change }: CacheFinding, prompt: PastPrompt): string | undefined {
  const block = change && prompt.blocks[change.index];
  if (change === undefined || block === undefined) return undefined;
  const [from, to] = change.bytes;
  const bytes = `bytes ${formatCount(from)}–${formatCount(Math.max(from, to - 1))}`;
  return `${namePlace(block.pointer)}, ${bytes}, ${CHANGES[change.kind]}`;
}

const LIVES = { '5m': 'five minutes', '1h': 'an hour' } as const;

/** What happened, in one sentence. */
export function saysOf(finding: CacheFinding, prompt: PastPrompt, facts: CacheFacts): string {
  const { verdict, gapMs = 0, ttl = '5m', minTokens = 0, tokens = 0, elsewhere, pointer } = finding;
  const place = describePlace(finding, prompt);
  switch (verdict) {
    case 'hit':
      return 'The cache was read up to the last marker that held.';
    case 'hit-partial':
      if (place === undefined) return 'An earlier marker was read, and what came after it was written.';
      return `An earlier marker was read; what comes after it was lost: ${place}.`;
    case 'implicit':
      return 'AWS read a part of the prompt from its own cache, without a marker.';
    case 'no-marker':
      return finding.lostTokens > 0
        ? `The request has no marker; about ${formatCount(finding.lostTokens)} tokens of it repeat the request before.`
        : 'The request has no marker, and nothing was cached.';
    case 'wrong-dialect':
      return `The marker at ${pointer ?? ''} is of another API: this operation ignores it.`;
    case 'unsupported':
      return finding.confidence === 'certain'
        ? 'AWS says that this model, or this request, does not allow prompt caching.'
        : 'This model is not known to cache prompts by markers.';
    case 'below-minimum':
      return finding.confidence === 'certain'
        ? `The prompt has ${formatCount(tokens)} tokens; this model caches from ${formatCount(minTokens)} on.`
        : `The last marker comes after about ${formatCount(tokens)} tokens; the least is ${formatCount(minTokens)}.`;
    case 'too-many-markers':
      return `A request has at most ${facts.maxMarkers} markers.`;
    case 'ttl-order':
      return 'A marker of one hour stands after one of five minutes.';
    case 'marker-place':
      return `A marker has no effect at ${pointer ?? 'its place'}.`;
    case 'first':
      return 'This prompt was not sent before within the life of a cache: it was written.';
    case 'expired':
      return `The same prompt was used ${formatSpan(gapMs)} before; its cache lives ${LIVES[ttl]}.`;
    case 'changed':
      return `The prompt changed before its marker: ${place ?? 'somewhere'}.`;
    case 'params':
      return 'Thinking, the choice of a tool or the presence of images changed: the cache of messages goes by them.';
    case 'model-changed':
      return `Another cache has it: that of ${elsewhere?.model ?? 'another model'} in ${elsewhere?.region ?? '?'}.`;
    case 'concurrent':
      return 'The same prompt was under way: until its response begins, nothing can be read.';
    case 'lookback':
      return `The prompt is the same, but its marker moved by more than ${facts.lookback} blocks.`;
    case 'volatile-marker':
      return `Each request writes and none reads: the marker comes after what changes (${place ?? 'a block'}).`;
    case 'evicted':
      return 'It should have been read. AWS promises no hit, and a cross-region profile may go elsewhere.';
    case 'unknown':
      return 'The response does not say what was cached, or there is no rule by which it follows.';
  }
}

/** What to do; undefined: nothing. */
export function adviceOf(finding: CacheFinding, prompt: PastPrompt, isHourKnown: boolean): string | undefined {
  const { verdict, pointer, markAfter, gapMs = 0, ttl, change } = finding;
  const block = change && prompt.blocks[change.index];
  switch (verdict) {
    case 'changed':
    case 'hit-partial':
      return block && `${cureOf(change.kind)} (${block.pointer}).`;
    case 'volatile-marker':
      return `Put the marker right after ${markAfter ?? 'the last block that stays the same'}.`;
    case 'no-marker':
      return markAfter && `Put a marker right after ${markAfter}.`;
    case 'wrong-dialect':
      return prompt.dialect === 'anthropic'
        ? `Set \`cache_control\` on the block before ${pointer ?? ''} instead of \`cachePoint\`.`
        : `Put a block \`{"cachePoint": {"type": "default"}}\` after it instead of \`cache_control\`.`;
    case 'below-minimum':
      return 'Put more of what stays the same before the marker, or leave the marker out.';
    case 'too-many-markers':
    case 'marker-place':
      return pointer && `Take away the marker at ${pointer}.`;
    case 'ttl-order':
      return pointer && `Put the marker at ${pointer} before those of five minutes, or take its ttl away.`;
    case 'expired':
      return ttl === '5m' && gapMs <= 3_600_000 && isHourKnown
        ? '`"ttl": "1h"` at the marker would have held; it pays from one such pause on.'
        : undefined;
    case 'lookback':
      return `Keep a marker nearer: one right after ${markAfter ?? 'the old one'} as well.`;
    case 'concurrent':
      return 'Send the first of such requests alone, and the others when its response has begun.';
    case 'params':
      return 'Keep thinking, tool choice and images the same within a conversation, or mark the system too.';
    case 'model-changed':
      return 'Stay with one model, profile and region within a conversation.';
    case 'unsupported':
      return 'Take the markers away, or use a model that caches.';
    default:
      return undefined;
  }
}

function cureOf(kind: ChangeKind): string {
  switch (kind) {
    case 'timestamp':
    case 'uuid':
    case 'counter':
      return 'Move what changes behind the last marker, into the newest message, or leave it out';
    case 'key-order':
      return 'Write the members always in the same order';
    case 'reordered':
    case 'added':
    case 'removed':
      return 'Keep the list and its order the same for all of a conversation, and add at its end';
    case 'white-space':
      return 'Print the text always in the same way';
    default:
      return 'Put a marker before it, and what changes after that';
  }
}

/** The line of the log. */
export function describeLoss(finding: CacheFinding, prompt: PastPrompt, lostNanoUsd: number | undefined): string {
  const place = describePlace(finding, prompt);
  const what = WORDS[finding.verdict] ?? finding.verdict;
  const amount = lostNanoUsd === undefined ? 'cost unknown' : `${formatUsd(lostNanoUsd)} lost`;
  return `cache ${what}${place === undefined ? '' : `: ${place}`}; ${amount}`;
}

const WORDS: Partial<Readonly<Record<CacheVerdict, string>>> = {
  'hit-partial': 'changed after an earlier marker',
  'no-marker': 'not asked for: no marker',
  'wrong-dialect': 'not asked for: a marker of another API',
  expired: 'expired',
  changed: 'changed',
  params: 'lost: other parameters',
  'model-changed': 'lost: another model or region',
  concurrent: 'not ready: the same prompt was under way',
  lookback: 'too far back',
  'volatile-marker': 'marker behind what changes',
  evicted: 'gone: AWS promises no hit',
};
