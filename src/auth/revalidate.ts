/**
 * Whether a caller that was let in still counts: its key may have been revoked, blocked, deleted or limited since, and
 * open mode may have ended. Asked when a body has come, and again and again while a request is under way.
 */
import type { VirtualKeyRow } from '../domain/key.ts';
import type { Principal } from '../domain/principal.ts';
import type { KeyStore } from '../domain/store.ts';
import { execLabel } from '../keys/exec-key.ts';
import { maskKey } from '../keys/secret.ts';
import { missingKey, refuseEndedKey, unknownKey } from './key-refusal.ts';

/** A principal, and the key behind it: undefined for the master key and in open mode. */
export interface AdmittedCaller {
  readonly principal: Principal;
  readonly row: VirtualKeyRow | undefined;
}

/** What revalidation asks. */
export interface RevalidationOptions {
  readonly store: Pick<KeyStore, 'findKeyBySha256' | 'hasAnyKey'>;
  readonly nowMs: () => number;
}

/**
 * The principal as it is by now. Throws ERR_KEY_UNKNOWN (deleted), ERR_KEY_REVOKED, ERR_KEY_EXPIRED, ERR_KEY_BLOCKED,
 * ERR_KEY_MISSING (open mode has ended) or ERR_STORE_UNAVAILABLE.
 */
export async function revalidate(
  { principal, row }: AdmittedCaller,
  { store, nowMs }: RevalidationOptions,
): Promise<Principal> {
  if (row === undefined) {
    if (principal.kind === 'anonymous' && (await store.hasAnyKey())) throw missingKey();
    return principal;
  }
  const fresh = await store.findKeyBySha256(row.keySha256);
  if (fresh === undefined) throw unknownKey();
  refuseEndedKey(fresh, nowMs());
  return describePrincipal(fresh);
}

/** A key as the principal of a request. */
export function describePrincipal(row: VirtualKeyRow): Principal {
  const { id, alias, execCommand, lastFour, policy, tags, metadata } = row;
  const label = execCommand === undefined ? (alias ?? maskKey(lastFour)) : execLabel(execCommand);
  const key = { kind: 'key', keyId: id, label, alias, policy, tags } as const;
  return metadata['inspect'] === 'never' ? { ...key, isUninspected: true } : key;
}
