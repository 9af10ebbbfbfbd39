/**
 * Request bodies in pieces that others have too: an agent sends its whole conversation with every turn, and what was
 * sent before is kept once. Put together again a body has exactly the bytes it came with.
 */
import { createHash } from 'node:crypto';
import { findMember, type JsonNode } from '../protocol/json-tree.ts';
import type { KeptBody, KeptChunk, Omission } from './exchange.ts';
import type { KeptRoom } from './kept-bytes.ts';

/** What is smaller stays where it is. */
const MIN_PIECE_BYTES = 512;
/** Members whose elements come again: `system`, `tools` and `messages` of every dialect that Bedrock speaks. */
const LISTS: readonly (readonly string[])[] = [['system'], ['tools'], ['toolConfig', 'tools'], ['messages'], ['input']];
/** What a piece takes besides its bytes. */
const PIECE_BYTES = 128;

interface Piece {
  readonly sha256: string;
  readonly bytes: Buffer;
  uses: number;
}

/** Where a body is cut: the spans of its pieces, in their order and without overlap. Pure. */
function findPieces(root: JsonNode): readonly JsonNode[] {
  return LISTS.flatMap((path) => {
    const list = path.reduce<JsonNode | undefined>(findMember, root);
    if (list === undefined) return [];
    return list.items.length > 0 ? list.items : [list];
  })
    .filter(({ from: start, to: end }) => end - start >= MIN_PIECE_BYTES)
    .toSorted((left, right) => left.from - right.from);
}

/** Keeps each piece once. State: the pieces, and how often each is used. */
export class PieceStore {
  readonly #room: KeptRoom;
  readonly #pieces = new Map<string, Piece>();

  constructor(room: KeptRoom) {
    this.#room = room;
  }

  /** Undefined: there is no room, or it would take more than it saves. */
  cut(body: Buffer, root: JsonNode): PiecedBody | undefined {
    const cuts = findPieces(root);
    if (cuts.length === 0) return undefined;
    const parts: (Buffer | Piece)[] = [];
    let at = 0;
    let takenBytes = 0;
    const take = (sizeBytes: number): boolean => {
      if (!this.#room.take(sizeBytes)) return false;
      takenBytes += sizeBytes;
      return true;
    };
    const giveUp = (): undefined => {
      this.#room.give(takenBytes);
      for (const part of parts) if (!Buffer.isBuffer(part)) this.#release(part);
    };
    const addRest = (end: number): boolean => {
      if (end === at) return true;
      if (!take(end - at)) return false;
      parts.push(Buffer.from(body.subarray(at, end)));
      return true;
    };
    for (const { from: start, to: end } of cuts) {
      if (!addRest(start)) return giveUp();
      const piece = this.#use(body.subarray(start, end));
      if (piece === undefined) return giveUp();
      parts.push(piece);
      at = end;
    }
    if (!addRest(body.length)) return giveUp();
    return new PiecedBody(
      parts.map((part) => (Buffer.isBuffer(part) ? part : part.bytes)),
      () => giveUp(),
    );
  }

  #use(bytes: Buffer): Piece | undefined {
    const sha256 = createHash('sha256').update(bytes).digest('base64');
    const known = this.#pieces.get(sha256);
    if (known !== undefined) {
      known.uses += 1;
      return known;
    }
    if (!this.#room.take(bytes.length + PIECE_BYTES)) return undefined;
    const piece = { sha256, bytes: Buffer.from(bytes), uses: 1 };
    this.#pieces.set(sha256, piece);
    return piece;
  }

  #release(piece: Piece): void {
    piece.uses -= 1;
    if (piece.uses > 0) return;
    this.#pieces.delete(piece.sha256);
    this.#room.give(piece.bytes.length + PIECE_BYTES);
  }
}

/** A body of pieces. State: whether it is dropped. */
export class PiecedBody {
  #parts: readonly Buffer[];
  #release: (() => void) | undefined;

  constructor(parts: readonly Buffer[], release: () => void) {
    this.#parts = parts;
    this.#release = release;
  }

  read(): Buffer {
    return Buffer.concat(this.#parts);
  }

  drop(): void {
    this.#release?.();
    this.#release = undefined;
    this.#parts = [];
  }
}

/** A complete body as it is kept from now on, in pieces. */
export class PiecedKeptBody implements KeptBody {
  readonly sizeBytes: number;
  readonly sha256: string | undefined;
  readonly #body: PiecedBody;
  readonly #chunks: readonly KeptChunk[];
  #why: Omission | undefined;

  constructor(body: PiecedBody, kept: Pick<KeptBody, 'sizeBytes' | 'sha256' | 'chunks'>) {
    this.#body = body;
    this.sizeBytes = kept.sizeBytes;
    this.sha256 = kept.sha256;
    this.#chunks = kept.chunks();
  }

  get hole(): KeptBody['hole'] {
    return this.#why === undefined ? undefined : { at: 0, sizeBytes: this.sizeBytes, why: this.#why };
  }

  /** At most: others may have pieces of it, too. */
  get takenBytes(): number {
    return this.#why === undefined ? this.sizeBytes : 0;
  }

  read(): Buffer {
    return this.#body.read();
  }

  chunks(): readonly KeptChunk[] {
    return this.#chunks;
  }

  /** Nothing of it is kept any more. */
  drop(why: Omission): void {
    this.#body.drop();
    this.#why = why;
  }
}
