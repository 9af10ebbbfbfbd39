/**
 * Reads exchanges from their file: heads at once, bytes when somebody looks at them. Writes nothing.
 */
import { inflateRawSync } from 'node:zlib';
import type { Exchange, KeptBody } from '../../inspector/exchange.ts';
import { type BodySlot, exchangeFromJson } from '../../inspector/exchange-json.ts';
import { type BodyHead, countKept, makeBody, unpackChunks } from '../../inspector/stored-body.ts';
import { type ExchangeDatabase, exchangeFileError, measureFile, toExchangeFileError } from './open-file.ts';

/** So many rows are read at a time. */
const PAGE_ROWS = 100;

interface HeadRow {
  readonly sequence: number;
  readonly is_pinned: number;
  readonly note: string | null;
  readonly head: string;
}

interface PieceRow {
  readonly size_bytes: number;
  readonly is_deflated: number;
  readonly content: Buffer;
}

/** Throws ERR_STORE_UNAVAILABLE, also when the bytes of an exchange are read. The caller closes the database. */
export class ExchangeReader {
  readonly #path: string;
  readonly #database: ExchangeDatabase;
  readonly #statements: ReturnType<typeof prepareReads>;

  constructor(path: string, database: ExchangeDatabase) {
    this.#path = path;
    this.#database = database;
    this.#statements = this.#guard(() => prepareReads(database));
  }

  /** Newest first, only those below this sequence. */
  *list(before: number): Generator<Exchange, void> {
    for (let below = before; ;) {
      const rows = this.#guard(() => this.#statements.list.all(below, PAGE_ROWS));
      for (const row of rows) {
        yield this.#toExchange(row);
        below = row.sequence;
      }
      if (rows.length < PAGE_ROWS) return;
    }
  }

  find(id: string): Exchange | undefined {
    const row = this.#guard(() => this.#statements.find.get(id));
    return row && this.#toExchange(row);
  }

  sequenceOf(id: string): number | undefined {
    return this.#guard(() => this.#statements.sequenceOf.get(id)?.sequence);
  }

  has(sequence: number): boolean {
    return this.#guard(() => this.#statements.has.get(sequence)) !== undefined;
  }

  /** The ids of those that are not pinned, up to this sequence. */
  listUnpinned(upTo: number): string[] {
    return this.#guard(() => this.#statements.unpinned.all(upTo).map(({ id }) => id));
  }

  /** The highest that any exchange ever had; 0 if there was none. */
  lastSequence(): number {
    return this.#guard(() => this.#statements.last.get()?.sequence ?? 0);
  }

  measure(): { readonly exchanges: number; readonly bytes: number } {
    return this.#guard(() => ({
      exchanges: this.#statements.count.get()?.count ?? 0,
      bytes: measureFile(this.#database),
    }));
  }

  #toExchange({ sequence, is_pinned: isPinned, note, head }: HeadRow): Exchange {
    const json = this.#guard(() => JSON.parse(head) as unknown);
    const exchange = exchangeFromJson(json, (bodyHead, _, slot) => this.#toBody(sequence, slot, bodyHead));
    return { ...exchange, sequence, isPinned: isPinned === 1, note: note ?? undefined };
  }

  #toBody(sequence: number, slot: BodySlot, head: BodyHead): KeptBody {
    const read = (): Buffer => this.#guard(() => this.#readBytes(sequence, slot, head));
    const chunks = (): ReturnType<KeptBody['chunks']> =>
      this.#guard(() => unpackChunks(this.#statements.chunks.get(sequence, slot)?.chunks ?? Buffer.alloc(0)));
    return makeBody(head, read, chunks);
  }

  #readBytes(sequence: number, slot: BodySlot, head: BodyHead): Buffer {
    const pieces = this.#statements.pieces.all(sequence, slot).map(({ size_bytes: size, is_deflated, content }) =>
      // No larger than it was: whoever has changed the file does not get more memory for it.
      is_deflated === 1 ? inflateRawSync(content, { maxOutputLength: Math.max(1, size) }) : content,
    );
    const bytes = Buffer.concat(pieces);
    if (bytes.length === countKept(head)) return bytes;
    const hint = 'It was removed meanwhile, or the file is damaged.';
    throw exchangeFileError(this.#path, 'has not all bytes of this exchange', hint);
  }

  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw toExchangeFileError(this.#path, error);
    }
  }
}

function prepareReads(database: ExchangeDatabase) {
  const heads = 'SELECT sequence, is_pinned, note, head FROM exchanges';
  return {
    list: database.prepare<[number, number], HeadRow>(`${heads} WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`),
    find: database.prepare<[string], HeadRow>(`${heads} WHERE id = ?`),
    sequenceOf: database.prepare<[string], { sequence: number }>('SELECT sequence FROM exchanges WHERE id = ?'),
    has: database.prepare<[number]>('SELECT 1 FROM exchanges WHERE sequence = ?'),
    unpinned: database.prepare<[number], { id: string }>(
      'SELECT id FROM exchanges WHERE is_pinned = 0 AND sequence <= ?',
    ),
    last: database.prepare<[], { sequence: number }>('SELECT sequence FROM last_sequence'),
    count: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM exchanges'),
    chunks: database.prepare<[number, string], { chunks: Buffer }>(
      'SELECT chunks FROM bodies WHERE sequence = ? AND slot = ?',
    ),
    pieces: database.prepare<[number, string], PieceRow>(
      `SELECT size_bytes, is_deflated, content FROM body_pieces JOIN blobs ON id = blob_id
         WHERE sequence = ? AND slot = ? ORDER BY position`,
    ),
  };
}
