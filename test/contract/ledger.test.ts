/** The ledger: every field comes back, filters keep what they say, pages follow each other, old rows go. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { LedgerFilter, LedgerRow } from '../../src/domain/ledger.ts';
import type { Store } from '../../src/domain/store.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';
import { describeStores, type StorePlace } from './stores.ts';

let place: StorePlace;
let store: Store;

async function write(...rows: Partial<LedgerRow>[]): Promise<void> {
  await store.settleAll(rows.map((fields) => aLedgerRow(fields)));
}

const ALL = { after: 0, limit: 1_000 };

async function idsOf(filter: LedgerFilter, page = ALL): Promise<string[]> {
  return (await store.readLedger(filter, page)).map(({ id }) => id);
}

describeStores(({ create }) => {
  beforeEach(async () => {
    place = await create();
    store = await place.open();
  });

  describe('a row', () => {
    const nothing: LedgerRow = {
      ...aLedgerRow({ principal: 'anonymous', keyId: undefined, keyLabel: 'anonymous', pricing: 'unpriced' }),
      service: undefined,
      operation: undefined,
      region: undefined,
      upstream: undefined,
      attempts: undefined,
      source: 'cassette',
      fault: undefined,
      model: undefined,
      status: undefined,
      costNanoUsd: undefined,
    };
    const everything: LedgerRow = {
      id: '0b5f6b0e-6d0b-4f0e-9a53-7f5f0d7d2f11',
      requests: 41_994,
      startedAtMs: 1_767_225_600_123,
      principal: 'key',
      keyId: 'vk_abcdefghijklmnop',
      keyLabel: 'Zoë',
      service: 'bedrock-runtime',
      operation: 'ConverseStream',
      region: 'eu-central-1',
      upstream: 'frankfurt',
      attempts: 2,
      model: 'arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0',
      modelAlias: 'pro',
      inferenceProfile: 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc',
      source: undefined,
      fault: 'gap#12',
      cacheVerdict: 'changed',
      cacheLostNanoUsd: 110_000_000,
      status: 200,
      errorCode: 'ERR_UPSTREAM_RESET',
      errorMessage: 'The upstream broke off.',
      method: 'POST',
      path: '/bedrock/model/a/converse',
      upstreamRequestId: '9f5f6b0e-6d0b-4f0e-9a53-7f5f0d7d2f12',
      usage: {
        inputTokens: 1,
        outputTokens: 2,
        cacheReadTokens: 3,
        cacheWriteTokens: 4,
        cacheWrite1hTokens: 5,
        inputAudioTokens: 6,
        outputAudioTokens: 7,
        images: 8,
        units: { videoSeconds: 6, webSearches: 0 },
        guardrailUnits: { contentPolicyUnits: 9, topic: 0 },
      },
      serviceTier: 'flex',
      pricing: 'priced',
      priceSource: 'aws',
      session: 'a-session',
      agent: 'an agent',
      costNanoUsd: Number.MAX_SAFE_INTEGER - 1,
      chargedNanoUsd: Number.MAX_SAFE_INTEGER,
      partial: true,
      firstByteMs: 350.25,
      totalMs: 86_400_000.5,
      requestBytes: 5_000_000_000,
      responseBytes: 6,
      tags: { team: 'a"b\n', '': '', ['__proto__']: 'x' },
      userAgent: 'boto3',
    };
    const zeros = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0 };

    it.each([
      { name: 'with everything', row: everything },
      { name: 'with nothing', row: nothing },
      {
        name: 'with zeros',
        row: {
          ...aLedgerRow({ keyId: undefined, principal: 'master', pricing: 'free', costNanoUsd: 0, chargedNanoUsd: 0 }),
          startedAtMs: 0,
          status: 0,
          firstByteMs: 0,
          totalMs: 0,
          usage: { ...zeros, inputAudioTokens: 0, outputAudioTokens: 0, images: 0, guardrailUnits: {} },
        },
      },
      {
        name: 'with empty texts',
        row: { ...nothing, keyLabel: '', service: '', model: '', errorCode: '', serviceTier: '' },
      },
      { name: 'with a usage of nothing', row: { ...everything, usage: {} } },
      { name: 'with some usage', row: { ...everything, usage: { outputTokens: 5 } } },
    ])('gives a row $name back as it was written', async ({ row }) => {
      await store.settle(row);
      expect(await store.readLedger({}, ALL)).toEqual([{ ...row, sequence: 1 }]);
      expect(await store.readLedgerBackwards({}, { limit: 1 })).toEqual([{ ...row, sequence: 1 }]);
    });
  });

  describe('a filter', () => {
    const rows = [
      { id: 'a', startedAtMs: 10, keyId: 'vk_a', status: 200, model: 'm', operation: 'Converse' },
      { id: 'b', startedAtMs: 30, keyId: 'vk_b', status: 400, model: 'n', operation: 'InvokeModel' },
      { id: 'c', startedAtMs: 20, keyId: 'vk_a', status: 499, model: undefined, operation: 'Converse' },
      {
        id: 'd',
        startedAtMs: 40,
        keyId: undefined,
        principal: 'master',
        status: 500,
        model: 'm',
        operation: undefined,
      },
      {
        id: 'e',
        startedAtMs: 50,
        keyId: 'vk_c',
        status: undefined,
        tags: { team: 'x', 'a"b': "'" },
        model: "m' OR 1=1 --",
        operation: 'Converse',
      },
    ] as const;

    it.each<{ name: string; filter: LedgerFilter; kept: string }>([
      { name: 'nothing', filter: {}, kept: 'abcde' },
      { name: 'a time from its first millisecond on', filter: { sinceMs: 20 }, kept: 'bcde' },
      { name: 'a time up to the millisecond before its end', filter: { untilMs: 30 }, kept: 'ac' },
      { name: 'a time between', filter: { sinceMs: 20, untilMs: 40 }, kept: 'bc' },
      { name: 'a time in which nothing was', filter: { sinceMs: 51 }, kept: '' },
      { name: 'a key', filter: { keyIds: ['vk_a'] }, kept: 'ac' },
      { name: 'several keys', filter: { keyIds: ['vk_c', 'vk_a'] }, kept: 'ace' },
      { name: 'no key at all', filter: { keyIds: [] }, kept: '' },
      { name: 'a key without name, which is not the master key', filter: { keyIds: [''] }, kept: '' },
      { name: 'an id', filter: { id: 'b' }, kept: 'b' },
      { name: 'a class of status, both ends included', filter: { status: [400, 499] }, kept: 'bc' },
      { name: 'a status', filter: { status: [500, 500] }, kept: 'd' },
      { name: 'a model, to the letter', filter: { model: 'm' }, kept: 'ad' },
      { name: 'a model that would be SQL', filter: { model: "m' OR 1=1 --" }, kept: 'e' },
      { name: 'an operation', filter: { operation: 'Converse' }, kept: 'ace' },
      { name: 'a tag', filter: { tags: { team: 'x' } }, kept: 'e' },
      { name: 'a tag with another value', filter: { tags: { team: 'y' } }, kept: '' },
      { name: 'tags that would be SQL or a path', filter: { tags: { 'a"b': "'", team: 'x' } }, kept: 'e' },
      { name: 'tags of which a row has one', filter: { tags: { team: 'x', ci: '' } }, kept: '' },
      { name: 'several things', filter: { keyIds: ['vk_a', 'vk_b'], sinceMs: 15, status: [400, 498] }, kept: 'b' },
    ])('keeps of the rows abcde by a filter for $name: $kept', async ({ filter, kept }) => {
      await write(...rows);
      expect((await idsOf(filter)).join('')).toBe(kept);
      const backwards = await store.readLedgerBackwards(filter, { limit: 9 });
      expect(backwards.map(({ id }) => id).join('')).toBe([...kept].toReversed().join(''));
      expect((await store.sumUsage({ filter, by: ['model'] })).total.requests).toBe(kept.length);
      expect((await store.sumUsage({ filter, by: ['key'] })).total.requests).toBe(kept.length);
    });
  });

  describe('pages', () => {
    it('pages forwards and backwards through the rows, whatever the filter', async () => {
      await write(
        ...Array.from({ length: 10 }, (_, index) => ({ id: String(index), status: index % 2 === 0 ? 200 : 400 })),
      );
      const filter = { status: [400, 400] } as const;
      const first = await store.readLedger(filter, { after: 0, limit: 3 });
      expect(first.map(({ id }) => id).join('')).toBe('135');
      expect(await idsOf(filter, { after: first.at(-1)?.sequence ?? 0, limit: 3 })).toEqual(['7', '9']);
      const newest = await store.readLedgerBackwards(filter, { limit: 2 });
      expect(newest.map(({ id }) => id).join('')).toBe('97');
      const older = await store.readLedgerBackwards(filter, { before: newest.at(-1)?.sequence, limit: 9 });
      expect(older.map(({ id }) => id).join('')).toBe('531');
    });

    it('shows in a page what another process wrote since', async () => {
      await write({ id: 'mine' });
      const other = await place.open();
      await other.settle(aLedgerRow({ id: 'theirs' }));
      await other.close();
      expect(await idsOf({}, { after: 1, limit: 9 })).toEqual(['theirs']);
    });

    it('gives empty pages of an empty ledger', async () => {
      expect(await idsOf({})).toEqual([]);
      expect(await store.readLedgerBackwards({ sinceMs: 5 }, { limit: 9 })).toEqual([]);
    });
  });

  describe('pruning', () => {
    it('prunes the oldest rows first, in steps, and nothing that is young enough', async () => {
      await write(...[50, 10, 40, 20, 30].map((startedAtMs) => ({ id: String(startedAtMs), startedAtMs })));
      expect(await store.pruneLedger(40, 2)).toBe(2);
      expect(await idsOf({})).toEqual(['50', '40', '30']);
      expect(await store.pruneLedger(40, 2)).toBe(1);
      expect(await store.pruneLedger(40, 2)).toBe(0);
      expect(await idsOf({})).toEqual(['50', '40']);
    });

    it('never gives a sequence out again after it pruned', async () => {
      await write({ id: 'old', startedAtMs: 1 }, { id: 'last', startedAtMs: 2 });
      await store.pruneLedger(100, 9);
      await write({ id: 'next' });
      expect((await store.readLedger({}, ALL)).map(({ sequence }) => sequence)).toEqual([3]);
    });

    it('is as large as the rows it has, not as those it had', async () => {
      const empty = await store.findSizeBytes();
      await write(
        ...Array.from({ length: 500 }, (_, at) => ({ id: `row-${at}`, startedAtMs: 1, model: 'm'.repeat(500) })),
      );
      const full = await store.findSizeBytes();
      expect(full - empty).toBeGreaterThan(250_000);
      await store.pruneLedger(100, 1_000);
      expect(await store.findSizeBytes()).toBeLessThan(full / 2);
    });

    it('leaves what keys have spent after it pruned', async () => {
      await write({ startedAtMs: 1, chargedNanoUsd: 5 });
      await store.pruneLedger(100, 9);
      const spend = await store.findSpend([{ id: 'vk_a', policy: EMPTY_POLICY }], 0);
      expect(spend.get('vk_a')?.totalNanoUsd).toBe(5);
    });
  });
});
