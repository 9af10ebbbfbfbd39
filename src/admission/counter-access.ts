/**
 * The way to a counter in another process or on another machine: how long it is waited for, and when it is left alone
 * because it did not respond. While it is, one step a second finds out whether it is back, and is not waited for long.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import { within } from '../lib/deadline.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';

/** How long one step may take; a server that is near takes a millisecond, and more if thousands ask at once. */
const STEP_TIMEOUT_MS = 5_000;
/** The same of a step that finds out whether the counter is back. */
const PROBE_TIMEOUT_MS = 250;
/** How long a counter is left alone that did not respond. */
const RETRY_MS = 1_000;

/** Who is told of an outage, at its beginning and at its end. */
export interface OutageListener {
  onLost(error: ProxyError): void;
  onBack(): void;
}

/** State: whether the counter responded to the last step that was taken. */
export class CounterAccess {
  readonly #tickMs: MonotonicClock;
  readonly #listener: OutageListener;
  readonly #stepTimeoutMs: number;
  #lost: { readonly sinceMs: number; retryAtMs: number } | undefined;

  constructor(
    { tickMs, stepTimeoutMs = STEP_TIMEOUT_MS }: { readonly tickMs: MonotonicClock; readonly stepTimeoutMs?: number },
    listener: OutageListener,
  ) {
    this.#tickMs = tickMs;
    this.#listener = listener;
    this.#stepTimeoutMs = stepTimeoutMs;
  }

  /** It did not respond when it was last asked. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * What the step resolves to; undefined if it fails, takes too long, or is not taken at all. One that comes too late
   * is handed to `onLate`. Never rejects.
   */
  async ask<T extends object>(step: () => Promise<T>, onLate: (late: T) => void = () => {}): Promise<T | undefined> {
    const nowMs = this.#tickMs();
    let timeoutMs = this.#stepTimeoutMs;
    if (this.#lost !== undefined) {
      timeoutMs = Math.min(timeoutMs, PROBE_TIMEOUT_MS);
      if (nowMs < this.#lost.retryAtMs) return undefined;
      this.#lost.retryAtMs = nowMs + RETRY_MS;
    }
    try {
      const asked = step();
      const found = await within(timeoutMs, asked);
      if (found !== undefined) {
        this.#wasThere(nowMs);
        return found;
      }
      asked.then(onLate, () => {});
      this.#wasLost(new ProxyError('ERR_STORE_UNAVAILABLE', 'What counts the rates takes too long to respond.'));
    } catch (thrown) {
      this.#wasLost(toProxyError(thrown));
    }
    return undefined;
  }

  /** A step that began before the outage says nothing of its end. */
  #wasThere(beganAtMs: number): void {
    if (this.#lost === undefined || beganAtMs < this.#lost.sinceMs) return;
    this.#lost = undefined;
    this.#listener.onBack();
  }

  #wasLost(error: ProxyError): void {
    const nowMs = this.#tickMs();
    const isNew = this.#lost === undefined;
    this.#lost = { sinceMs: this.#lost?.sinceMs ?? nowMs, retryAtMs: nowMs + RETRY_MS };
    if (isNew) this.#listener.onLost(error);
  }
}
