import { describe, expect, it } from 'vitest';
import { createTap } from '../../src/metering/tap.ts';
import { eventFrame } from '../helpers/event-frames.ts';
import {
  bytesOf,
  findResponse,
  loadResponses,
  NOTHING_READ,
  readResponse,
  readAtEverySplit,
  readChunks,
  type RecordedResponse,
} from '../helpers/responses.ts';

const BODIES = loadResponses('json.json');
const STREAMS = loadResponses('streams.json');
const SSE_STREAMS = loadResponses('sse.json');

const respondWith = (inputTokens: unknown): RecordedResponse => ({
  name: 'Converse',
  operation: 'Converse',
  body: { usage: { inputTokens, outputTokens: 7 } },
  reading: {},
});

describe('the usage in a JSON response', () => {
  it.each(BODIES)('reads the usage in a JSON response: $name', (response) => {
    expect(readResponse(response)).toEqual({ ...NOTHING_READ, outputBytes: expect.any(Number), ...response.reading });
  });
});

describe('the usage in a stream', () => {
  it.each([...STREAMS, ...SSE_STREAMS])('reads the usage in a stream: $name', (response) => {
    expect(readResponse(response)).toEqual({ ...NOTHING_READ, ...response.reading });
  });
});

describe('at every split', () => {
  it.each([...BODIES, ...STREAMS, ...SSE_STREAMS])('reads the same usage at every split: $name', (response) => {
    expect(readAtEverySplit(response)).toEqual([readResponse(response)]);
  });
});

describe('a refusal', () => {
  it.each([400, 429, 500])('finds no usage in a refusal of status %i, whatever its body says', (status) => {
    const response: RecordedResponse = { ...findResponse(BODIES, 'Anthropic, headers and body'), status };
    expect(readResponse(response)).toEqual(NOTHING_READ);
  });
});

describe('a response that cannot be understood', () => {
  const anthropic = findResponse(BODIES, 'Anthropic, body alone');
  const withHeaders = findResponse(BODIES, 'DeepSeek, headers alone');

  it('finds no usage in an encoded response', () => {
    const reading = readResponse({ ...anthropic, headers: [['content-encoding', 'gzip']] });
    expect(reading).toMatchObject({ usage: undefined, complete: false });
  });

  it('reads the usage of a response that says it is not encoded', () => {
    const reading = readResponse({ ...anthropic, headers: [['Content-Encoding', 'Identity']] });
    expect(reading).toMatchObject({ usage: { inputTokens: 21, outputTokens: 9 }, complete: true });
  });

  it('reads the usage of headers though the response is encoded', () => {
    const headers = [...(withHeaders.headers ?? []), ['content-encoding', 'gzip'] as const];
    const reading = readResponse({ ...withHeaders, headers });
    expect(reading).toMatchObject({ usage: { inputTokens: 30, outputTokens: 40 }, complete: true });
  });

  it('keeps the usage that came before its JSON broke', () => {
    const bytes = Buffer.from('{"usage":{"input_tokens":5,"output_tokens":3}}}');
    expect(readChunks(anthropic, [bytes])).toMatchObject({
      usage: { inputTokens: 5, outputTokens: 3 },
      complete: false,
    });
  });

  it('keeps the usage that came before it was cut', () => {
    const bytes = bytesOf(anthropic);
    const cut = bytes.subarray(0, bytes.length - 1);
    expect(readChunks(anthropic, [cut], false)).toMatchObject({ usage: { inputTokens: 21 }, complete: false });
    expect(readChunks(anthropic, [cut], true)).toMatchObject({ usage: { inputTokens: 21 }, complete: false });
    // The connection broke after the last byte.
    expect(readChunks(anthropic, [bytes], false)).toMatchObject({ usage: { inputTokens: 21 }, complete: false });
  });

  it('asks for no body if headers say everything, but for one if only the body tells a class', () => {
    expect(readChunks(withHeaders, [], false)).toMatchObject({ complete: true });
    const cached = findResponse(BODIES, 'Anthropic, headers and body');
    expect(readChunks(cached, [], false)).toMatchObject({ usage: { cacheWriteTokens: 25037 }, complete: false });
  });
});

