/**
 * The virtual key itself: how it is made, hashed, shown and sealed. Pure but for the random bytes, which are handed in.
 * Used by `auth/authenticate` on the way, and by the commands and admin calls that make keys.
 */
import { createCipheriv, createDecipheriv, hash, hkdfSync } from 'node:crypto';

/** A fresh key with everything its owner is told once. */
export interface VirtualKey {
  readonly id: string;
  /** `sk-` and 32 random bytes in base64url; also the secret access key of the AWS-shaped pair. */
  readonly key: string;
  /** 20 characters, `BRPX` and 16 of base32: AWS's own ids start with A. */
  readonly accessKeyId: string;
}

const KEY_PREFIX = 'sk-';
const KEY_BYTES = 32;
const MINTED_KEY = /^sk-[A-Za-z0-9_-]{43}$/;
/** What our access key ids start with. */
export const ACCESS_KEY_ID_PREFIX = 'BRPX';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Sealed form: version, nonce, tag, then the ciphertext. Sizes as NIST SP 800-38D recommends. */
const SEAL_VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Makes a key from a source of random bytes. */
export function generateVirtualKey(randomBytes: (size: number) => Buffer): VirtualKey {
  return {
    id: `vk_${base32(randomBytes(10)).toLowerCase()}`,
    key: `${KEY_PREFIX}${randomBytes(KEY_BYTES).toString('base64url')}`,
    accessKeyId: `${ACCESS_KEY_ID_PREFIX}${base32(randomBytes(10))}`,
  };
}

/** True for text that has the form of a virtual or master key. Says nothing about whether it is one. */
export function looksLikeKey(text: string): boolean {
  return text.startsWith(KEY_PREFIX);
}

/** True for text that has the very form of a key that was made here. */
export function looksMinted(text: string): boolean {
  return MINTED_KEY.test(text);
}

/**
 * Hex SHA-256: what the store knows a key by. Unsalted on purpose: a key is 256 random bits, there is nothing to guess.
 */
export function hashKey(key: string): string {
  return hash('sha256', key);
}

/** `sk-…` and the last four characters: the only form in which a key is ever shown again. */
export function maskKey(lastFour: string): string {
  return `${KEY_PREFIX}…${lastFour}`;
}

/** Seals a key under the server secret; `keyId` is bound to it, so that sealed keys cannot be swapped between rows. */
export function sealKey(
  key: string,
  keyId: string,
  serverSecret: Buffer,
  randomBytes: (size: number) => Buffer,
): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(serverSecret), nonce).setAAD(Buffer.from(keyId));
  const ciphertext = Buffer.concat([cipher.update(key, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(SEAL_VERSION), nonce, cipher.getAuthTag(), ciphertext]);
}

/** Opens what `sealKey` sealed; undefined where the secret, the id or a byte is another one. */
export function unsealKey(sealed: Buffer, keyId: string, serverSecret: Buffer): string | undefined {
  if (sealed[0] !== SEAL_VERSION || sealed.length <= 1 + NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  try {
    const decipher = createDecipheriv('aes-256-gcm', sealingKey(serverSecret), nonce, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(keyId))
      .setAuthTag(tag);
    return decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
}

function sealingKey(serverSecret: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', serverSecret, '', 'bedrock-proxy sealed virtual key', 32));
}

function base32(bytes: Buffer): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(value >>> bits) & 31];
    }
  }
  return text;
}
