/** Reservations of which nobody knows whether they were made: they are given back as soon as the database responds. */
import type { NewReservation } from '../../domain/budget.ts';

const PAUSE_MS = 1_000;
/** What is forgotten of more is charged as lost when its lease ends, never too little. */
const MAX_WAITING = 10_000;

/** State: those that are to be cancelled, which is tried again until it works. Cancelling twice does no harm. */
export class UncertainReservations {
  readonly #cancel: (reservation: NewReservation) => Promise<void>;
  readonly #waiting = new Map<string, NewReservation>();
  #cancelling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(cancel: (reservation: NewReservation) => Promise<void>) {
    this.#cancel = cancel;
  }

  add(reservation: NewReservation): void {
    if (this.#waiting.size < MAX_WAITING) this.#waiting.set(reservation.id, reservation);
    this.#later();
  }

  /** Whether it is to be given back: then it must not be asked for again. */
  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** Tries it once with each. Never rejects. */
  cancelAll(): Promise<void> {
    this.#cancelling ??= this.#cancelEach().finally(() => (this.#cancelling = undefined));
    return this.#cancelling;
  }

  /** No more tries. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #later(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.cancelAll();
    }, PAUSE_MS).unref();
  }

  async #cancelEach(): Promise<void> {
    for (const [id, reservation] of this.#waiting) {
      try {
        await this.#cancel(reservation);
        this.#waiting.delete(id);
      } catch {
        return this.#later();
      }
    }
  }
}
