import { expect, it } from 'vitest';
import { createAuthorities, findApiKey, findOwnIdentity } from '../../src/app/identities.ts';
import { readConfig } from '../../src/config/config.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { CredentialSource } from '../../src/upstream/aws/credentials.ts';
import type { Identities } from '../../src/upstream/aws/identities.ts';

const ENVIRONMENT = { AWS_BEARER_TOKEN_BEDROCK: 'ABSKkey' };
const ROLE = 'arn:aws:iam::111122223333:role/bedrock';

const keyWith = (policy: Partial<KeyPolicy>): Principal => ({
  kind: 'key',
  keyId: 'vk_a',
  label: 'alice',
  alias: 'alice',
  policy: { ...EMPTY_POLICY, ...policy },
  tags: {},
});

/** Each source knows what it was asked for. */
const identities: Identities = {
  credentialsOf: (identity, caller) => ({ asked: { identity, id: caller.id } }) as unknown as CredentialSource,
};

it("lets the owner's API key stand for the proxy itself, and for no profile and no role", () => {
  const authorityOf = createAuthorities(readConfig({}, ENVIRONMENT), { identities });
  const own = { token: 'ABSKkey' };
  expect(authorityOf({ kind: 'master', label: 'master' })).toMatchObject({ apiKey: own, credentials: {} });
  expect(authorityOf(keyWith({}))).toMatchObject({ apiKey: own });
  expect(authorityOf(keyWith({ profile: 'research' }))).toEqual({
    apiKey: undefined,
    credentials: { asked: { identity: { profile: 'research', roleArn: undefined }, id: 'vk_a' } },
  });
  expect(authorityOf(keyWith({ roleArn: ROLE })).apiKey).toBeUndefined();
});

it('takes no API key beside a role of the proxy, and none offline', () => {
  expect(findApiKey(readConfig({}, ENVIRONMENT))?.token).toBe('ABSKkey');
  expect(findApiKey(readConfig({ roleArn: ROLE }, ENVIRONMENT))).toBeUndefined();
  expect(findApiKey(readConfig({ offline: true }, ENVIRONMENT))).toBeUndefined();
});

it('speaks of itself as a session of its own name', () => {
  expect(findOwnIdentity({ identities })).toEqual({ asked: { identity: undefined, id: 'bedrock-proxy' } });
});
