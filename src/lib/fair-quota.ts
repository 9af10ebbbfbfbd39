/**
 * Something that many share and that runs out: memory, disk, look-ups. No one can take all of it, however much they ask
 * for. Pure.
 */

/**
 * A quota without fixed shares: whoever holds something may take more as long as that leaves as much as they hold for
 * all the others (the dynamic threshold that switches use for their buffers, Choudhury and Hahne 1998). One who takes
 * all they can gets a half, two get a third each; those who hold nothing always find something. The first that somebody
 * takes may be all that is left: else it would never fit.
 */
export class FairQuota {
  readonly limit: number;
  readonly #held = new Map<string, number>();
  #used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** What is taken of it, by all together. */
  get used(): number {
    return this.#used;
  }

  /** Whether `take` would take so much. */
  hasRoom(owner: string, amount: number): boolean {
    const held = this.#held.get(owner) ?? 0;
    return held + amount <= this.limit - this.#used - (held === 0 ? 0 : amount);
  }

  /** False, and nothing is taken, if that is more than the owner's share. */
  take(owner: string, amount: number): boolean {
    if (!this.hasRoom(owner, amount)) return false;
    this.add(owner, amount);
    return true;
  }

  /** Takes, whatever is left. Negative to give back what was taken. */
  add(owner: string, amount: number): void {
    const held = (this.#held.get(owner) ?? 0) + amount;
    this.#used += amount;
    if (held === 0) this.#held.delete(owner);
    else this.#held.set(owner, held);
  }
}
