/** Every place where a shape tells something: what it means, alone, and that null there says nothing. */
import { describe, expect, it } from 'vitest';
import { asObject } from '../../src/lib/json.ts';
import * as readers from '../../src/metering/usage-readers.ts';
import { Tally } from '../../src/metering/usage-tally.ts';

type Meaning = 'inputTokens' | 'outputTokens' | 'cacheReadTokens' | 'cacheWriteTokens' | 'cacheWrite1hTokens';
/** What 3 (or the name `one`) at a path comes to; `speech`: a part of nothing, so that it is a lie. */
type Expected = Meaning | 'prompt' | 'speech' | 'serviceTier' | 'latency' | 'model' | `units ${string}`;
type Places = Readonly<Record<string, Expected>>;

const below = (prefix: string, places: Places): Places =>
  Object.fromEntries(Object.entries(places).map(([path, meaning]) => [`${prefix}${path}`, meaning]));

const TOKEN_USAGE: Places = {
  inputTokens: 'inputTokens',
  outputTokens: 'outputTokens',
  cacheReadInputTokens: 'cacheReadTokens',
  cacheReadInputTokenCount: 'cacheReadTokens',
  cacheWriteInputTokens: 'cacheWriteTokens',
  cacheWriteInputTokenCount: 'cacheWriteTokens',
};
const MESSAGE_USAGE: Places = {
  input_tokens: 'inputTokens',
  output_tokens: 'outputTokens',
  cache_read_input_tokens: 'cacheReadTokens',
  cache_creation_input_tokens: 'cacheWriteTokens',
  'cache_creation.ephemeral_5m_input_tokens': 'cacheWriteTokens',
  'cache_creation.ephemeral_1h_input_tokens': 'cacheWrite1hTokens',
  service_tier: 'serviceTier',
};
const CHAT: Places = {
  'usage.prompt_tokens': 'inputTokens',
  'usage.completion_tokens': 'outputTokens',
  'usage.prompt_tokens_details.cached_tokens': 'cacheReadTokens',
  'usage.prompt_tokens_details.cache_write_tokens': 'cacheWriteTokens',
  'usage.prompt_tokens_details.audio_tokens': 'speech',
  'usage.completion_tokens_details.audio_tokens': 'speech',
  service_tier: 'serviceTier',
};
const RESPONSE: Places = {
  'usage.input_tokens': 'inputTokens',
  'usage.output_tokens': 'outputTokens',
  'usage.input_tokens_details.cached_tokens': 'cacheReadTokens',
  'usage.input_tokens_details.cache_write_tokens': 'cacheWriteTokens',
  'usage.input_tokens_details.audio_tokens': 'speech',
  'usage.output_tokens_details.audio_tokens': 'speech',
  service_tier: 'serviceTier',
};
const BILLED_UNITS: Places = {
  'billed_units.input_tokens': 'inputTokens',
  'billed_units.output_tokens': 'outputTokens',
};
const INVOKE: Places = {
  ...below('usage.', { ...TOKEN_USAGE, ...MESSAGE_USAGE, ...BILLED_UNITS }),
  ...below('meta.', BILLED_UNITS),
  ...CHAT,
  prompt_token_count: 'inputTokens',
  generation_token_count: 'outputTokens',
  inputTextTokenCount: 'inputTokens',
  inputTokenCount: 'inputTokens',
  totalOutputTextTokenCount: 'outputTokens',
};
const INVOCATION: Places = { inputTokens: 'inputTokens', outputTokens: 'outputTokens' };
const units = (...names: string[]): Places => Object.fromEntries(names.map((name) => [name, `units ${name}` as const]));
const POLICY_UNITS: Places = {
  ...units('topicPolicyUnits', 'contentPolicyUnits', 'contentPolicyImageUnits', 'wordPolicyUnits'),
  ...units('sensitiveInformationPolicyUnits', 'sensitiveInformationPolicyFreeUnits'),
  ...units('contextualGroundingPolicyUnits', 'automatedReasoningPolicyUnits'),
  newPolicyUnits: 'units otherUnits',
};

