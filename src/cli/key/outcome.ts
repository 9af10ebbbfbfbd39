/**
 * How a command says which keys it reached: an alias can mean several.
 */
import type { VirtualKeyRow } from '../../domain/key.ts';
import { maskKey } from '../../keys/secret.ts';
import { printTalk } from '../../app/print.ts';
import type { KeysOutcome } from './find-row.ts';

/** The ids of the other keys that were reached, and of those of the alias that still work. */
export function alsoToJson({ rows: [, ...more], others }: KeysOutcome): object {
  return {
    ...(more.length === 0 ? {} : { also: more.map(({ id }) => id) }),
    ...(others.length === 0 ? {} : { still_working: others.map(({ id }) => id) }),
  };
}

/** Who names one key may not know of another with the same alias. */
export function tellOthers({ others }: Pick<KeysOutcome, 'others'>): void {
  if (others.length === 0) return;
  printTalk(`note: ${namesOf(others)} still ${others.length === 1 ? 'works' : 'work'}; the alias means all of them.`);
}

/** Ids and aliases, for a sentence. */
export function namesOf(rows: readonly VirtualKeyRow[]): string {
  return rows.map(nameOf).join(' and ');
}

/** The id and the alias, or what may be shown of the key. */
export function nameOf(row: VirtualKeyRow): string {
  return `${row.id} (${row.alias ?? maskKey(row.lastFour)})`;
}
