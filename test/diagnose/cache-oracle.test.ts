/**
 * The doctor against an oracle: conversations are generated and sent to a cache that goes by AWS's rules. The oracle
 * sees all of them as text and looks through everything that was ever sent; the doctor has fingerprints alone. Both
 * must come to the same verdict.
 */
import { array, assert, constant, constantFrom, oneof, property, record, type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/lib/json.ts';
import { type Judged, longText, MINUTE, POINT, SimulatedCache, SONNET } from './simulated-cache.ts';

const RULES = longText('the house');
const MODELS = [SONNET, SONNET.replace('us.', 'global.')];
const TTL_MS = { '5m': 5 * MINUTE, '1h': 60 * MINUTE };
const LOOKBACK = 20;

type Ttl = keyof typeof TTL_MS;

/** A conversation as it stands; steps change it. */
interface Talk {
  stamp: number;
  /** Whether the time stands before the long rules, or behind them. */
  isStampFirst: boolean;
  turns: number;
  model: number;
  forcesTool: boolean;
  isReordered: boolean;
  marksSystem: Ttl | undefined;
  marksLast: Ttl | undefined;
}

type Step =
  | { readonly kind: 'send' | 'stamp' | 'model' | 'tool' | 'reorder' | 'place' | 'twice' }
  | { readonly kind: 'turns'; readonly count: number }
  | { readonly kind: 'wait'; readonly minutes: number }
  | { readonly kind: 'markers'; readonly system: Ttl | undefined; readonly last: Ttl | undefined };

const ttl = constantFrom<Ttl | undefined>(undefined, '5m', '1h');
const step: Arbitrary<Step> = oneof(
  { weight: 3, arbitrary: constant({ kind: 'send' } as const) },
  constantFrom(...(['stamp', 'model', 'tool', 'reorder', 'place', 'twice'] as const)).map((kind) => ({ kind })),
  constantFrom(1, 1, 1, 12).map((count) => ({ kind: 'turns', count }) as const),
  constantFrom(1, 4, 6, 50, 70).map((minutes) => ({ kind: 'wait', minutes }) as const),
  record({ kind: constant('markers' as const), system: ttl, last: ttl }),
);

interface Block {
  readonly text: string;
  readonly field: 'tools' | 'system' | 'messages';
  readonly marker: Ttl | undefined;
}

function blocksOf(talk: Talk): Block[] {
  const names = talk.isReordered ? ['write', 'read'] : ['read', 'write'];
  const stamp = `It is 2026-11-28T09:${String(talk.stamp).padStart(2, '0')}:00Z.`;
  const system = talk.isStampFirst ? [stamp, RULES] : [RULES, stamp];
  const count = 2 * talk.turns + 1;
  return [
    ...names.map((text) => ({ text, field: 'tools' as const, marker: undefined })),
    ...system.map((text, at) => ({ text, field: 'system' as const, marker: at === 1 ? talk.marksSystem : undefined })),
    ...Array.from({ length: count }, (_, at) => ({
      text: `message ${at}`,
      field: 'messages' as const,
      marker: at === count - 1 ? talk.marksLast : undefined,
    })),
  ];
}

const pointOf = (marker: Ttl): object => ({ cachePoint: { ...POINT.cachePoint, ttl: marker } });

function bodyOf(talk: Talk, blocks: readonly Block[]): JsonObject {
  const render = (block: Block): object[] => [
    { text: block.text },
    ...(block.marker === undefined ? [] : [pointOf(block.marker)]),
  ];
  const of = (field: Block['field']): Block[] => blocks.filter((block) => block.field === field);
  return {
    toolConfig: {
      tools: of('tools').map(({ text }) => ({ toolSpec: { name: text, inputSchema: { json: {} } } })),
      ...(talk.forcesTool ? { toolChoice: { any: {} } } : {}),
    },
    system: of('system').flatMap(render),
    messages: of('messages').map((block, at) => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      content: render(block),
    })),
  };
}

interface Sent {
  readonly blocks: readonly Block[];
  readonly model: string;
  readonly params: string;
  readonly sentAtMs: number;
  readonly begunAtMs: number;
  readonly read: number;
  readonly written: number;
}

/** Everything that was sent, as text; and what the cache holds of it, found by looking through all of that. */
class Oracle {
  readonly #sent: Sent[] = [];

  /** `sent` has its own numbers, by which it is judged. */
  judge(sent: Sent): string {
    const verdict = this.#judge(sent);
    this.#sent.push(sent);
    return verdict;
  }

  #judge(sent: Sent): string {
    const { read, written, blocks } = sent;
    if (read > 0) return written > 0 ? 'hit-partial' : 'hit';
    const last = blocks.findLastIndex(({ marker }) => marker !== undefined);
    if (last === -1) return 'no-marker';
    if (written === 0) return 'below-minimum';
    for (let index = last; index >= 0; index -= 1) {
      const state = this.#stateOf(sent, index, (other) => other.model === sent.model && sameParams(other, sent, index));
      if (state !== undefined) return state;
    }
    for (let index = last; index >= 0; index -= 1) {
      if (!isReachable(blocks, index)) continue;
      if (this.#stateOf(sent, index, ({ model }) => model === sent.model, true) !== undefined) return 'params';
      if (this.#stateOf(sent, index, ({ model }) => model !== sent.model, true) !== undefined) return 'model-changed';
    }
    return this.#judgeChange(sent, last);
  }

  /** Of the entry for everything up to a block. */
  #stateOf(sent: Sent, index: number, isMeant: (other: Sent) => boolean, isAliveOnly = false): string | undefined {
    const uses = this.#sent.filter((other) => isMeant(other) && holds(other, sent, index));
    const newest = uses.at(-1);
    if (newest === undefined) return undefined;
    const alive = sent.sentAtMs - newest.sentAtMs < TTL_MS[newest.blocks[index]?.marker ?? '5m'];
    if (!alive) return isAliveOnly ? undefined : 'expired';
    if (isAliveOnly) return 'alive';
    if (newest.begunAtMs > sent.sentAtMs) return 'concurrent';
    return isReachable(sent.blocks, index) ? 'evicted' : 'lookback';
  }

