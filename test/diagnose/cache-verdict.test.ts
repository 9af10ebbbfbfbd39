import { describe, expect, it } from 'vitest';
import { converse, longText, MINUTE, POINT, PRICE, type SentTurn, SimulatedCache, SONNET } from './simulated-cache.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { costOf } from '../../src/pricing/cost.ts';

const RULES = longText('the house');
const GUIDE = longText('the guide', 150);
const marked = (text: string, ttl?: '1h') => [
  text,
  ttl === undefined ? POINT : { cachePoint: { type: 'default', ttl } },
];
const timed = (at: string) => converse([RULES, `It is ${at}.`, GUIDE, POINT], 'Hello');
const HOUR = { type: 'ephemeral', ttl: '1h' };
const anthropic = (system: readonly object[], messages: readonly object[], more: object = {}) => ({
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 10,
  system,
  messages,
  ...more,
});
const HI = { role: 'user', content: 'Hi' };
const invoke = (body: JsonObject): SentTurn => ({ operation: 'InvokeModel', body });
const spaced = (at: string) => JSON.stringify(converse([`ünï\n${at}\n${RULES}`, POINT], 'a'), null, 2);
const tool = (name: string, description = 'does it') => ({
  toolSpec: { name, description, inputSchema: { json: { type: 'object', properties: { path: { type: 'string' } } } } },
});
const withTools = (tools: readonly object[], more: object = {}) => ({
  ...converse(marked(RULES), 'Hello'),
  toolConfig: { tools },
  ...more,
});

interface Row {
  readonly name: string;
  readonly before?: readonly SentTurn[];
  readonly now: SentTurn;
  readonly verdict: string;
  readonly confidence: string;
  readonly change?: string;
  readonly pointer?: string;
}

