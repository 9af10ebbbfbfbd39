import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { mintKey, parseAlias } from '../../src/keys/mint.ts';
import { hashKey, unsealKey } from '../../src/keys/secret.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/domain/store.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

async function openStore(): Promise<Store> {
  const folder = await makeTemporaryFolder();
  const store = await openSqliteStore(join(folder, 'keys.db'));
  onTestFinished(() => store.close());
  return store;
}

describe('mintKey', () => {
  const serverSecret = Buffer.alloc(32, 1);

  it('stores a key that can be found by its hash and opened with the secret', async () => {
    const store = await openStore();
    const minted = await mintKey({ store, serverSecret, alias: 'alice', nowMs: 1_700_000_000_000, randomBytes });
    const row = await store.findKeyBySha256(hashKey(minted.key));
    expect(row).toMatchObject({
      id: minted.id,
      alias: 'alice',
      keySha256: minted.keySha256,
      lastFour: minted.key.slice(-4),
      accessKeyId: minted.accessKeyId,
      createdAtMs: 1_700_000_000_000,
      revokedAtMs: undefined,
    });
    expect(unsealKey(row?.sealedKey ?? Buffer.of(), minted.id, serverSecret)).toBe(minted.key);
    expect(minted).toMatchObject({ alias: 'alice', lastFour: minted.key.slice(-4), createdAtMs: 1_700_000_000_000 });
  });

  it('stores a key without limits unless told otherwise', async () => {
    const store = await openStore();
    await mintKey({ store, serverSecret, alias: undefined, nowMs: 0, randomBytes });
    const [row] = await store.listKeys();
    expect(row?.policy).toEqual(EMPTY_POLICY);
    expect(row).toMatchObject({
      tags: {},
      metadata: {},
      note: undefined,
      expiresAtMs: undefined,
      blockedAtMs: undefined,
    });
  });

  it('stores what it is told of a key', async () => {
    const store = await openStore();
    const policy = {
      ...EMPTY_POLICY,
      models: ['*claude*', 'amazon.*'],
      scope: 'all',
      regions: ['eu-*'],
      budget: { limitNanoUsd: 25_000_000_001, windowMs: undefined, anchorMs: 7 },
      allowUnpriced: true,
      requestsPerMinute: 1,
      tokensPerMinute: 1_000_000_000,
      maxParallel: 3,
    } as const;
    const terms = { policy, tags: { team: 'é' }, note: 'Zoë', expiresAtMs: 99, metadata: { a: [1, null] } };
    const { id } = await mintKey({ store, serverSecret, alias: 'bob', nowMs: 7, randomBytes, ...terms });
    expect(await store.listKeys()).toEqual([expect.objectContaining({ id, ...terms })]);
  });

  it('never puts the key itself into the store', async () => {
    const store = await openStore();
    const { key } = await mintKey({ store, serverSecret, alias: undefined, nowMs: 0, randomBytes });
    const text = JSON.stringify(await store.listKeys(), (_, value: unknown) =>
      Buffer.isBuffer(value) ? value.toString('latin1') : value,
    );
    expect(text).not.toContain(key.slice(3, 20));
  });
});

describe('parseAlias', () => {
  it.each(['alice', 'Zoë', '王芳', '9lives', 'a', 'team/app:dev+1_x@y.z-0', 'two words', 'x'.repeat(100)])(
    'takes the alias "%s"',
    (alias) => {
      expect(parseAlias(alias, '--alias', 'ERR_BAD_OPTION')).toBe(alias);
    },
  );

  it.each([
    { name: 'nothing', value: '' },
    { name: 'something that looks like a key', value: 'sk-abc' },
    { name: 'something that looks like an id', value: 'vk_abc' },
    { name: 'a leading dash', value: '-x' },
    { name: 'a leading space', value: ' x' },
    { name: 'a trailing space', value: 'x ' },
    { name: 'a line break', value: 'a\nb' },
    { name: 'a trailing line break', value: 'a\n' },
    { name: 'an escape sequence', value: 'a\u001b[31m' },
    { name: 'a bidirectional override', value: 'a\u202eb' },
    { name: 'quotes', value: '"a"' },
    { name: '101 characters', value: 'x'.repeat(101) },
    { name: 'a number', value: 7 },
    { name: 'an object', value: { toString: () => 'alice' } },
    { name: 'null', value: null },
  ])('refuses an alias: $name', async ({ value }) => {
    const error = await failureOf(() => parseAlias(value, 'key_alias', 'ERR_BAD_REQUEST'));
    expect(error.code).toBe('ERR_BAD_REQUEST');
    expect(error.message).toMatch(/^key_alias must be a name of up to 100 characters/);
  });

  it('quotes a refused alias, unless it may be a key', async () => {
    const refused = await failureOf(() => parseAlias("Bob's laptop", '--alias', 'ERR_BAD_OPTION'));
    expect(refused.message).toMatch(/, not "Bob's laptop"$/);
    const key = await failureOf(() => parseAlias(' sk-abcdef', '--alias', 'ERR_BAD_OPTION'));
    expect(key.message).not.toContain('abcdef');
  });

  it('names the flag of a bad alias, as a bad option of the command line', async () => {
    const error = await failureOf(() => parseAlias('sk-x', '--alias', 'ERR_BAD_OPTION'));
    expect([error.code, error.message.slice(0, 7)]).toEqual(['ERR_BAD_OPTION', '--alias']);
  });
});
