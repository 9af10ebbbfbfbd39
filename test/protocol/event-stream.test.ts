import { EventStreamCodec, type MessageHeaders } from '@smithy/eventstream-codec';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import {
  encodeBytesHeader,
  encodeFrame,
  encodeStringHeader,
  encodeTimestampHeader,
  type Frame,
  FrameBoundary,
  FrameSplitter,
  MAX_HEADERS_BYTES,
  MAX_PAYLOAD_BYTES,
  parseFrameHeaders,
} from '../../src/protocol/event-stream.ts';

/** The codec of the AWS SDK for JavaScript: an oracle that shares no code with ours. */
const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);
const RECORDED = readFileSync(new URL('../fixtures/bidirectional-sdk.bin', import.meta.url));
const EMPTY = Buffer.alloc(0);

const ALL_TYPES: MessageHeaders = {
  yes: { type: 'boolean', value: true },
  no: { type: 'boolean', value: false },
  byte: { type: 'byte', value: -5 },
  short: { type: 'short', value: -500 },
  integer: { type: 'integer', value: 70_000 },
  bytes: { type: 'binary', value: Uint8Array.of(0, 1, 255) },
  ':message-type': { type: 'string', value: 'event' },
  grüße: { type: 'string', value: '世界' },
  none: { type: 'string', value: '' },
  ':date': { type: 'timestamp', value: new Date(1_773_500_966_535) },
  uuid: { type: 'uuid', value: '00112233-4455-6677-8899-aabbccddeeff' },
};

const VECTORS: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: 'nothing but overhead', bytes: encodeBySdk({}, EMPTY) },
  { name: 'payload without headers', bytes: encodeBySdk({}, Buffer.from('{"a":1}')) },
  { name: 'headers without payload', bytes: encodeBySdk({ a: { type: 'string', value: 'b' } }, EMPTY) },
  { name: 'headers of every type', bytes: encodeBySdk(ALL_TYPES, Buffer.from('x')) },
  { name: 'a frame within a frame', bytes: encodeBySdk({}, encodeBySdk({}, Buffer.from('inner'))) },
];

/** Frames that lie: what they claim, and what is said about them. The checksums fit the lies. */
const REFUSED_PRELUDES: readonly { readonly name: string; readonly prelude: Buffer; readonly says: RegExp }[] = [
  { name: 'a length below the overhead', prelude: makePrelude(15, 0), says: /contradict/ },
  { name: 'headers longer than the frame', prelude: makePrelude(20, 5), says: /contradict/ },
  { name: 'a payload over the limit', prelude: makePrelude(MAX_PAYLOAD_BYTES + 17, 0), says: /payload of more than/ },
  { name: 'four gigabytes', prelude: makePrelude(0xffffffff, 0), says: /payload of more than/ },
  {
    name: 'headers over the limit',
    prelude: makePrelude(MAX_HEADERS_BYTES + 17, MAX_HEADERS_BYTES + 1),
    says: /bytes of headers/,
  },
  { name: 'a wrong prelude checksum', prelude: flipBit(makePrelude(16, 0), 11), says: /prelude checksum/ },
  { name: 'text instead of a frame', prelude: Buffer.from('{"message":1'), says: /prelude checksum/ },
];

