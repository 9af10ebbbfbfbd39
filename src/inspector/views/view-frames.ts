/**
 * A page of an exchange's frames, decoded: type, headers, checksums, payload, time and pause. Nothing in a frame is
 * believed, and nothing throws: what cannot be read is shown as bytes.
 */
import { crc32 } from 'node:zlib';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { type FrameHeaderValue, parseFrameHeaders } from '../../protocol/event-stream.ts';
import { SseSplitter } from '../../protocol/sse.ts';
import type { Exchange, KeptBody } from '../exchange.ts';
import type { FramesView, FrameView } from '../wire.ts';
import { PRELUDE_BYTES, readWebSocketHead } from './frame-cutters.ts';
import { bytesOfFrame, type FrameIndex, type FrameProtocol, type FrameSpan, indexFrames } from './frame-index.ts';
import { receivedOf } from './kept-body.ts';
import { readEventPayload, readPayload } from './payload.ts';

/** Which frames: from an index on, and how many at most. */
export interface FramePage {
  readonly from: number;
  readonly limit: number;
}

/** Frames with more bytes than this together are told in several pages. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** What a frame says, whatever carries it. */
export type DecodedFrame = Pick<FrameView, 'type' | 'crc' | 'crc_problem' | 'headers' | 'payload'>;

/** Frames of an exchange, which may still grow. */
export function viewFrames(exchange: Exchange, { from, limit }: FramePage): FramesView {
  const index = indexFrames(exchange);
  const items = readPage(index, Math.max(0, from), limit, createDecoder(exchange, index.protocol));
  const end = Math.max(0, from) + items.length;
  return {
    protocol: index.protocol,
    items,
    next: end < index.spans.length ? end : null,
    total: index.spans.length,
    end: index.end,
    problem: index.problem ?? null,
  };
}

function readPage(
  { spans }: FrameIndex,
  from: number,
  limit: number,
  decode: (frame: Buffer, span: FrameSpan) => DecodedFrame,
): FrameView[] {
  const readKept = createReader();
  const items: FrameView[] = [];
  let pageBytes = 0;
  for (const [at, span] of spans.slice(from, from + limit).entries()) {
    pageBytes += span.sizeBytes;
    if (items.length > 0 && pageBytes > MAX_PAGE_BYTES) break;
    const { direction, offset, sizeBytes, atMs, isException } = span;
    items.push({
      index: from + at,
      direction,
      at_ms: atMs,
      gap_ms: Math.max(0, roundMicros(atMs - (spans[from + at - 1]?.atMs ?? 0))),
      offset,
      size_bytes: sizeBytes,
      is_exception: isException,
      ...decode(bytesOfFrame(span, readKept(span.body)), span),
    });
  }
  return items;
}

/** Reads each body once. */
export function createReader(): (body: KeptBody) => Buffer {
  const read = new Map<KeptBody, Buffer>();
  return (body) => {
    const kept = read.get(body) ?? body.read();
    read.set(body, kept);
    return kept;
  };
}

