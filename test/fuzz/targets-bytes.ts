/** Fuzz targets that read streams of bytes: at any split they must say what they say of the whole. */
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { deepStrictEqual, ok, strictEqual } from 'node:assert';
import { crc32 } from 'node:zlib';
import { ProxyError } from '../../src/lib/errors.ts';
import { createTap, type Reading } from '../../src/metering/tap.ts';
import { encodeFrame, FrameBoundary, FrameSplitter, parseFrameHeaders } from '../../src/protocol/event-stream.ts';
import { type JsonScalar, JsonScanner, MAX_DEPTH } from '../../src/protocol/json-scan.ts';
import { FrameChain, FrameResigner } from '../../src/protocol/sigv4/frame-chain.ts';
import { SseBoundary, type SseEvent, SseSplitter } from '../../src/protocol/sse.ts';
import type { FuzzTarget } from './engine.ts';

/** Ways to cut an input: in one piece, in the middle, byte by byte if that is cheap, and by its own bytes. */
export function cuts(input: Buffer): Buffer[][] {
  const ways = [[input], halves(input, input.length >> 1), halves(input, (input[0] ?? 0) % (input.length + 1))];
  if (input.length <= 64) ways.push(Array.from(input, (_, at) => input.subarray(at, at + 1)));
  return ways;
}

function halves(input: Buffer, at: number): Buffer[] {
  return [input.subarray(0, at), input.subarray(at)];
}

/** The result of the whole, after all other ways to cut it have given the same. */
function sameAtEverySplit<Result>(input: Buffer, read: (chunks: readonly Buffer[]) => Result): Result {
  const [whole, ...others] = cuts(input).map(read);
  for (const other of others) deepStrictEqual(other, whole);
  return whole as Result;
}

/** What a call throws, which must be one of our errors. */
function refusalOf(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (thrown) {
    ok(thrown instanceof ProxyError, thrown instanceof Error ? thrown : String(thrown));
    return `${thrown.code}: ${thrown.message}`;
  }
}

const JSON_PATHS = ['model', 'tools[].model', 'a.*.b', 'usage.inputTokens', 'stream'];

/** As strict as JSON.parse, of the same values, at any split. */
export const JSON_SCAN: FuzzTarget = {
  name: 'json-scan',
  words: [
    '{"model":"a"}',
    '"model":',
    '"tools":[',
    '"\\u006dodel"',
    '\\ud83d\\ude00',
    '1e5',
    'null',
    'true',
    '\xef\xbb\xbf',
  ],
  check: (input) => {
    const scanned = sameAtEverySplit(input, scanJson);
    const parsed = parseJson(input);
    if (depthOf(input) < MAX_DEPTH) strictEqual(scanned !== undefined, parsed !== undefined, 'valid to one of two');
    if (scanned === undefined || parsed === undefined) return;
    const model = Reflect.get(Object(parsed.value), 'model') as unknown;
    const last = scanned.values.findLast(([path]) => path === 'model')?.[1];
    if (typeof model === 'string' && Buffer.byteLength(model) < 600) strictEqual(last, model);
    if (model === undefined) strictEqual(last, undefined);
  },
};

function scanJson(chunks: readonly Buffer[]) {
  const values: [string, JsonScalar][] = [];
  const scanner = new JsonScanner(JSON_PATHS, (path, value) => values.push([path, value]));
  for (const chunk of chunks) scanner.push(chunk);
  // What stands before a fault may be reported, and is worth nothing.
  return scanner.finish() ? { isObject: scanner.isObject, values } : undefined;
}

function parseJson(input: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input)) };
  } catch {
    return undefined;
  }
}

/** No text is deeper than it has brackets. */
function depthOf(input: Buffer): number {
  let count = 0;
  for (const byte of input) if (byte === 0x5b || byte === 0x7b) count += 1;
  return count;
}

const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

/** Frames as the SDK's codec reads them, at any split; what is refused is refused with one of our errors. */
export const EVENT_STREAM: FuzzTarget = {
  name: 'event-stream',
  words: ['\0\0\0\x10\0\0\0\0', '\x07\0\x05', ':event-type', ':message-type', ':date\x08', ':chunk-signature\x06'],
  repair: repairFrames,
  check: (input) => {
    const { frames, refusal } = sameAtEverySplit(input, splitFrames);
    for (const bytes of frames) {
      const [frame] = new FrameSplitter().push(bytes);
      ok(frame !== undefined);
      deepStrictEqual(encodeFrame(frame.headers, frame.payload), bytes);
      let count = -1;
      const headersRefusal = refusalOf(() => {
        count = parseFrameHeaders(frame.headers).size;
      });
      if (headersRefusal === undefined) strictEqual(Object.keys(CODEC.decode(bytes).headers).length, count);
    }
    const boundary = new FrameBoundary();
    boundary.push(input);
    if (refusal === undefined) strictEqual(boundary.isBetween, true);
  },
};

