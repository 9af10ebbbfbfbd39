/**
 * Where two prompts part, and what kind of change it is, from fingerprints alone; and the same to the byte where both
 * bodies are at hand. Pure.
 */
import { type BlockPrint, CHUNK_BYTES, type VolatilePart } from './cache-prints.ts';
import type { CacheBlock, ByteSpan } from './cache-blocks.ts';

/** What kind of change it is. */
export type ChangeKind =
  | VolatilePart['kind']
  | 'key-order'
  | 'white-space'
  | 'reordered'
  | 'added'
  | 'removed'
  | 'description'
  | 'image'
  | 'text';

/** A block of a prompt that has passed, and its fingerprint; nothing of what stood in it. */
export interface PrintedBlock extends Pick<
  CacheBlock,
  'field' | 'pointer' | 'span' | 'content' | 'marker' | 'markerPointer' | 'hasMedia'
> {
  readonly print: BlockPrint;
}

/** A change: of which block, what, and which bytes of the two bodies. */
export interface PromptChange {
  /** In both prompts. */
  readonly index: number;
  readonly kind: ChangeKind;
  readonly bytes: ByteSpan;
  /** Undefined: there is no such block in the earlier one. */
  readonly previousBytes: ByteSpan | undefined;
  /** Whether the bytes are those that differ, and not a KiB or so around them. */
  readonly isExact: boolean;
}

/** How many blocks two prompts begin with that are the same. */
export function countCommon(one: readonly PrintedBlock[], other: readonly PrintedBlock[]): number {
  const end = Math.min(one.length, other.length);
  let index = 0;
  while (index < end && one[index]?.print.hash === other[index]?.print.hash) index += 1;
  return index;
}

/** What makes the block at `index`, the first that differs, another one; undefined if the later prompt ends there. */
export function findChange(
  later: readonly PrintedBlock[],
  earlier: readonly PrintedBlock[],
  index: number,
): PromptChange | undefined {
  const [now, before] = [later[index], earlier[index]];
  if (now === undefined) return undefined;
  const whole = { index, bytes: now.span, previousBytes: before?.span, isExact: true } as const;
  if (before === undefined || before.field !== now.field) return { ...whole, kind: 'added', previousBytes: undefined };
  const moved = findMove(later, earlier, index);
  if (moved !== undefined) return { ...whole, kind: moved };
  if (now.hasMedia !== before.hasMedia) return { ...whole, kind: 'image' };
  const within = compareContent(now, before);
  return { index, ...within };
}

/** Of tools and the blocks of a system: whether the same ones stand in another order, or one came or went. */
function findMove(
  later: readonly PrintedBlock[],
  earlier: readonly PrintedBlock[],
  index: number,
): ChangeKind | undefined {
  const field = later[index]?.field;
  if (field === 'messages') return undefined;
  const now = later.filter((block) => block.field === field).map(({ print }) => print.hash);
  const before = earlier.filter((block) => block.field === field).map(({ print }) => print.hash);
  const [hash, hashBefore] = [later[index]?.print.hash ?? '', earlier[index]?.print.hash ?? ''];
  const [isKnown, isLeft] = [before.includes(hash), now.includes(hashBefore)];
  if (isKnown && isLeft) return 'reordered';
  if (isLeft && now.length > before.length) return 'added';
  return isKnown && now.length < before.length ? 'removed' : undefined;
}

type Within = Omit<PromptChange, 'index'>;

function compareContent(now: PrintedBlock, before: PrintedBlock): Within {
  const { print } = now;
  if (print.looseHash === before.print.looseHash) {
    const part = compareParts(now, before);
    if (part !== undefined) return part;
  }
  const range = compareChunks(now, before);
  if (print.orderHash !== undefined && print.orderHash === before.print.orderHash)
    return { ...range, kind: 'key-order' };
  if (print.blankHash === before.print.blankHash) return { ...range, kind: 'white-space' };
  const isSameTool = print.nameHash !== undefined && print.plainHash === before.print.plainHash;
  return { ...range, kind: isSameTool ? 'description' : 'text' };
}

function compareParts(now: PrintedBlock, before: PrintedBlock): Within | undefined {
  const [parts, partsBefore] = [now.print.volatile, before.print.volatile];
  const at = parts.findIndex((part, index) => part.hash !== partsBefore[index]?.hash);
  const [part, partBefore] = [parts[at], partsBefore[at]];
  if (part === undefined || partBefore === undefined) return undefined;
  return {
    kind: part.kind,
    bytes: toBody(now, part.at, part.at + part.size),
    previousBytes: toBody(before, partBefore.at, partBefore.at + partBefore.size),
    isExact: true,
  };
}

