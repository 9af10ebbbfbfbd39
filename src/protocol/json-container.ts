/** One object or array of a JSON text, kept while the text passes. Pure; json-scan.ts says where it begins and ends. */
import { GrowingBuffer } from '../lib/growing-buffer.ts';

/** Objects and arrays with more bytes than this are not kept. The trace of a guardrail may have some megabytes. */
export const MAX_CONTAINER_BYTES = 4 * 1024 * 1024;

/** State: its bytes so far, a copy, or only their number if they are too many; and where it goes on in this chunk. */
export class JsonContainer {
  /** The paths at which it was wanted, and how many containers are around it. */
  readonly paths: readonly string[];
  readonly depth: number;
  readonly #earlier = new GrowingBuffer();
  #sizeBytes = 0;
  #start: number;

  constructor(paths: readonly string[], depth: number, start: number) {
    this.paths = paths;
    this.depth = depth;
    this.#start = start;
  }

  /** The bytes of this chunk, up to `end`, belong to it. */
  keep(chunk: Buffer, end: number): void {
    this.#sizeBytes += end - this.#start;
    if (this.#sizeBytes <= MAX_CONTAINER_BYTES) this.#earlier.append(chunk.subarray(this.#start, end));
    else this.#earlier.take();
    this.#start = 0;
  }

  /** Once, when it is complete; undefined if it was too large. Throws a SyntaxError if the bytes were no JSON. */
  build(): object | undefined {
    const bytes = this.#earlier.take();
    return bytes.length === 0 ? undefined : JSON.parse(bytes.toString());
  }
}
