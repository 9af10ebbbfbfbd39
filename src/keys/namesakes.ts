/**
 * The keys of one alias. A rotated key keeps the alias of its successor and works until its grace time is over, so that
 * an alias can mean several keys: what restricts it must reach them all.
 */
import type { VirtualKeyRow } from '../domain/key.ts';
import type { KeyStore } from '../domain/store.ts';
import { findKeyState } from './state.ts';

/**
 * The other keys of the alias of `row` that work, or would if they were unblocked; of the oldest first. None for a key
 * without an alias.
 */
export async function findNamesakes(
  { id, alias }: Pick<VirtualKeyRow, 'id' | 'alias'>,
  store: Pick<KeyStore, 'findKeys'>,
  nowMs: number,
): Promise<VirtualKeyRow[]> {
  if (alias === undefined) return [];
  const rows = await store.findKeys({ aliases: [alias] });
  return rows.filter((row) => row.id !== id && row.alias === alias && canWork(row, nowMs));
}

/** Those of them that work as they are. */
export function keepWorking(rows: readonly VirtualKeyRow[], nowMs: number): VirtualKeyRow[] {
  return rows.filter((row) => row.blockedAtMs === undefined && canWork(row, nowMs));
}

function canWork(row: VirtualKeyRow, nowMs: number): boolean {
  const state = findKeyState(row, nowMs);
  return state === 'active' || state === 'ending' || state === 'blocked';
}
