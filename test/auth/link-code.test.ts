import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LinkCodes, makeLinkCode } from '../../src/auth/link-code.ts';

const TOKEN = 'a'.repeat(43);
const NOW = 1_790_000_000_000;

describe('a code of a link', () => {
  it('is good once', () => {
    const codes = new LinkCodes(TOKEN);
    const code = makeLinkCode(TOKEN, NOW, randomBytes(16));
    expect([codes.use(code, NOW + 1_000), codes.use(code, NOW + 1_000)]).toEqual([true, false]);
    expect(codes.use(makeLinkCode(TOKEN, NOW, randomBytes(16)), NOW + 59_000)).toBe(true);
  });

  it.each([
    { name: 'that is too old', code: (code: string) => code, atMs: 61_000 },
    { name: 'of a time to come', code: (code: string) => code, atMs: -61_000 },
    { name: 'whose time was changed', code: (code: string) => code.replace(/^\d/, '2'), atMs: 0 },
    { name: 'whose number was changed', code: (code: string) => code.replace(/-[0-9a-f]{4}/, '-0000'), atMs: 0 },
    { name: 'that was cut', code: (code: string) => code.slice(0, -1), atMs: 0 },
    { name: 'that is empty', code: () => '', atMs: 0 },
    { name: 'that is the token', code: () => TOKEN, atMs: 0 },
  ])('is none $name', ({ code, atMs }) => {
    const made = makeLinkCode(TOKEN, NOW, Buffer.alloc(16, 7));
    expect(new LinkCodes(TOKEN).use(code(made), NOW + atMs)).toBe(false);
  });

  it('is none of another token', () => {
    expect(new LinkCodes('b'.repeat(43)).use(makeLinkCode(TOKEN, NOW, randomBytes(16)), NOW)).toBe(false);
  });
});
