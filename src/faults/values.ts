/** Values of options of faults, as text. Pure. */

const MAX_WAIT_MS = 3_600_000;

/** A length of time: `200ms`, `1.5s`, `2m`, an hour at most. Undefined if it is none. */
export function readMilliseconds(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,7}(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(digits) * (unit === 'ms' ? 1 : unit === 's' ? 1000 : 60_000);
  return digits === '' || ms > MAX_WAIT_MS ? undefined : ms;
}

/** A number of bytes: `20b`, `20`, `2kb`, `1mb`; k and m are thousands. Undefined if it is none. */
export function readByteCount(text: string): number | undefined {
  const [, digits = '', unit = 'b'] = /^(\d{1,9})(b|kb|mb)?$/.exec(text) ?? [];
  return digits === '' ? undefined : Number(digits) * (unit === 'b' ? 1 : unit === 'kb' ? 1000 : 1_000_000);
}

/** Bytes in a second, one at least: `2kb/s`. Undefined if it is none. */
export function readByteRate(text: string): number | undefined {
  const bytes = text.endsWith('/s') ? readByteCount(text.slice(0, -2)) : undefined;
  return bytes === 0 ? undefined : bytes;
}

/** A status of an error: 400 to 599. Undefined if it is none. */
export function readErrorStatus(text: string): number | undefined {
  return /^[45]\d\d$/.test(text) ? Number(text) : undefined;
}

/** A whole number within bounds, which are included. Undefined if it is none. */
export function readWholeNumber(text: string, least: number, most: number): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most ? value : undefined;
}

/** A chance, from 0 to 1. Undefined if it is none. */
export function readChance(text: string): number | undefined {
  return /^(?:0|1|0?\.\d+|1\.0+|0\.0+)$/.test(text) ? Number(text) : undefined;
}
