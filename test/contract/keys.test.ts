/** What is kept of a virtual key: its policy and everything else, changed, deleted, and seen by other processes. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyChanges, KeyPolicy, NewVirtualKeyRow, VirtualKeyRow } from '../../src/domain/key.ts';
import type { Store } from '../../src/domain/store.ts';
import { failureOf } from '../helpers/failure.ts';
import { aKeyRow } from '../helpers/store-rows.ts';
import { describeStores, type StorePlace } from './stores.ts';

const ALL_LIMITS: KeyPolicy = {
  models: ['anthropic.*', 'amazon.nova-*'],
  scope: 'all',
  regions: ['eu-*'],
  upstreams: [],
  budget: { limitNanoUsd: 25_000_000_000, windowMs: 86_400_000, anchorMs: 1_700_000_000_000 },
  allowUnpriced: true,
  requestsPerMinute: 60,
  tokensPerMinute: 100_000,
  maxParallel: 4,
  modelAliases: { fast: 'amazon.nova-lite-v1:0' },
  profile: 'research',
  roleArn: 'arn:aws:iam::111122223333:role/bedrock',
  inferenceProfiles: {
    'amazon.nova-lite-v1:0': ['arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcdefgh1234'],
  },
};

let place: StorePlace;
let store: Store;

async function insert(fields: Partial<NewVirtualKeyRow> = {}): Promise<NewVirtualKeyRow> {
  const row = aKeyRow(fields);
  await store.insertKey(row);
  return row;
}

/** Looks until it is so; the last look is as late as that. */
async function within(maxMs: number, look: () => Promise<void>): Promise<void> {
  for (const endsAt = performance.now() + maxMs; performance.now() < endsAt; await delay(5)) {
    const isSo = await look().then(
      () => true,
      () => false,
    );
    if (isSo) return;
  }
  await look();
}

const fresh = (row: NewVirtualKeyRow): VirtualKeyRow => ({
  ...row,
  updatedAtMs: row.createdAtMs,
  lastUsedAtMs: undefined,
  revokedAtMs: undefined,
  endsAtMs: undefined,
  blockedAtMs: undefined,
});

function withBudget(limitNanoUsd: number, windowMs: number | undefined): KeyPolicy {
  return { ...EMPTY_POLICY, budget: { limitNanoUsd, windowMs, anchorMs: 0 } };
}