describe('cutting a stream into frames', () => {
  it.each(VECTORS)('cuts a stream into its frames at every split: $name', ({ bytes }) => {
    for (const pieces of everySplit(bytes)) {
      const frames = split(pieces);
      expect(frames.map((frame) => frame.bytes)).toEqual([bytes]);
      expect(frames[0]?.payload).toEqual(Buffer.from(CODEC.decode(bytes).body));
    }
  });

  it('cuts a stream that the AWS SDK sent into its frames, at every split', () => {
    const whole = split([RECORDED]);
    expect(whole).toHaveLength(4);
    expect(Buffer.concat(whole.map((frame) => frame.bytes))).toEqual(RECORDED);
    for (const pieces of everySplit(RECORDED)) expect(split(pieces)).toEqual(whole);
  });

  it.each([1, 2, 3, 11, 12, 13, 100])('cuts a stream that comes in pieces of %i bytes into its frames', (size) => {
    const pieces = Array.from({ length: Math.ceil(RECORDED.length / size) }, (_, index) =>
      RECORDED.subarray(index * size, (index + 1) * size),
    );
    expect(split(pieces)).toEqual(split([RECORDED]));
  });

  it('does not copy a frame that came in one piece', () => {
    const chunk = Buffer.concat(VECTORS.map(({ bytes }) => bytes));
    for (const { payload } of split([chunk])) expect(payload.buffer).toBe(chunk.buffer);
  });

  it('puts a frame of the largest size together', () => {
    const bytes = encodeFrame(EMPTY, Buffer.alloc(MAX_PAYLOAD_BYTES, 7));
    const pieces = Array.from({ length: Math.ceil(bytes.length / 16_384) }, (_, index) =>
      bytes.subarray(index * 16_384, (index + 1) * 16_384),
    );
    expect(split(pieces)[0]?.bytes.equals(bytes)).toBe(true);
  });
});

describe('refusing frames', () => {
  it.each(REFUSED_PRELUDES)(
    'refuses a frame with $name as soon as twelve bytes are there, at every split',
    ({ prelude, says }) => {
      for (const pieces of everySplit(prelude)) {
        expect(failureOf(pieces)).toMatchObject({ code: 'ERR_BAD_REQUEST', status: 400 });
        expect(failureOf(pieces)?.message).toMatch(says);
      }
      expect(failureOf([prelude.subarray(0, 11)])).toBeUndefined();
    },
  );

  it('refuses a frame with any one bit turned', () => {
    const bytes = encodeBySdk({ a: { type: 'string', value: 'b' } }, Buffer.from('payload'));
    for (let at = 0; at < bytes.length; at += 1) {
      expect(failureOf([flipBit(bytes, at), bytes])?.code).toBe('ERR_BAD_REQUEST');
    }
  });

  it('gives out the good frames before a bad one, at every split', () => {
    const good = encodeFrame(EMPTY, Buffer.from('good'));
    const stream = Buffer.concat([good, good, flipBit(good, good.length - 1), good]);
    for (const pieces of everySplit(stream)) {
      const frames: Frame[] = [];
      expect(() => split(pieces, frames)).toThrow(/wrong checksum/);
      expect(frames.map(({ bytes }) => bytes)).toEqual([good, good]);
    }
  });

  it('tells an end within a frame from an end between two frames', () => {
    const bytes = encodeFrame(EMPTY, Buffer.from('abc'));
    for (let length = 0; length <= bytes.length; length += 1) {
      const splitter = new FrameSplitter();
      expect([...splitter.push(bytes.subarray(0, length))]).toHaveLength(length === bytes.length ? 1 : 0);
      if (length === 0 || length === bytes.length) splitter.finish();
      else expect(() => splitter.finish()).toThrow(/cut short/);
    }
  });

  it('takes random bytes as frames without any other error', () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) & 0xff;
    for (let round = 0; round < 500; round += 1) {
      const bytes = Buffer.from(Array.from({ length: 64 }, random));
      expect(failureOf([bytes])).toBeInstanceOf(ProxyError);
    }
  });
});

describe('headers of frames', () => {
  it('reads frame headers of every type', () => {
    const headers = parseFrameHeaders(headersOf(ALL_TYPES));
    expect([...headers.keys()]).toEqual(Object.keys(ALL_TYPES));
    expect(headers.get(':message-type')).toEqual({ kind: 'string', value: 'event' });
    expect(headers.get('grüße')).toEqual({ kind: 'string', value: '世界' });
    expect(headers.get('none')).toEqual({ kind: 'string', value: '' });
    expect(headers.get('bytes')).toEqual({ kind: 'bytes', value: Buffer.of(0, 1, 255) });
    expect(headers.get(':date')).toEqual({ kind: 'timestamp', value: 1_773_500_966_535 });
    expect(headers.get('short')).toEqual({ kind: 'other', type: 3, value: Buffer.of(0xfe, 0x0c) });
    expect(headers.get('yes')).toEqual({ kind: 'other', type: 0, value: EMPTY });
  });

  it('refuses frame headers that are cut short, at every length', () => {
    for (const [name, header] of Object.entries(ALL_TYPES)) {
      const block = headersOf({ [name]: header });
      for (let length = 1; length < block.length; length += 1) {
        expect(() => parseFrameHeaders(block.subarray(0, length))).toThrow(/cut short/);
      }
    }
  });

  it.each([
    { name: 'a name twice', block: Buffer.from('\u0001a\u0000\u0001a\u0000', 'latin1'), says: /one name twice/ },
    { name: 'no name', block: Buffer.from('\u0000\u0000', 'latin1'), says: /without a name/ },
    { name: 'an unknown type', block: Buffer.from('\u0001a\u000a', 'latin1'), says: /unknown type 10/ },
  ])('refuses frame headers with $name', ({ block, says }) => {
    expect(() => parseFrameHeaders(block)).toThrow(says);
  });
});

