import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../../src/protocol/event-stream.ts';
import { INVOKE_STREAM, StreamReader } from '../../src/metering/usage-stream.ts';
import { Tally } from '../../src/metering/usage-tally.ts';
import {
  bytesOf,
  findResponse,
  frameOf,
  loadResponses,
  NOTHING_READ,
  readResponse,
  readChunks,
  type RecordedResponse,
} from '../helpers/responses.ts';
import { eventFrame } from '../helpers/event-frames.ts';

const STREAMS = loadResponses('streams.json');
const CONVERSE = findResponse(STREAMS, 'ConverseStream');
const ANTHROPIC = findResponse(STREAMS, 'Anthropic stream');
const SONIC = findResponse(STREAMS, 'Nova Sonic');
const AGENT = findResponse(STREAMS, 'InvokeAgent with its trace');

/** The first events of a response, whole. */
const firstEvents = (response: RecordedResponse, count: number): Buffer =>
  Buffer.concat((response.events ?? []).slice(0, count).map(frameOf));

describe('a stream that is cut', () => {
  it.each(STREAMS)('calls a stream incomplete before its last event: $name', (response) => {
    const bytes = bytesOf(response);
    const lastEvent = response.events?.at(-1);
    if (lastEvent === undefined) throw new Error('no events');
    const completeFrom = bytes.length - frameOf(lastEvent).length;
    const early = new Set<number>();
    for (let at = 0; at < completeFrom; at += 1) {
      if (readChunks(response, [bytes.subarray(0, at)], false).complete) early.add(at);
    }
    expect([...early]).toEqual([]);
  });

  it('calls a stream that is cut within a frame incomplete, even if the connection ended well', () => {
    const bytes = bytesOf(CONVERSE);
    expect(readChunks(CONVERSE, [bytes.subarray(0, -1)], true)).toMatchObject({ usage: undefined, complete: false });
  });

  it('knows the input and its caches of a stream of Anthropic that is cut', () => {
    expect(readChunks(ANTHROPIC, [firstEvents(ANTHROPIC, 3)], false)).toEqual({
      ...NOTHING_READ,
      usage: {
        inputTokens: 3,
        outputTokens: 2,
        cacheReadTokens: 0,
        cacheWriteTokens: 25037,
        cacheWrite1hTokens: 25000,
      },
      serviceTier: 'priority',
      latency: undefined,
      model: undefined,
      complete: false,
      outputBytes: 12,
    });
  });

  it('keeps the totals of a session so far', () => {
    expect(readChunks(SONIC, [firstEvents(SONIC, 4)], false)).toMatchObject({
      usage: { inputTokens: 120, outputTokens: 0, inputAudioTokens: 100 },
      complete: false,
      outputBytes: 5,
    });
  });

  it('calls a stream complete if only its end is missing, after the last word on usage', () => {
    expect(readResponse(CONVERSE, false)).toEqual(readResponse(CONVERSE, true));
    expect(readResponse(ANTHROPIC, false)).toEqual(readResponse(ANTHROPIC, true));
    expect(readResponse(AGENT, false)).toEqual({ ...readResponse(AGENT, true), complete: false });
  });
});

describe('a stream that fails', () => {
  it.each([CONVERSE, ANTHROPIC, AGENT])(
    'keeps what was seen of a stream that fails, and tells the type of the failure: $name',
    (response) => {
      const events = [...(response.events ?? []), { type: 'modelStreamErrorException' }];
      expect(readResponse({ ...response, events })).toEqual({
        ...readResponse(response),
        complete: false,
        errorType: 'ModelStreamErrorException',
        errorMessage: 'It broke.',
      });
    },
  );

  it('reads a failure in a frame of the type error', () => {
    const error = encodeFrame(
      Buffer.concat([
        header(':message-type', 'error'),
        header(':event-type', 'metadata'),
        header(':error-code', 'InternalFailure'),
      ]),
      Buffer.from('{"usage":{"inputTokens":5,"outputTokens":5}}'),
    );
    const reading = readChunks(CONVERSE, [bytesOf(CONVERSE), error]);
    expect(reading).toEqual({ ...readResponse(CONVERSE), complete: false, errorType: 'InternalFailure' });
  });

  it.each([
    ['text in the middle of it', Buffer.from('{"message":"Internal error"}')],
    ['a broken checksum', flip(frameOf({ type: 'contentBlockStop', payload: {} }))],
  ])('keeps what was seen of a stream with %s', (_name, rubbish) => {
    const head = firstEvents(ANTHROPIC, 3);
    const reading = readChunks(ANTHROPIC, [head, rubbish, firstEvents(ANTHROPIC, 6)], true);
    expect(reading).toMatchObject({ usage: { inputTokens: 3, outputTokens: 2 }, complete: false, outputBytes: 12 });
  });

  it('believes nothing of broken JSON in place of the usage of a stream', () => {
    const events = Buffer.concat([
      eventFrame('messageStart', {}),
      eventFrame('metadata', Buffer.from('{"usage":{"inputTokens":5,"outputTokens":')),
    ]);
    expect(readChunks(CONVERSE, [events])).toMatchObject({ usage: undefined, complete: false });
  });
});

describe('events', () => {
  it.each([
    ['an unknown type', eventFrame('somethingNew', { usage: { inputTokens: 5, outputTokens: 5 } })],
    ['no bytes in a chunk', eventFrame('chunk', { p: 'tokens' })],
    ['bytes that do not end', eventFrame('chunk', Buffer.from('{"bytes":"eyJ1c2FnZS'))],
    ['bytes that are no base64', eventFrame('chunk', { bytes: '%%%' })],
    ['no payload', eventFrame('chunk', Buffer.alloc(0))],
  ])('ignores events with %s', (_name, frame) => {
    expect(readChunks(ANTHROPIC, [frame, bytesOf(ANTHROPIC)])).toEqual(readResponse(ANTHROPIC));
  });

  it('reads events with white space, and base64 with escaped slashes', () => {
    const text = JSON.stringify({ outputText: '???>>>', inputTextTokenCount: 5 });
    const base64 = Buffer.from(text).toString('base64');
    expect(base64).toContain('/');
    const payload = `{ "bytes" : "${base64.replaceAll('/', '\\/')}" }`;
    const response: RecordedResponse = { ...ANTHROPIC, headers: [] };
    expect(readChunks(response, [eventFrame('chunk', Buffer.from(payload))])).toMatchObject({
      usage: { inputTokens: 5 },
      outputBytes: 6,
    });
  });

  it('does not decode events larger than AWS sends them', () => {
    const text = JSON.stringify({ text: 'x'.repeat(1_100_000), usage: { input_tokens: 5 } });
    const tally = new Tally();
    const reader = new StreamReader(INVOKE_STREAM, tally);
    reader.read(eventFrame('chunk', { bytes: Buffer.from(text).toString('base64') }));
    expect(tally.sum()).toBeUndefined();
    expect(tally.textBytes).toBeGreaterThan(1_000_000);
    expect(tally.hasUnread).toBe(true);
  });
});

function header(name: string, value: string): Buffer {
  const size = Buffer.from([7, 0, value.length]);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), size, Buffer.from(value)]);
}

function flip(bytes: Buffer): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  return flipped;
}
