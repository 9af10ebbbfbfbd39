/** Text as one word of a shell, in which the shell finds nothing to expand. Pure. */

/** What needs no quotes in any of them. */
export const PLAIN_WORD = /^[A-Za-z0-9_./:-]+$/;

/** For sh, bash, zsh and the like: everything stands for itself but the quote. */
export function quotePosix(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** For PowerShell, which takes the typographic single quotes for plain ones; doubled, each stands for itself. */
export function quotePowerShell(text: string): string {
  return `'${text.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`;
}
