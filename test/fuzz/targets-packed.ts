/** The fuzz target of compressed bodies: what is unpacked on the side, at any split, as zlib unpacks the whole. */
import { ok } from 'node:assert';
import * as zlib from 'node:zlib';
import { unpack } from '../../src/http/unpack.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import type { FuzzTarget } from './engine.ts';
import { cuts } from './targets-bytes.ts';

interface Coding {
  readonly name: string;
  readonly pack: (text: Buffer) => Buffer;
  readonly unpackWhole: (packed: Buffer) => Buffer;
}

/** The largest window that HTTP allows, as the proxy has it. */
const ZSTD = { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } };
const CODINGS: readonly Coding[] = [
  { name: 'gzip', pack: (text) => zlib.gzipSync(text), unpackWhole: (packed) => zlib.gunzipSync(packed) },
  { name: 'deflate', pack: (text) => zlib.deflateSync(text), unpackWhole: (packed) => zlib.inflateSync(packed) },
  { name: 'br', pack: packBrotli, unpackWhole: (packed) => zlib.brotliDecompressSync(packed) },
  {
    name: 'zstd',
    pack: (text) => zlib.zstdCompressSync(text),
    unpackWhole: (packed) => zlib.zstdDecompressSync(packed, ZSTD),
  },
];

/** Small, so that some inputs go beyond it. */
const MAX_BYTES = 20_000;
const REFUSALS: ReadonlySet<string> = new Set(['ERR_BODY_ENCODING', 'ERR_BODY_TOO_LARGE']);

/** The first byte says which coding; the rest is the body, or half of the time (`repair`) what is packed to one. */
export const UNPACK: FuzzTarget = {
  name: 'unpack',
  words: [
    '\x1f\x8b\x08\0\0\0\0\0\0\x03',
    '\x1f\x8b\x08\x1c',
    '\x78\x9c',
    '\x28\xb5\x2f\xfd',
    '\x50\x2a\x4d\x18',
    '\x03\0',
  ],
  maxBytes: 1024,
  repair: (input) => Buffer.concat([input.subarray(0, 1), codingOf(input).pack(input.subarray(1))]),
  check: async (input) => {
    const coding = codingOf(input);
    const body = input.subarray(1);
    const results = await Promise.all(cuts(body).map((chunks) => read(chunks, coding)));
    const texts = results.filter((result) => result !== undefined);
    for (const text of texts) ok(text.equals(texts[0] ?? text), 'two texts of one body');
    // Node refuses a second frame of zstd, or reads it, by where the body is cut.
    if (coding.name !== 'zstd') ok(texts.length === 0 || texts.length === results.length, 'refused if it is cut');
    const [whole] = results;
    if (whole !== undefined) ok(readWhole(body, coding)?.equals(whole), 'not as zlib unpacks it at once');
    ok((await read([coding.pack(body)], coding))?.equals(body), 'what was packed is not unpacked');
  },
};

/** Seeds: of each coding a body, two in one, one with something behind it, and one that becomes too large. */
export const PACKED_SEEDS: readonly Buffer[] = CODINGS.flatMap(({ pack }, at) => {
  const packed = pack(Buffer.from('{"model":"a","messages":[{"content":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}]}'));
  const bodies = [packed, Buffer.concat([packed, packed]), Buffer.concat([packed, Buffer.alloc(8)])];
  return [...bodies, pack(Buffer.alloc(MAX_BYTES + 1))].map((body) => Buffer.concat([Buffer.of(at), body]));
});

function codingOf(input: Buffer): Coding {
  const coding = CODINGS[(input[0] ?? 0) % CODINGS.length];
  ok(coding !== undefined);
  return coding;
}

/** Level 11 takes a hundred times as long. */
function packBrotli(text: Buffer): Buffer {
  return zlib.brotliCompressSync(text, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
}

/** Undefined if it is refused. Which of the two refusals it is may depend on where the body was cut. */
async function read(chunks: readonly Buffer[], { name }: Coding): Promise<Buffer | undefined> {
  const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const pieces: Buffer[] = [];
  try {
    for await (const piece of unpack(chunks, name, { maxBytes: MAX_BYTES, sizeBytes })) pieces.push(piece);
  } catch (thrown) {
    ok(thrown instanceof ProxyError && REFUSALS.has(thrown.code), thrown instanceof Error ? thrown : String(thrown));
    return undefined;
  } finally {
    const unpackedBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    ok(unpackedBytes <= MAX_BYTES, 'more than may be unpacked');
  }
  return Buffer.concat(pieces);
}

function readWhole(body: Buffer, { unpackWhole }: Coding): Buffer | undefined {
  try {
    return unpackWhole(body);
  } catch {
    return undefined;
  }
}
