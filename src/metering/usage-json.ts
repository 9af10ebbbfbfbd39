/**
 * What all readers of responses have in common, and the plainest of them: one JSON text. A reader sees the bytes as
 * they come, at any split, holds a bounded part of them, and enters what it learns in a tally.
 */
import type { JsonScanner } from '../protocol/json-scan.ts';
import { openScanner, type Places } from './usage-places.ts';
import type { Tally } from './usage-tally.ts';

/** State: how far one response has been read. */
export interface ResponseReader {
  /** Bytes of what the model wrote, as far as they are known; an estimate. */
  readonly textBytes: number;
  /** May throw where the bytes are not what they should be; the reader is then of no more use. */
  read(chunk: Buffer): void;
  /** The response is over; `isWhole`: at its proper end. Returns whether the tally has all of its usage. May throw. */
  finish(isWhole: boolean): boolean;
}

/** Reads a response that is one JSON text. */
export class JsonReader implements ResponseReader {
  readonly #scanner: JsonScanner;
  readonly #tally: Tally;

  constructor(places: Places, tally: Tally) {
    this.#scanner = openScanner(places, tally);
    this.#tally = tally;
  }

  get textBytes(): number {
    return this.#scanner.textBytes;
  }

  read(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  finish(isWhole: boolean): boolean {
    return this.#scanner.finish() && isWhole && this.#tally.isFinal;
  }
}