describe('a count that cannot be one', () => {
  it.each([
    ['negative', -1],
    ['broken', 1.5],
    ['too large', 1e13],
    ['far too large', 1e300],
    ['text', '18'],
    ['long text', '9'.repeat(5000)],
    ['true', true],
  ])('takes a count that cannot be one for unknown: %s', (_name, value) => {
    expect(readResponse(respondWith(value))).toMatchObject({ usage: { outputTokens: 7 }, complete: false });
    expect(readResponse(respondWith(value)).usage).not.toHaveProperty('inputTokens');
  });

  it.each([
    ['-5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['12, 13', undefined],
    [' 12 ', 12],
  ])('takes a count in a header that cannot be one for unknown: %j', (value, inputTokens) => {
    const headers = [
      ['x-amzn-bedrock-input-token-count', value],
      ['x-amzn-bedrock-output-token-count', '7'],
    ] as const;
    const response: RecordedResponse = { name: 'h', operation: 'InvokeModel', headers, body: {}, reading: {} };
    expect(readResponse(response)).toMatchObject({
      usage: { outputTokens: 7, ...(inputTokens === undefined ? {} : { inputTokens }) },
      complete: inputTokens !== undefined,
    });
    expect(readResponse(response).usage?.inputTokens).toBe(inputTokens);
  });
});

describe('an operation that AWS does not know', () => {
  const UNKNOWN = { Output: { __type: 'com.amazon.coral.service#UnknownOperationException' }, Version: '1.0' };
  const refusal = { ...NOTHING_READ, errorType: 'UnknownOperationException', isRefused: true };
  it.each([
    { operation: 'InvokeModel', service: 'bedrock-runtime' },
    { operation: 'ConverseStream', service: 'bedrock-runtime' },
    { operation: 'Rerank', service: 'bedrock-agent-runtime' },
    { operation: 'NobodyKnows', service: 'bedrock-runtime' },
  ])('takes a 200 that says so for a refusal, at every split: $operation', (facts) => {
    const response = { name: 'unknown', ...facts, body: UNKNOWN, reading: {} };
    expect(readAtEverySplit(response)).toEqual([
      { ...refusal, errorMessage: expect.any(String), outputBytes: expect.any(Number) },
    ]);
  });

  it.each([
    { name: 'it was cut', body: UNKNOWN, isWhole: false },
    { name: 'it says more', body: { ...UNKNOWN, usage: { inputTokens: 5, outputTokens: 5 } } },
    { name: 'it has no version', body: { Output: UNKNOWN.Output } },
    { name: 'it is another exception', body: { ...UNKNOWN, Output: { __type: 'x#InternalFailure' } } },
    { name: 'it is large', body: { ...UNKNOWN, Version: 'x'.repeat(600) } },
  ])('takes no other response for that: $name', ({ body, isWhole = true }) => {
    const reading = readResponse({ name: 'other', operation: 'InvokeModel', body, reading: {} }, isWhole);
    expect(reading.isRefused).toBe(false);
  });
});

describe('an operation that reports nothing', () => {
  it('tells of an exception in its event stream all the same', () => {
    const events = [{ type: 'flowOutputEvent' }, { type: 'internalServerException' }];
    const flow = { name: 'flow', service: 'bedrock-agent-runtime', operation: 'InvokeFlow', events, reading: {} };
    expect(readResponse(flow)).toMatchObject({ usage: undefined, errorType: 'InternalServerException' });
  });

  it.each([
    ['bedrock-agent-runtime', 'Retrieve'],
    ['bedrock-agentcore', 'InvokeHarness'],
    ['bedrock-runtime', 'CountTokens'],
    // A name of another service.
    ['bedrock-agentcore', 'Converse'],
    ['bedrock-mantle', undefined],
  ])('does not read an operation that reports nothing: %s %s', (service, operation) => {
    const tap = createTap({ service, operation });
    tap.onStart(200, [['x-amzn-bedrock-input-token-count', '5']]);
    tap.onBytes(Buffer.from('{"inputTokens":5,"usage":{"inputTokens":5,"outputTokens":5}}'));
    expect(tap.finish(true)).toEqual({ ...NOTHING_READ, complete: false });
  });
});

describe('a tap', () => {
  it('gives the same reading again', () => {
    const tap = createTap({ service: 'bedrock-runtime', operation: 'Converse' });
    tap.onStart(200, []);
    tap.onBytes(Buffer.from('{"usage":{"inputTokens":1,"outputTokens":2}}'));
    const reading = tap.finish(true);
    tap.onBytes(Buffer.from('{"usage":{"inputTokens":5,"outputTokens":5}}'));
    expect(tap.finish(false)).toBe(reading);
    expect(reading.complete).toBe(true);
  });

  it('says nothing of a response that never began', () => {
    const tap = createTap({ service: 'bedrock-runtime', operation: 'Converse' });
    expect(tap.finish(false)).toEqual({ ...NOTHING_READ, complete: false });
  });

  it('leaves the bytes of a response as they are', () => {
    for (const response of [...BODIES, ...STREAMS, ...SSE_STREAMS]) {
      const bytes = bytesOf(response);
      const before = Buffer.from(bytes);
      readChunks(response, [bytes]);
      expect(bytes.equals(before)).toBe(true);
    }
  });
});

describe("caches of OpenAI's models", () => {
  const GPT = 'us.openai.gpt-5.6-sol';
  const twice = { inputTokens: 4995, outputTokens: 19, cacheReadInputTokens: 0, cacheWriteInputTokens: 4993 };

  it.each([
    { name: 'counted twice, of which one goes', model: GPT, usage: { ...twice, totalTokens: 10_007 }, input: 2 },
    { name: 'of a sum that says otherwise', model: GPT, usage: { ...twice, totalTokens: 9_000 }, input: 4995 },
    {
      name: 'larger than the input, which cannot hold them',
      model: GPT,
      usage: { ...twice, inputTokens: 2, totalTokens: 5_014 },
      input: 2,
    },
    { name: 'without a sum', model: GPT, usage: twice, input: 4995 },
    {
      name: 'of another family, whose counts are apart',
      model: 'us.anthropic.claude-opus-4-7',
      usage: { ...twice, totalTokens: 10_007 },
      input: 4995,
    },
    {
      name: 'of Converse, whose counts are apart',
      model: GPT,
      operation: 'Converse',
      usage: { ...twice, totalTokens: 10_007 },
      input: 4995,
    },
  ])('are read in a stream: $name', ({ model, usage, input, operation = 'ConverseStream' }) => {
    const tap = createTap({ service: 'bedrock-runtime', operation, model });
    const isStream = operation === 'ConverseStream';
    tap.onStart(200, [['content-type', isStream ? 'application/vnd.amazon.eventstream' : 'application/json']]);
    tap.onBytes(isStream ? eventFrame('metadata', { usage }) : Buffer.from(JSON.stringify({ usage })));
    expect(tap.finish(true).usage).toMatchObject({ inputTokens: input, cacheWriteTokens: 4993 });
  });
});
