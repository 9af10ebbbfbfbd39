/** Server-sent events as the WHATWG standard reads them, each stream at every split and byte by byte. */
import { describe, expect, it } from 'vitest';
import { MAX_EVENT_BYTES, SseBoundary, type SseEvent, SseSplitter } from '../../src/protocol/sse.ts';

/** An event whose data is text. */
interface TextEvent {
  readonly event?: string;
  readonly data: string;
}

interface Read {
  readonly events: readonly TextEvent[];
  readonly last: TextEvent | undefined;
}

/** An event that was too large to be kept has the data that was handed on. */
function read(chunks: readonly Uint8Array[]): Read {
  let large: Buffer[] = [];
  const splitter = new SseSplitter((piece) => large.push(Buffer.from(piece)));
  const textOf = ({ data, ...event }: SseEvent): TextEvent => {
    const text = (data ?? Buffer.concat(large)).toString();
    large = [];
    return { ...event, data: text };
  };
  const events: TextEvent[] = [];
  for (const chunk of chunks) for (const event of splitter.push(chunk)) events.push(textOf(event));
  const last = splitter.finish();
  return { events, last: last && textOf(last) };
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
const bytewise = (bytes: Buffer): Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

describe('a stream', () => {
  it.each<{ name: string; stream: string; events: TextEvent[]; last?: TextEvent }>([
    { name: 'of nothing', stream: '', events: [] },
    { name: 'with an unnamed event', stream: 'data: x\n\n', events: [{ data: 'x' }] },
    {
      name: 'with a named event',
      stream: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
      events: [{ event: 'message_stop', data: '{"type":"message_stop"}' }],
    },
    { name: 'whose name comes after the data', stream: 'data: x\nevent: e\n\n', events: [{ event: 'e', data: 'x' }] },
    {
      name: 'with CRLF',
      stream: 'event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n',
      events: [{ event: 'a', data: '1' }, { data: '2' }],
    },
    { name: 'with CR', stream: 'event: a\rdata: 1\r\rdata: 2\r\r', events: [{ event: 'a', data: '1' }, { data: '2' }] },
    {
      name: 'with every line end',
      stream: 'data: 1\r\n\ndata: 2\r\rdata: 3\n\r\n',
      events: [{ data: '1' }, { data: '2' }, { data: '3' }],
    },
    {
      name: 'with several lines of data',
      stream: 'data: YHOO\ndata: +2\ndata: 10\n\n',
      events: [{ data: 'YHOO\n+2\n10' }],
    },
    {
      name: 'with comments and a field nobody knows',
      stream: ': ping\n\nid: 1\nretry: 5\nfoo: bar\ndata: x\n:y\n\n: z\n\n',
      events: [{ data: 'x' }],
    },
    {
      name: 'with empty data',
      stream: 'data\n\ndata\ndata\n\ndata:\n\n',
      events: [{ data: '' }, { data: '\n' }, { data: '' }],
    },
    {
      name: 'with one space that does not count',
      stream: 'data:test\n\ndata: test\n\ndata:  test\n\n',
      events: [{ data: 'test' }, { data: 'test' }, { data: ' test' }],
    },
    { name: 'with a colon in the data', stream: 'data: a: b:\n\n', events: [{ data: 'a: b:' }] },
    { name: 'with a name and no data', stream: 'event: gone\n\ndata: x\n\n', events: [{ data: 'x' }] },
    { name: 'whose name is taken back', stream: 'event: a\nevent\ndata: x\n\n', events: [{ data: 'x' }] },
    { name: 'with fields that only begin alike', stream: 'Data: 1\ndata2: 2\n data: 3\ndata : 4\n\n', events: [] },
    { name: 'with a byte order mark', stream: '\uFEFFdata: x\n\n\uFEFFdata: y\n\n', events: [{ data: 'x' }] },
    {
      name: 'with characters of every length',
      stream: 'event: é\ndata: 語😀\n\n',
      events: [{ event: 'é', data: '語😀' }],
    },
    {
      name: 'with NUL and other line separators',
      stream: 'data: a\u0000\u2028b\u0085c\u000B\n\n',
      events: [{ data: 'a\u0000\u2028b\u0085c\u000B' }],
    },
    {
      name: 'that ends before the blank line',
      stream: 'data: x\n\nevent: e\ndata: y\n',
      events: [{ data: 'x' }],
      last: { event: 'e', data: 'y' },
    },
    { name: 'that ends within a line', stream: 'data: [DONE]', events: [], last: { data: '[DONE]' } },
    { name: 'that ends within a name', stream: 'data: x\n\nevent: e', events: [{ data: 'x' }] },
  ])('reads a stream $name', ({ stream, events, last }) => {
    const bytes = bytesOf(stream);
    const expected: Read = { events, last };
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
      expect(read([bytes.subarray(0, at), Buffer.alloc(0), bytes.subarray(at)])).toEqual(expected);
    }
    expect(read(bytewise(bytes))).toEqual(expected);
  });

  it('keeps what it read of a chunk that then changes', () => {
    const splitter = new SseSplitter(() => {});
    const chunk = bytesOf('data: abc');
    expect([...splitter.push(chunk)]).toEqual([]);
    chunk.fill('x');
    expect([...splitter.push(bytesOf('\n\n'))]).toEqual([{ data: bytesOf('abc') }]);
  });
});

