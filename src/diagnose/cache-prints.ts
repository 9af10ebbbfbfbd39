/**
 * Fingerprints of the blocks of a prompt: keyed hashes, from which nobody without the key can tell what stood there,
 * and which tell where a later block differs: of the whole, of each KiB, of each time stamp, id and number in it. The
 * key is random, of the process, and never written. Holds no content.
 */
import { hash, randomBytes } from 'node:crypto';
import type { CacheBlock, ByteSpan } from './cache-blocks.ts';

/** Something in a block that changes by its nature. */
export interface VolatilePart {
  readonly kind: 'timestamp' | 'uuid' | 'counter';
  /** In the block's content. */
  readonly at: number;
  readonly size: number;
  readonly hash: string;
}

/** What is kept of a block's content. Blocks of the same content have the same one. */
export interface BlockPrint {
  readonly hash: string;
  readonly sizeBytes: number;
  /** False: what follows is not known. */
  readonly isDetailed: boolean;
  /** The same for two blocks that differ in volatile parts alone. */
  readonly looseHash: string;
  readonly volatile: readonly VolatilePart[];
  /** The same for two blocks that differ in white space alone, in the order of members alone. */
  readonly blankHash: string;
  readonly orderHash: string | undefined;
  /** Eight bytes for each KiB. */
  readonly chunks: Buffer;
  /** Of a tool: its name, and all of it but its description. */
  readonly nameHash: string | undefined;
  readonly plainHash: string | undefined;
}

/** Bytes of content that have one hash. */
export const CHUNK_BYTES = 1024;
/** Of a longer block, only that is looked at for volatile parts: an attachment, mostly. */
const MAX_SCANNED_BYTES = 256 * 1024;
const MAX_VOLATILE = 256;
/** Distinct blocks whose fingerprints are kept. */
const MAX_PRINTS = 20_000;
/** What a fingerprint takes, about, besides its chunks and parts. */
const PRINT_BYTES = 400;
const MAX_BYTES = 24 * 1024 * 1024;

const MONTH = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
const CLOCK = String.raw`\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: ?[AaPp]\.?[Mm]\b\.?)?`;
const ZONE = String.raw`(?: ?(?:Z\b|GMT|UTC)?(?:[+-]\d\d:?\d\d)?)?`;
const WEEKDAY = '(?:[A-Z][a-z]{2,8},? )?';
const DATE = String.raw`(?:\d{1,2} )?(?:${MONTH})[a-z]{0,6}\.? (?:\d{1,2},? )?\d{4}`;
const TIME_STAMPS = [
  String.raw`\d{4}-\d\d-\d\d(?:[T ,]{1,2}${CLOCK}${ZONE})?`,
  String.raw`\d{1,2}[/.]\d{1,2}[/.]\d{2,4}(?:,? ${CLOCK}${ZONE})?`,
  `${WEEKDAY}${DATE}(?:,? (?:at )?${CLOCK}${ZONE})?`,
  `${CLOCK}${ZONE}`,
  String.raw`1[6-9]\d{8}(?:\d{3})?\b`,
].join('|');
const UUID = '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-f]{24,64}';
/** Of a word, also after an escape. */
const START = String.raw`(?:\b|(?<=\\[nrt]))`;
const VOLATILE = new RegExp(
  String.raw`${START}(?:(?<uuid>${UUID})\b|(?<timestamp>${TIME_STAMPS})|(?<counter>\d{1,18})\b)`,
  'g',
);

/** Makes fingerprints, and remembers those of the last blocks: what a conversation repeats is hashed once. */
export class Fingerprints {
  /** HMAC's two keys (RFC 2104), before what is hashed: of short texts, an object for each costs more than the hash. */
  readonly #inner: Buffer;
  readonly #outer: Buffer;
  /** By hash; the one that was used last at the end. */
  readonly #known = new Map<string, BlockPrint>();
  #bytes = 0;
  /** Content that was looked into so far: what took time. */
  scannedBytes = 0;

  constructor(key: Buffer = randomBytes(32)) {
    this.#inner = padOf(key, 0x36);
    this.#outer = padOf(key, 0x5c);
  }

  /** Of a block of this body. `isDetailed`: so that a change within it can be told. */
  of(body: Buffer, block: CacheBlock, isDetailed: boolean): BlockPrint {
    const pieces = block.content.map(([from, to]) => body.subarray(from, to));
    const name = this.#hmac(Buffer.from(`${block.field} ${block.role}\0`), ...pieces).toString('base64url', 0, 16);
    const known = this.#known.get(name);
    if (known !== undefined && (known.isDetailed || !isDetailed)) {
      this.#known.delete(name);
      this.#known.set(name, known);
      return known;
    }
    const print = isDetailed ? this.#make(body, block, name) : plainPrint(name, sizeOf(block));
    this.#keep(print);
    return print;
  }

  /** Of any text. */
  ofText(text: string | Buffer): string {
    return this.#hmac(typeof text === 'string' ? Buffer.from(text) : text).toString('base64url', 0, 16);
  }

