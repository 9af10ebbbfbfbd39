/**
 * Makes a virtual key and stores it, as a new one or in the place of another: the one piece behind `key generate`,
 * `key rotate` and `POST /key/generate`.
 */
import { ProxyError } from '../errors.ts';
import type { NewVirtualKeyRow, Store, VirtualKeyRow } from '../store/store.ts';
import { generateVirtualKey, hashKey, sealKey, type VirtualKey } from './virtual-key.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Longer than this, the old key is no leftover but a second key. */
const MAX_GRACE_MS = 90 * 86_400_000;
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
export async function mintKey(options: MintOptions): Promise<MintedKey> {
  const { minted, row } = makeKey(options);
  await options.store.insertKey(row);
  return minted;
}

/**
 * A fresh key under the alias of `old`, which ends `graceMs` from now; at once where that is 0. Throws ERR_BAD_REQUEST where the
 * old one has an end already, ERR_STORE_UNAVAILABLE.
 */
export async function rotateKey(
  old: VirtualKeyRow,
  graceMs: number,
  options: Omit<MintOptions, 'alias'>,
): Promise<MintedKey> {
  const { minted, row } = makeKey({ ...options, alias: old.alias });
  await options.store.rotateKey(old.id, row, graceMs === 0 ? undefined : options.nowMs + graceMs);
  return minted;
}

/** A length of time such as `10m`, in milliseconds. Throws `code` naming `field`. */
export function parseGrace(value: string, field: string, code: 'ERR_BAD_REQUEST' | 'ERR_BAD_OPTION'): number {
  if (value === '0') return 0;
  const [, digits = '', unit = ''] = /^(\d{1,9})\s*([smhd])$/i.exec(value) ?? [];
  const graceMs = Number(digits) * (UNITS_MS[unit.toLowerCase()] ?? Number.NaN);
  if (graceMs <= MAX_GRACE_MS) return graceMs;
  throw new ProxyError(code, `${field} must be a time of up to 90d, such as 30s, 10m or 24h.`);
}

function makeKey({ serverSecret, alias, nowMs, randomBytes }: Omit<MintOptions, 'store'>): {
  readonly minted: MintedKey;
  readonly row: NewVirtualKeyRow;
} {
  const fresh = generateVirtualKey(randomBytes);
  const keySha256 = hashKey(fresh.key);
  const lastFour = fresh.key.slice(-4);
  const row = {
    id: fresh.id,
    alias,
    keySha256,
    lastFour,
    accessKeyId: fresh.accessKeyId,
    sealedKey: sealKey(fresh.key, fresh.id, serverSecret, randomBytes),
    createdAtMs: nowMs,
  };
  return { minted: { ...fresh, alias, keySha256, lastFour, createdAtMs: nowMs }, row };
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
