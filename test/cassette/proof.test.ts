import { describe, expect, it } from 'vitest';
import {
  describeResponseBody,
  encodeResponseBody,
  formOf,
  measureBody,
  type TimedBytes,
} from '../../src/cassette/proof.ts';
import {
  encodeBytesHeader,
  encodeFrame,
  encodeStringHeader,
  encodeTimestampHeader,
} from '../../src/protocol/event-stream.ts';
import { eventFrame, exceptionFrame } from '../helpers/event-frames.ts';
import { createRandom } from '../helpers/random.ts';

function noBlob(): never {
  throw new Error('There is none.');
}

/** Through the text of a file, as it is read again. */
function roundTrip(chunks: readonly TimedBytes[], form: Parameters<typeof describeResponseBody>[1]): Buffer {
  const described = describeResponseBody(chunks, form);
  const read: typeof described = JSON.parse(JSON.stringify(described));
  return Buffer.concat(encodeResponseBody(read, noBlob).map(({ bytes }) => bytes));
}

const timed = (...bytes: readonly (Buffer | string)[]): TimedBytes[] =>
  bytes.map((chunk, index) => ({ atMs: index * 10, bytes: Buffer.from(chunk) }));

describe('an event stream', () => {
  it('has one line a frame, with the time at which the frame was complete', () => {
    const first = eventFrame('messageStart', { p: 'abcd', role: 'assistant' });
    const second = eventFrame('metadata', { usage: { inputTokens: 10 } });
    const chunks = timed(first, second.subarray(0, 7), second.subarray(7));
    expect(describeResponseBody(chunks, 'frames')).toEqual({
      frames: [
        [0, 'messageStart', { p: 'abcd', role: 'assistant' }],
        [20, 'metadata', { usage: { inputTokens: 10 } }],
      ],
    });
  });

  it('shows the JSON within the chunks of InvokeModelWithResponseStream', () => {
    const bytes = Buffer.from('{"type":"ping"}').toString('base64');
    const described = describeResponseBody(timed(eventFrame('chunk', { bytes, p: 'ab' })), 'frames');
    expect(described).toEqual({ frames: [[0, 'chunk', { bytes: { type: 'ping' }, p: 'ab' }]] });
  });

  it('says an exception by its name', () => {
    const described = describeResponseBody(timed(exceptionFrame('throttlingException', 'slow')), 'frames');
    expect(described).toEqual({ frames: [[0, { exception: 'throttlingException', json: { message: 'slow' } }]] });
  });

  const headers = [encodeStringHeader(':event-type', 'x'), encodeTimestampHeader(':date', 1)];
  it.each([
    { name: 'spelling of numbers', bytes: eventFrame('x', Buffer.from('{"a":1.0E-5}')) },
    { name: 'escapes', bytes: eventFrame('x', Buffer.from('{"a":"\\u003c"}')) },
    { name: 'blanks', bytes: eventFrame('x', Buffer.from('{"a": 1}')) },
    { name: 'a name twice', bytes: eventFrame('x', Buffer.from('{"a":1,"a":2}')) },
    { name: 'names that are numbers', bytes: eventFrame('x', Buffer.from('{"b":1,"1":2}')) },
    { name: '__proto__', bytes: eventFrame('x', Buffer.from('{"__proto__":{"bytes":1},"bytes":"e30="}')) },
    { name: 'a negative zero', bytes: eventFrame('x', Buffer.from('[-0]')) },
    { name: 'a lone surrogate', bytes: eventFrame('x', Buffer.from('"\\ud800"')) },
    { name: 'no UTF-8', bytes: eventFrame('x', Buffer.from([0xff, 0x00])) },
    { name: 'no payload', bytes: eventFrame('x', Buffer.alloc(0)) },
    { name: 'bytes that are no text', bytes: eventFrame('chunk', { bytes: { a: 1 } }) },
    { name: 'bytes that are a JSON text', bytes: eventFrame('chunk', { bytes: 'ImEi' }) },
    { name: 'base64 that is not as we write it', bytes: eventFrame('chunk', { bytes: 'e30' }) },
    { name: 'headers of other types', bytes: encodeFrame(Buffer.concat(headers), Buffer.from('{}')) },
    { name: 'bytes as header', bytes: encodeFrame(encodeBytesHeader('b', Buffer.from([255])), Buffer.from('{}')) },
    { name: 'a header twice', bytes: encodeFrame(Buffer.concat([headers[0]!, headers[0]!]), Buffer.alloc(0)) },
    { name: 'a cut within a frame', bytes: eventFrame('x', {}).subarray(0, 20) },
    { name: 'no frame at all', bytes: Buffer.from('<html>an error page of some box</html>') },
    { name: 'deep JSON', bytes: eventFrame('x', Buffer.from(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)) },
  ])('keeps every byte: $name', ({ bytes }) => {
    expect(roundTrip(timed(eventFrame('a', { b: 1 }), bytes), 'frames')).toEqual(
      Buffer.concat([eventFrame('a', { b: 1 }), bytes]),
    );
  });
});

