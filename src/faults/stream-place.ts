/**
 * Follows the bytes of a response to where a fault is to happen: frames of an event stream, events of server-sent
 * events, or bytes alone. Pure.
 */
import { type HeaderPair, findHeader } from '../http/message.ts';
import { FrameBoundary } from '../protocol/event-stream.ts';
import { SseBoundary } from '../protocol/sse.ts';
import type { FaultPlace } from './grammar.ts';

/** What the body of a response is made of. */
export type BodyKind = 'frames' | 'events' | 'whole';

/** By its `content-type`. */
export function bodyKindOf(headers: readonly HeaderPair[]): BodyKind {
  const type = findHeader(headers, 'content-type') ?? '';
  if (/^\s*application\/vnd\.amazon\.eventstream\b/i.test(type)) return 'frames';
  return /^\s*text\/event-stream\b/i.test(type) ? 'events' : 'whole';
}

/** Cuts chunks behind each frame or event. State: where the stream stands. A whole body is one piece. */
export class UnitSplitter {
  readonly #boundary: FrameBoundary | SseBoundary | undefined;
  /** Frames or events that are complete. */
  units = 0;

  constructor(kind: BodyKind) {
    this.#boundary = kind === 'frames' ? new FrameBoundary() : kind === 'events' ? new SseBoundary() : undefined;
  }

  /** Its pieces, each with whether a unit ends with it. */
  *push(chunk: Buffer): Generator<{ readonly piece: Buffer; readonly ends: boolean }> {
    const boundary = this.#boundary;
    let from = 0;
    const endsAt = boundary === undefined ? 0 : chunk.length;
    for (let at = 0; at < endsAt; at += 1) {
      boundary?.push(chunk.subarray(at, at + 1));
      if (boundary?.isBetween !== true) continue;
      this.units += 1;
      yield { piece: chunk.subarray(from, at + 1), ends: true };
      from = at + 1;
    }
    if (from < chunk.length) yield { piece: chunk.subarray(from), ends: false };
  }
}

/** State: what is left until the place. Of a whole body, a place behind frames is the middle. */
export class PlaceFinder {
  readonly #splitter: UnitSplitter;
  readonly #frames: number;
  #bytesLeft: number;

  /** `sizeBytes`: of a whole body, as announced; undefined: not known. */
  constructor(kind: BodyKind, place: FaultPlace, sizeBytes: number | undefined) {
    const isMiddle = kind === 'whole' && place.frames > 0;
    this.#splitter = new UnitSplitter(kind);
    this.#frames = isMiddle ? 0 : place.frames;
    this.#bytesLeft = isMiddle ? Math.floor((sizeBytes ?? 2) / 2) : place.bytes;
  }

  /** How many bytes of the next chunk come before the place; undefined: all of them, and it is not reached yet. */
  find(chunk: Buffer): number | undefined {
    if (this.#frames === 0 && this.#bytesLeft === 0) return 0;
    let before = 0;
    // The frames that were complete before the piece that is looked at.
    let units = this.#splitter.units;
    for (const { piece, ends } of this.#splitter.push(chunk)) {
      const isBehindFrames = units >= this.#frames;
      if (isBehindFrames && piece.length >= this.#bytesLeft) return before + this.#bytesLeft;
      if (isBehindFrames) this.#bytesLeft -= piece.length;
      before += piece.length;
      units += ends ? 1 : 0;
      if (units >= this.#frames && this.#bytesLeft === 0) return before;
    }
    return undefined;
  }
}
