/**
 * What a compressed body says, for limits that have to read it: its bytes are unpacked on the side, in pieces that
 * nobody keeps, and pass on as they came. A body that two programs could unpack to different texts is refused.
 */
import { pipeline, Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { ProxyError } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';
import type { HeaderPair } from './message.ts';

/** The codings of HTTP (RFC 9110, section 8.4.1; RFC 7932; RFC 9659, whose window is 8 MB at most). */
const DECODERS: ReadonlyMap<string, () => Transform & { readonly bytesWritten: number }> = new Map([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', () => createInflate()],
  ['br', () => createBrotliDecompress()],
  ['zstd', () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } })],
]);

/** Text of conversations becomes some five times as small; only what was made to be large goes far beyond. */
const MAX_RATIO = 100;
/** Up to this size the ratio does not matter. */
const MIN_BOMB_BYTES = 8 * 1024 * 1024;

type Bytes = Iterable<Buffer> | AsyncIterable<Buffer>;

/** How a body is compressed, in lower case, as its headers say; undefined if it is not. */
export function findContentCoding(headers: readonly HeaderPair[]): string | undefined {
  let found: string[] | undefined;
  for (const [name, value] of headers) {
    if (name.length !== 16 || name.toLowerCase() !== 'content-encoding') continue;
    found ??= [];
    found.push(...value.split(',').map((coding) => coding.trim().toLowerCase()));
  }
  const codings = found?.filter((coding) => coding !== '' && coding !== 'identity');
  return codings === undefined || codings.length === 0 ? undefined : codings.join(', ');
}

/**
 * The unpacked bytes. Throws ERR_BODY_TOO_LARGE if there are more than `maxBytes`, or far more than were sent;
 * ERR_BODY_ENCODING if the coding is not known, or if the body is not exactly one whole of it; and what `source`
 * throws.
 */
export async function* unpack(
  source: Bytes,
  coding: string,
  { maxBytes, sizeBytes }: { readonly maxBytes: number; readonly sizeBytes: number },
): AsyncGenerator<Buffer, void, undefined> {
  const decoder = DECODERS.get(coding)?.();
  if (decoder === undefined) throw unreadable(coding, 'which the proxy cannot unpack');
  const allowedBytes = Math.min(maxBytes, Math.max(MIN_BOMB_BYTES, sizeBytes * MAX_RATIO));
  let unpackedBytes = 0;
  let isSourceBroken = false;
  const input = watch(source, () => (isSourceBroken = true));
  try {
    pipeline(Readable.from(input), decoder, () => {});
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      unpackedBytes += chunk.length;
      if (unpackedBytes > allowedBytes) throw tooLarge(coding, allowedBytes);
      yield chunk;
    }
  } catch (thrown) {
    if (thrown instanceof ProxyError || isSourceBroken) throw thrown;
    throw unreadable(coding, 'and cannot be unpacked', thrown);
  }
  // Node ends with the first frame or member; who goes on after it would read another text.
  if (decoder.bytesWritten !== sizeBytes) throw unreadable(coding, 'and does not end with what it unpacks to');
}

/** Tells a source that failed from a decoder that did: what a decoder throws arrives here too, at the `yield`. */
async function* watch(source: Bytes, onFailed: () => void): AsyncGenerator<Buffer, void, undefined> {
  let isReading = true;
  try {
    for await (const chunk of source) {
      isReading = false;
      yield chunk;
      isReading = true;
    }
  } catch (thrown) {
    if (isReading) onFailed();
    throw thrown;
  }
}

function unreadable(coding: string, what: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_BODY_ENCODING', `The request body is compressed (${printable(coding)}), ${what}.`, {
    hint: 'This key has limits for which the body must be read: send it as gzip, deflate, br, zstd, or as it is.',
    cause,
  });
}

function tooLarge(coding: string, allowedBytes: number): ProxyError {
  return new ProxyError(
    'ERR_BODY_TOO_LARGE',
    `The request body is compressed (${printable(coding)}), and unpacks to more than ${allowedBytes} bytes.`,
    { hint: 'A compressed body may unpack to --max-body-size, and to 100 times its own size.' },
  );
}
