/**
 * Makes a virtual key and stores it: the one piece behind `key generate` and `POST /key/generate`.
 */
import { ProxyError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { generateVirtualKey, hashKey, sealKey, type VirtualKey } from './virtual-key.ts';

const MAX_ALIAS_LENGTH = 100;
/** Nothing invisible at either end, and nothing that could forge a line of a log or a table. */
const ALIAS_SHAPE = /^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M} ._@/+:-]*[\p{L}\p{N}\p{M}._@/+:-])?$/u;

export interface MintOptions {
  readonly store: Store;
  readonly serverSecret: Buffer;
  readonly alias: string | undefined;
  readonly nowMs: number;
  readonly randomBytes: (size: number) => Buffer;
}

/** A key as its owner sees it this once. */
export interface MintedKey extends VirtualKey {
  readonly alias: string | undefined;
  readonly keySha256: string;
  readonly lastFour: string;
  readonly createdAtMs: number;
}

/** The fresh key, already in the store. Throws ERR_BAD_REQUEST where the alias is taken, ERR_STORE_UNAVAILABLE. */
export async function mintKey({ store, serverSecret, alias, nowMs, randomBytes }: MintOptions): Promise<MintedKey> {
  const fresh = generateVirtualKey(randomBytes);
  const keySha256 = hashKey(fresh.key);
  const lastFour = fresh.key.slice(-4);
  await store.insertKey({
    id: fresh.id,
    alias,
    keySha256,
    lastFour,
    accessKeyId: fresh.accessKeyId,
    sealedKey: sealKey(fresh.key, fresh.id, serverSecret, randomBytes),
    createdAtMs: nowMs,
  });
  return { ...fresh, alias, keySha256, lastFour, createdAtMs: nowMs };
}

/** A name for a key that cannot be taken for a key or an id. Throws `code` naming `field`. */
export function parseAlias(value: unknown, field: string, code: 'ERR_BAD_REQUEST' | 'ERR_BAD_OPTION'): string {
  const fits = typeof value === 'string' && value.length <= MAX_ALIAS_LENGTH && ALIAS_SHAPE.test(value);
  if (fits && !value.startsWith('sk-') && !value.startsWith('vk_')) return value;
  throw new ProxyError(
    code,
    `${field} must be a name of up to ${MAX_ALIAS_LENGTH} characters: letters, digits, spaces and ._@/+:-`,
    { hint: 'It must begin with a letter or digit, not with sk- or vk_, and not end in a space.' },
  );
}
