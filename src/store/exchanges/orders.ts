/** What the thread that writes the file of exchanges is told, and what it says. Types only. */
import type { ExchangeCaps } from '../../inspector/ring.ts';

/** An exchange as it is written: its bytes are a copy of its own, for they go to the thread. */
export interface WrittenExchange {
  readonly sequence: number;
  readonly id: string;
  readonly startedAtMs: number;
  readonly isPinned: boolean;
  readonly note: string | null;
  readonly head: string;
  readonly bodies: readonly WrittenBody[];
}

/** A body of it. */
export interface WrittenBody {
  readonly slot: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** `packChunks`. */
  readonly chunks: Uint8Array<ArrayBuffer>;
  /** Whether other bodies probably have parts of it. */
  readonly isCut: boolean;
}

/** Something to do, in its order. */
export type FileOrder =
  | { readonly kind: 'write'; readonly exchanges: readonly WrittenExchange[] }
  | { readonly kind: 'mark'; readonly id: string; readonly isPinned: boolean; readonly note: string | null }
  | { readonly kind: 'remove'; readonly id: string }
  /** All up to this sequence that are not pinned. */
  | { readonly kind: 'clear'; readonly upTo: number }
  | { readonly kind: 'close' };

/** One for each order; and, with an order that is undefined, what has made room. */
export interface FileReport {
  readonly order: FileOrder['kind'] | 'evict';
  /** Exchanges that were not written. */
  readonly failed: readonly string[];
  /** Those that had to go. */
  readonly removed: readonly string[];
  /** SQLite's code of what went wrong. */
  readonly code: string | undefined;
}

/** With what the thread starts. */
export interface FileWorkerTarget {
  readonly path: string;
  readonly caps: ExchangeCaps;
}
