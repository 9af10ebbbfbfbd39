/**
 * Bytes as a value that people can read, and back: as JSON if printing it gives the very bytes, else as text, else as
 * base64. Pure.
 */
import { measureJson } from '../lib/json.ts';
import type { RecordedPayload } from './recording.ts';

/** What is deeper is text: whoever reads the file has a bound, and it must hold with this within it. */
const MAX_DEPTH = 200;

/** The bytes as the first of `json`, `text` and `base64` that is exact. */
export function describePayload(bytes: Buffer): RecordedPayload {
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) return { base64: bytes.toString('base64') };
  if (measureJson(bytes).depth > MAX_DEPTH) return { text };
  try {
    const json: unknown = JSON.parse(text);
    // Spelling of numbers, escapes, blanks and double names do not survive, and show here.
    if (JSON.stringify(json) === text) return { json };
  } catch {
    // No JSON.
  }
  return { text };
}

/** Text if the bytes are UTF-8, else base64. */
export function describeBytes(bytes: Buffer): { readonly text: string } | { readonly base64: string } {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { text } : { base64: bytes.toString('base64') };
}

/** The bytes again. */
export function encodePayload(payload: RecordedPayload): Buffer {
  if ('json' in payload) return Buffer.from(JSON.stringify(payload.json), 'utf8');
  return 'text' in payload ? Buffer.from(payload.text, 'utf8') : Buffer.from(payload.base64, 'base64');
}