function splitFrames(chunks: readonly Buffer[]) {
  const splitter = new FrameSplitter();
  const frames: Buffer[] = [];
  const refusal = refusalOf(() => {
    for (const chunk of chunks) for (const { bytes } of splitter.push(chunk)) frames.push(Buffer.from(bytes));
    splitter.finish();
  });
  return { frames, refusal };
}

/** Takes the input for frames, as far as it goes, and gives them lengths and checksums that fit. */
function repairFrames(input: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < input.length && frames.length < 8;) {
    const size = Math.min(input.length - at, 16 + ((input[at + 3] ?? 0) << 1));
    const body = input.subarray(at + Math.min(12, size), at + size);
    const headers = body.subarray(0, Math.min(body.length, input[at + 7] ?? 0));
    frames.push(encodeFrame(headers, body.subarray(headers.length)));
    at += size;
  }
  const last = frames.at(-1);
  // Now and then the prelude alone is right.
  if (last !== undefined && crc32(input) % 8 === 0)
    last.writeUInt8(last.readUInt8(last.length - 1) ^ 1, last.length - 1);
  return Buffer.concat(frames);
}

/** The client's frames signed anew, at any split. */
export const FRAME_CHAIN: FuzzTarget = {
  name: 'frame-chain',
  words: EVENT_STREAM.words ?? [],
  repair: repairFrames,
  check: (input) => {
    sameAtEverySplit(input, (chunks) => {
      const chain = new FrameChain({
        credentials: { secretAccessKey: 'secret' },
        region: 'us-east-1',
        signingName: 'bedrock',
        seedSignature: '0'.repeat(64),
      });
      const resigner = new FrameResigner({ chain, nowMs: () => 1_773_500_966_535, checkFrame: undefined });
      const sent: string[] = [];
      const refusal = refusalOf(() => {
        for (const chunk of chunks) for (const frame of resigner.push(chunk)) sent.push(frame.toString('latin1'));
        sent.push(resigner.finish()?.toString('latin1') ?? '');
      });
      return { sent, refusal };
    });
  },
};

/** Server-sent events as a reader of whole lines has them. */
export const SSE: FuzzTarget = {
  name: 'sse',
  words: ['data: ', 'data\n', 'event: error\n', ': ping\n\n', '\r\n\r\n', '\n\n', '\r\r', '\xef\xbb\xbf', 'id: 1\n'],
  check: (input) => {
    const events = sameAtEverySplit(input, (chunks) => {
      const splitter = new SseSplitter(() => {});
      const read = chunks.flatMap((chunk) => [...splitter.push(chunk)].map(showEvent));
      const last = splitter.finish();
      return last === undefined ? read : [...read, showEvent(last)];
    });
    const lines = input.toString('latin1').split(/\r\n|\n|\r/);
    deepStrictEqual(events, readLines(lines));
    const maxBytes = 16 + (input.length % 32);
    const isNameCut = lines.some((line) => line.length > maxBytes && /^(?:\xef\xbb\xbf)?event/.test(line));
    const inPieces = sameAtEverySplit(input, (chunks) => readInPieces(chunks, maxBytes));
    if (!isNameCut) deepStrictEqual(inPieces, events);
    const isBetween = sameAtEverySplit(input, (chunks) => {
      const boundary = new SseBoundary();
      for (const chunk of chunks) boundary.push(chunk);
      return boundary.isBetween;
    });
    strictEqual(isBetween, lines.at(-1) === '' && (lines.at(-2) ?? '') === '');
  },
};

/** The same events, of which those with more data than this come in pieces. */
function readInPieces(chunks: readonly Buffer[], maxBytes: number): string[] {
  let pieces: Buffer[] = [];
  const splitter = new SseSplitter((piece) => pieces.push(Buffer.from(piece)), maxBytes);
  const events: string[] = [];
  const take = ({ data, ...event }: SseEvent): void => {
    strictEqual(data === undefined, pieces.length > 0);
    events.push(showEvent({ ...event, data: data ?? Buffer.concat(pieces) }));
    pieces = [];
  };
  for (const chunk of chunks) for (const event of splitter.push(chunk)) take(event);
  const last = splitter.finish();
  if (last !== undefined) take(last);
  return events;
}

