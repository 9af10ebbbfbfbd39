/**
 * Frames of an event stream as values that people can read, and back, to the byte. Pure.
 */
import { isObject } from '../lib/json.ts';
import { encodeFrame, encodeStringHeader, type Frame, parseFrameHeaders } from '../protocol/event-stream.ts';
import { describePayload, encodePayload } from './payloads.ts';
import type { RecordedFrame, RecordedOddFrame } from './recording.ts';

/** A frame that came so many milliseconds after the first byte. */
export function describeFrame({ headers, payload }: Frame, atMs: number): RecordedFrame {
  const described = describePayload(payload);
  const texts = readTexts(headers);
  if (texts !== undefined && 'json' in described) {
    const [, first = ''] = texts[0] ?? [];
    if (headers.equals(usualHeaders('event', first))) {
      const json = openChunk(described.json);
      if (json !== undefined) return [atMs, first, json.value];
    }
    if (headers.equals(usualHeaders('exception', first))) return [atMs, { exception: first, json: described.json }];
  }
  return [atMs, { headers: texts ?? headers.toString('base64'), ...described }];
}

/** Bytes that are no frame. */
export function describeRest(bytes: Buffer, atMs: number): RecordedFrame {
  return [atMs, { raw: bytes.toString('base64') }];
}

/** The bytes of a frame. */
export function encodeRecordedFrame(frame: RecordedFrame): Buffer {
  if (frame.length === 2) return encodeOdd(frame[1]);
  const [, event, payload] = frame;
  return encodeFrame(usualHeaders('event', event), encodePayload({ json: closeChunk(payload) }));
}

function encodeOdd(odd: RecordedOddFrame): Buffer {
  if ('raw' in odd) return Buffer.from(odd.raw, 'base64');
  if ('exception' in odd) return encodeFrame(usualHeaders('exception', odd.exception), encodePayload(odd));
  const { headers } = odd;
  const block = typeof headers === 'string' ? Buffer.from(headers, 'base64') : encodeTexts(headers);
  return encodeFrame(block, encodePayload(odd));
}

function usualHeaders(kind: 'event' | 'exception', name: string): Buffer {
  return encodeTexts([
    [`:${kind}-type`, name],
    [':content-type', 'application/json'],
    [':message-type', kind],
  ]);
}

function encodeTexts(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(headers.map(([name, value]) => encodeStringHeader(name, value)));
}

/** All headers, if they are texts and nothing is lost by saying so. */
function readTexts(block: Buffer): readonly (readonly [string, string])[] | undefined {
  try {
    const texts: [string, string][] = [];
    for (const [name, header] of parseFrameHeaders(block)) {
      if (header.kind !== 'string') return undefined;
      texts.push([name, header.value]);
    }
    return encodeTexts(texts).equals(block) ? texts : undefined;
  } catch {
    return undefined;
  }
}

/** With the JSON that is the base64 of `bytes` in its place; undefined if what has another meaning stands there. */
function openChunk(json: unknown): { readonly value: unknown } | undefined {
  if (!isObject(json) || !Object.hasOwn(json, 'bytes')) return { value: json };
  const { bytes } = json;
  if (typeof bytes !== 'string') return undefined;
  const inner = Buffer.from(bytes, 'base64');
  if (inner.toString('base64') !== bytes) return { value: json };
  const described = describePayload(inner);
  if (!('json' in described) || typeof described.json === 'string') return { value: json };
  return { value: { ...json, bytes: described.json } };
}

function closeChunk(payload: unknown): unknown {
  if (!isObject(payload) || !Object.hasOwn(payload, 'bytes') || typeof payload['bytes'] === 'string') return payload;
  return { ...payload, bytes: encodePayload({ json: payload['bytes'] }).toString('base64') };
}
