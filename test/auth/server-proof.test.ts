import { describe, expect, it } from 'vitest';
import {
  isChallenge,
  isServerProof,
  openFromServer,
  proveServer,
  sealForCommand,
} from '../../src/auth/server-proof.ts';

const SECRET = Buffer.alloc(32, 1);
const CHALLENGE = 'ab'.repeat(16);
const PROOF = proveServer(SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true });

describe('the proof of a server', () => {
  it('proves a server for its secret, challenge and port', () => {
    expect(PROOF).toMatch(/^[0-9a-f]{64}$/);
    expect(isServerProof(PROOF, SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true })).toBe(true);
  });

  it.each([
    {
      name: 'another secret',
      is: isServerProof(PROOF, Buffer.alloc(32, 2), CHALLENGE, { port: 4000, ownsLocalhost: true }),
    },
    {
      name: 'another challenge',
      is: isServerProof(PROOF, SECRET, 'ac'.repeat(16), { port: 4000, ownsLocalhost: true }),
    },
    { name: 'another port', is: isServerProof(PROOF, SECRET, CHALLENGE, { port: 4001, ownsLocalhost: true }) },
    {
      name: 'one address of localhost',
      is: isServerProof(PROOF, SECRET, CHALLENGE, { port: 4000, ownsLocalhost: false }),
    },
    { name: 'a part of it', is: isServerProof(PROOF.slice(1), SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true }) },
    {
      name: 'two characters of one byte',
      is: isServerProof(`é${PROOF.slice(2)}`, SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true }),
    },
    { name: 'none', is: isServerProof(undefined, SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true }) },
    { name: 'no text', is: isServerProof([PROOF], SECRET, CHALLENGE, { port: 4000, ownsLocalhost: true }) },
  ])('does not accept the proof of a server for $name', ({ is }) => {
    expect(is).toBe(false);
  });
});

it.each([
  { length: 31, is: false },
  { length: 32, is: true },
  { length: 128, is: true },
  { length: 129, is: false },
])('allows a challenge of $length digits to be answered: $is', ({ length, is }) => {
  expect(isChallenge('f'.repeat(length))).toBe(is);
  expect(isChallenge(`${'f'.repeat(length - 1)}:`)).toBe(false);
});

describe('a sealed secret', () => {
  it('is opened by who holds the secret of the server, for the same challenge', () => {
    const sealed = sealForCommand(SECRET, CHALLENGE, 'token');
    expect(sealed).not.toContain('token');
    expect(openFromServer(SECRET, CHALLENGE, sealed)).toBe('token');
    expect(openFromServer(Buffer.alloc(32, 2), CHALLENGE, sealed)).toBeUndefined();
    expect(openFromServer(SECRET, 'cd'.repeat(32), sealed)).toBeUndefined();
  });

  it.each([undefined, null, 1, '', 'x', 'AAAA', `${'A'.repeat(80)}`])('is not %j', (sealed) => {
    expect(openFromServer(SECRET, CHALLENGE, sealed)).toBeUndefined();
  });
});
