/** What the main thread of a fuzzer and the thread of a target have in common. */
import type { FuzzLimits } from './engine.ts';

/** What a target's thread is given. `shared`: how many inputs began, the length of the last one, and its bytes. */
export interface FuzzWork {
  readonly name: string;
  readonly seed: number;
  readonly limits: FuzzLimits;
  readonly shared: SharedArrayBuffer;
}

/** The bytes before the input: two counts. */
export const SHARED_HEAD_BYTES = 8;