describeStores(({ create, keyAgeMs }) => {
  beforeEach(async () => {
    place = await create();
    store = await place.open();
  });

  describe('a key', () => {
    it.each([
      { name: 'with everything', fields: { policy: ALL_LIMITS, expiresAtMs: 5, note: 'for CI', alias: 'Zoë' } },
      { name: 'with a budget without windows', fields: { policy: withBudget(0, undefined) } },
      {
        name: 'with a budget by the calendar',
        fields: {
          policy: {
            ...EMPTY_POLICY,
            budget: {
              limitNanoUsd: 1,
              windowMs: undefined,
              calendar: { unit: 'month' as const, timeZone: 'Asia/Kolkata' },
              givenAs: '1mo',
              anchorMs: 5,
            },
          },
        },
      },
      { name: 'with limits of nothing', fields: { policy: { ...EMPTY_POLICY, requestsPerMinute: 0, maxParallel: 0 } } },
      {
        name: 'with tags and metadata',
        fields: { tags: { team: 'a"b', '': '' }, metadata: { a: [1, null, { b: 'ü' }] } },
      },
      { name: 'with nothing', fields: {} },
    ])('gives a key $name back as it was put in', async ({ fields }) => {
      const row = await insert({ sealedKey: randomBytes(76), ...fields });
      expect(await store.findKeyBySha256(row.keySha256)).toStrictEqual(fresh(row));
      expect(await store.findKeyByAccessKeyId(row.accessKeyId)).toStrictEqual(fresh(row));
      expect(await store.listKeys()).toStrictEqual([fresh(row)]);
    });

    it('does not find a key under another name', async () => {
      const row = await insert();
      expect(await store.findKeyBySha256(row.accessKeyId)).toBeUndefined();
      expect(await store.findKeyByAccessKeyId(row.keySha256)).toBeUndefined();
      expect(await store.findKeyBySha256('')).toBeUndefined();
    });

    it('lists keys oldest first, however many have no alias', async () => {
      for (const createdAtMs of [30, 10, 20, 10]) await insert({ createdAtMs });
      const keys = await store.listKeys();
      expect(keys.map(({ createdAtMs }) => createdAtMs)).toEqual([10, 10, 20, 30]);
    });

    it('keeps a key revoked from the first time on', async () => {
      const row = await insert();
      expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBeUndefined();
      await store.revokeKey(row.id, 5_000);
      await store.revokeKey(row.id, 9_000);
      expect((await store.findKeyBySha256(row.keySha256))?.revokedAtMs).toBe(5_000);
      expect(await store.hasAnyKey()).toBe(true);
    });

    it('lets keys share an alias only if at most one of them is active', async () => {
      const first = await insert({ alias: 'alice' });
      const refusal = await failureOf(() => insert({ alias: 'alice' }));
      expect(refusal.code).toBe('ERR_BAD_REQUEST');
      expect(refusal.message).toBe('There is an active key with the alias "alice".');
      await store.revokeKey(first.id, 1);
      await insert({ alias: 'alice' });
      expect((await failureOf(() => insert({ alias: 'alice' }))).code).toBe('ERR_BAD_REQUEST');
      expect((await store.listKeys()).map(({ alias }) => alias)).toEqual(['alice', 'alice']);
    });
  });

  describe('a change', () => {
    const everything = {
      policy: ALL_LIMITS,
      tags: { a: 'b' },
      note: 'old',
      metadata: { a: 1 },
      alias: 'old',
      expiresAtMs: 99,
    };

    it.each<{ name: string; changes: KeyChanges }>([
      { name: 'the alias', changes: { alias: 'new' } },
      { name: 'no alias any more', changes: { alias: undefined } },
      { name: 'a block', changes: { blockedAtMs: 7 } },
      { name: 'no end any more', changes: { expiresAtMs: undefined } },
      { name: 'the policy', changes: { policy: EMPTY_POLICY } },
      { name: 'tags, note and metadata', changes: { tags: {}, note: undefined, metadata: {} } },
      { name: 'nothing', changes: {} },
    ])('changes $name, leaves the rest of a key, and shows it in every process', async ({ changes }) => {
      const row = await insert(everything);
      const other = await place.open();
      expect(await other.findKeyBySha256(row.keySha256)).toStrictEqual(fresh(row));
      expect(await store.findKeyBySha256(row.keySha256)).toStrictEqual(fresh(row));
      const expected = { ...fresh(row), ...changes, updatedAtMs: 1_800_000_000_000 };
      expect(await store.updateKey(row.id, changes, 1_800_000_000_000)).toStrictEqual(expected);
      expect(await store.findKeyBySha256(row.keySha256)).toStrictEqual(expected);
      await within(keyAgeMs, async () => expect(await other.findKeyBySha256(row.keySha256)).toStrictEqual(expected));
    });

    it('takes a block away again', async () => {
      const row = await insert();
      await store.updateKey(row.id, { blockedAtMs: 7 }, 7);
      expect((await store.updateKey(row.id, { blockedAtMs: undefined }, 8))?.blockedAtMs).toBeUndefined();
      expect((await store.findKeyBySha256(row.keySha256))?.blockedAtMs).toBeUndefined();
    });

    it('refuses to change an alias to that of another active key, and changes nothing else', async () => {
      await insert({ alias: 'taken' });
      const row = await insert({ alias: 'mine' });
      const refusal = await failureOf(() => store.updateKey(row.id, { alias: 'taken', note: 'x' }, 5));
      expect([refusal.code, refusal.message]).toEqual([
        'ERR_BAD_REQUEST',
        'There is an active key with the alias "taken".',
      ]);
      expect(await store.findKeyBySha256(row.keySha256)).toStrictEqual(fresh(row));
    });

    it('lets an alias be changed to itself', async () => {
      const row = await insert({ alias: 'mine' });
      expect((await store.updateKey(row.id, { alias: 'mine' }, 5))?.alias).toBe('mine');
    });

    it('changes no key that is not there', async () => {
      expect(await store.updateKey('vk_nobody', { note: 'x' }, 5)).toBeUndefined();
    });
  });

  describe('the time of the last change', () => {
    it.each<{ name: string; work: (id: string) => Promise<unknown>; updatedAtMs: number }>([
      { name: 'a revocation', work: (id) => store.revokeKey(id, 5_000), updatedAtMs: 5_000 },
      {
        name: 'a second revocation not',
        work: (id) => store.revokeKey(id, 5_000).then(() => store.revokeKey(id, 6_000)),
        updatedAtMs: 5_000,
      },
      {
        name: 'a rotation',
        work: (id) => store.rotateKey(id, aKeyRow({ createdAtMs: 7_000 }), 9_000),
        updatedAtMs: 7_000,
      },
    ])('dates the last change of a key by $name', async ({ work, updatedAtMs }) => {
      const row = await insert();
      await work(row.id);
      expect((await store.findKeyBySha256(row.keySha256))?.updatedAtMs).toBe(updatedAtMs);
    });
  });

  describe('a deleted key', () => {
    it('finds and lists a deleted key in no process, and keeps the proxy closed', async () => {
      const row = await insert({ alias: 'gone' });
      const other = await place.open();
      await other.findKeyBySha256(row.keySha256);
      await store.findKeyByAccessKeyId(row.accessKeyId);
      expect(await store.deleteKey(row.id, 5)).toBe(true);
      for (const each of [store, other]) {
        await within(each === other ? keyAgeMs : 0, async () => {
          expect(await each.findKeyBySha256(row.keySha256)).toBeUndefined();
          expect(await each.findKeyByAccessKeyId(row.accessKeyId)).toBeUndefined();
        });
        expect(await each.listKeys()).toEqual([]);
        expect(await each.hasAnyKey()).toBe(true);
      }
    });

    it('frees the alias of a deleted key', async () => {
      const row = await insert({ alias: 'again' });
      await store.deleteKey(row.id, 5);
      await insert({ alias: 'again' });
      expect((await store.listKeys()).map(({ alias }) => alias)).toEqual(['again']);
    });

    it('does not delete, change or rotate a deleted key again', async () => {
      const row = await insert();
      await store.deleteKey(row.id, 5);
      expect(await store.deleteKey(row.id, 6)).toBe(false);
      expect(await store.updateKey(row.id, { alias: 'back' }, 6)).toBeUndefined();
      expect((await failureOf(() => store.rotateKey(row.id, aKeyRow(), undefined))).code).toBe('ERR_BAD_REQUEST');
      expect(await store.listKeys()).toEqual([]);
    });

    it('does not report a deletion of a key that was never there', async () => {
      expect(await store.deleteKey('vk_nobody', 5)).toBe(false);
    });
  });

  describe('keys', () => {
    it('lists keys page by page, also past one that was deleted meanwhile', async () => {
      const rows = [await insert(), await insert({ createdAtMs: 1 }), await insert(), await insert({ createdAtMs: 1 })];
      const inOrder = [rows[1], rows[3], rows[0], rows[2]].map((row) => row?.id);
      expect((await store.listKeys()).map(({ id }) => id)).toEqual(inOrder);
      const first = await store.listKeys({ after: undefined, limit: 2 });
      expect(first.map(({ id }) => id)).toEqual(inOrder.slice(0, 2));
      await store.deleteKey(inOrder[1] ?? '', 5);
      const second = await store.listKeys({ after: inOrder[1], limit: 2 });
      expect(second.map(({ id }) => id)).toEqual(inOrder.slice(2));
      expect(await store.listKeys({ after: inOrder[3], limit: 2 })).toEqual([]);
    });

    const NAMED = ['exec-1', 'exec-2', 'exec', 'alice', 'Alice', 'exed', undefined];

    it.each([
      { name: 'nothing', names: {}, found: [] },
      { name: 'one id', names: { ids: ['id of alice'] }, found: ['alice'] },
      { name: 'ids, one of them of nobody', names: { ids: ['id of exec', 'id of bob'] }, found: ['exec'] },
      { name: 'an alias, letter by letter', names: { aliases: ['alice'] }, found: ['alice'] },
      { name: 'an alias and an id', names: { aliases: ['alice'], ids: ['id of exec'] }, found: ['exec', 'alice'] },
      { name: 'the same key twice', names: { aliases: ['alice'], ids: ['id of alice'] }, found: ['alice'] },
      { name: 'the beginning of an alias', names: { aliasPrefix: 'exec-' }, found: ['exec-1', 'exec-2'] },
      { name: 'a whole alias as a beginning', names: { aliasPrefix: 'exec' }, found: ['exec-1', 'exec-2', 'exec'] },
    ])('finds keys by $name', async ({ names, found }) => {
      for (const alias of NAMED) await insert({ alias, id: `id of ${alias}` });
      expect((await store.findKeys(names)).map(({ alias }) => alias)).toEqual(found);
    });

    it('finds ended keys by their alias, but not deleted ones', async () => {
      const rows = [await insert({ alias: 'a' }), await insert({ alias: 'b' })];
      await store.revokeKey(rows[0]?.id ?? '', 5);
      await insert({ alias: 'a' });
      await store.deleteKey(rows[1]?.id ?? '', 5);
      const found = await store.findKeys({ aliases: ['a', 'b'] });
      expect(found.map(({ alias, revokedAtMs }) => [alias, revokedAtMs])).toEqual([
        ['a', 5],
        ['a', undefined],
      ]);
    });
  });
});
