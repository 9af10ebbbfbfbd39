/**
 * Whatever comes, its recording gives the very bytes again: after it was printed, read from its file and checked. What
 * people can read of it is shown for the bodies that Bedrock sends.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printRecording } from '../../src/cassette/print.ts';
import {
  type BodyForm,
  describeFrames,
  describeResponseBody,
  encodeResponseBody,
  formOf,
  measureBody,
  type TimedBytes,
} from '../../src/cassette/proof.ts';
import type { RecordedResponse } from '../../src/cassette/recording.ts';
import { parseRecording } from '../../src/cassette/shape.ts';
import {
  encodeBytesHeader,
  encodeFrame,
  encodeStringHeader,
  encodeTimestampHeader,
} from '../../src/protocol/event-stream.ts';

const REQUEST = { service: 's', operation: 'O', method: 'POST', path: '/', headers: [] };

function noBlob(): never {
  throw new Error('no blob');
}

/** As a run records it and the next one plays it. */
function throughFile(timed: readonly TimedBytes[], form: BodyForm): RecordedResponse {
  const response = {
    status: 200,
    headers: [],
    firstByteMs: 0,
    ...describeResponseBody(timed, form),
    end: 'complete' as const,
    ...measureBody(timed),
  };
  const text = printRecording({ version: 1, request: REQUEST, response });
  return parseRecording(Buffer.from(text), 'one.json').response;
}

function bytesOf(response: RecordedResponse): Buffer {
  return Buffer.concat(encodeResponseBody(response, noBlob).map(({ bytes }) => bytes));
}

function inOnePiece(bytes: Buffer): readonly TimedBytes[] {
  return bytes.length === 0 ? [] : [{ atMs: 0, bytes }];
}

/** Cut wherever, each piece later than the one before. */
function cut(bytes: Buffer, places: readonly number[]): readonly TimedBytes[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].toSorted(
    (one, other) => one - other,
  );
  return ends
    .map((end, index) => ({ atMs: index * 7.3, bytes: bytes.subarray(ends[index - 1] ?? 0, end) }))
    .filter((piece) => piece.bytes.length > 0);
}

function usualFrame(kind: 'event' | 'exception', name: string, payload: string | Buffer): Buffer {
  const headers = [
    encodeStringHeader(`:${kind}-type`, name),
    encodeStringHeader(':content-type', 'application/json'),
    encodeStringHeader(':message-type', kind),
  ];
  return encodeFrame(Buffer.concat(headers), Buffer.from(payload));
}

/** What printing compact does not give again, beside what it does. */
const JSON_PIECES = [
  '{}',
  '{"p":"abc","role":"assistant"}',
  '{"contentBlockIndex":0,"delta":{"text":"L\u00fc 😀"}}',
  '{"a":1.0}',
  '{"a":1.0E-5,"b":-0}',
  '{"text":"\\u003cb\\u003e \\/ \\ud800"}',
  '{"a":1,"a":2}',
  '{"10":1,"2":2}',
  '{ "a" : 1 }',
  '{"__proto__":{"a":1},"bytes":"e30="}',
  '{"__proto__":5}',
  '{"bytes":null}',
  '{"bytes":{"a":1}}',
  '{"bytes":"bnVsbA=="}',
  '{"bytes":"ImFiYyI="}',
  '{"bytes":"eyJhIjogMX0=","p":"abcd"}',
  '{"bytes":"eyJhIjoxfR=="}',
  '{"bytes":"eyJieXRlcyI6ImUzMD0ifQ==","p":"abcd"}',
  '9007199254740993',
  'null',
  '"text"',
  '',
  '\ufeff{}',
  `${'['.repeat(400)}${']'.repeat(400)}`,
  `${'['.repeat(700)}${']'.repeat(700)}`,
  `${'{"a":'.repeat(499)}1${'}'.repeat(499)}`,
] as const;

const payload = fc.oneof(
  fc.constantFrom(...JSON_PIECES).map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(JSON.stringify({ bytes: Buffer.from(text).toString('base64'), p: 'ab' }))),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);