/** To microseconds: a difference of two times has more digits than it means. */
export function roundMicros(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** How the frames of a protocol are read. */
export function createDecoder(exchange: Exchange, protocol: FrameProtocol): (frame: Buffer) => DecodedFrame {
  switch (protocol) {
    case 'aws-event-stream':
      return decodeEventStreamFrame;
    case 'sse':
      return decodeServerSentEvent;
    case 'websocket': {
      const extensions = findHeader(receivedOf(exchange)?.message.headers ?? [], 'sec-websocket-extensions') ?? '';
      return (frame) => decodeWebSocketFrame(frame, extensions);
    }
    case 'chunks':
      return (bytes) => ({ ...NOTHING, type: 'bytes', payload: readPayload(bytes) });
  }
}

const NOTHING: Omit<DecodedFrame, 'type' | 'payload'> = { crc: 'none', crc_problem: null, headers: [] };
type HeaderViews = FrameView['headers'];

function decodeEventStreamFrame(frame: Buffer): DecodedFrame {
  // It has made room for others since it was found.
  if (frame.length < PRELUDE_BYTES + 4) return { ...NOTHING, type: 'frame', payload: readPayload(frame) };
  const problem = findChecksumProblem(frame);
  const checked = { crc: problem === null ? ('ok' as const) : ('bad' as const), crc_problem: problem };
  const headersEnd = PRELUDE_BYTES + frame.readUInt32BE(4);
  const payload = frame.subarray(headersEnd, frame.length - 4);
  let headers: ReadonlyMap<string, FrameHeaderValue>;
  try {
    headers = parseFrameHeaders(frame.subarray(PRELUDE_BYTES, headersEnd));
  } catch {
    const block = frame.subarray(PRELUDE_BYTES, headersEnd).toString('base64');
    return { ...checked, type: 'frame', headers: [['', 'malformed', block]], payload: readPayload(payload) };
  }
  const views = [...headers].map(([name, value]) => [name, ...describeHeader(value)] as const);
  const signed = headers.has(':chunk-signature') ? openSigned(payload) : undefined;
  if (signed !== undefined) return { ...signed, ...checked, headers: [...views, ...signed.headers] };
  return { ...checked, type: typeOf(headers), headers: views, payload: readEventPayload(payload) };
}

/** A client signs each frame that it sends: its payload is the frame that is meant, or nothing at the end. */
function openSigned(payload: Buffer): DecodedFrame | undefined {
  if (payload.length === 0) return { ...NOTHING, type: 'end', payload: { text: '' } };
  const isFrame = payload.length >= PRELUDE_BYTES + 4 && payload.readUInt32BE(0) === payload.length;
  const hasRoom = isFrame && payload.readUInt32BE(4) <= payload.length - PRELUDE_BYTES - 4;
  return hasRoom ? decodeEventStreamFrame(payload) : undefined;
}

function findChecksumProblem(frame: Buffer): string | null {
  const checks = [
    ['prelude', 8],
    ['message', frame.length - 4],
  ] as const;
  const problems = checks.flatMap(([name, at]) => {
    const [expected, found] = [crc32(frame.subarray(0, at)), frame.readUInt32BE(at)];
    return expected === found ? [] : [`${name} CRC: expected ${toHex(expected)}, found ${toHex(found)}`];
  });
  return problems.length === 0 ? null : problems.join('; ');
}

function toHex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

function typeOf(headers: ReadonlyMap<string, FrameHeaderValue>): string {
  for (const name of [':event-type', ':exception-type', ':error-code', ':message-type']) {
    const header = headers.get(name);
    if (header?.kind === 'string') return header.value;
  }
  return 'frame';
}

/** Wire types that `parseFrameHeaders` leaves encoded: numbers and flags, big-endian. */
const NUMBER_NAMES = ['true', 'false', 'byte', 'short', 'integer', 'long'];

function describeHeader(header: FrameHeaderValue): readonly [type: string, value: string] {
  switch (header.kind) {
    case 'string':
      return ['string', header.value];
    case 'bytes':
      return ['bytes', header.value.toString('base64')];
    case 'timestamp': {
      const time = new Date(header.value);
      return ['timestamp', Number.isNaN(time.getTime()) ? String(header.value) : time.toISOString()];
    }
    case 'other': {
      const name = NUMBER_NAMES[header.type];
      if (name === undefined) return ['uuid', header.value.toString('hex')];
      if (header.value.length === 0) return ['boolean', name];
      const isLong = header.value.length === 8;
      const value = isLong ? header.value.readBigInt64BE() : header.value.readIntBE(0, header.value.length);
      return [name, String(value)];
    }
  }
}

function decodeServerSentEvent(bytes: Buffer): DecodedFrame {
  const splitter = new SseSplitter(() => {}, Math.max(bytes.length, 1024));
  const found = [...splitter.push(bytes)];
  const event = found[0] ?? splitter.finish();
  if (event?.data === undefined) return { ...NOTHING, type: 'comment', payload: readPayload(bytes) };
  return {
    ...NOTHING,
    type: event.event ?? 'message',
    headers: readFields(bytes),
    payload: readPayload(event.data),
  };
}

/** What an event has besides its name and its data. */
function readFields(bytes: Buffer): HeaderViews {
  const rest = bytes.toString().matchAll(/^(id|retry): ?(.*)$/gm);
  return [...rest].map(([, name = '', value = '']) => [name, 'field', value.replace(/\r$/, '')] as const);
}

const OPCODES: Readonly<Record<number, string>> = {
  0: 'continuation',
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
};

function decodeWebSocketFrame(frame: Buffer, extensions: string): DecodedFrame {
  const head = readWebSocketHead(frame, 0);
  if (head === undefined) return { ...NOTHING, type: 'frame', payload: readPayload(frame) };
  const payload = unmask(frame.subarray(head.headBytes), head.mask);
  const type = OPCODES[head.opcode] ?? `opcode ${head.opcode}`;
  const isPacked = head.isCompressed && /permessage-deflate/i.test(extensions);
  const flags: HeaderPair[] = [
    ['fin', String(head.isFinal)],
    ['masked', String(head.mask !== undefined)],
    ...(head.isCompressed ? [['compressed', isPacked ? 'permessage-deflate' : 'true'] as const] : []),
  ];
  const headers = flags.map(([name, value]) => [name, 'flag', value] as const);
  if (head.opcode === 8 && payload.length >= 2) {
    const text = `${payload.readUInt16BE(0)} ${payload.subarray(2).toString()}`.trimEnd();
    return { ...NOTHING, type, headers, payload: { text } };
  }
  return { ...NOTHING, type, headers, payload: readPayload(payload) };
}

function unmask(payload: Buffer, mask: Buffer | undefined): Buffer {
  if (mask === undefined) return payload;
  const plain = Buffer.from(payload);
  for (let at = 0; at < plain.length; at += 1) plain[at] = (plain[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return plain;
}
