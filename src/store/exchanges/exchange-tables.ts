/**
 * Writes exchanges into their file, and takes them out again: a thread (`file-worker.ts`) and `inspect clear` use it.
 * Every call is a short transaction, for the other one waits meanwhile.
 */
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import type { ExchangeCaps } from '../../inspector/ring.ts';
import { findCode } from '../../lib/errno.ts';
import { cutBody } from './body-pieces.ts';
import { type ExchangeDatabase, measureFile } from './open-file.ts';
import type { WrittenExchange } from './orders.ts';

/** At most so many exchanges go in one transaction. */
const STEP_EXCHANGES = 50;
/** Smaller ones hardly gain; a blob must gain a tenth at least. */
const MIN_DEFLATE_BYTES = 128;
const MAX_DEFLATED_SHARE = 0.9;
/** Free pages that the file keeps for what comes next, and how many are given back at a time. */
const SPARE_PAGES = 1024;
const VACUUM_PAGES = 256;

interface Piece {
  readonly sha256: Buffer;
  readonly bytes: Uint8Array;
}

/** State: prepared statements. */
export class ExchangeTables {
  readonly #database: ExchangeDatabase;
  readonly #statements: ReturnType<typeof prepare>;

  /** The caller closes the database. */
  constructor(database: ExchangeDatabase) {
    this.#database = database;
    this.#statements = prepare(database);
  }

  /** One transaction: all are written, or none. Throws what SQLite throws. */
  put(exchanges: readonly WrittenExchange[]): void {
    const cut = exchanges.map((exchange) => ({
      exchange,
      bodies: exchange.bodies.map((body) => ({ ...body, pieces: this.#preparePieces(body.bytes, body.isCut) })),
    }));
    const { forget, add, addBody, addPiece } = this.#statements;
    this.#atomically(() => {
      for (const { exchange, bodies } of cut) {
        const { sequence, id, startedAtMs, isPinned, note, head } = exchange;
        const contentBytes = bodies.reduce((sum, { bytes }) => sum + bytes.length, 0);
        forget.run(id);
        add.run(sequence, id, startedAtMs, isPinned ? 1 : 0, note, contentBytes, head);
        for (const { slot, chunks, pieces } of bodies) {
          addBody.run(sequence, slot, chunks);
          for (const [position, { piece, content }] of pieces.entries()) {
            addPiece.run(sequence, slot, position, this.#putBlob(piece, content));
          }
        }
      }
    });
  }

  mark(id: string, isPinned: boolean, note: string | null): void {
    this.#atomically(() => this.#statements.mark.run(isPinned ? 1 : 0, note, id));
  }

  remove(id: string): void {
    this.#atomically(() => this.#statements.forget.run(id));
  }

  /** Some of those up to this sequence that are not pinned; empty if there are none left. */
  clearSome(upTo: number, withPinned = false): string[] {
    const { listOld, listAll } = this.#statements;
    return this.#atomically(() => this.#forgetAll((withPinned ? listAll : listOld).all(upTo, STEP_EXCHANGES)));
  }

  /** Some of what is too much or too old; empty if nothing is. Pins are at most half of it. */
  evictSome(caps: ExchangeCaps, nowMs: number): string[] {
    const { count, listOld, listTooOld, listPinned } = this.#statements;
    const tooOld = listTooOld.all(nowMs - (caps.maxAgeMs ?? Infinity), STEP_EXCHANGES);
    if (tooOld.length > 0) return this.#atomically(() => this.#forgetAll(tooOld));
    const { exchanges = 0, pinned = 0, pinnedBytes = 0 } = count.get() ?? {};
    const surplus = exchanges - caps.maxExchanges;
    const isTooLarge = measureFile(this.#database) > caps.maxBytes;
    if (surplus <= 0 && !isTooLarge) return [];
    const limit = Math.min(STEP_EXCHANGES, isTooLarge ? Math.ceil(exchanges / 100) : surplus);
    const hasManyPins = pinned > caps.maxExchanges / 2 || pinnedBytes > caps.maxBytes / 2;
    const old = hasManyPins ? listPinned.all(limit) : listOld.all(Number.MAX_SAFE_INTEGER, limit);
    return this.#atomically(() => this.#forgetAll(old.length > 0 ? old : listPinned.all(limit)));
  }

  /** Gives some free pages back to the disk; false if there are not enough of them. */
  vacuumSome(sparePages = SPARE_PAGES): boolean {
    const free = Number(this.#database.pragma('freelist_count', { simple: true }));
    if (free <= sparePages) return false;
    this.#database.pragma(`incremental_vacuum(${Math.min(VACUUM_PAGES, free - sparePages)})`);
    return true;
  }

  #forgetAll(ids: readonly string[]): string[] {
    for (const id of ids) this.#statements.forget.run(id);
    return [...ids];
  }

  /** Hashes and compresses before the transaction: nobody waits for that. */
  #preparePieces(bytes: Uint8Array, isCut: boolean): { piece: Piece; content: Uint8Array | undefined }[] {
    const pieces = isCut ? cutBody(bytes) : [bytes].filter(({ length }) => length > 0);
    return pieces.map((part) => {
      const piece = { sha256: createHash('sha256').update(part).digest(), bytes: part };
      return { piece, content: this.#findBlob(piece) === undefined ? deflateIfSmaller(part) : undefined };
    });
  }

  #findBlob({ sha256 }: Piece): number | undefined {
    return this.#statements.findBlob.get(sha256);
  }

  #putBlob(piece: Piece, prepared: Uint8Array | undefined): number {
    const known = this.#findBlob(piece);
    if (known !== undefined) return known;
    // It may have gone meanwhile.
    const content = prepared ?? deflateIfSmaller(piece.bytes);
    const isDeflated = content.length < piece.bytes.length;
    const { lastInsertRowid } = this.#statements.addBlob.run(
      piece.sha256,
      piece.bytes.length,
      isDeflated ? 1 : 0,
      content,
    );
    return Number(lastInsertRowid);
  }

