/**
 * Bytes as something that people can read: JSON, text or base64. Whoever made them may be hostile: nothing here throws,
 * and what is nested deeper than others can print is text. Pure.
 */
import { describeBytes } from '../../cassette/payloads.ts';
import { isObject, measureJson } from '../../lib/json.ts';
import type { FrameView, Json } from '../wire.ts';

/** Deeper JSON is shown as text: what prints it is recursive. */
const MAX_DEPTH = 200;

/** JSON if it is some, else text if it is UTF-8, else base64. */
export function readPayload(bytes: Buffer): FrameView['payload'] {
  const json = readJson(bytes);
  return json === undefined ? describeBytes(bytes) : { json };
}

/** Undefined if the bytes are no JSON in UTF-8, or are nested too deeply. */
export function readJson(bytes: Buffer): Json | undefined {
  const [first] = bytes;
  // The first byte of anything that is no object, list or string tells nothing: `1` is rather text.
  if (first !== 0x7b && first !== 0x5b && first !== 0x22 && !isBlank(first)) return undefined;
  if (measureJson(bytes).depth > MAX_DEPTH) return undefined;
  const text = describeBytes(bytes);
  if (!('text' in text)) return undefined;
  try {
    // JSON.parse gives nothing but JSON.
    return JSON.parse(text.text) as Json;
  } catch {
    return undefined;
  }
}

/** The payload of an event: InvokeModel's streams have the model's own JSON as base64 in `bytes`, which is opened. */
export function readEventPayload(bytes: Buffer): FrameView['payload'] {
  const payload = readPayload(bytes);
  if (!('json' in payload) || !isObject(payload.json)) return payload;
  const inner = openChunk(payload.json);
  return inner === undefined ? payload : { json: { ...payload.json, bytes: inner } };
}

/** The JSON within a chunk; undefined if it is no chunk, or holds something else. */
function openChunk(json: Json): Json | undefined {
  if (!isObject(json) || typeof json['bytes'] !== 'string') return undefined;
  const inner = readJson(Buffer.from(json['bytes'], 'base64'));
  return typeof inner === 'object' && inner !== null ? inner : undefined;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Whether a payload is a JSON object. */
export function isObjectPayload(
  payload: FrameView['payload'],
): payload is { readonly json: { readonly [name: string]: Json } } {
  return 'json' in payload && isObject(payload.json);
}
