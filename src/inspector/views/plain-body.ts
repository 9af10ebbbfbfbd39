/**
 * What a body says, unpacked if it is compressed: for views that read all of it. Pure, and bounded.
 */
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { isObject, type JsonObject } from '../../lib/json.ts';
import { findContentCoding } from '../../http/unpack.ts';
import type { Exchange, KeptBody, KeptMessage } from '../exchange.ts';
import { bodyOf } from './kept-body.ts';
import { readJson } from './payload.ts';

/** What a body may unpack to: as much as is kept of one that is not compressed. */
const MAX_PLAIN_BYTES = 8 * 1024 * 1024;

const UNPACKERS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gunzipSync(bytes, { maxOutputLength: MAX_PLAIN_BYTES }),
  'x-gzip': (bytes) => gunzipSync(bytes, { maxOutputLength: MAX_PLAIN_BYTES }),
  deflate: (bytes) => inflateSync(bytes, { maxOutputLength: MAX_PLAIN_BYTES }),
  br: (bytes) => brotliDecompressSync(bytes, { maxOutputLength: MAX_PLAIN_BYTES }),
  zstd: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: MAX_PLAIN_BYTES }),
};

/** A body, or why it cannot be read, in a sentence. */
export type PlainBody = { readonly bytes: Buffer } | { readonly problem: string };

/** Reads a body whole. `what`: how the sentence calls it. */
export function readPlainBody(message: KeptMessage | undefined, body: KeptBody | undefined, what: string): PlainBody {
  if (body === undefined) return { problem: `The ${what} is not kept.` };
  if (body.hole !== undefined) {
    const { at, sizeBytes, why } = body.hole;
    return { problem: `The ${what} is not kept whole: ${sizeBytes} bytes from ${at} on are missing (${why}).` };
  }
  const coding = findContentCoding(message?.headers ?? []);
  if (coding === undefined) return { bytes: body.read() };
  try {
    const bytes = UNPACKERS[coding]?.(body.read());
    return bytes === undefined ? { problem: `The ${what} is compressed (${coding}).` } : { bytes };
  } catch {
    return { problem: `The ${what} is compressed (${coding}), and cannot be unpacked.` };
  }
}

/** The JSON object that a client sent, and its bytes; or why there is none. */
export function readRequestJson(
  exchange: Exchange,
): { readonly json: JsonObject; readonly bytes: Buffer } | { readonly problem: string | undefined } {
  const layer = exchange.layers.clientRequest?.body === undefined ? 'signedRequest' : 'clientRequest';
  const body = bodyOf(exchange, layer);
  // It has none, or nobody has read it: a refusal came first.
  if (body === undefined && exchange.layers.clientRequest !== undefined && exchange.row.requestBytes === 0) {
    return { problem: undefined };
  }
  const plain = readPlainBody(exchange.layers[layer], body, "request's body");
  if ('problem' in plain) return plain;
  // Many operations have none.
  if (plain.bytes.length === 0) return { problem: undefined };
  const json = readJson(plain.bytes);
  return isObject(json) ? { json, bytes: plain.bytes } : { problem: "The request's body is no JSON object." };
}
