/**
 * What is under way, in no order: members come and go all the time. Not a Set: each time one has to grow or to forget
 * what left it, V8 makes a new table that the old one still points to, and an old one that has outlived its time keeps
 * alive all that follow, with every request in them, until the next full collection.
 */

/** State: places, some of them free. */
export class Roster<T extends object> implements Iterable<T> {
  readonly #places: (T | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#places.length - this.#free.length;
  }

  /** Returns its place, for `leave`. */
  enter(member: T): number {
    const place = this.#free.pop() ?? this.#places.length;
    this.#places[place] = member;
    return place;
  }

  /** Once for each time that `enter` was called. */
  leave(place: number): void {
    this.#places[place] = undefined;
    this.#free.push(place);
  }

  /** Those who are there now; who comes while they are gone through may be left out. */
  *[Symbol.iterator](): Iterator<T> {
    for (const member of this.#places) if (member !== undefined) yield member;
  }
}
