import { describe, expect, it } from 'vitest';
import { type CredentialScope, deriveSigningKey } from '../../../src/protocol/sigv4/key.ts';
import { SigningKeys } from '../../../src/protocol/sigv4/signing-keys.ts';

const SCOPE: CredentialScope = {
  date: '20260314',
  region: 'us-east-1',
  service: 'bedrock',
  terminator: 'aws4_request',
};
const KEY = deriveSigningKey('secret', SCOPE);

describe('signing keys', () => {
  it.each([
    { name: 'another day', other: { date: '20260315' } },
    { name: 'another region', other: { region: 'us-east-2' } },
    { name: 'another service', other: { service: 'sts' } },
  ])('finds the key of its scope, and none for $name', ({ other }) => {
    const keys = new SigningKeys();
    const owner = {};
    keys.add(owner, SCOPE, KEY);
    expect(keys.find(owner, { ...SCOPE })).toBe(KEY);
    expect(keys.find(owner, { ...SCOPE, ...other })).toBeUndefined();
  });

  it('finds none for another owner, though it looks the same', () => {
    const keys = new SigningKeys<{ id: number }>();
    keys.add({ id: 1 }, SCOPE, KEY);
    expect(keys.find({ id: 1 }, SCOPE)).toBeUndefined();
  });

  it('keeps no more than 200 keys of an owner', () => {
    const keys = new SigningKeys();
    const owner = {};
    const scopes = Array.from({ length: 1000 }, (_, index) => ({ ...SCOPE, region: `r${index}` }));
    for (const scope of scopes) keys.add(owner, scope, KEY);
    expect(scopes.filter((scope) => keys.find(owner, scope) !== undefined).length).toBeLessThanOrEqual(200);
    expect(keys.find(owner, scopes[999] ?? SCOPE)).toBe(KEY);
  });
});
