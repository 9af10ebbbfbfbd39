/**
 * A body as it is kept while it passes: copies in slabs, because a slice would keep the whole buffer that it is of,
 * with the time of each piece. Of a large one the beginning and the end stay.
 */
import { createHash } from 'node:crypto';
import type { KeptBody, KeptChunk, Omission } from './exchange.ts';

/** Of the beginning of a body, and of its end, which holds stop reason and usage. */
export const KEPT_HEAD_BYTES = 8 * 1024 * 1024;
/** Of its end. */
export const KEPT_TAIL_BYTES = 64 * 1024;
const SLAB_BYTES = 64 * 1024;
const SHARED_BYTES = 2 * 1024;
const FIRST_SLAB_BYTES = 1024;
/** What the times of a piece take. */
const CHUNK_BYTES = 16;
/** Of more pieces, two and two are one: a client may send single bytes, and a row of the list looks at all times. */
const MAX_CHUNKS = 100_000;

/** Room for what is kept; whoever takes it gives it back. */
export interface KeptRoom {
  /** False: there is none, and nothing is taken. */
  take(sizeBytes: number): boolean;
  give(sizeBytes: number): void;
}

/** State: the bytes so far. */
export class KeptBytes implements KeptBody {
  readonly #room: KeptRoom;
  readonly #slabs: Buffer[] = [];
  /** Used bytes of the last slab. */
  #used = 0;
  #headBytes = 0;
  /** Twice as large as what is kept, so that it is seldom moved: `#tailBytes` before `#tailEnd`. */
  #tail: Buffer | undefined;
  #tailEnd = 0;
  #tailBytes = 0;
  readonly #offsets: number[] = [];
  readonly #times: number[] = [];
  #takenBytes = 0;
  #why: Omission | undefined;
  #knownSha256: string | undefined;
  sizeBytes = 0;

  constructor(room: KeptRoom) {
    this.#room = room;
  }

  /** Copies it, as far as there is room. */
  add(bytes: Uint8Array, atMs: number): void {
    const { length } = bytes;
    if (length === 0) return;
    const offset = this.sizeBytes;
    this.sizeBytes += length;
    if (this.#why !== undefined && this.#why !== 'size') return;
    if (!this.#take(CHUNK_BYTES)) return this.drop('memory');
    this.#offsets.push(offset);
    this.#times.push(atMs);
    if (this.#offsets.length >= MAX_CHUNKS) this.#joinChunks();
    // After a hole, what comes is of the end.
    const ofHead = this.#why === 'size' ? 0 : Math.min(length, KEPT_HEAD_BYTES - this.#headBytes);
    if (ofHead > 0 && this.#tailBytes === 0 && !this.#addToHead(bytes.subarray(0, ofHead))) return this.drop('memory');
    if (ofHead < length && !this.#addToTail(bytes.subarray(Math.max(0, ofHead)))) this.drop('memory');
  }

  /** Nothing of it is kept any more. */
  drop(why: Omission): void {
    this.#room.give(this.#takenBytes);
    this.#takenBytes = 0;
    this.#slabs.length = 0;
    this.#tail = undefined;
    this.#offsets.length = 0;
    this.#times.length = 0;
    this.#used = this.#headBytes = this.#tailEnd = this.#tailBytes = 0;
    this.#why = why;
  }

  /** The hash of all that passed, if somebody has it. */
  know(sha256: string): void {
    this.#knownSha256 = sha256;
  }

  /** More passed than was seen here: bytes of a body that waits in a file. */
  skip(sizeBytes: number): void {
    this.sizeBytes += sizeBytes;
    this.#why ??= 'size';
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  get sha256(): string | undefined {
    if (this.#knownSha256 !== undefined) return this.#knownSha256;
    if (this.hole !== undefined) return undefined;
    const hash = createHash('sha256');
    for (const piece of this.#pieces()) hash.update(piece);
    return hash.digest('hex');
  }

  get hole(): KeptBody['hole'] {
    const sizeBytes = this.sizeBytes - this.#headBytes - this.#tailBytes;
    return sizeBytes === 0 ? undefined : { at: this.#headBytes, sizeBytes, why: this.#why ?? 'size' };
  }

  read(): Buffer {
    return Buffer.concat(this.#pieces());
  }

  chunks(): readonly KeptChunk[] {
    return this.#offsets.map((offset, at) => ({
      offset,
      sizeBytes: (this.#offsets[at + 1] ?? this.sizeBytes) - offset,
      atMs: this.#times[at] ?? 0,
    }));
  }

  #pieces(): Buffer[] {
    const head = this.#slabs.map((slab, at) => (at === this.#slabs.length - 1 ? slab.subarray(0, this.#used) : slab));
    return this.#tail === undefined
      ? head
      : [...head, this.#tail.subarray(this.#tailEnd - this.#tailBytes, this.#tailEnd)];
  }

  /** The first of two says where they begin, the second when they were there. */
  #joinChunks(): void {
    const { length } = this.#offsets;
    for (let at = 0; at < length; at += 2) {
      this.#offsets[at / 2] = this.#offsets[at] ?? 0;
      this.#times[at / 2] = this.#times[at + 1] ?? this.#times[at] ?? 0;
    }
    this.#offsets.length = this.#times.length = Math.ceil(length / 2);
    const freedBytes = CHUNK_BYTES * (length - this.#offsets.length);
    this.#takenBytes -= freedBytes;
    this.#room.give(freedBytes);
  }

  #take(sizeBytes: number): boolean {
    if (!this.#room.take(sizeBytes)) return false;
    this.#takenBytes += sizeBytes;
    return true;
  }

  #addToHead(bytes: Uint8Array): boolean {
    let rest = bytes;
    while (rest.length > 0) {
      let slab = this.#slabs.at(-1);
      if (slab === undefined || this.#used === slab.length) {
        const size = Math.min(
          SLAB_BYTES,
          Math.max(rest.length, slab === undefined ? FIRST_SLAB_BYTES : slab.length * 2),
        );
        if (!this.#take(size)) return false;
        // Small ones share a buffer with their neighbours, which go when they go: each of its own would cost more.
        slab = size <= SHARED_BYTES ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
        this.#slabs.push(slab);
        this.#used = 0;
      }
      const size = Math.min(rest.length, slab.length - this.#used);
      slab.set(rest.subarray(0, size), this.#used);
      this.#used += size;
      this.#headBytes += size;
      rest = rest.subarray(size);
    }
    return true;
  }

  #addToTail(bytes: Uint8Array): boolean {
    this.#why ??= 'size';
    if (this.#tail === undefined && !this.#take(2 * KEPT_TAIL_BYTES)) return false;
    const tail = (this.#tail ??= Buffer.allocUnsafeSlow(2 * KEPT_TAIL_BYTES));
    const kept = bytes.subarray(Math.max(0, bytes.length - KEPT_TAIL_BYTES));
    if (this.#tailEnd + kept.length > tail.length) {
      tail.copyWithin(0, this.#tailEnd - this.#tailBytes, this.#tailEnd);
      this.#tailEnd = this.#tailBytes;
    }
    tail.set(kept, this.#tailEnd);
    this.#tailEnd += kept.length;
    this.#tailBytes = Math.min(KEPT_TAIL_BYTES, this.#tailBytes + kept.length);
    return true;
  }
}
