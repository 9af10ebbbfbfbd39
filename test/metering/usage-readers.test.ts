/** Every place where a shape tells something: what it means, alone, and that null there says nothing. */
import { describe, expect, it } from 'vitest';
import { asObject } from '../../src/lib/json.ts';
import { readGuardrail, readGuardrailChecks } from '../../src/metering/usage-extras.ts';
import { BodyReader } from '../../src/metering/usage-json.ts';
import * as readers from '../../src/metering/usage-readers.ts';
import { Tally } from '../../src/metering/usage-tally.ts';

type Meaning = 'inputTokens' | 'outputTokens' | 'cacheReadTokens' | 'cacheWriteTokens' | 'cacheWrite1hTokens';
/** What 3 (or the name `one`) at a path comes to; `speech`: a part of nothing, so that it is a lie. */
type Expected =
  | Meaning
  | 'speech'
  | keyof typeof PIECES
  | 'unknown'
  | 'serviceTier'
  | 'latency'
  | 'model'
  | `units ${string}`;
const PIECES = { searches: 'webSearches', queries: 'searchQueries', pictures: 'inputImages' } as const;
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
  'serverToolUsage.web_search_requests': 'searches',
  'serverToolUsage.anything': 'unknown',
  'serverToolUsage.any.thing': 'unknown',
};
const MESSAGE_USAGE: Places = {
  input_tokens: 'inputTokens',
  output_tokens: 'outputTokens',
  cache_read_input_tokens: 'cacheReadTokens',
  cache_creation_input_tokens: 'cacheWriteTokens',
  'cache_creation.ephemeral_5m_input_tokens': 'cacheWriteTokens',
  'cache_creation.ephemeral_1h_input_tokens': 'cacheWrite1hTokens',
  service_tier: 'serviceTier',
  'server_tool_use.web_search_requests': 'searches',
  'server_tool_use.code_execution_requests': 'unknown',
  'iterations[].input_tokens': 'inputTokens',
  'iterations[].output_tokens': 'outputTokens',
  'iterations[].cache_read_input_tokens': 'cacheReadTokens',
  'iterations[].cache_creation_input_tokens': 'cacheWriteTokens',
};
const CHAT: Places = {
  'usage.prompt_tokens': 'inputTokens',
  'usage.completion_tokens': 'outputTokens',
  'usage.prompt_tokens_details.cached_tokens': 'cacheReadTokens',
  'usage.prompt_tokens_details.cache_write_tokens': 'cacheWriteTokens',
  'usage.prompt_tokens_details.audio_tokens': 'speech',
  'usage.completion_tokens_details.audio_tokens': 'speech',
  'usage.server_side_tool_usage_details.web_search_calls': 'unknown',
  service_tier: 'serviceTier',
};
const RESPONSE: Places = {
  'usage.input_tokens': 'inputTokens',
  'usage.output_tokens': 'outputTokens',
  'usage.input_tokens_details.cached_tokens': 'cacheReadTokens',
  'usage.input_tokens_details.cache_write_tokens': 'cacheWriteTokens',
  'usage.input_tokens_details.audio_tokens': 'speech',
  'usage.output_tokens_details.audio_tokens': 'speech',
  'usage.server_side_tool_usage_details.web_search_calls': 'unknown',
  'tool_usage.web_search.num_requests': 'searches',
  'tool_usage.image_gen.output_tokens': 'unknown',
  service_tier: 'serviceTier',
};
const BILLED_UNITS: Places = {
  'billed_units.input_tokens': 'inputTokens',
  'billed_units.output_tokens': 'outputTokens',
  'billed_units.search_units': 'queries',
  'billed_units.images': 'pictures',
};
const units = (...names: string[]): Places => Object.fromEntries(names.map((name) => [name, `units ${name}` as const]));
const POLICY_UNITS: Places = {
  ...units('topicPolicyUnits', 'contentPolicyUnits', 'contentPolicyImageUnits', 'wordPolicyUnits'),
  ...units('sensitiveInformationPolicyUnits', 'sensitiveInformationPolicyFreeUnits'),
  ...units('contextualGroundingPolicyUnits', 'automatedReasoningPolicyUnits'),
  newPolicyUnits: 'units otherUnits',
};