  #hmac(...pieces: readonly Buffer[]): Buffer {
    return hash(
      'sha256',
      Buffer.concat([this.#outer, hash('sha256', Buffer.concat([this.#inner, ...pieces]), 'buffer')]),
      'buffer',
    );
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  #make(body: Buffer, block: CacheBlock, name: string): BlockPrint {
    const content = Buffer.concat(block.content.map(([from, to]) => body.subarray(from, to)));
    const text = content.toString('latin1', 0, MAX_SCANNED_BYTES);
    this.scannedBytes += text.length;
    const { masked, parts } = this.#findVolatile(text);
    const rest = content.subarray(MAX_SCANNED_BYTES);
    const isTool = block.field === 'tools' && block.name !== undefined;
    return {
      hash: name,
      isDetailed: true,
      sizeBytes: content.length,
      looseHash: this.ofText(Buffer.concat([Buffer.from(masked, 'latin1'), rest])),
      volatile: parts,
      blankHash: this.ofText(text.replaceAll(/\\[nrt]|\s+/g, '')),
      orderHash: this.#hashOrderless(content),
      chunks: this.#hashChunks(content),
      nameHash: isTool ? this.ofText(sliceOf(body, block.name)) : undefined,
      plainHash: isTool ? this.#hashWithout(body, block) : undefined,
    };
  }

  /** Only the first ones count: a table of numbers has no end. */
  #findVolatile(text: string): { masked: string; parts: VolatilePart[] } {
    const parts: VolatilePart[] = [];
    let masked = '';
    let from = 0;
    for (const { 0: found, index: at, groups = {} } of text.matchAll(VOLATILE)) {
      if (parts.length >= MAX_VOLATILE) break;
      const kind = groups['uuid'] !== undefined ? 'uuid' : groups['timestamp'] === undefined ? 'counter' : 'timestamp';
      parts.push({ kind, at, size: found.length, hash: this.ofText(found) });
      masked += `${text.slice(from, at)}\0`;
      from = at + found.length;
    }
    return { masked: masked + text.slice(from), parts };
  }

  #hashChunks(content: Buffer): Buffer {
    const count = Math.ceil(content.length / CHUNK_BYTES);
    const chunks = Buffer.alloc(8 * count);
    for (let index = 0; index < count; index += 1) {
      const chunk = content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
      this.#hmac(chunk).copy(chunks, 8 * index, 0, 8);
    }
    return chunks;
  }

  /** Only of what has members; large attachments are left out. */
  #hashOrderless(content: Buffer): string | undefined {
    if (content[0] !== 0x7b || content.length > MAX_SCANNED_BYTES) return undefined;
    try {
      return this.ofText(JSON.stringify(sortMembers(JSON.parse(content.toString()))));
    } catch {
      return undefined;
    }
  }

  #hashWithout(body: Buffer, { content, description }: CacheBlock): string {
    const [from, to] = description ?? [0, 0];
    const before = content.flatMap(([start, end]) => [body.subarray(start, Math.min(end, Math.max(start, from)))]);
    const after = content.flatMap(([start, end]) => [body.subarray(Math.min(end, Math.max(start, to)), end)]);
    return this.ofText(Buffer.concat(description === undefined ? before : [...before, ...after]));
  }

  #keep(print: BlockPrint): void {
    const before = this.#known.get(print.hash);
    this.#known.delete(print.hash);
    this.#known.set(print.hash, print);
    this.#bytes += bytesOf(print) - (before === undefined ? 0 : bytesOf(before));
    for (const [name, oldest] of this.#known) {
      if (this.#known.size <= MAX_PRINTS && this.#bytes <= MAX_BYTES) break;
      this.#known.delete(name);
      this.#bytes -= bytesOf(oldest);
    }
  }
}

/** What everything up to a block has, in a chain: two prompts with the same one are the same up to there. */
export function chainPrefixes(prints: readonly BlockPrint[]): string[] {
  let chained = '';
  return prints.map((print) => (chained = hash('sha256', chained + print.hash, 'base64url').slice(0, 22)));
}

const NO_CHUNKS = Buffer.alloc(0);

function plainPrint(name: string, sizeBytes: number): BlockPrint {
  return {
    hash: name,
    sizeBytes,
    isDetailed: false,
    looseHash: name,
    volatile: [],
    blankHash: name,
    orderHash: undefined,
    chunks: NO_CHUNKS,
    nameHash: undefined,
    plainHash: undefined,
  };
}

function padOf(key: Buffer, byte: number): Buffer {
  return Buffer.from(Buffer.concat([key, Buffer.alloc(64 - key.length)]).map((each) => each ^ byte));
}

function sizeOf({ content }: CacheBlock): number {
  return content.reduce((sum, [from, to]) => sum + to - from, 0);
}

function bytesOf({ chunks, volatile }: BlockPrint): number {
  return PRINT_BYTES + chunks.length + 100 * volatile.length;
}

function sliceOf(body: Buffer, span: ByteSpan | undefined): Buffer {
  return span === undefined ? Buffer.alloc(0) : body.subarray(...span);
}

function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return members.map(([name, member]) => [name, sortMembers(member)]);
}