  #atomically<Result>(work: () => Result): Result {
    return this.#database.transaction(work).immediate();
  }
}

/** SQLite's code for what it threw. */
export function codeOf(error: unknown): string {
  return findCode(error) ?? 'unknown';
}

function deflateIfSmaller(bytes: Uint8Array): Uint8Array {
  if (bytes.length < MIN_DEFLATE_BYTES) return bytes;
  const deflated = deflateRawSync(bytes, { level: 3 });
  return deflated.length <= bytes.length * MAX_DEFLATED_SHARE ? deflated : bytes;
}

interface Counts {
  readonly exchanges: number;
  readonly pinned: number;
  readonly pinnedBytes: number;
}

function prepare(database: ExchangeDatabase) {
  const listOf = <Parameters extends unknown[]>(sql: string) => {
    const statement = database.prepare<Parameters, string>(sql).pluck();
    // Plucked: the first column alone.
    return { all: (...parameters: Parameters) => statement.all(...parameters) as string[] };
  };
  const blob = database.prepare<[Buffer], number>('SELECT id FROM blobs WHERE sha256 = ?').pluck();
  return {
    add: database.prepare<[number, string, number, number, string | null, number, string]>(
      `INSERT INTO exchanges (sequence, id, started_at_ms, is_pinned, note, content_bytes, head)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    addBody: database.prepare<[number, string, Uint8Array]>('INSERT INTO bodies VALUES (?, ?, ?)'),
    addPiece: database.prepare<[number, string, number, number]>('INSERT INTO body_pieces VALUES (?, ?, ?, ?)'),
    findBlob: { get: (sha256: Buffer) => blob.get(sha256) as number | undefined },
    addBlob: database.prepare<[Buffer, number, number, Uint8Array]>(
      'INSERT INTO blobs (sha256, size_bytes, is_deflated, content) VALUES (?, ?, ?, ?)',
    ),
    forget: database.prepare<[string]>('DELETE FROM exchanges WHERE id = ?'),
    mark: database.prepare<[number, string | null, string]>(
      'UPDATE exchanges SET is_pinned = ?, note = ? WHERE id = ?',
    ),
    count: database.prepare<[], Counts>(
      `SELECT (SELECT count(*) FROM exchanges) AS exchanges, count(*) AS pinned,
         coalesce(sum(content_bytes), 0) AS pinnedBytes FROM exchanges WHERE is_pinned = 1`,
    ),
    listOld: listOf<[number, number]>(
      'SELECT id FROM exchanges WHERE is_pinned = 0 AND sequence <= ? ORDER BY sequence LIMIT ?',
    ),
    listAll: listOf<[number, number]>('SELECT id FROM exchanges WHERE sequence <= ? ORDER BY sequence LIMIT ?'),
    listTooOld: listOf<[number, number]>(
      `SELECT id FROM (SELECT id, is_pinned, started_at_ms FROM exchanges ORDER BY sequence LIMIT 1000)
         WHERE is_pinned = 0 AND started_at_ms < ? LIMIT ?`,
    ),
    listPinned: listOf<[number]>('SELECT id FROM exchanges WHERE is_pinned = 1 ORDER BY sequence LIMIT ?'),
  };
}
