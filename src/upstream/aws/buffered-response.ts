/**
 * A response that waits until it is complete, so that its head can say what it cost. It is let go sooner if it becomes
 * too large, or takes too long.
 */
import type { HeaderPair } from '../../http/message.ts';

/**
 * How long a response waits after its head came. A client's patience is a minute and more; AWS may have used most of it
 * to begin, and must be heard in time.
 */
export const BUFFER_MS = 10_000;

/** The head of a response, as the upstream sent it. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly reasonPhrase: string | undefined;
}

/** State: what has come so far. */
export class BufferedResponse {
  readonly head: ResponseHead;
  readonly chunks: Buffer[] = [];
  readonly #release: () => void;
  readonly #timer: NodeJS.Timeout;
  #bytesLeft: number;

  /** `release` is called if it cannot wait any longer, and not after `drop`. */
  constructor(head: ResponseHead, limits: { readonly bytes: number; readonly timeMs: number }, release: () => void) {
    this.head = head;
    this.#release = release;
    this.#bytesLeft = limits.bytes;
    this.#timer = setTimeout(release, limits.timeMs);
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#bytesLeft -= chunk.length;
    if (this.#bytesLeft <= 0) this.#release();
  }

  /** It waits no longer. */
  drop(): void {
    clearTimeout(this.#timer);
  }
}
