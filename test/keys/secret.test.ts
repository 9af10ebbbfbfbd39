import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { generateVirtualKey, hashKey, looksLikeKey, maskKey, sealKey, unsealKey } from '../../src/keys/secret.ts';

/** "Random" bytes that are known: 00 01 02 … from the start at each call. */
const counting = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, index) => index));

describe('generateVirtualKey', () => {
  it('makes keys of the documented form', () => {
    const { id, key, accessKeyId } = generateVirtualKey(randomBytes);
    expect(id).toMatch(/^vk_[a-z2-7]{16}$/);
    expect(key).toMatch(/^sk-[A-Za-z0-9_-]{43}$/);
    expect(accessKeyId).toMatch(/^BRPX[A-Z2-7]{16}$/);
  });

  it('never makes the same key twice', () => {
    const keys = Array.from({ length: 100 }, () => generateVirtualKey(randomBytes));
    for (const field of ['id', 'key', 'accessKeyId'] as const)
      expect(new Set(keys.map((key) => key[field])).size).toBe(100);
  });

  it('draws each part of a key from random bytes of its own', () => {
    const { id, key, accessKeyId } = generateVirtualKey(counting);
    // RFC 4648, section 6, of 00 01 02 03 04 05 06 07 08 09.
    expect(id).toBe('vk_aaaqeayeaudaocaj');
    expect(accessKeyId).toBe('BRPXAAAQEAYEAUDAOCAJ');
    expect(key).toBe(`sk-${counting(32).toString('base64url')}`);
  });

  it.each([
    { name: 'all zeros', fill: 0x00, text: 'A'.repeat(16) },
    { name: 'all ones', fill: 0xff, text: '7'.repeat(16) },
    { name: 'alternating', fill: 0x55, text: 'KVKV'.repeat(4) },
  ])('writes base32 right: $name', ({ fill, text }) => {
    expect(generateVirtualKey((size) => Buffer.alloc(size, fill)).accessKeyId).toBe(`BRPX${text}`);
  });
});

describe('what a key is known and shown by', () => {
  it('knows a key by its SHA-256 in hex', () => {
    expect(hashKey('sk-abc')).toBe(createHash('sha256').update('sk-abc').digest('hex'));
    expect(hashKey('sk-é')).toBe(createHash('sha256').update(Buffer.from('sk-é', 'utf8')).digest('hex'));
  });

  it('shows a key by its prefix and last four characters', () => {
    expect(maskKey('wxyz')).toBe('sk-…wxyz');
  });

  it.each([
    { text: 'sk-abc', is: true },
    { text: 'sk-', is: true },
    { text: 'SK-abc', is: false },
    { text: ' sk-abc', is: false },
    { text: 'AKIDEXAMPLE', is: false },
    { text: '', is: false },
  ])('knows whether "$text" looks like a key: $is', ({ text, is }) => {
    expect(looksLikeKey(text)).toBe(is);
  });
});

describe('a sealed key', () => {
  const secret = Buffer.alloc(32, 7);
  const sealed = sealKey('sk-the-key', 'vk_one', secret, randomBytes);

  it('opens a sealed key again', () => {
    expect(unsealKey(sealed, 'vk_one', secret)).toBe('sk-the-key');
  });

  it('seals a key as version, nonce, tag and as many bytes as the key has', () => {
    expect(sealed[0]).toBe(1);
    expect(sealed).toHaveLength(1 + 12 + 16 + 'sk-the-key'.length);
    expect(sealed.includes('sk-')).toBe(false);
  });

  it('seals a key differently each time', () => {
    expect(sealKey('sk-the-key', 'vk_one', secret, randomBytes).equals(sealed)).toBe(false);
  });

  it('does not open a sealed key of which any byte was changed', () => {
    for (let index = 0; index < sealed.length; index += 1) {
      const tampered = Buffer.from(sealed);
      tampered.writeUInt8(tampered.readUInt8(index) ^ 1, index);
      expect(unsealKey(tampered, 'vk_one', secret), `byte ${index}`).toBeUndefined();
    }
  });

  it('does not open a sealed key that was cut anywhere', () => {
    for (let length = 0; length < sealed.length; length += 1) {
      expect(unsealKey(sealed.subarray(0, length), 'vk_one', secret), `${length} bytes`).toBeUndefined();
    }
  });

  it.each([
    { name: 'in the row of another key', open: () => unsealKey(sealed, 'vk_two', secret) },
    { name: 'under another secret', open: () => unsealKey(sealed, 'vk_one', Buffer.alloc(32, 8)) },
    { name: 'with bytes behind it', open: () => unsealKey(Buffer.concat([sealed, Buffer.of(0)]), 'vk_one', secret) },
  ])('does not open a sealed key $name', ({ open }) => {
    expect(open()).toBeUndefined();
  });
});