/** From the first KiB that differs to the last one, if both are of one size. */
function compareChunks(now: PrintedBlock, before: PrintedBlock): Omit<Within, 'kind'> {
  const [chunks, chunksBefore] = [now.print.chunks, before.print.chunks];
  const isSame = (index: number): boolean =>
    chunks.subarray(8 * index, 8 * index + 8).equals(chunksBefore.subarray(8 * index, 8 * index + 8));
  const count = Math.min(chunks.length, chunksBefore.length) / 8;
  let first = 0;
  while (first < count && isSame(first)) first += 1;
  let last = count;
  const isOfOneSize = now.print.sizeBytes === before.print.sizeBytes;
  if (isOfOneSize) while (last > first + 1 && isSame(last - 1)) last -= 1;
  const from = first * CHUNK_BYTES;
  const spanOf = (block: PrintedBlock): ByteSpan => {
    const { sizeBytes } = block.print;
    return toBody(block, Math.min(from, sizeBytes), isOfOneSize ? Math.min(last * CHUNK_BYTES, sizeBytes) : sizeBytes);
  };
  return { bytes: spanOf(now), previousBytes: spanOf(before), isExact: false };
}

/** Where bytes of a block's content stand in its body. */
function toBody({ content, span }: Pick<PrintedBlock, 'content' | 'span'>, from: number, to: number): ByteSpan {
  return [placeOf(content, from) ?? span[0], (placeOf(content, Math.max(from, to - 1)) ?? span[1] - 1) + 1];
}

function placeOf(content: readonly ByteSpan[], offset: number): number | undefined {
  let left = offset;
  for (const [from, to] of content) {
    if (left < to - from) return from + left;
    left -= to - from;
  }
  return undefined;
}

/** Both texts of a change, and the bytes that differ. */
export interface ChangeTexts {
  readonly bytes: ByteSpan;
  readonly previousBytes: ByteSpan;
  /** With some text around it, as it stands in the body; cut. */
  readonly before: string;
  readonly after: string;
}

/** Text around a change, and of it, at most. */
const CONTEXT_BYTES = 60;
const MAX_TEXT_BYTES = 2_000;

/** `bytes` and `previousBytes` as a change has them; of exact ones only the texts are added. */
export function readChangeTexts(
  { bytes, previousBytes, isExact }: Pick<PromptChange, 'bytes' | 'previousBytes' | 'isExact'>,
  body: Buffer,
  previousBody: Buffer,
): ChangeTexts {
  const earlier = previousBytes ?? ([0, 0] as const);
  const [now, before] = isExact ? [bytes, earlier] : narrow(body, bytes, previousBody, earlier);
  return {
    bytes: now,
    previousBytes: before,
    before: previousBytes === undefined ? '' : textAround(previousBody, before, earlier),
    after: textAround(body, now, bytes),
  };
}

/** Without what both begin and end with. Whole characters of UTF-8. */
function narrow(
  body: Buffer,
  [from, to]: ByteSpan,
  other: Buffer,
  [otherFrom, otherTo]: ByteSpan,
): [ByteSpan, ByteSpan] {
  const most = Math.min(to - from, otherTo - otherFrom);
  let head = 0;
  while (head < most && body[from + head] === other[otherFrom + head]) head += 1;
  while (head > 0 && isInCharacter(body[from + head])) head -= 1;
  let tail = 0;
  while (tail < most - head && body[to - tail - 1] === other[otherTo - tail - 1]) tail += 1;
  while (tail > 0 && isInCharacter(body[to - tail])) tail -= 1;
  return [
    [from + head, to - tail],
    [otherFrom + head, otherTo - tail],
  ];
}

function isInCharacter(byte = 0): boolean {
  return (byte & 0xc0) === 0x80;
}

function textAround(body: Buffer, [from, to]: ByteSpan, [first, last]: ByteSpan): string {
  const start = Math.max(0, Math.min(from, Math.max(first, from) - CONTEXT_BYTES));
  const end = Math.min(body.length, Math.max(to, Math.min(last, to)) + CONTEXT_BYTES, from + MAX_TEXT_BYTES);
  return body.toString('utf8', start, end).replace(/^\uFFFD+|\uFFFD+$/g, '');
}
