/**
 * How amounts of money are written, everywhere: in headers, lines, tables and messages. Pure. For people they are
 * rounded, so that they never look like nothing where they are something; for programs they are exact.
 */

/** `0.000165`: dollars to the nano, without zeros at the end. */
export function exactUsd(nanoUsd: number): string {
  const whole = Math.floor(Math.abs(nanoUsd) / 1e9);
  const rest = String(Math.abs(nanoUsd) % 1e9)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${nanoUsd < 0 ? '-' : ''}${whole}${rest === '' ? '' : `.${rest}`}`;
}

/** Dollars for people: cents from a dollar on, three digits that count below. */
export function formatUsd(nanoUsd: number): string {
  const usd = nanoUsd / 1e9;
  if (usd === 0) return '$0';
  if (Math.abs(usd) >= 0.9995)
    return `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  const decimals = Math.min(9, 2 - Math.floor(Math.log10(Math.abs(usd))));
  const [whole = '', rest = ''] = usd.toFixed(decimals).split('.');
  return `$${whole}.${rest.replace(/0+$/, '').padEnd(2, '0')}`;
}

/** The same exactly, with cents at least: `$5.00`, `$0.005522`. For amounts that are compared. */
export function fullUsd(nanoUsd: number): string {
  const [whole = '', rest = ''] = exactUsd(nanoUsd).split('.');
  return `$${whole}.${rest.padEnd(2, '0')}`;
}

/** Whole nano-dollars as the nearest float of dollars, for those who want a number. */
export function toUsd(nanoUsd: number): number {
  return nanoUsd / 1e9;
}