const TRACE: Places = {
  'promptRouter.invokedModelId': 'model',
  ...below('guardrail.inputAssessment.any.invocationMetrics.usage.', POLICY_UNITS),
  ...below('guardrail.outputAssessments.any[].invocationMetrics.usage.', POLICY_UNITS),
  ...below('guardrail.input.any.invocationMetrics.usage.', POLICY_UNITS),
  ...below('guardrail.outputs[].any.invocationMetrics.usage.', POLICY_UNITS),
};
const INVOKE: Places = {
  ...below('amazon-bedrock-trace.', TRACE),
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
const SHAPES: readonly (readonly [reader: readers.UsageReader, places: Places])[] = [
  [
    readers.readConverse,
    {
      ...below('usage.', TOKEN_USAGE),
      'serviceTier.type': 'serviceTier',
      'performanceConfig.latency': 'latency',
      ...below('trace.', TRACE),
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
  [readGuardrail, below('usage.', POLICY_UNITS)],
  [
    readGuardrailChecks,
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

function isPiece(meaning: Expected): meaning is keyof typeof PIECES {
  return Object.hasOwn(PIECES, meaning);
}

function expectedOf(meaning: Expected): object {
  if (meaning === 'speech') return { hasLies: true };
  if (meaning === 'unknown') return { hasLies: false };
  if (isPiece(meaning)) return { usage: { units: { [PIECES[meaning]]: 3 } }, hasLies: false };
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
    if (meaning === 'unknown') expect(tally.hasUnknownPart).toBe(true);
  });

  it.each(all)('finds the field of $name in a text that is scanned: $path', ({ reader, path, meaning }) => {
    const isName = meaning === 'serviceTier' || meaning === 'latency' || meaning === 'model';
    const value = documentAt(path, isName ? 'one' : 3);
    const tally = new Tally();
    const body = new BodyReader({ readUsage: reader, isEvent: true }, tally);
    body.read(Buffer.from(JSON.stringify({ output: 'text '.repeat(10_000), ...asObject(value) })));
    body.finish();
    const direct = read(reader, value);
    expect([tally.sum(), tally.model, tally.hasUnknownPart]).toEqual([
      direct.sum(),
      direct.model,
      direct.hasUnknownPart,
    ]);
    expect([tally.textBytes, tally.hasUnread]).toEqual([0, false]);
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

  it.each([
    { ttl: '5m', class1h: undefined },
    { ttl: '30m', class1h: undefined },
    { ttl: '60m', class1h: 7 },
    { ttl: '1h', class1h: 7 },
    { ttl: '24h', class1h: 7 },
    { ttl: 'forever', class1h: 7 },
  ])('counts a cache write of $ttl as the class that costs no less', ({ ttl, class1h }) => {
    const sum = readDetails({ ttl, inputTokens: 7 }).sum();
    expect([sum?.cacheWriteTokens, sum?.cacheWrite1hTokens]).toEqual([7, class1h]);
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
    ['images[]', null, { images: 0 }],
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

describe('the steps of a message', () => {
  const top = { input_tokens: 23_000, output_tokens: 1_000 };
  const message = { type: 'message', ...top };
  const compaction = { type: 'compaction', input_tokens: 180_000, output_tokens: 3_500 };

  it.each([
    {
      name: 'a compaction that the usage around it leaves out',
      usage: { ...top, iterations: [compaction, message] },
      sum: { inputTokens: 203_000, outputTokens: 4_500, longestInputTokens: 180_000 },
    },
    {
      name: 'messages that add up to the usage around them',
      usage: {
        ...top,
        iterations: [
          { ...message, input_tokens: 20_000 },
          { ...message, input_tokens: 3_000 },
        ],
      },
      sum: { inputTokens: 23_000, outputTokens: 2_000, longestInputTokens: 20_000 },
    },
    {
      name: 'caches of a step, each class',
      usage: {
        ...top,
        cache_read_input_tokens: 5,
        iterations: [
          { ...compaction, cache_read_input_tokens: 70, cache_creation_input_tokens: 50 },
          {
            ...message,
            cache_read_input_tokens: 5,
            cache_creation_input_tokens: 9,
            cache_creation: { ephemeral_1h_input_tokens: 9, ephemeral_5m_input_tokens: 0 },
          },
        ],
      },
      sum: {
        inputTokens: 203_000,
        outputTokens: 4_500,
        cacheReadTokens: 75,
        cacheWriteTokens: 59,
        cacheWrite1hTokens: 9,
        longestInputTokens: 180_120,
      },
    },
    { name: 'none', usage: { ...top, iterations: [] }, sum: { inputTokens: 23_000, outputTokens: 1_000 } },
  ])('add up: $name', ({ usage, sum }) => {
    const tally = read(readers.readMessage, { usage });
    expect([tally.sum(), tally.hasInvalidCounts, tally.hasUnknownPart]).toEqual([sum, false, false]);
  });

  it('replace those that an earlier event told, and are not added to them', () => {
    const tally = new Tally();
    const usage = { ...top, iterations: [compaction, message] };
    readers.readMessage({ usage: { ...top, iterations: [compaction] } }, tally);
    readers.readMessage({ usage }, tally);
    readers.readInvokeChunk({ 'amazon-bedrock-invocationMetrics': { inputTokenCount: 23_000 } }, tally);
    expect(tally.sum()).toEqual({ inputTokens: 203_000, outputTokens: 4_500, longestInputTokens: 180_000 });
  });

  it('give way to what AWS counts, if that is more', () => {
    const metrics = { inputTokenCount: 300_000, outputTokenCount: 5_000 };
    const body = {
      usage: { ...top, iterations: [compaction, message] },
      'amazon-bedrock-invocationMetrics': metrics,
    };
    // What no step tells of may be of the longest.
    const sum = { inputTokens: 300_000, outputTokens: 5_000, longestInputTokens: 277_000 };
    expect(read(readers.readInvokeChunk, body).sum()).toEqual(sum);
  });

  it.each([
    {
      name: 'an advisor',
      steps: [message, { type: 'advisor_message', model: 'b', input_tokens: 5, output_tokens: 5 }],
    },
    { name: 'a fallback', steps: [message, { type: 'fallback_message', model: 'b', input_tokens: 5 }] },
    {
      name: 'another model',
      steps: [
        { ...message, model: 'a' },
        { ...message, model: 'b' },
      ],
    },
    { name: 'nobody knows whom', steps: [message, { input_tokens: 5 }] },
  ])('are not all known, if one is that of $name', ({ steps }) => {
    const tally = read(readers.readMessage, { usage: { ...top, iterations: steps } });
    expect(tally.hasUnknownPart).toBe(true);
    expect(tally.sum()?.inputTokens).toBeGreaterThan(23_000);
  });

  it('do not hide a lie among them', () => {
    const tally = read(readers.readMessage, {
      usage: { ...top, iterations: [message, { ...compaction, input_tokens: -1 }] },
    });
    expect([tally.sum(), tally.hasInvalidCounts]).toEqual([{ inputTokens: 23_000, outputTokens: 4_500 }, true]);
  });
});

describe('what is billed besides', () => {
  it.each([
    { name: "Nova's tools, of which none ran", reader: readers.readConverse, body: { usage: { serverToolUsage: {} } } },
    {
      name: "OpenAI's tools, of which none ran",
      reader: readers.readResponse,
      body: {
        tool_usage: {
          image_gen: { input_tokens: 0, input_tokens_details: { image_tokens: 0, text_tokens: 0 }, output_tokens: 0 },
          web_search: { num_requests: 0 },
        },
      },
    },
    {
      name: "Anthropic's tools, of which none ran, or free ones",
      reader: readers.readMessage,
      body: { usage: { server_tool_use: { web_search_requests: 0, web_fetch_requests: 4 }, speed: 'standard' } },
    },
    { name: 'policies of a guardrail', reader: readGuardrail, body: { usage: { automatedReasoningPolicies: 2 } } },
  ])('is nothing, if it is $name', ({ reader, body }) => {
    const tally = read(reader, body);
    expect([tally.sum(), tally.hasUnknownPart, tally.hasInvalidCounts]).toEqual([undefined, false, false]);
  });

  it('is not known, if it is a prompt router or a faster model', () => {
    expect(read(readers.readConverse, { trace: { promptRouter: { invokedModelId: 'a' } } }).hasUnknownPart).toBe(true);
    expect(read(readers.readMessage, { usage: { speed: 'fast' } }).hasUnknownPart).toBe(true);
  });
});

describe('what a model thought', () => {
  const usage = { prompt_tokens: 10, completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 40 } };
  it.each([
    { name: 'is added where the sum adds it', total: 55, outputTokens: 45 },
    { name: 'is in the output where the sum leaves it out', total: 15, outputTokens: 5 },
    { name: 'is in the output where no sum is told', total: undefined, outputTokens: 5 },
  ])('$name', ({ total, outputTokens }) => {
    const tally = read(readers.readChat, { usage: { ...usage, total_tokens: total } });
    expect(tally.sum()).toEqual({ inputTokens: 10, outputTokens });
  });
});
