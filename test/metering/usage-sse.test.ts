import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  findResponse,
  loadResponses,
  NOTHING_READ,
  readResponse,
  readChunks,
  type RecordedResponse,
} from '../helpers/responses.ts';

const STREAMS = loadResponses('sse.json');
const CHAT = findResponse(STREAMS, 'Chat completions with usage');
const RESPONSES = findResponse(STREAMS, 'Responses');
const MESSAGES = findResponse(STREAMS, 'Messages');

const withEvents = (
  response: RecordedResponse,
  first: number,
  more: RecordedResponse['sse'] = [],
): RecordedResponse => ({
  ...response,
  sse: [...(response.sse ?? []).slice(0, first), ...more],
});

const countingChunk = (count: number): { data: unknown } => ({
  data: { choices: [], usage: { prompt_tokens: 7, completion_tokens: count } },
});

describe('a stream that is cut', () => {
  it.each(STREAMS)('calls an SSE stream incomplete before its last event: $name', (response) => {
    const bytes = bytesOf(response);
    const early: number[] = [];
    for (let at = 0; at < bytes.length - 1; at += 1) {
      if (readChunks(response, [bytes.subarray(0, at)], false).complete) early.push(at);
    }
    expect(early).toEqual([]);
  });

  it.each(STREAMS)(
    'calls an SSE stream complete if only its end is missing, after the last word on usage: $name',
    (response) => {
      expect(readResponse(response, false)).toEqual(readResponse(response, true));
    },
  );

  it('knows the input and its caches of an SSE stream of Anthropic that is cut', () => {
    expect(readResponse(withEvents(MESSAGES, 4), false)).toEqual({
      ...NOTHING_READ,
      usage: { inputTokens: 10, outputTokens: 1, cacheReadTokens: 70, cacheWriteTokens: 50, cacheWrite1hTokens: 30 },
      serviceTier: 'default',
      complete: false,
      outputBytes: 2,
    });
  });

  it('knows the newest output of an SSE stream of Anthropic that is cut', () => {
    expect(readResponse(withEvents(MESSAGES, 6), false)).toMatchObject({ usage: { outputTokens: 6 }, complete: false });
  });
});

describe('chat completions', () => {
  it('finds no usage in chat completions unless the request asked for it', () => {
    expect(readResponse(withEvents(CHAT, 2, [{ data: '[DONE]' }]))).toEqual({
      ...NOTHING_READ,
      serviceTier: 'default',
      complete: false,
      outputBytes: 19,
    });
  });

  it('takes the last count of chat completions that count in every chunk', () => {
    const response = withEvents(CHAT, 0, [countingChunk(1), countingChunk(2), countingChunk(3)]);
    expect(readResponse(response, false)).toMatchObject({ usage: { outputTokens: 3 }, complete: false });
    expect(readResponse(response, true)).toMatchObject({ usage: { inputTokens: 7, outputTokens: 3 }, complete: true });
  });

  it('reads chat completions that are not streamed', () => {
    const body = { usage: { prompt_tokens: 7, completion_tokens: 3 } };
    expect(readResponse({ name: 'whole', operation: 'ChatCompletions', body, reading: {} })).toMatchObject({
      usage: { inputTokens: 7, outputTokens: 3 },
      complete: true,
    });
  });
});

describe('responses', () => {
  it('finds the usage of responses that ran out of tokens', () => {
    const data = { type: 'response.incomplete', response: { usage: { input_tokens: 9, output_tokens: 4 } } };
    const response = withEvents(RESPONSES, 2, [{ event: 'response.incomplete', data }]);
    expect(readResponse(response, false)).toMatchObject({ usage: { inputTokens: 9, outputTokens: 4 }, complete: true });
  });
});

it('takes the usage that a response tells as it fails for all of it', () => {
  const data = { type: 'response.failed', response: { usage: { input_tokens: 9, output_tokens: 4 } } };
  const failed = { usage: { inputTokens: 9, outputTokens: 4 }, complete: true, errorType: 'error' };
  expect(readResponse(withEvents(RESPONSES, 2, [{ event: 'response.failed', data }]))).toMatchObject(failed);
  const body = { error: { code: 'server_error' }, usage: { input_tokens: 9, output_tokens: 4 } };
  expect(readResponse({ name: 'whole', operation: 'CreateResponse', body, reading: {} })).toMatchObject({
    ...failed,
    errorType: 'server_error',
  });
});