const SHAPES: readonly (readonly [reader: readers.UsageReader, places: Places])[] = [
  [
    readers.readConverse,
    {
      ...below('usage.', TOKEN_USAGE),
      'serviceTier.type': 'serviceTier',
      'performanceConfig.latency': 'latency',
      'trace.promptRouter.invokedModelId': 'model',
      ...below('trace.guardrail.inputAssessment.any.invocationMetrics.usage.', POLICY_UNITS),
      ...below('trace.guardrail.outputAssessments.any[].invocationMetrics.usage.', POLICY_UNITS),
    },
  ],
  [readers.readInvoke, INVOKE],
  [
    readers.readInvokeChunk,
    {
      ...INVOKE,
      ...below('message.usage.', MESSAGE_USAGE),
      ...below('metadata.usage.', TOKEN_USAGE),
      ...below('response.meta.', BILLED_UNITS),
      ...below('delta.usage.', BILLED_UNITS),
      ...below('amazon-bedrock-invocationMetrics.', {
        inputTokenCount: 'inputTokens',
        outputTokenCount: 'outputTokens',
        cacheReadInputTokenCount: 'cacheReadTokens',
        cacheWriteInputTokenCount: 'cacheWriteTokens',
      }),
    },
  ],
  [
    readers.readSonicChunk,
    below('event.usageEvent.', {
      totalInputTokens: 'inputTokens',
      totalOutputTokens: 'outputTokens',
      'details.total.input.speechTokens': 'speech',
      'details.total.output.speechTokens': 'speech',
    }),
  ],
  ...['preProcessing', 'orchestration', 'postProcessing', 'routingClassifier'].map((step) => {
    const places = { ...below('Output.metadata.usage.', INVOCATION), 'Input.foundationModel': 'model' } as const;
    return [readers.readAgentTrace, below(`trace.${step}Trace.modelInvocation`, places)] as const;
  }),
  [readers.readChat, CHAT],
  [readers.readResponse, RESPONSE],
  [readers.readResponseEvent, below('response.', RESPONSE)],
  [readers.readMessage, { ...below('usage.', MESSAGE_USAGE), ...below('message.usage.', MESSAGE_USAGE) }],
  [readers.readGuardrail, below('usage.', POLICY_UNITS)],
  [
    readers.readGuardrailChecks,
    below('usage.', {
      ...units('contentFilter.textUnits', 'promptAttack.textUnits', 'sensitiveInformation.textUnits'),
      'newCheck.textUnits': 'units otherUnits',
      'contentFilter.newUnits': 'units otherUnits',
    }),
  ],
];

function read(reader: readers.UsageReader, value: unknown): Tally {
  const tally = new Tally();
  reader(asObject(value), tally);
  return tally;
}

/** A document with `value` at `path`. */
function documentAt(path: string, value: unknown): unknown {
  return path
    .replaceAll('[]', '.[]')
    .split('.')
    .reduceRight((inner, step) => (step === '[]' ? [inner] : { [step]: inner }), value);
}

