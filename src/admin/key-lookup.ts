/**
 * Finds the keys that a request of the admin API names: by hash, by id or by the key itself, and by alias where a field
 * says that it is one.
 */
import { findNamesakes } from '../keys/namesakes.ts';
import { findKeyState } from '../keys/state.ts';
import { hashKey, looksLikeKey } from '../keys/secret.ts';
import type { KeyStore } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import type { AdminOptions } from './admin-options.ts';
import { keyNotFound } from './envelope.ts';

/** Undefined where there is no such key. Revoked ones are found. */
export async function findKey(named: string, store: KeyStore): Promise<VirtualKeyRow | undefined> {
  if (looksLikeKey(named)) return store.findKeyBySha256(hashKey(named));
  if (/^[0-9a-f]{64}$/.test(named)) return store.findKeyBySha256(named);
  if (!named.startsWith('vk_')) return undefined;
  return (await store.findKeys({ ids: [named] }))[0];
}

/** Throws AdminError 404, naming `param`, where there is no such key or it is over for good. */
export async function requireLiveKey(
  named: string,
  param: string,
  { store, nowMs }: Pick<AdminOptions, 'store' | 'nowMs'>,
): Promise<VirtualKeyRow> {
  const row = await findKey(named, store);
  if (row !== undefined && findKeyState(row, nowMs()) !== 'revoked') return row;
  throw keyNotFound(named, param);
}

/** The keys of that alias that are not over; of a rotated one its successor comes first. Throws AdminError 404. */
export async function requireLiveAlias(
  alias: string,
  { store, nowMs }: Pick<AdminOptions, 'store' | 'nowMs'>,
): Promise<readonly [VirtualKeyRow, ...VirtualKeyRow[]]> {
  const rows = await store.findKeys({ aliases: [alias] });
  const row =
    rows.find((each) => each.revokedAtMs === undefined && each.endsAtMs === undefined) ??
    rows.find((each) => findKeyState(each, nowMs()) !== 'revoked');
  if (row === undefined) throw keyNotFound(alias, 'key_alias');
  return [row, ...(await findNamesakes(row, store, nowMs()))];
}
