/**
 * What was worked out of objects, as long as they live and it is not too much: bodies may be of a million frames, and a
 * filter looks at each of them.
 */
export class RecentCache<Key extends object, Value> {
  readonly #maxSize: number;
  #recent = new WeakMap<Key, Value>();
  #older = new WeakMap<Key, Value>();
  #size = 0;

  /** Twice as much is kept at most, in the unit of `keep`. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Undefined: it was never kept, or long ago. */
  find(key: Key): Value | undefined {
    return this.#recent.get(key) ?? this.#older.get(key);
  }

  /** `size`: all of it; `added`: what it has more than before. */
  keep(key: Key, value: Value, { size, added }: { readonly size: number; readonly added: number }): void {
    this.#size += this.#recent.get(key) === value ? added : size;
    this.#recent.set(key, value);
    if (this.#size <= this.#maxSize) return;
    this.#older = this.#recent;
    this.#recent = new WeakMap();
    this.#size = 0;
  }
}
