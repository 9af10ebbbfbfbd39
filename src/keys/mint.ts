/**
 * Makes a virtual key and stores it, as a new one or in the place of another: the one piece behind `key generate`,
 * `key rotate` and `POST /key/generate`.
 */
import { ProxyError } from '../lib/errors.ts';
import { quote } from '../lib/printable.ts';
import type { KeyChanges, KeyPolicy, NewVirtualKeyRow, VirtualKeyRow } from '../domain/key.ts';
import type { KeyStore } from '../domain/store.ts';
import { EMPTY_POLICY } from './limits.ts';
import { type BadValueCode, findDurationMs } from './policy.ts';
import { generateVirtualKey, hashKey, sealKey, type VirtualKey } from './secret.ts';

/** Longer than this, the old key is no leftover but a second key. */
const MAX_GRACE_MS = 90 * 86_400_000;
const MAX_ALIAS_LENGTH = 100;
/** Nothing invisible at either end, and nothing that could forge a line of a log or a table. */
const ALIAS_SHAPE = /^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M} ._@/+:-]*[\p{L}\p{N}\p{M}._@/+:-])?$/u;

/** What a new key is made of. */
export interface MintOptions {
  readonly store: KeyStore;
  readonly serverSecret: Buffer;
  readonly alias: string | undefined;
  readonly nowMs: number;
  readonly randomBytes: (size: number) => Buffer;
  /** EMPTY_POLICY unless given. */
  readonly policy?: KeyPolicy | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly note?: string | undefined;
  readonly expiresAtMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Set by `exec` alone: see `VirtualKeyRow`. */
  readonly execCommand?: string | undefined;
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
 * A fresh key in the place of `old`, which ends `graceMs` from now; at once where that is 0. It has all that `old` has
 * (alias, limits, tags, note, metadata, expiry) but for what `changes` name; `undefined` there takes away. Throws
 * ERR_BAD_REQUEST where the old one has an end already or is blocked, or the new one would be born expired;
 * ERR_STORE_UNAVAILABLE.
 */
export async function rotateKey(
  old: VirtualKeyRow,
  graceMs: number,
  options: Pick<MintOptions, 'store' | 'serverSecret' | 'nowMs' | 'randomBytes'>,
  changes: Omit<KeyChanges, 'blockedAtMs'> = {},
): Promise<MintedKey> {
  const { alias, policy, tags, note, metadata, expiresAtMs } = { ...old, ...changes };
  if (old.blockedAtMs !== undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', `The key ${old.id} is blocked, and its successor would not be.`, {
      hint: 'Unblock it first.',
    });
  }
  if (expiresAtMs !== undefined && expiresAtMs <= options.nowMs) {
    throw new ProxyError('ERR_BAD_REQUEST', `The key ${old.id} has expired, and so would its successor.`, {
      hint: 'Give it a new time to live first.',
    });
  }
  const { minted, row } = makeKey({ ...options, alias, policy, tags, note, metadata, expiresAtMs });
  await options.store.rotateKey(old.id, row, graceMs === 0 ? undefined : options.nowMs + graceMs);
  return minted;
}

/** A length of time such as `10m`, in milliseconds. Throws `code` naming `field`. */
export function parseGrace(value: string, field: string, code: BadValueCode): number {
  const graceMs = value === '0' ? 0 : (findDurationMs(value) ?? Number.NaN);
  if (graceMs <= MAX_GRACE_MS) return graceMs;
  throw new ProxyError(code, `${field} must be a time of up to 90d, such as 30s, 10m or 24h, not ${quote(value, 80)}.`);
}

function makeKey(options: Omit<MintOptions, 'store'>): {
  readonly minted: MintedKey;
  readonly row: NewVirtualKeyRow;
} {
  const { serverSecret, alias, nowMs, randomBytes } = options;
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
    policy: options.policy ?? EMPTY_POLICY,
    tags: options.tags ?? {},
    note: options.note,
    expiresAtMs: options.expiresAtMs,
    metadata: options.metadata ?? {},
    execCommand: options.execCommand,
  };
  return { minted: { ...fresh, alias, keySha256, lastFour, createdAtMs: nowMs }, row };
}

/** `, not "x"`, unless it may be a key: those are in no message. */
function quoteRefused(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_ALIAS_LENGTH && !value.includes('sk-')
    ? `, not ${quote(value)}`
    : '';
}

/** A name for a key that cannot be taken for a key or an id. Throws `code` naming `field`. */
export function parseAlias(value: unknown, field: string, code: BadValueCode): string {
  const fits = typeof value === 'string' && value.length <= MAX_ALIAS_LENGTH && ALIAS_SHAPE.test(value);
  if (fits && !value.startsWith('sk-') && !value.startsWith('vk_')) return value;
  throw new ProxyError(
    code,
    `${field} must be a name of up to ${MAX_ALIAS_LENGTH} characters: letters, digits, spaces and ._@/+:-` +
      quoteRefused(value),
    { hint: 'It must begin with a letter or digit, not with sk- or vk_, and not end in a space.' },
  );
}
