/**
 * Decimal numbers of bills, exactly: AWS writes amounts with up to fifteen decimals, and a sum of millions of rounded
 * ones would not be the bill's. Pure.
 */

/** Decimals that are kept. */
const SCALE = 18;
/** An integer of 10^-18: `1.5` is 1,500,000,000,000,000,000. */
export type Decimal = bigint;

const NUMBER = /^([+-]?)(\d{0,30})(?:\.(\d{0,60}))?(?:[eE]([+-]?\d{1,2}))?$/;
/** 1, as a Decimal. */
export const ONE: Decimal = 10n ** BigInt(SCALE);

/** `12.5`, `-0.03`, `4.1E-7`; undefined if the text is no number, or larger than any bill. */
export function parseDecimal(text: string): Decimal | undefined {
  const [, sign, whole = '', decimals = '', exponent = '0'] = NUMBER.exec(text.trim()) ?? [];
  if (sign === undefined || whole + decimals === '') return undefined;
  const digits = BigInt(whole + decimals);
  const shift = SCALE - decimals.length + Number(exponent);
  const value = shift >= 0 ? digits * 10n ** BigInt(shift) : divideRounded(digits, 10n ** BigInt(-shift));
  return sign === '-' ? -value : value;
}

/** To the nearest integer, halves away from zero. */
export function divideRounded(value: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  return value < 0n ? -((-value + half) / divisor) : (value + half) / divisor;
}

/** Dollars as nano-dollars. */
export function toNanoUsd(usd: Decimal): number {
  return Number(divideRounded(usd, 10n ** BigInt(SCALE - 9)));
}

/** The nearest double. */
export function toNumber(value: Decimal): number {
  return Number(value) / 10 ** SCALE;
}