describe('encoding', () => {
  it.each([
    { name: 'an empty payload', payload: EMPTY },
    { name: 'a payload', payload: Buffer.from('{"bytes":"AAAA"}') },
    { name: 'a large payload', payload: Buffer.alloc(1_300_000, 'x') },
  ])('encodes the same bytes as the AWS SDK: $name', ({ payload }) => {
    const signature = Buffer.alloc(32, 0xa5);
    const dateMs = 1_773_500_966_535;
    const headers = Buffer.concat([
      encodeTimestampHeader(':date', dateMs),
      encodeBytesHeader(':chunk-signature', signature),
    ]);
    const expected = encodeBySdk(
      {
        ':date': { type: 'timestamp', value: new Date(dateMs) },
        ':chunk-signature': { type: 'binary', value: signature },
      },
      payload,
    );
    expect(encodeFrame(headers, payload).equals(expected)).toBe(true);
  });
});

function encodeBySdk(headers: MessageHeaders, body: Uint8Array): Buffer {
  return Buffer.from(CODEC.encode({ headers, body }));
}

function headersOf(headers: MessageHeaders): Buffer {
  const bytes = encodeBySdk(headers, EMPTY);
  return bytes.subarray(12, bytes.length - 4);
}

function makePrelude(totalBytes: number, headersBytes: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(totalBytes, 0);
  bytes.writeUInt32BE(headersBytes, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  return bytes;
}

function flipBit(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}

function* everySplit(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (byte) => Buffer.of(byte));
}

function split(pieces: readonly Buffer[], frames: Frame[] = []): Frame[] {
  const splitter = new FrameSplitter();
  for (const piece of pieces) {
    for (const frame of splitter.push(piece)) frames.push(frame);
  }
  splitter.finish();
  return frames;
}

function failureOf(pieces: readonly Buffer[]): ProxyError | undefined {
  const splitter = new FrameSplitter();
  try {
    for (const piece of pieces) Array.from(splitter.push(piece));
    return undefined;
  } catch (error) {
    return error as ProxyError;
  }
}

it('encodes a text header as the SDK does', () => {
  const headers = encodeStringHeader(':message-type', 'grüße');
  const frame = encodeFrame(headers, Buffer.from('x'));
  expect(frame).toEqual(encodeBySdk({ ':message-type': { type: 'string', value: 'grüße' } }, Buffer.from('x')));
});

describe('FrameBoundary', () => {
  const all = Buffer.concat(VECTORS.map(({ bytes }) => bytes));
  const ends = new Set(
    VECTORS.map((_, at) => Buffer.concat(VECTORS.slice(0, at + 1).map(({ bytes }) => bytes)).length),
  );

  it('knows at every byte whether the stream stands between frames, at every split', () => {
    for (let at = 0; at <= all.length; at += 1) {
      const boundary = new FrameBoundary();
      boundary.push(all.subarray(0, at));
      expect(boundary.isBetween).toBe(at === 0 || ends.has(at));
      boundary.push(all.subarray(at));
      expect(boundary.isBetween).toBe(true);
    }
  });

  it('is lost after a length that no frame has', () => {
    const boundary = new FrameBoundary();
    boundary.push(Buffer.from([0, 0, 0, 15]));
    boundary.push(Buffer.alloc(11));
    expect(boundary.isBetween).toBe(false);
  });
});