const name = fc.oneof(fc.constantFrom('messageStart', 'chunk', ':event-type', ''), fc.string({ maxLength: 12 }));
const header = fc.oneof(
  fc.tuple(name, fc.string({ maxLength: 12 })).map(([key, value]) => encodeStringHeader(key, value)),
  name.map((key) => encodeTimestampHeader(key, 1_764_000_000_000)),
  fc.tuple(name, fc.uint8Array({ maxLength: 8 })).map(([key, value]) => encodeBytesHeader(key, value)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
);
const frame = fc.oneof(
  fc.tuple(fc.constantFrom('event', 'exception'), name, payload).map((parts) => usualFrame(...parts)),
  fc
    .tuple(fc.array(header, { maxLength: 4 }), payload)
    .map(([block, bytes]) => encodeFrame(Buffer.concat(block), bytes)),
);
const event = fc
  .tuple(
    fc.constantFrom('', 'event: message_start\n', 'event:x\n', 'id: 7\n', ': ping\n', 'event: a\r\n', 'event: \n'),
    fc.constantFrom('data: ', 'data:', ''),
    payload,
    fc.constantFrom('\n\n', '\r\n\r\n', '\n', '\r\r', '\n\r\n'),
  )
  .map(([first, field, bytes, end]) => Buffer.concat([Buffer.from(`${first}${field}`), bytes, Buffer.from(end)]));
const body = (piece: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(fc.array(piece, { maxLength: 6 }), fc.nat(), fc.uint8Array({ maxLength: 20 }), fc.boolean())
    .map(([pieces, end, rest, isCut]) => {
      const whole = Buffer.concat(pieces);
      return isCut ? Buffer.concat([whole.subarray(0, end % (whole.length + 1)), rest]) : whole;
    });
const places = fc.array(fc.nat(), { maxLength: 8 });

describe('a body that was recorded', () => {
  it.each([
    { form: 'frames' as const, bytes: body(frame) },
    { form: 'events' as const, bytes: body(event) },
    { form: 'whole' as const, bytes: payload },
    { form: 'chunks' as const, bytes: body(frame) },
    { form: 'frames' as const, bytes: body(event) },
    { form: 'events' as const, bytes: body(frame) },
  ])('gives the very bytes again, whatever came and however it was cut: $form', ({ form, bytes }) => {
    fc.assert(
      fc.property(bytes, places, (whole, cuts) => {
        const response = throughFile(cut(whole, cuts), form);
        expect(bytesOf(response)).toEqual(whole);
        expect(measureBody(encodeResponseBody(response, noBlob)).sha256).toBe(response.sha256);
      }),
      { numRuns: 400 },
    );
  });

  it('has times that never go back, and none that nothing came at', () => {
    fc.assert(
      fc.property(body(frame), places, (whole, cuts) => {
        const timed = cut(whole, cuts);
        const known = timed.map(({ atMs }) => Math.round(atMs * 10) / 10);
        const times = encodeResponseBody(throughFile(timed, 'frames'), noBlob).map(({ atMs }) => atMs);
        expect(times).toEqual(times.toSorted((one, other) => one - other));
        for (const time of times) expect(known).toContain(time);
      }),
    );
  });

  it('has of each frame the time at which its last byte came, at every place where it may be cut', () => {
    const first = usualFrame('event', 'messageStart', '{"role":"assistant"}');
    const second = usualFrame('event', 'messageStop', '{"stopReason":"end_turn"}');
    const bytes = Buffer.concat([first, second]);
    for (let at = 1; at < bytes.length; at += 1) {
      const frames = describeFrames([
        { atMs: 0, bytes: bytes.subarray(0, at) },
        { atMs: 12.34, bytes: bytes.subarray(at) },
      ]);
      expect(frames).toEqual([
        [at < first.length ? 12.3 : 0, 'messageStart', { role: 'assistant' }],
        [12.3, 'messageStop', { stopReason: 'end_turn' }],
      ]);
    }
  });
});

describe('what people read of a body', () => {
  it.each([
    {
      what: 'an event with the usual headers, by its name',
      bytes: usualFrame('event', 'messageStart', '{"p":"abcd","role":"assistant"}'),
      said: [[0, 'messageStart', { p: 'abcd', role: 'assistant' }]],
    },
    {
      what: 'the JSON within a chunk of InvokeModel',
      bytes: usualFrame('event', 'chunk', '{"bytes":"eyJkZWx0YSI6IkhpIn0=","p":"ab"}'),
      said: [[0, 'chunk', { bytes: { delta: 'Hi' }, p: 'ab' }]],
    },
    {
      what: 'an exception, as what it is',
      bytes: usualFrame('exception', 'throttlingException', '{"message":"slow down"}'),
      said: [[0, { exception: 'throttlingException', json: { message: 'slow down' } }]],
    },
    {
      what: 'a payload whose printing would be another one, as its text',
      bytes: usualFrame('event', 'metadata', '{"a":1.0E-5}'),
      said: [
        [
          0,
          {
            headers: [
              [':event-type', 'metadata'],
              [':content-type', 'application/json'],
              [':message-type', 'event'],
            ],
            text: '{"a":1.0E-5}',
          },
        ],
      ],
    },
    {
      what: 'headers of other types, as bytes',
      bytes: encodeFrame(encodeTimestampHeader(':date', 0), Buffer.from([0xff])),
      said: [[0, { headers: encodeTimestampHeader(':date', 0).toString('base64'), base64: '/w==' }]],
    },
    {
      what: 'a frame that broke off, as bytes',
      bytes: Buffer.concat([usualFrame('event', 'a', '1'), usualFrame('event', 'b', '2').subarray(0, 5)]),
      said: [
        [0, 'a', 1],
        [0, { raw: usualFrame('event', 'b', '2').subarray(0, 5).toString('base64') }],
      ],
    },
  ])('$what', ({ bytes, said }) => {
    expect(throughFile(inOnePiece(bytes), 'frames').frames).toEqual(said);
  });

  it('a frame whose sum is wrong: all of the body, as it came', () => {
    const good = usualFrame('event', 'a', '1');
    const bad = Buffer.from(usualFrame('event', 'b', '2'));
    bad.writeUInt8(bad.readUInt8(bad.length - 1) ^ 1, bad.length - 1);
    const response = throughFile(inOnePiece(Buffer.concat([good, bad, good])), 'frames');
    expect(bytesOf(response)).toEqual(Buffer.concat([good, bad, good]));
  });

  it('server-sent events: those of the usual shape by name and value, others as text', () => {
    const text =
      'event: message_start\ndata: {"type":"message_start"}\n\n: ping\n\ndata: {"a":1}\n\ndata: [DONE]\n\ndata: {"a"';
    expect(throughFile(inOnePiece(Buffer.from(text)), 'events').events).toEqual([
      [0, 'message_start', { type: 'message_start' }],
      [0, { text: ': ping\n\n' }],
      [0, null, { a: 1 }],
      [0, { text: 'data: [DONE]\n\n' }],
      [0, { text: 'data: {"a"' }],
    ]);
  });

  it('nothing, if nothing came', () => {
    expect(throughFile([], 'frames')).toEqual({
      status: 200,
      headers: [],
      firstByteMs: 0,
      end: 'complete',
      bytes: 0,
      sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    });
  });

  it('many events, in time that grows with their number and no faster', () => {
    // To search the rest for each of them would take many times as long.
    const bytes = Buffer.from('data: {"a":1}\n\n'.repeat(200_000));
    const startedMs = performance.now();
    expect(throughFile(inOnePiece(bytes), 'events').events).toHaveLength(200_000);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });
});

it.each([
  ['application/vnd.amazon.eventstream', true, 'frames'],
  ['text/event-stream; charset=utf-8', true, 'events'],
  ['Application/JSON', false, 'whole'],
  ['application/json', true, 'whole'],
  ['audio/mpeg', true, 'chunks'],
  [undefined, false, 'whole'],
])('a body of type %s (stream: %s) is said as %s', (contentType, isStream, form) => {
  expect(formOf(contentType, isStream)).toBe(form);
});
