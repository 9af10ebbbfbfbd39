/**
 * New inputs out of old ones: bytes flipped, inserted, dropped and repeated, words of the format put in, two inputs
 * spliced, small numbers made large. Seeded: the same seed gives the same inputs.
 */

/** What mutates. */
export interface Mutator {
  /** A changed copy of one input of the corpus. */
  next(corpus: readonly Buffer[]): Buffer;
}

export interface MutatorOptions {
  readonly random: () => number;
  /** Words of the format, put in whole. */
  readonly words: readonly Buffer[];
  readonly maxBytes: number;
}

const MAX_STEPS = 6;
/** Bytes at which parsers change their minds. */
const EDGE_BYTES = [0, 1, 9, 10, 13, 32, 34, 37, 38, 44, 46, 47, 58, 59, 61, 92, 123, 125, 127, 128, 192, 237, 255];

export function createMutator({ random, words, maxBytes }: MutatorOptions): Mutator {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T | undefined => list[below(list.length)];
  /** Inside a buffer, its end included. */
  const place = (bytes: Buffer): number => below(bytes.length + 1);
  const span = (bytes: Buffer): readonly [start: number, end: number] => {
    const start = place(bytes);
    return [start, Math.min(bytes.length, start + 1 + below(random() < 0.1 ? bytes.length + 1 : 12))];
  };

  const steps: readonly ((bytes: Buffer, corpus: readonly Buffer[]) => Buffer)[] = [
    (bytes) => {
      const at = place(bytes);
      return put(bytes, at, at, Buffer.of(below(256)));
    },
    (bytes) => {
      const [at] = span(bytes);
      return put(bytes, at, at + 1, Buffer.of(pick(EDGE_BYTES) ?? 0));
    },
    (bytes) => {
      if (bytes.length === 0) return bytes;
      const copy = Buffer.from(bytes);
      const at = below(bytes.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
      return copy;
    },
    (bytes) => put(bytes, ...span(bytes), Buffer.alloc(0)),
    (bytes) => {
      const [start, end] = span(bytes);
      return put(bytes, end, end, repeat(bytes.subarray(start, end), 1 + below(random() < 0.05 ? 400 : 4)));
    },
    (bytes) => {
      const at = place(bytes);
      return put(bytes, at, random() < 0.5 ? at : at + below(8), pick(words) ?? Buffer.alloc(0));
    },
    (bytes, corpus) => {
      const other = pick(corpus) ?? bytes;
      return put(bytes, ...span(bytes), other.subarray(...span(other)));
    },
    (bytes, corpus) => {
      const other = pick(corpus) ?? bytes;
      return Buffer.concat([bytes.subarray(0, place(bytes)), other.subarray(place(other))]);
    },
    (bytes) => changeNumber(bytes, pick(NUMBERS) ?? '0', random),
    (bytes) => {
      if (bytes.length < 4) return bytes;
      const copy = Buffer.from(bytes);
      copy.writeUInt32BE(pick(LENGTHS) ?? below(1 << 16), below(bytes.length - 3));
      return copy;
    },
  ];

  return {
    next: (corpus) => {
      let bytes = pick(corpus) ?? Buffer.alloc(0);
      for (let count = 1 + below(1 + below(MAX_STEPS)); count > 0; count -= 1)
        bytes = pick(steps)?.(bytes, corpus) ?? bytes;
      return bytes.subarray(0, maxBytes);
    },
  };
}

function put(bytes: Buffer, start: number, end: number, middle: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, start), middle, bytes.subarray(end)]);
}

const NUMBERS = ['0', '-1', '1e400', '9007199254740993', '00', '0.1', '1E-9', '4294967296', '2147483648', '65536'];
const LENGTHS = [0, 1, 11, 12, 15, 16, 17, 0x7fffffff, 0xffffffff, 0x01000010];

/** Another number in the place of one in the text. */
function changeNumber(bytes: Buffer, number: string, random: () => number): Buffer {
  const found = [...bytes.toString('latin1').matchAll(/\d+/g)];
  const match = found[Math.floor(random() * found.length)];
  if (match === undefined) return bytes;
  const end = match.index + match[0].length;
  return Buffer.concat([bytes.subarray(0, match.index), Buffer.from(number), bytes.subarray(end)]);
}

function repeat(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