describe('a stream that fails', () => {
  it.each([
    [CHAT, 3, { event: 'error', data: { error: { message: 'x' } } }],
    [RESPONSES, 2, { event: 'response.failed', data: { type: 'response.failed', response: { usage: null } } }],
    [MESSAGES, 6, { event: 'error', data: { type: 'error', error: { type: 'overloaded_error' } } }],
    [MESSAGES, 6, { event: 'message_delta', data: '{"usage":{"input_tokens": tokens' }],
  ] as const)(
    'keeps what was seen of an SSE stream that fails, and is not complete: %#',
    (response, count, failure) => {
      const { usage, complete } = readResponse(withEvents(response, count, [failure]));
      expect({ usage, complete }).toEqual({ usage: readResponse(withEvents(response, count)).usage, complete: false });
    },
  );

  it.each([
    { response: CHAT, event: 'error', data: { error: { message: 'x' } }, errorType: 'error' },
    { response: CHAT, event: undefined, data: { error: { type: 'server_error' } }, errorType: 'server_error' },
    { response: CHAT, event: undefined, data: '{"error":', errorType: undefined },
    { response: MESSAGES, event: 'error', data: 'It broke.', errorType: 'error' },
    {
      response: MESSAGES,
      event: 'error',
      data: { type: 'error', error: { type: 'overloaded_error' } },
      errorType: 'overloaded_error',
    },
    {
      response: RESPONSES,
      event: 'response.failed',
      data: { type: 'response.failed', response: { error: { code: 'server_error' } } },
      errorType: 'server_error',
    },
    { response: RESPONSES, event: 'error', data: { type: 'error', code: 'timeout' }, errorType: 'timeout' },
    {
      response: RESPONSES,
      event: undefined,
      data: { type: 'response.completed', response: { error: null, usage: { input_tokens: 1, output_tokens: 1 } } },
      errorType: undefined,
    },
  ])('tells the type of the failure in an SSE stream: $data', ({ response, event, data, errorType }) => {
    const failure = { ...(event === undefined ? {} : { event }), data };
    expect(readResponse(withEvents(response, 2, [failure])).errorType).toBe(errorType);
  });

  it('takes no text of a model for a failure', () => {
    const delta = { choices: [{ delta: { content: 'It says {"error": {"type": "x"}}' } }] };
    expect(readResponse(withEvents(CHAT, 2, [{ data: delta }])).errorType).toBeUndefined();
  });
});

describe('an event that repeats a whole response', () => {
  const usage = {
    input_tokens: 800,
    input_tokens_details: { cached_tokens: 300 },
    output_tokens: 250,
    output_tokens_details: { reasoning_tokens: 50 },
  };
  const counts = { inputTokens: 500, cacheReadTokens: 300, outputTokens: 250, units: { webSearches: 2 } };
  const completed = (words: number, after: object = {}): RecordedResponse => {
    const tools = { tool_usage: { web_search: { num_requests: 2 } } };
    const answer = { instructions: 'a "b" '.repeat(words), ...tools, usage, service_tier: 'flex', ...after };
    const data = { type: 'response.completed', response: answer };
    return withEvents(RESPONSES, 2, [{ event: 'response.completed', data }]);
  };

  it.each([8_000, 20_000, 150_000])('tells its usage, however large it is: %i words', (words) => {
    for (const response of [completed(words), completed(0, { output: ['x '.repeat(words * 4)] })]) {
      const bytes = bytesOf(response);
      for (const sizeBytes of [bytes.length, 65_536, 1009, ...(words === 20_000 ? [1] : [])]) {
        const chunks = Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, at) =>
          bytes.subarray(at * sizeBytes, (at + 1) * sizeBytes),
        );
        const reading = readChunks(response, chunks);
        expect(reading).toMatchObject({ usage: counts, complete: true, serviceTier: 'flex', errorType: undefined });
        expect(reading.outputBytes).toBe(readResponse(withEvents(RESPONSES, 2)).outputBytes);
      }
    }
  });

  it('tells that it failed', () => {
    const data = { type: 'response.failed', response: { x: 'x '.repeat(60_000), error: { code: 'oops' }, usage } };
    expect(readResponse(withEvents(RESPONSES, 2, [{ event: 'response.failed', data }]))).toMatchObject({
      usage: { inputTokens: 500 },
      complete: true,
      errorType: 'oops',
    });
  });

  it('tells nothing that is believed, if it is cut or is no JSON', () => {
    const bytes = bytesOf(completed(20_000));
    const cut = readChunks(RESPONSES, [bytes.subarray(0, bytes.length - 20)], false);
    expect(cut).toMatchObject({ usage: undefined, complete: false });
    const broken = withEvents(RESPONSES, 2, [{ event: 'response.completed', data: `{${'x'.repeat(100_000)}` }]);
    expect(readResponse(broken)).toMatchObject({ usage: undefined, complete: false });
  });
});
