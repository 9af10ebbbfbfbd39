/**
 * The body of a response as it came, chunk by chunk, as what a cassette says of it, and back to its very bytes. What
 * cannot be said exactly is kept as bytes: what was recorded has always the hash of what came. Pure.
 */
import { createHash } from 'node:crypto';
import { ProxyError } from '../lib/errors.ts';
import { type Frame, FrameSplitter } from '../protocol/event-stream.ts';
import { describeFrame, describeRest, encodeRecordedFrame } from './frames.ts';
import { describeBytes, describePayload, encodePayload } from './payloads.ts';
import type { RecordedBody, RecordedFrame, RecordedResponse } from './recording.ts';
import { describeEvent, encodeEvent, findEventEnds } from './server-sent.ts';

/** Bytes at a time: milliseconds from the first of them. */
export interface TimedBytes {
  readonly atMs: number;
  readonly bytes: Buffer;
}

/** What of a response says its body. */
export type BodyFields = Pick<RecordedResponse, 'body' | 'frames' | 'events' | 'chunks'>;

/** Gives the bytes of a file in the folder `blobs`. Throws ERR_BAD_OPTION if it is not there. */
export type OpenBlob = (name: string) => Buffer;

/** How a body is said; `whole`: it has no times of its own. */
export type BodyForm = 'frames' | 'events' | 'whole' | 'chunks';

/** The form of a body with this content type; `isStream`: it may come bit by bit. */
export function formOf(contentType: string | undefined, isStream: boolean): BodyForm {
  const [type = ''] = (contentType ?? '').split(';');
  const name = type.trim().toLowerCase();
  if (name === 'application/vnd.amazon.eventstream') return 'frames';
  if (name === 'text/event-stream') return 'events';
  return isStream && name !== 'application/json' ? 'chunks' : 'whole';
}

/** The body as this form says it, or as chunks if that would not be exact. Nothing if no byte came. */
export function describeResponseBody(chunks: readonly TimedBytes[], form: BodyForm): BodyFields {
  if (chunks.length === 0) return {};
  const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
  const described = describeAs(form, chunks, bytes);
  const proof = Buffer.concat(encodeResponseBody(described, noBlob).map((timed) => timed.bytes));
  return proof.equals(bytes) ? described : describeAs('chunks', chunks, bytes);
}

function describeAs(form: BodyForm, chunks: readonly TimedBytes[], bytes: Buffer): BodyFields {
  switch (form) {
    case 'frames':
      return { frames: describeFrames(chunks) };
    case 'events': {
      const timeAt = createTimes(chunks);
      const ends = findEventEnds(bytes);
      return {
        events: ends.map((end, index) => describeEvent(bytes.subarray(ends[index - 1] ?? 0, end), timeAt(end))),
      };
    }
    case 'chunks':
      return { chunks: chunks.map((chunk) => [roundMs(chunk.atMs), describeBytes(chunk.bytes)]) };
    case 'whole':
      return { body: describePayload(bytes) };
  }
}

/** Frames in their order; from the first byte on that begins none, all the rest as it came. */
export function describeFrames(chunks: readonly TimedBytes[]): readonly RecordedFrame[] {
  const splitter = new FrameSplitter();
  const frames: RecordedFrame[] = [];
  const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes));
  const timeAt = createTimes(chunks);
  let at = 0;
  const add = (frame: Frame): void => {
    at += frame.bytes.length;
    frames.push(describeFrame(frame, timeAt(at)));
  };
  try {
    for (const chunk of chunks) for (const frame of splitter.push(chunk.bytes)) add(frame);
  } catch {
    // What is no frame is not lost.
  }
  if (at < bytes.length) frames.push(describeRest(bytes.subarray(at), timeAt(bytes.length)));
  return frames;
}

/** When the byte before an offset came. Offsets must grow. */
function createTimes(chunks: readonly TimedBytes[]): (end: number) => number {
  let index = 0;
  let seen = chunks[0]?.bytes.length ?? 0;
  return (end) => {
    while (seen < end && index + 1 < chunks.length) seen += chunks[(index += 1)]?.bytes.length ?? 0;
    return roundMs(chunks[index]?.atMs ?? 0);
  };
}

/** Tenths of a millisecond: a file is to be read by people. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** The bytes again, in their order, each with its time. */
export function encodeResponseBody(fields: BodyFields, openBlob: OpenBlob): readonly TimedBytes[] {
  const { body, frames = [], events = [], chunks = [] } = fields;
  if (body !== undefined) return [{ atMs: 0, bytes: encodeBody(body, openBlob) }];
  return [
    ...frames.map((frame) => ({ atMs: frame[0], bytes: encodeRecordedFrame(frame) })),
    ...events.map((event) => ({ atMs: event[0], bytes: encodeEvent(event) })),
    ...chunks.map(([atMs, raw]) => ({ atMs, bytes: encodePayload(raw) })),
  ];
}

/** The bytes of a body. */
export function encodeBody(body: RecordedBody, openBlob: OpenBlob): Buffer {
  return 'blob' in body ? openBlob(body.blob) : encodePayload(body);
}

/** Number of bytes and hash, as a recording has them. */
export function measureBody(timed: readonly TimedBytes[]): { readonly bytes: number; readonly sha256: string } {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for (const { bytes } of timed) {
    hash.update(bytes);
    sizeBytes += bytes.length;
  }
  return { bytes: sizeBytes, sha256: hash.digest('hex') };
}

function noBlob(name: string): never {
  throw new ProxyError('ERR_INTERNAL', `A body that is just being recorded has no file ${name}.`);
}