const inPieces = (stream: string, sizeBytes: number): Buffer[] => {
  const bytes = bytesOf(stream);
  return Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, index) =>
    bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  );
};

const line = (sizeBytes: number): string => `data: ${'x'.repeat(sizeBytes - 6)}\n`;

describe('what is held', () => {
  const small = 'data: y\n\n';

  it.each([
    { name: 'an event of the limit', stream: `${line(MAX_EVENT_BYTES)}\n`, sizes: [MAX_EVENT_BYTES - 6] },
    { name: 'a larger line', stream: `${line(MAX_EVENT_BYTES + 1)}\n`, sizes: [MAX_EVENT_BYTES - 5] },
    { name: 'larger data', stream: `${line(MAX_EVENT_BYTES + 7)}\n`, sizes: [MAX_EVENT_BYTES + 1] },
    {
      name: 'one of many lines',
      stream: `${line(MAX_EVENT_BYTES / 4).repeat(5)}\n`,
      sizes: [(MAX_EVENT_BYTES / 4 - 6) * 5 + 4],
    },
    {
      name: 'two of them',
      stream: `${line(MAX_EVENT_BYTES * 2)}\n${line(MAX_EVENT_BYTES + 9)}event: e\n\n`,
      sizes: [MAX_EVENT_BYTES * 2 - 6, MAX_EVENT_BYTES + 3],
    },
    {
      name: 'one behind a byte order mark',
      stream: `\uFEFF${line(MAX_EVENT_BYTES * 2)}\n`,
      sizes: [MAX_EVENT_BYTES * 2 - 6],
    },
    {
      name: 'comments and other fields of any size',
      stream: `:${'x'.repeat(MAX_EVENT_BYTES * 2)}\n:${'x'.repeat(MAX_EVENT_BYTES)}\nid: ${'x'.repeat(MAX_EVENT_BYTES * 2)}\n`,
      sizes: [],
    },
  ])('reads a stream of any size: $name', ({ stream, sizes }) => {
    for (const pieceBytes of [stream.length + 99, 65_536, 1000, 7, 1]) {
      const { events } = read(inPieces(stream + small, pieceBytes));
      expect(events.map(({ data }) => data.length)).toEqual([...sizes, 1]);
    }
  });

  it('keeps the data of no event that is larger, nor that of one that never ends', () => {
    let handed = 0;
    const splitter = new SseSplitter((piece) => (handed += piece.length));
    expect([...splitter.push(bytesOf(`${line(MAX_EVENT_BYTES * 2)}\n`))]).toEqual([{ data: undefined }]);
    expect(handed).toBe(MAX_EVENT_BYTES * 2 - 6);
    expect([...splitter.push(bytesOf(line(MAX_EVENT_BYTES + 10)))]).toEqual([]);
    expect(splitter.finish()).toEqual({ data: undefined });
  });

  it('takes a name of an event that is too long for none', () => {
    const stream = `event: ${'x'.repeat(MAX_EVENT_BYTES + 1)}\ndata: y\n\n`;
    for (const pieceBytes of [stream.length, 1000]) {
      expect(read(inPieces(stream, pieceBytes)).events).toEqual([{ data: 'y' }]);
    }
  });
});

describe('SseBoundary', () => {
  it.each([
    ['', true],
    ['data: 1\n\n', true],
    ['data: 1\r\n\r\n', true],
    ['data: 1\r\r', true],
    ['data: 1\r\n\n', true],
    ['data: 1\n\r', true],
    [': ping\n\n', true],
    ['data: 1\n', false],
    ['data: 1\r\n', false],
    ['data: 1', false],
    ['data: 1\n\ndata', false],
  ])('says of %j whether an event is open: %s', (stream, isBetween) => {
    for (let split = 0; split <= stream.length; split += 1) {
      const boundary = new SseBoundary();
      boundary.push(bytesOf(stream.slice(0, split)));
      boundary.push(bytesOf(stream.slice(split)));
      expect(boundary.isBetween).toBe(isBetween);
    }
  });
});
