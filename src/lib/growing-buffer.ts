/** Room for bytes that come in pieces and are read in one. Pure. */

const FIRST_ROOM_BYTES = 1024;
const EMPTY = Buffer.alloc(0);

/** State: the pieces so far, copied. The room doubles when it is full, and is given up when it is taken. */
export class GrowingBuffer {
  #room = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory that is held for it. */
  get roomBytes(): number {
    return this.#room.length;
  }

  /** All that was appended: a view, until more comes. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  append(piece: Uint8Array): void {
    const neededBytes = this.#length + piece.length;
    if (neededBytes > this.#room.length) {
      const room = Buffer.allocUnsafe(Math.max(neededBytes, this.#room.length * 2, FIRST_ROOM_BYTES));
      if (this.#length > 0) this.#room.copy(room, 0, 0, this.#length);
      this.#room = room;
    }
    this.#room.set(piece, this.#length);
    this.#length = neededBytes;
  }

  /** All that was appended. The caller owns it: afterwards there is nothing here. */
  take(): Buffer {
    const { bytes } = this;
    this.#room = EMPTY;
    this.#length = 0;
    return bytes;
  }
}