const ROWS: readonly Row[] = [
  {
    name: 'the same prompt again',
    before: [{ body: converse(marked(RULES), 'a') }],
    now: { body: converse(marked(RULES), 'b'), atMs: MINUTE },
    verdict: 'hit',
    confidence: 'certain',
  },
  {
    name: 'a conversation that grew',
    before: [{ body: converse(marked(RULES), [{ text: 'a' }, POINT]) }],
    now: { body: converse(marked(RULES), 'a', GUIDE, [{ text: 'c' }, POINT]), atMs: MINUTE },
    verdict: 'hit-partial',
    confidence: 'certain',
  },
  {
    name: 'tokens read without a marker',
    now: { body: converse([RULES], 'a'), usage: { inputTokens: 10, cacheReadTokens: 2000 } },
    verdict: 'implicit',
    confidence: 'certain',
  },
  { name: 'no marker', now: { body: converse([RULES], 'a') }, verdict: 'no-marker', confidence: 'certain' },
  {
    name: "Anthropic's marker in Converse",
    now: { body: converse([{ text: RULES, cache_control: { type: 'ephemeral' } }], 'a') },
    verdict: 'wrong-dialect',
    confidence: 'certain',
    pointer: '/system/0/cache_control',
  },
  {
    name: "Converse's marker in Anthropic's body",
    now: invoke(anthropic([{ type: 'text', text: RULES }, POINT], [HI])),
    verdict: 'wrong-dialect',
    confidence: 'certain',
    pointer: '/system/1',
  },
  {
    name: 'a model that AWS says has no cache',
    now: {
      body: converse(marked(RULES), 'a'),
      status: 403,
      errorMessage: 'You invoked an unsupported model or your request did not allow prompt caching.',
    },
    verdict: 'unsupported',
    confidence: 'certain',
  },
  {
    name: 'a model that is not in the table',
    now: { body: converse(marked(RULES), 'a'), model: 'meta.llama3-70b-instruct-v1:0' },
    verdict: 'unsupported',
    confidence: 'likely',
  },
  {
    name: 'a prompt that is too short',
    now: { body: converse(marked('Be nice.'), 'a') },
    verdict: 'below-minimum',
    confidence: 'certain',
  },
  {
    name: 'a marker that stands too early',
    now: { body: converse(marked('Be nice.'), RULES) },
    verdict: 'below-minimum',
    confidence: 'likely',
  },
  {
    name: 'five markers',
    now: {
      body: converse([...marked('a'), ...marked('b'), ...marked('c'), ...marked('d'), ...marked('e')], 'a'),
      status: 400,
      errorMessage: 'A maximum of 4 blocks with cache_control may be provided. Found 5.',
    },
    verdict: 'too-many-markers',
    confidence: 'certain',
    pointer: '/system/9',
  },
  {
    name: 'an hour after five minutes',
    now: {
      body: converse([...marked(RULES), ...marked('b', '1h')], 'a'),
      status: 400,
      errorMessage: "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.",
    },
    verdict: 'ttl-order',
    confidence: 'certain',
    pointer: '/system/3',
  },
  {
    name: 'a marker after reasoning',
    now: {
      body: converse([RULES], 'a', [{ reasoningContent: { reasoningText: { text: 'hm' } } }, POINT], 'c'),
      status: 400,
      errorMessage: 'Cache point cannot be inserted after reasoning block.',
    },
    verdict: 'marker-place',
    confidence: 'certain',
    pointer: '/messages/1/content/1',
  },
  {
    name: 'a marker among the tools of Nova',
    now: {
      body: withTools([tool('read'), POINT]),
      model: 'amazon.nova-pro-v1:0',
      status: 400,
      errorMessage: 'Malformed input request: #/toolConfig/tools/1: extraneous key [cachePoint] is not permitted',
    },
    verdict: 'marker-place',
    confidence: 'certain',
    pointer: '/toolConfig/tools/1',
  },
  { name: 'a prompt that is new', now: { body: converse(marked(RULES), 'a') }, verdict: 'first', confidence: 'likely' },
  {
    name: 'a prompt of another caller that is much like it',
    before: [{ body: timed('09:00:00'), caller: 'other' }],
    now: { body: timed('09:01:00'), atMs: MINUTE },
    verdict: 'first',
    confidence: 'likely',
  },
  {
    name: 'a pause of six minutes',
    before: [{ body: converse(marked(RULES), 'a') }],
    now: { body: converse(marked(RULES), 'b'), atMs: 6 * MINUTE },
    verdict: 'expired',
    confidence: 'certain',
  },
  {
    name: 'a pause of six minutes with an hour',
    before: [{ body: converse(marked(RULES, '1h'), 'a') }],
    now: { body: converse(marked(RULES, '1h'), 'b'), atMs: 6 * MINUTE },
    verdict: 'hit',
    confidence: 'certain',
  },
  {
    name: 'a time stamp in the system',
    before: [{ body: converse([`It is 2026-11-28T09:00:00Z.\n${RULES}`, POINT], 'a') }],
    now: { body: converse([`It is 2026-11-28T09:01:00Z.\n${RULES}`, POINT], 'b'), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'timestamp',
    pointer: '/system/0',
  },
  {
    name: 'an id in the system',
    before: [{ body: converse([`Session 3fa85f64-5717-4562-b3fc-2c963f66afa6\n${RULES}`, POINT], 'a') }],
    now: { body: converse([`Session 9b2d7f10-0c3e-4a53-9d0a-8a1d2f7f0e11\n${RULES}`, POINT], 'b'), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'uuid',
    pointer: '/system/0',
  },
  {
    name: 'a counter in the system',
    before: [{ body: converse([`Turn 7 of this talk\n${RULES}`, POINT], 'a') }],
    now: { body: converse([`Turn 8 of this talk\n${RULES}`, POINT], 'b'), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'counter',
    pointer: '/system/0',
  },
  {
    name: 'white space in the system',
    before: [{ body: converse([RULES, POINT], 'a') }],
    now: { body: converse([`${RULES}\n`, POINT], 'b'), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'likely',
    change: 'white-space',
    pointer: '/system/0',
  },
  {
    name: 'a text in the system',
    before: [{ body: converse([RULES, POINT], 'a') }],
    now: { body: converse([RULES.replace('rule 150 holds', 'no rule holds'), POINT], 'b'), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'likely',
    change: 'text',
    pointer: '/system/0',
  },
  {
    name: 'the order of members of a tool',
    before: [{ body: withTools([tool('read')]) }],
    now: {
      body: withTools([
        { toolSpec: { description: 'does it', name: 'read', inputSchema: tool('read').toolSpec.inputSchema } },
      ]),
      atMs: MINUTE,
    },
    verdict: 'changed',
    confidence: 'likely',
    change: 'key-order',
    pointer: '/toolConfig/tools/0',
  },
  {
    name: 'tools in another order',
    before: [{ body: withTools([tool('read'), tool('write')]) }],
    now: { body: withTools([tool('write'), tool('read')]), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'reordered',
    pointer: '/toolConfig/tools/0',
  },
  {
    name: 'one more tool',
    before: [{ body: withTools([tool('read'), tool('write')]) }],
    now: { body: withTools([tool('read'), tool('list'), tool('write')]), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'added',
    pointer: '/toolConfig/tools/1',
  },
  {
    name: 'the description of a tool',
    before: [{ body: withTools([tool('read'), tool('write')]) }],
    now: { body: withTools([tool('read'), tool('write', 'does another thing')]), atMs: MINUTE },
    verdict: 'changed',
    confidence: 'certain',
    change: 'description',
    pointer: '/toolConfig/tools/1',
  },
  {
    name: 'another choice of tools, of which the cache of messages goes',
    before: [
      {
        body: {
          ...withTools([tool('read')]),
          ...converse([RULES], [{ text: 'a' }, POINT]),
          toolConfig: { tools: [tool('read')] },
        },
      },
    ],
    now: {
      body: {
        ...converse([RULES], [{ text: 'a' }, POINT]),
        toolConfig: { tools: [tool('read')], toolChoice: { any: {} } },
      },
      atMs: MINUTE,
    },
    verdict: 'params',
    confidence: 'likely',
  },
  {
    name: 'another profile of the model',
    before: [{ body: converse(marked(RULES), 'a') }],
    now: { body: converse(marked(RULES), 'a'), model: SONNET.replace('us.', 'global.'), atMs: MINUTE },
    verdict: 'model-changed',
    confidence: 'likely',
  },
  {
    name: 'another region',
    before: [{ body: converse(marked(RULES), 'a') }],
    now: { body: converse(marked(RULES), 'a'), region: 'us-west-2', atMs: MINUTE },
    verdict: 'model-changed',
    confidence: 'likely',
  },
  {
    name: 'the same prompt before its response has begun',
    before: [{ body: converse(marked(RULES), 'a'), begunAtMs: 9_000 }],
    now: { body: converse(marked(RULES), 'a'), atMs: 3_000 },
    verdict: 'concurrent',
    confidence: 'likely',
  },
  {
    name: 'a marker too many blocks further',
    before: [{ body: converse([RULES], [{ text: 'a' }, POINT]) }],
    now: {
      body: converse([RULES], [{ text: 'a' }], ...Array.from({ length: 24 }, (_, index) => `turn ${index}`), [
        { text: 'z' },
        POINT,
      ]),
      atMs: MINUTE,
    },
    verdict: 'lookback',
    confidence: 'likely',
  },
  {
    name: 'a marker behind what changes',
    before: [{ body: timed('09:00:00') }],
    now: { body: timed('09:01:00'), atMs: MINUTE },
    verdict: 'volatile-marker',
    confidence: 'certain',
    change: 'timestamp',
    pointer: '/system/1',
  },
  {
    name: 'a prompt that should have been read',
    before: [{ body: converse(marked(RULES), 'a') }],
    now: {
      body: converse(marked(RULES), 'b'),
      atMs: MINUTE,
      usage: { inputTokens: 5, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 2400 },
    },
    verdict: 'evicted',
    confidence: 'possible',
  },
  {
    name: 'a response that tells no usage',
    now: { body: converse(marked(RULES), 'a'), usage: { outputTokens: 5 } },
    verdict: 'unknown',
    confidence: 'unknown',
  },
];

describe('what became of a prompt', () => {
  it.each(ROWS)('of $name: $verdict, $confidence', ({ before = [], now, verdict, confidence, change, pointer }) => {
    const cache = new SimulatedCache();
    for (const turn of before) cache.send(turn);
    const { report } = cache.send(now);
    expect(report).toMatchObject({ verdict, confidence, ...(change && { change }), ...(pointer && { pointer }) });
    expect(report?.says).toMatch(/^[A-Z].*\.$/s);
  });

  it('says nothing of a request that failed for another reason', () => {
    const { diagnosis } = new SimulatedCache().send({
      body: converse(marked(RULES), 'a'),
      status: 400,
      errorMessage: 'The model is not ready.',
    });
    expect(diagnosis).toBeUndefined();
  });

  it('names the very bytes of a time stamp, in both bodies', () => {
    const cache = new SimulatedCache();
    const bodies = ['2026-11-28T09:00:00Z', '2026-11-28T09:01:00Z'].map((at) => JSON.stringify(timed(at)));
    cache.send({ body: bodies[0] ?? '' });
    const { report, diagnosis } = cache.send({ body: bodies[1] ?? '', atMs: MINUTE });
    const [from = 0, to = 0] = report?.bytes ?? [];
    expect(bodies[1]?.slice(from, to)).toBe('2026-11-28T09:01:00Z');
    expect(bodies[0]?.slice(...(report?.previous_bytes ?? []))).toBe('2026-11-28T09:00:00Z');
    const shown = `${from.toLocaleString('en-US')}–${(to - 1).toLocaleString('en-US')}`;
    expect(diagnosis?.line).toMatch(`system block 2, bytes ${shown}, a time stamp; $`);
  });

  it('names the bytes of the request as it came, white space and escapes included', () => {
    const cache = new SimulatedCache();
    cache.send({ body: spaced('09:00:00') });
    const { report } = cache.send({ body: spaced('09:01:30'), atMs: MINUTE });
    expect(
      Buffer.from(spaced('09:01:30'))
        .subarray(...(report?.bytes ?? []))
        .toString(),
    ).toBe('09:01:30');
  });

  it('counts a text as the same alone and in a block, with a marker and without', () => {
    const cache = new SimulatedCache();
    const control = { cache_control: { type: 'ephemeral' } };
    const system = [{ type: 'text', text: RULES, ...control }];
    cache.send(invoke(anthropic(system, [{ role: 'user', content: [{ type: 'text', text: 'a', ...control }] }])));
    const turns = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const { report } = cache.send({
      ...invoke(anthropic(system, [...turns, { role: 'user', content: [{ type: 'text', text: 'c', ...control }] }])),
      atMs: MINUTE,
    });
    expect(report).toMatchObject({ verdict: 'hit-partial', change: null });
    expect(report?.segments.map(({ state }) => state)).toEqual(['hit', 'hit', 'written', 'written']);
  });

  it('says what would have held, and where a marker should stand', () => {
    const cache = new SimulatedCache();
    cache.send({ body: converse(marked(RULES), 'a') });
    expect(cache.send({ body: converse(marked(RULES), 'a'), atMs: 6 * MINUTE }).report?.advice).toContain(
      '"ttl": "1h"',
    );
    const other = new SimulatedCache();
    other.send({ body: timed('09:00') });
    expect(other.send({ body: timed('09:02'), atMs: MINUTE }).report?.advice).toContain('/system/0');
    const third = new SimulatedCache();
    third.send({ body: converse([RULES], 'a') });
    const { report } = third.send({ body: converse([RULES], 'b'), atMs: MINUTE });
    expect(report).toMatchObject({ verdict: 'no-marker', advice: 'Put a marker right after /system/0.' });
    expect(Number(report?.money.lost_usd)).toBeGreaterThan(0);
  });

  it('tells what was lost by the same prices', () => {
    const cache = new SimulatedCache();
    const first = cache.send({ body: converse([`It is 09:00.\n${RULES}`, POINT], 'a') });
    const { report, usage, diagnosis } = cache.send({
      body: converse([`It is 09:01.\n${RULES}`, POINT], 'a'),
      atMs: MINUTE,
    });
    const read = first.usage.cacheWriteTokens ?? 0;
    const hit = { ...usage, cacheReadTokens: read, cacheWriteTokens: 0 };
    const lost = (costOf(usage, PRICE) ?? 0) - (costOf(hit, PRICE) ?? 0);
    expect(diagnosis?.lostNanoUsd).toBe(lost);
    expect(Number(report?.money.lost_usd)).toBeCloseTo(lost / 1e9, 9);
    expect(first.report?.money.lost_usd).toBeNull();
    expect(Number(report?.money.without_markers_usd)).toBeLessThan(Number(report?.money.actual_usd));
  });

  it('has the texts of a change if both bodies are at hand', () => {
    const cache = new SimulatedCache();
    const bodies = [RULES, RULES.replace('rule 150 holds', 'no rule holds')].map((text) =>
      JSON.stringify(converse([text, POINT], 'a')),
    );
    cache.send({ body: bodies[0] ?? '' });
    const { report } = cache.send({ body: bodies[1] ?? '', atMs: MINUTE });
    if (report === undefined) throw new Error('no report');
    expect([report.before, report.after]).toEqual([null, null]);
    const told = cache.doctor.withTexts(report, Buffer.from(bodies[1] ?? ''), Buffer.from(bodies[0] ?? ''));
    expect(told.before).toContain('says that rule 150 holds for');
    expect(told.after).toContain('says that no rule holds for');
    expect(bodies[1]?.slice(...(told.bytes ?? []))).toBe('no rule');
    expect(bodies[0]?.slice(...(told.previous_bytes ?? []))).toBe('rule 150');
  });
});

describe('markers of an hour', () => {
  it('are read after half an hour in an Anthropic body', () => {
    const cache = new SimulatedCache();
    const body = anthropic([{ type: 'text', text: RULES, cache_control: HOUR }], [HI]);
    cache.send(invoke(body));
    expect(cache.send({ ...invoke(body), atMs: 30 * MINUTE }).report?.verdict).toBe('hit');
  });
});