function toldBy({ serviceTier, latency, model, ...tally }: Tally, usage: unknown): object {
  const told = { usage, serviceTier, latency, model, hasLies: tally.hasInvalidCounts };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

function expectedOf(meaning: Expected): object {
  if (meaning === 'speech') return { hasLies: true };
  if (meaning === 'serviceTier' || meaning === 'latency' || meaning === 'model')
    return { [meaning]: 'one', hasLies: false };
  if (meaning.startsWith('units ')) return { usage: { guardrailUnits: { [meaning.slice(6)]: 3 } }, hasLies: false };
  const whole = meaning === 'cacheWrite1hTokens' ? { cacheWriteTokens: 3 } : {};
  return { usage: { [meaning]: 3, ...whole }, hasLies: false };
}

describe('every place', () => {
  const all = SHAPES.flatMap(([reader, places]) =>
    Object.entries(places).map(([path, meaning]) => ({ name: reader.name, reader, path, meaning })),
  );

  it.each(all)('takes the value of a field of $name: $path', ({ reader, path, meaning }) => {
    const isName = meaning === 'serviceTier' || meaning === 'latency' || meaning === 'model';
    const tally = read(reader, documentAt(path, isName ? 'one' : 3));
    const usage = tally.sum();
    expect(toldBy(tally, usage)).toEqual(expectedOf(meaning));
  });

  it.each(all)('takes null in a field of $name for nothing: $path', ({ reader, path }) => {
    const tally = read(reader, documentAt(path, null));
    expect([tally.sum(), tally.hasInvalidCounts, tally.isFinal, tally.isLast]).toEqual([
      undefined,
      false,
      false,
      false,
    ]);
  });

  it.each(all)('believes no other value in a field of $name: $path', ({ reader, path }) => {
    for (const value of [{}, [], [3], '3', true, -1, 1.5, 1e300]) {
      expect(read(reader, documentAt(path, value)).sum()).toBeUndefined();
    }
    const steps = path.split('.');
    for (const [at] of steps.entries()) {
      for (const value of [3, 'text', [[3]], true]) {
        expect(read(reader, documentAt(steps.slice(0, at).join('.') || 'other', value)).sum()).toBeUndefined();
      }
    }
  });
});

const readDetails = (...cacheDetails: unknown[]): Tally => read(readers.readConverse, { usage: { cacheDetails } });

describe('the class of a cache write', () => {
  it('finds the class of a cache write by its time to live', () => {
    const tally = readDetails({ ttl: '1h', inputTokens: 5 }, { inputTokens: 7, ttl: '5m' });
    expect([tally.sum(), tally.isFinal]).toEqual([{ cacheWriteTokens: 12, cacheWrite1hTokens: 5 }, false]);
  });

  it.each([
    { name: 'before', usage: { cacheDetails: [{ ttl: '1h', inputTokens: 5 }], cacheWriteInputTokens: 12 } },
    { name: 'behind', usage: { cacheWriteInputTokens: 12, cacheDetails: [{ inputTokens: 5, ttl: '1h' }] } },
    {
      name: 'among others',
      usage: {
        cacheDetails: [
          { ttl: '5m', inputTokens: 7 },
          { ttl: '1h', inputTokens: 5 },
        ],
        cacheWriteInputTokens: 12,
      },
    },
  ])('finds the class of a cache write $name the count of all', ({ usage }) => {
    expect(read(readers.readConverse, { usage }).sum()).toEqual({ cacheWriteTokens: 12, cacheWrite1hTokens: 5 });
  });

  it('takes no half of a cache write', () => {
    const tally = readDetails({ inputTokens: 7 }, { ttl: '1h' }, { ttl: 5, inputTokens: 7 }, null, 7);
    expect([tally.sum(), tally.hasInvalidCounts]).toEqual([undefined, false]);
  });
});

describe('the last word on usage', () => {
  it("prefers AWS's metrics to any count of a model as the last word on usage", () => {
    const metrics = { 'amazon-bedrock-invocationMetrics': { inputTokenCount: 1 } };
    expect(read(readers.readInvokeChunk, metrics).isLast).toBe(true);
    expect(read(readers.readInvokeChunk, { usage: { output_tokens: 1 } }).isLast).toBe(false);
  });

  it('has no last word on usage at the beginning of a message', () => {
    const start = { message: { usage: { input_tokens: 1, output_tokens: 1 } } };
    expect(read(readers.readMessage, start).isFinal).toBe(false);
    expect(read(readers.readInvokeChunk, start).isFinal).toBe(false);
    expect(read(readers.readMessage, { usage: { output_tokens: 1 } }).isFinal).toBe(true);
  });
});

describe('what is told in parts', () => {
  it.each([
    ['results[].tokenCount', 3, { outputTokens: 3 }],
    ['results[].tokenCount', null, undefined],
    ['images[]', 'iVBO', { images: 1 }],
    ['artifacts[].base64', { tooLong: 9000 }, { images: 1 }],
    ['data[].b64_json', '', { images: 1 }],
    ['data[].url', null, undefined],
  ])('reads a usage in parts one value at a time: %s of %j', (path, value, usage) => {
    expect(readers.PART_PATHS).toContain(path);
    const tally = new Tally();
    readers.readInvokePart(path, value, tally);
    expect([tally.sum(), tally.isFinal]).toEqual([usage, usage !== undefined]);
  });
});

describe('the members of a body', () => {
  it('reads only the members of a body that are kept', () => {
    const { readChat, readConverse, readGuardrail, readGuardrailChecks, readInvoke, readMessage, readResponse } =
      readers;
    const looked = new Set<string>();
    const body = new Proxy({}, { get: (_, name) => void looked.add(String(name)) });
    for (const reader of [
      readChat,
      readConverse,
      readGuardrail,
      readGuardrailChecks,
      readInvoke,
      readMessage,
      readResponse,
    ])
      reader(body, new Tally());
    // A message within a message is an event's.
    looked.delete('message');
    expect(looked).toEqual(new Set(readers.BODY_MEMBERS));
  });
});