describe('other bodies', () => {
  it.each([
    {
      name: 'events of Anthropic',
      text: 'event: ping\ndata: {"type":"ping"}\n\n',
      events: [[0, 'ping', { type: 'ping' }]],
    },
    {
      name: 'events of OpenAI',
      text: 'data: {"a":1}\n\ndata: [DONE]\n\n',
      events: [
        [0, null, { a: 1 }],
        [0, { text: 'data: [DONE]\n\n' }],
      ],
    },
    { name: 'other line ends', text: 'data: {"a":1}\r\n\r\n', events: [[0, { text: 'data: {"a":1}\r\n\r\n' }]] },
    { name: 'an end without a blank line', text: 'data: {"a":1}', events: [[0, { text: 'data: {"a":1}' }]] },
    { name: 'blanks in JSON', text: 'data: {"a": 1}\n\n', events: [[0, { text: 'data: {"a": 1}\n\n' }]] },
  ])('writes server-sent events: $name', ({ text, events }) => {
    expect(describeResponseBody(timed(text), 'events')).toEqual({ events });
    expect(roundTrip(timed(text), 'events').toString()).toBe(text);
  });

  it('keeps chunks with their times, text where it is text', () => {
    const chunks = timed('one', Buffer.from([0xc3]), Buffer.from([0xa9]));
    expect(describeResponseBody(chunks, 'chunks')).toEqual({
      chunks: [
        [0, { text: 'one' }],
        [10, { base64: 'ww==' }],
        [20, { base64: 'qQ==' }],
      ],
    });
  });

  it.each([
    { type: 'application/vnd.amazon.eventstream', isStream: true, form: 'frames' },
    { type: 'text/event-stream; charset=utf-8', isStream: true, form: 'events' },
    { type: 'application/json', isStream: true, form: 'whole' },
    { type: 'application/octet-stream', isStream: true, form: 'chunks' },
    { type: 'application/octet-stream', isStream: false, form: 'whole' },
    { type: undefined, isStream: false, form: 'whole' },
  ])('takes $type as $form', ({ type, isStream, form }) => {
    expect(formOf(type, isStream)).toBe(form);
  });
});

describe('encode after decode', () => {
  const seeds = Array.from({ length: 300 }, (_value, index) => index + 1);

  it.each(['frames', 'events', 'whole', 'chunks'] as const)('gives every byte again, whatever came: %s', (form) => {
    for (const seed of seeds) {
      const random = createRandom(seed);
      const chunks = randomChunks(random);
      const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
      expect(roundTrip(chunks, form).equals(bytes), `seed ${seed}`).toBe(true);
      expect(measureBody(chunks).bytes).toBe(bytes.length);
    }
  });
});

function randomChunks(random: () => number): TimedBytes[] {
  const pieces: Buffer[] = [];
  const count = Math.floor(random() * 8);
  for (let index = 0; index < count; index += 1) pieces.push(randomPiece(random));
  const all = Buffer.concat(pieces);
  const chunks: TimedBytes[] = [];
  for (let at = 0; at < all.length;) {
    const size = 1 + Math.floor(random() * 60);
    chunks.push({ atMs: at, bytes: all.subarray(at, at + size) });
    at += size;
  }
  return chunks;
}

function randomPiece(random: () => number): Buffer {
  const payload = randomPayload(random);
  const pick = random();
  if (pick < 0.4) return eventFrame(['chunk', 'é', ''][Math.floor(random() * 3)] ?? '', payload);
  if (pick < 0.5) return exceptionFrame('throttlingException', payload.toString('latin1'));
  if (pick < 0.6) return encodeFrame(Buffer.from(Array.from({ length: 9 }, () => random() * 256)), payload);
  if (pick < 0.8) return Buffer.concat([Buffer.from('data: '), payload, Buffer.from('\n\n')]);
  return payload;
}

function randomPayload(random: () => number): Buffer {
  const pick = random();
  if (pick < 0.3) return Buffer.from(JSON.stringify(randomValue(random, 3)));
  if (pick < 0.5)
    return Buffer.from(
      JSON.stringify({ bytes: Buffer.from(JSON.stringify(randomValue(random, 2))).toString('base64') }),
    );
  if (pick < 0.7) return Buffer.from(JSON.stringify({ bytes: randomValue(random, 2), p: 'ab' }));
  return Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => random() * 256));
}

function randomValue(random: () => number, depth: number): unknown {
  const pick = Math.floor(random() * (depth > 0 ? 7 : 5));
  if (pick === 0) return random() * 1e6;
  if (pick === 1) return String.fromCodePoint(Math.floor(random() * 0x10ffff));
  if (pick === 2) return null;
  if (pick === 3) return random() < 0.5;
  if (pick === 4) return Math.floor(random() * 10);
  const size = Math.floor(random() * 4);
  const items = Array.from({ length: size }, () => randomValue(random, depth - 1));
  return pick === 5
    ? items
    : Object.fromEntries(items.map((item, index) => [['bytes', '1', 'é', '__proto__'][index] ?? 'x', item]));
}
