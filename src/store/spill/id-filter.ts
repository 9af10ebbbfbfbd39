/** Which ids were added, in a fixed amount of memory (a Bloom filter): it may take one for known that is not. */

/** 1 MiB: of ten ids that were not added, one is taken for known when there are two million. */
const BITS = 2 ** 23;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** State: the bits, made with the first id. */
export class IdFilter {
  #bits: Uint8Array | undefined;

  add(id: string): void {
    const bits = (this.#bits ??= new Uint8Array(BITS / 8));
    const hash = hashOf(id);
    bits[hash >>> 3] = (bits[hash >>> 3] ?? 0) | (1 << (hash & 7));
  }

  /** True for each id that was added. */
  mayHave(id: string): boolean {
    if (this.#bits === undefined) return false;
    const hash = hashOf(id);
    return ((this.#bits[hash >>> 3] ?? 0) & (1 << (hash & 7))) !== 0;
  }

  clear(): void {
    this.#bits = undefined;
  }
}

/** FNV-1a, folded to the number of bits. */
function hashOf(id: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < id.length; index += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(index), FNV_PRIME);
  }
  return ((hash >>> 9) ^ hash) & (BITS - 1);
}