  #judgeChange(sent: Sent, last: number): string {
    const earlier = this.#sent.filter(
      (other) =>
        other.model === sent.model &&
        other.read + other.written > 0 &&
        other.begunAtMs <= sent.sentAtMs &&
        sent.sentAtMs - other.sentAtMs < TTL_MS[other.blocks.some(({ marker }) => marker === '1h') ? '1h' : '5m'],
    );
    const most = Math.max(-1, ...earlier.map((other) => countSame(other.blocks, sent.blocks)));
    const nearest = earlier.filter((other) => countSame(other.blocks, sent.blocks) === most).at(-1);
    if (nearest === undefined) return 'first';
    const lastBefore = nearest.blocks.findLastIndex(({ marker }) => marker !== undefined);
    if (most > last || most > lastBefore) return 'first';
    const isLong = sent.blocks.slice(0, most).some(({ text }) => text === RULES);
    const isMarked = sent.blocks.slice(0, most).some(({ marker }) => marker !== undefined);
    return isLong && !isMarked && nearest.read === 0 ? 'volatile-marker' : 'changed';
  }
}

function holds(other: Sent, { blocks }: Sent, index: number): boolean {
  if (other.blocks[index]?.marker === undefined || other.read + other.written === 0) return false;
  return countSame(other.blocks, blocks) > index;
}

function sameParams(one: Sent, other: Sent, index: number): boolean {
  return one.blocks[index]?.field !== 'messages' || one.params === other.params;
}

function isReachable(blocks: readonly Block[], index: number): boolean {
  return blocks.some(({ marker }, at) => marker !== undefined && at >= index && at - index <= LOOKBACK);
}

function countSame(one: readonly Block[], other: readonly Block[]): number {
  const at = one.findIndex(({ text, field }, index) => other[index]?.text !== text || other[index].field !== field);
  return at === -1 ? one.length : at;
}

function change(talk: Talk, next: Step): void {
  switch (next.kind) {
    case 'stamp':
      talk.stamp = (talk.stamp + 1) % 60;
      break;
    case 'model':
      talk.model = 1 - talk.model;
      break;
    case 'tool':
      talk.forcesTool = !talk.forcesTool;
      break;
    case 'reorder':
      talk.isReordered = !talk.isReordered;
      break;
    case 'place':
      talk.isStampFirst = !talk.isStampFirst;
      break;
    case 'turns':
      talk.turns += next.count;
      break;
    case 'markers':
      Object.assign(talk, { marksSystem: next.system, marksLast: next.last });
      break;
    default:
  }
}

/** A time of five minutes may not come before one of an hour: AWS refuses that. */
function isRefused({ marksSystem, marksLast }: Talk): boolean {
  return marksSystem === '5m' && marksLast === '1h';
}

/** Runs the steps; each sent prompt gives both verdicts. */
function play(steps: readonly Step[]): { readonly ours: string | undefined; readonly theirs: string }[] {
  const cache = new SimulatedCache();
  const oracle = new Oracle();
  const talk: Talk = {
    stamp: 0,
    isStampFirst: false,
    turns: 0,
    model: 0,
    forcesTool: false,
    isReordered: false,
    marksSystem: '5m',
    marksLast: undefined,
  };
  let nowMs = 0;
  const open = (): (() => { ours: string | undefined; theirs: string }) => {
    const blocks = blocksOf(talk);
    const body = bodyOf(talk, blocks);
    const [sentAtMs, begunAtMs, model] = [nowMs, nowMs + 2_000, MODELS[talk.model] ?? SONNET];
    const params = String(talk.forcesTool);
    const end = cache.open({ body, model, atMs: sentAtMs, begunAtMs });
    return () => {
      const { usage, diagnosis }: Judged = end();
      const { cacheReadTokens: read = 0, cacheWriteTokens: written = 0 } = usage;
      return {
        ours: diagnosis?.verdict,
        theirs: oracle.judge({ blocks, model, params, sentAtMs, begunAtMs, read, written }),
      };
    };
  };
  const found: { ours: string | undefined; theirs: string }[] = [];
  for (const next of steps) {
    change(talk, next);
    if (isRefused(talk)) continue;
    if (next.kind === 'wait') nowMs += next.minutes * MINUTE;
    if (next.kind === 'twice') {
      const first = open();
      nowMs += 1_000;
      const second = open();
      found.push(first(), second());
    } else if (next.kind === 'send') found.push(open()());
    nowMs += 3_000;
  }
  return found;
}

describe('the doctor and an oracle that sees every text', () => {
  it('come to the same verdict over generated conversations', () => {
    const seen = new Set<string>();
    assert(
      property(array(step, { minLength: 2, maxLength: 16 }), (steps) => {
        const verdicts = play(steps);
        for (const { theirs } of verdicts) seen.add(theirs);
        expect(verdicts.map(({ ours }) => ours)).toEqual(verdicts.map(({ theirs }) => theirs));
      }),
      { numRuns: 400 },
    );
    // All that can come of it has come.
    for (const verdict of ['hit', 'hit-partial', 'no-marker', 'first', 'expired', 'changed'])
      expect(seen).toContain(verdict);
  });
});