function showEvent({ event, data }: SseEvent): string {
  return JSON.stringify([event === undefined ? '' : Buffer.from(event).toString('latin1'), data?.toString('latin1')]);
}

/** HTML, section 9.2.6, with the last event taken whether its blank line came or not. */
function readLines(lines: readonly string[]): string[] {
  const events: string[] = [];
  let name = '';
  let data: string[] = [];
  const dispatch = (): void => {
    if (data.length > 0) events.push(JSON.stringify([toUtf8(name), data.join('\n')]));
    name = '';
    data = [];
  };
  for (const [at, line] of lines.entries()) {
    const [, field = line, value = ''] =
      /^([^:]*):? ?(.*)$/s.exec(at === 0 ? line.replace(/^\xef\xbb\xbf/, '') : line) ?? [];
    if (line === '') dispatch();
    else if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
  dispatch();
  return events;
}

/** As a text that was decoded and encoded again. */
function toUtf8(latin1: string): string {
  return Buffer.from(Buffer.from(latin1, 'latin1').toString('utf8')).toString('latin1');
}

const NOTHING_READ: Reading = {
  usage: undefined,
  serviceTier: undefined,
  latency: undefined,
  model: undefined,
  complete: false,
  hasUnknownPart: false,
  outputBytes: 0,
  errorType: undefined,
  errorMessage: undefined,
  isRefused: false,
};

const TAPPED: readonly (readonly [service: string, operation: string, type: string])[] = [
  ['bedrock-runtime', 'Converse', 'application/json'],
  ['bedrock-runtime', 'ConverseStream', 'application/vnd.amazon.eventstream'],
  ['bedrock-runtime', 'InvokeModel', 'application/json'],
  ['bedrock-runtime', 'InvokeModelWithResponseStream', 'application/vnd.amazon.eventstream'],
  ['bedrock-runtime', 'ApplyGuardrail', 'application/json'],
  ['bedrock-runtime', 'ChatCompletions', 'text/event-stream'],
  ['bedrock-runtime', 'CreateResponse', 'text/event-stream'],
  ['bedrock-runtime', 'CreateMessage', 'text/event-stream'],
  ['bedrock-runtime', 'CreateMessage', 'application/json'],
  ['bedrock-mantle', 'CreateResponse', 'application/json'],
  ['bedrock-agent-runtime', 'InvokeAgent', 'application/vnd.amazon.eventstream'],
];

/** The first byte says which response it is. The tap never throws, and reads the same at any split. */
export const TAP: FuzzTarget = {
  name: 'tap',
  words: [
    '"usage":{',
    '"inputTokens":1,',
    '"cacheDetails":[{"ttl":"1h","inputTokens":2}]',
    '"output_tokens":3',
    '"iterations":[{"type":"compaction","input_tokens":9,"output_tokens":9}]',
    '"server_tool_use":{"web_search_requests":1}',
    '"tool_usage":{"web_search":{"num_requests":1}}',
    '"amazon-bedrock-trace":{"guardrail":{"input":{"g":{"invocationMetrics":{"usage":{"topicPolicyUnits":1}}}}}}',
    'event: response.failed\ndata: {"response":{"error":{"code":"x"},"usage":{"input_tokens":1}}}\n\n',
    'data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n',
    'data: [DONE]\n\n',
    ':event-type\x07\0\x08metadata',
    ':message-type\x07\0\x05event',
    '"bytes":"eyJ1c2FnZSI6e319"',
  ],
  repair: (input) => Buffer.concat([input.subarray(0, 1), repairFrames(input.subarray(1))]),
  check: (input) => {
    const [service, operation, type] = TAPPED[(input[0] ?? 0) % TAPPED.length] ?? ['', '', ''];
    const reading = sameAtEverySplit(input.subarray(1), (chunks): Reading => {
      const tap = createTap({ service, operation });
      tap.onStart(200, [['Content-Type', type]]);
      for (const chunk of chunks) tap.onBytes(chunk);
      const first = tap.finish(true);
      deepStrictEqual(tap.finish(true), first);
      // How much was read of a body that is no JSON depends on where it broke.
      return first.complete || type !== 'application/json' ? first : NOTHING_READ;
    });
    for (const count of Object.values(reading.usage ?? {})) {
      const counts: unknown[] = typeof count === 'number' ? [count] : Object.values(count ?? {});
      for (const one of counts) ok(Number.isSafeInteger(one) && Number(one) >= 0, 'a count that is none');
    }
  },
};
