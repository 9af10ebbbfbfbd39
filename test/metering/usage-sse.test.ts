import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  findAnswer,
  loadAnswers,
  NOTHING_READ,
  readAnswer,
  readChunks,
  type RecordedAnswer,
} from '../helpers/answers.ts';

const STREAMS = loadAnswers('sse.json');
const CHAT = findAnswer(STREAMS, 'Chat completions with usage');
const RESPONSES = findAnswer(STREAMS, 'Responses');
const MESSAGES = findAnswer(STREAMS, 'Messages');

const withEvents = (answer: RecordedAnswer, first: number, more: RecordedAnswer['sse'] = []): RecordedAnswer => ({
  ...answer,
  sse: [...(answer.sse ?? []).slice(0, first), ...more],
});

const countingChunk = (count: number): { data: unknown } => ({
  data: { choices: [], usage: { prompt_tokens: 7, completion_tokens: count } },
});

describe('a stream that is cut', () => {
  it.each(STREAMS)('is not complete before its last event: $name', (answer) => {
    const bytes = bytesOf(answer);
    const early: number[] = [];
    for (let at = 0; at < bytes.length - 1; at += 1) {
      if (readChunks(answer, [bytes.subarray(0, at)], false).complete) early.push(at);
    }
    expect(early).toEqual([]);
  });

  it.each(STREAMS)('is complete where only the end is missing, after the last word on usage: $name', (answer) => {
    expect(readAnswer(answer, false)).toEqual(readAnswer(answer, true));
  });

  it('has told the input and its caches, if it was Anthropic', () => {
    expect(readAnswer(withEvents(MESSAGES, 4), false)).toEqual({
      ...NOTHING_READ,
      usage: { inputTokens: 10, outputTokens: 1, cacheReadTokens: 70, cacheWriteTokens: 50, cacheWrite1hTokens: 30 },
      serviceTier: 'default',
      complete: false,
      outputBytes: 2,
    });
  });

  it('has the newest output, if it was Anthropic', () => {
    expect(readAnswer(withEvents(MESSAGES, 6), false)).toMatchObject({ usage: { outputTokens: 6 }, complete: false });
  });
});

describe('chat completions', () => {
  it('have no usage unless the request asked for it', () => {
    expect(readAnswer(withEvents(CHAT, 2, [{ data: '[DONE]' }]))).toEqual({
      ...NOTHING_READ,
      serviceTier: 'default',
      complete: false,
      outputBytes: 19,
    });
  });

  it('may count in every chunk: the last count stands', () => {
    const answer = withEvents(CHAT, 0, [countingChunk(1), countingChunk(2), countingChunk(3)]);
    expect(readAnswer(answer, false)).toMatchObject({ usage: { outputTokens: 3 }, complete: false });
    expect(readAnswer(answer, true)).toMatchObject({ usage: { inputTokens: 7, outputTokens: 3 }, complete: true });
  });

  it('are read where they are not streamed', () => {
    const body = { usage: { prompt_tokens: 7, completion_tokens: 3 } };
    expect(readAnswer({ name: 'whole', operation: 'ChatCompletions', body, reading: {} })).toMatchObject({
      usage: { inputTokens: 7, outputTokens: 3 },
      complete: true,
    });
  });
});

describe('responses', () => {
  it('that ran out of tokens have their usage too', () => {
    const data = { type: 'response.incomplete', response: { usage: { input_tokens: 9, output_tokens: 4 } } };
    const answer = withEvents(RESPONSES, 2, [{ event: 'response.incomplete', data }]);
    expect(readAnswer(answer, false)).toMatchObject({ usage: { inputTokens: 9, outputTokens: 4 }, complete: true });
  });
});

describe('a stream that fails', () => {
  it.each([
    [CHAT, 3, { event: 'error', data: { error: { message: 'x' } } }],
    [RESPONSES, 2, { event: 'response.failed', data: { type: 'response.failed', response: { usage: null } } }],
    [MESSAGES, 6, { event: 'error', data: { type: 'error', error: { type: 'overloaded_error' } } }],
    [MESSAGES, 6, { event: 'message_delta', data: '{"usage":{"input_tokens": tokens' }],
  ] as const)('keeps what was seen, and is not complete: %#', (answer, count, failure) => {
    const { usage, complete } = readAnswer(withEvents(answer, count, [failure]));
    expect({ usage, complete }).toEqual({ usage: readAnswer(withEvents(answer, count)).usage, complete: false });
  });

  it('drops an event that is too large to hold, and says so', () => {
    const data = { type: 'response.completed', response: { text: 'x '.repeat(600_000), usage: { input_tokens: 9 } } };
    const answer = withEvents(RESPONSES, 2, [{ event: 'response.completed', data }]);
    expect(readAnswer(answer)).toMatchObject({ usage: undefined, complete: false });
  });
});
