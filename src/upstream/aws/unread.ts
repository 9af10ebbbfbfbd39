/**
 * A client that takes nothing of its response would hold its slot, its memory and a connection to AWS for ever: AWS is
 * not silent, it is not read. Such a client is cut off. A slow one is not, nor one that waits for AWS.
 */
import type { Writable } from 'node:stream';

/**
 * So long no byte has left. The buffers of an operating system ask for more only when about a megabyte of them is free
 * again: this cuts clients that read less than 1 kB a second.
 */
export const UNREAD_MS = 1_800_000;

/** State: a timer as long as a client takes nothing, and how much was waiting for it when it began. */
export class UnreadLimit {
  readonly #limitMs: number;
  readonly #cutOff: () => void;
  #timer: NodeJS.Timeout | undefined;
  #waitingBytes = 0;

  /** `cutOff` is called at most once, and not after `end`. */
  constructor(limitMs: number, cutOff: () => void) {
    this.#limitMs = limitMs;
    this.#cutOff = cutOff;
  }

  /** `sink` takes no more, or has to take what is left. */
  begin(sink: Writable): void {
    if (this.#timer !== undefined) return;
    this.#waitingBytes = sink.writableLength;
    this.#timer = setTimeout(() => this.#look(sink), this.#limitMs).unref();
  }

  /** It took all, or there is nothing more for it. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(sink: Writable): void {
    this.#timer = undefined;
    const { writableLength } = sink;
    if (writableLength === 0) return;
    if (writableLength >= this.#waitingBytes) this.#cutOff();
    else this.begin(sink);
  }
}
