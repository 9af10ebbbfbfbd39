import { describe, expect, it } from 'vitest';
import { AdminError } from '../../src/admin/envelope.ts';
import { toBudgetFields } from '../../src/admin/budget-fields.ts';
import { type KeyBefore, NEW_KEY, readChanges } from '../../src/admin/key-fields.ts';
import { toLiteLlmKey } from '../../src/admin/key-row.ts';
import { generateRequest, type KeyFields, keyRow } from '../../src/admin/schemas.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { Budget, KeyPolicy, VirtualKeyRow } from '../../src/domain/key.ts';

const NOW = Date.UTC(2030, 0, 15, 12);
const DAY_MS = 86_400_000;

const FULL: KeyPolicy = {
  models: ['x*'],
  scope: 'all',
  regions: ['eu-*'],
  upstreams: [],
  budget: { limitNanoUsd: 5e9, windowMs: DAY_MS, anchorMs: 1_000 },
  allowUnpriced: true,
  requestsPerMinute: 1,
  tokensPerMinute: 2,
  maxParallel: 3,
  modelAliases: { fast: 'amazon.nova-lite-v1:0' },
  profile: 'research',
  roleArn: 'arn:aws:iam::111122223333:role/bedrock',
  inferenceProfiles: {
    'amazon.nova-lite-v1:0': ['arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcdefgh1234'],
  },
};
const FULL_KEY: KeyBefore = { policy: FULL, tags: { user_id: 'u', team_id: 't', a: 'b' } };

/** By way of the schema, as a request comes. */
const change = (fields: object, before: KeyBefore = NEW_KEY): ReturnType<typeof readChanges> =>
  readChanges(generateRequest.parse(fields), before, NOW);
const policyOf = (fields: object, before: KeyBefore = NEW_KEY): KeyPolicy | undefined => change(fields, before).policy;

function findRefusal(fields: object, before: KeyBefore = NEW_KEY): AdminError | undefined {
  try {
    change(fields, before);
    return undefined;
  } catch (error) {
    if (error instanceof AdminError) return error;
    throw error;
  }
}

describe('the fields of a request', () => {
  it('changes nothing of a policy if there are no fields', () => {
    expect(change({}, FULL_KEY)).toEqual({});
  });

  it.each<{ fields: KeyFields; policy: Partial<KeyPolicy> }>([
    { fields: { models: ['a*', 'b'] }, policy: { models: ['a*', 'b'] } },
    { fields: { models: ['a', 'all-team-models'] }, policy: { models: [] } },
    { fields: { models: ['all-proxy-models'] }, policy: { models: [] } },
    { fields: { models: ['*'] }, policy: { models: [] } },
    { fields: { models: [] }, policy: { models: [] } },
    {
      fields: { inference_profiles: { a: ['arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/b'] } },
      policy: { inferenceProfiles: { a: ['arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/b'] } },
    },
    { fields: { regions: ['EU-*'] }, policy: { regions: ['eu-*'] } },
    { fields: { rpm_limit: 7 }, policy: { requestsPerMinute: 7 } },
    { fields: { tpm_limit: 7 }, policy: { tokensPerMinute: 7 } },
    { fields: { max_parallel_requests: 7 }, policy: { maxParallel: 7 } },
    { fields: { allow_unpriced: false }, policy: { allowUnpriced: false } },
    { fields: { scope: 'default' }, policy: { scope: 'default' } },
    { fields: { scope: 'default', allowed_routes: ['llm_api_routes'] }, policy: { scope: 'default' } },
    { fields: { allowed_routes: ['llm_api_routes'] }, policy: { scope: 'default' } },
    { fields: { key_type: 'llm_api' }, policy: { scope: 'default' } },
    { fields: { scope: 'inference', allowed_routes: ['llm_api_routes'] }, policy: { scope: 'inference' } },
    { fields: { max_budget: 7.25 }, policy: { budget: { limitNanoUsd: 7.25e9, windowMs: DAY_MS, anchorMs: 1_000 } } },
    {
      fields: { budget_duration: '12h' },
      policy: { budget: { limitNanoUsd: 5e9, windowMs: DAY_MS / 2, givenAs: '12h', anchorMs: NOW } },
    },
    {
      fields: { budget_duration: null },
      policy: { budget: { limitNanoUsd: 5e9, windowMs: undefined, anchorMs: NOW } },
    },
  ])('changes by $fields what they name, and leaves the rest of the policy', ({ fields, policy }) => {
    expect(policyOf(fields, FULL_KEY)).toEqual({ ...FULL, ...policy });
  });

  it.each([{ allowed_routes: [] }, { key_type: null }, { allowed_routes: null, key_type: null }])(
    'asks for nothing by %j',
    (fields) => {
      expect(policyOf(fields, FULL_KEY)).toBeUndefined();
    },
  );

  it('takes limits away by null', () => {
    const all = {
      models: null,
      regions: null,
      scope: null,
      max_budget: null,
      budget_duration: null,
      rpm_limit: null,
      tpm_limit: null,
      max_parallel_requests: null,
      aliases: null,
      allow_unpriced: null,
      profile: null,
      role_arn: null,
      inference_profiles: null,
    };
    expect(policyOf(all, FULL_KEY)).toEqual(EMPTY_POLICY);
    expect(
      change({ key_alias: null, duration: null, note: null, metadata: null, user_id: null, tags: null }, FULL_KEY),
    ).toEqual({
      alias: undefined,
      expiresAtMs: undefined,
      note: undefined,
      metadata: {},
      tags: { team_id: 't' },
    });
  });

  it('takes an empty alias and an empty note for none', () => {
    expect(change({ key_alias: '', note: '' }, FULL_KEY)).toEqual({ alias: undefined, note: undefined });
  });

  it.each([
    { duration: '30s', expiresAtMs: NOW + 30_000 },
    { duration: '30m', expiresAtMs: NOW + 1_800_000 },
    { duration: '30h', expiresAtMs: NOW + 30 * 3_600_000 },
    { duration: '30d', expiresAtMs: NOW + 30 * DAY_MS },
    { duration: '-1', expiresAtMs: undefined },
  ])('lets a key live for $duration', ({ duration, expiresAtMs }) => {
    expect(change({ duration })).toEqual({ expiresAtMs });
  });

  it.each([
    { fields: { tags: ['x', 'k=v', 'e=a=b'] }, tags: { user_id: 'u', team_id: 't', x: '', k: 'v', e: 'a=b' } },
    { fields: { user_id: 'w' }, tags: { user_id: 'w', team_id: 't', a: 'b' } },
    { fields: { team_id: '', user_id: null }, tags: { a: 'b' } },
    { fields: { metadata: { tags: ['x'] } }, tags: { user_id: 'u', team_id: 't', x: '' } },
    { fields: { metadata: { tags: ['x'] }, tags: ['y'] }, tags: { user_id: 'u', team_id: 't', y: '' } },
    { fields: { metadata: { tags: 'x' } }, tags: undefined },
  ])('makes tags of $fields', ({ fields, tags }) => {
    expect(change(fields, FULL_KEY).tags).toEqual(tags);
  });

  it.each([
    { usd: 0, nanoUsd: 0 },
    { usd: 0.1, nanoUsd: 100_000_000 },
    { usd: 0.1 + 0.2, nanoUsd: 300_000_000 },
    { usd: 1e-9, nanoUsd: 1 },
    { usd: 123456.789012345, nanoUsd: 123_456_789_012_345 },
    { usd: 1_000_000, nanoUsd: 1e15 },
    { usd: 5e-10, nanoUsd: 1 },
    { usd: 1e-10, nanoUsd: 1 },
    { usd: 0.1234567891, nanoUsd: 123_456_790 },
    { usd: 0.1234567899, nanoUsd: 123_456_790 },
  ])('takes $usd dollars as $nanoUsd nano-dollars', ({ usd, nanoUsd }) => {
    expect(policyOf({ max_budget: usd })?.budget).toEqual({
      limitNanoUsd: nanoUsd,
      windowMs: undefined,
      anchorMs: NOW,
    });
  });

  it.each([
    { fields: { max_budget: -0.01 }, param: 'max_budget' },
    { fields: { profile: 'research' }, param: 'profile' },
    { fields: { role_arn: 'arn:aws:iam::111122223333:role/bedrock' }, param: 'role_arn' },
    { fields: { inference_profiles: { a: ['b'] } }, param: 'inference_profiles' },
    { fields: { max_budget: -1e-10 }, param: 'max_budget' },
    { fields: { max_budget: 1_000_000.01 }, param: 'max_budget' },
    { fields: { max_budget: 1e300 }, param: 'max_budget' },
    { fields: { budget_duration: '30d' }, param: 'budget_duration' },
    { fields: { max_budget: null, budget_duration: '30d' }, param: 'budget_duration' },
    { fields: { max_budget: 1, budget_duration: 'fortnightly' }, param: 'budget_duration' },
    { fields: { max_budget: 1, budget_duration: 'constructor' }, param: 'budget_duration' },
    { fields: { max_budget: 1, budget_duration: '0d' }, param: 'budget_duration' },
    { fields: { max_budget: 1, budget_duration: 'month', budget_timezone: null }, param: 'budget_duration' },
    { fields: { max_budget: 1, budget_duration: '1mo', budget_timezone: 'Mars/Olympus' }, param: 'budget_timezone' },
    { fields: { max_budget: 1, budget_duration: '12h', budget_timezone: 'UTC' }, param: 'budget_timezone' },
    { fields: { max_budget: 1, budget_duration: null, budget_timezone: 'UTC' }, param: 'budget_timezone' },
    { fields: { max_budget: 1, budget_timezone: 'UTC' }, param: 'budget_timezone' },
    { fields: { budget_timezone: 'UTC' }, param: 'budget_timezone' },
    { fields: { max_budget: -7 }, param: 'max_budget' },
    { fields: { duration: '0s' }, param: 'duration' },
    { fields: { duration: '' }, param: 'duration' },
    { fields: { key_alias: 'sk-x' }, param: 'key_alias' },
    { fields: { key_alias: 'a\u001b[2Jb' }, param: 'key_alias' },
    { fields: { tags: ['a=\u202eb'] }, param: 'tags' },
    { fields: { models: ['a b'] }, param: 'models' },
    { fields: { models: [''] }, param: 'models' },
    { fields: { regions: ['mars!'] }, param: 'regions' },
    { fields: { note: 'two\nlines' }, param: 'note' },
    { fields: { tags: ['=v'] }, param: 'tags' },
    { fields: { tags: ['user_id=me'] }, param: 'tags' },
    { fields: { team_id: 'a\u202eb' }, param: 'team_id' },
    { fields: { allowed_routes: ['llm_api_routes', '/key/generate'] }, param: 'allowed_routes' },
    { fields: { scope: 'all', allowed_routes: ['llm_api_routes'] }, param: 'scope' },
    { fields: { scope: 'all', key_type: 'default' }, param: 'scope' },
    { fields: { metadata: { guardrails: ['pii'] } }, param: 'metadata' },
    { fields: { metadata: { model_rpm_limit: { x: 1 } } }, param: 'metadata' },
    { fields: { metadata: { big: 'ä'.repeat(8_192) } }, param: 'metadata' },
  ])('refuses $fields and names $param', ({ fields, param }) => {
    expect(findRefusal(fields)).toMatchObject({ status: 400, param });
    expect(findRefusal(fields)?.message).toContain(param);
  });

  it('does not widen a key by the routes that it shows itself', () => {
    const before: KeyBefore = { policy: { ...FULL, scope: 'inference' }, tags: {} };
    expect(policyOf({ allowed_routes: ['llm_api_routes'], note: 'x' }, before)?.scope ?? 'inference').toBe('inference');
    expect(policyOf({ allowed_routes: ['llm_api_routes'] }, FULL_KEY)?.scope).toBe('default');
  });

  it('takes 16 KB of metadata, and lists in it that say nothing', () => {
    const metadata = { guardrails: [], x: 'y'.repeat(16_384 - '{"guardrails":[],"x":""}'.length) };
    expect(change({ metadata })).toEqual({ metadata });
    expect(findRefusal({ metadata: { ...metadata, x: `${metadata.x}y` } })?.param).toBe('metadata');
  });

  it('refuses metadata that is nested too deep to be written again', () => {
    const metadata = JSON.parse(`{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}`) as object;
    expect(findRefusal({ metadata })?.param).toBe('metadata');
  });
});

describe('the windows of a budget', () => {
  const ROLLING = { limitNanoUsd: 5e9, windowMs: 30 * DAY_MS, anchorMs: 1_000 };
  const month = (timeZone: string, anchorMs = NOW): object => ({
    limitNanoUsd: 5e9,
    windowMs: undefined,
    calendar: { unit: 'month', timeZone },
    anchorMs,
  });
  const MONTHLY = { ...month('Europe/Berlin', 1_000), givenAs: '30d' } as Budget;

  it.each<{ name: string; unit: string }>([
    ...['1d', '24h', 'day', 'daily', '1D'].map((name) => ({ name, unit: 'day' })),
    ...['7d', '1w', 'week', 'Weekly'].map((name) => ({ name, unit: 'week' })),
    ...['30d', '1mo', 'month', ' monthly '].map((name) => ({ name, unit: 'month' })),
  ])("are by the calendar of UTC if asked for by LiteLLM's name $name", ({ name, unit }) => {
    expect(policyOf({ max_budget: 5, budget_duration: name })?.budget).toEqual({
      limitNanoUsd: 5e9,
      windowMs: undefined,
      calendar: { unit, timeZone: 'UTC' },
      givenAs: name.trim(),
      anchorMs: NOW,
    });
  });

  it.each<{ name: string; before: Budget; fields: object; after: object }>([
    {
      name: 'another length',
      before: ROLLING,
      fields: { budget_duration: '2mo' },
      after: { ...ROLLING, windowMs: 60 * DAY_MS, givenAs: '2mo', anchorMs: NOW },
    },
    { name: 'the length as it is shown', before: ROLLING, fields: { budget_duration: '30d' }, after: ROLLING },
    {
      name: 'the same by its other name',
      before: ROLLING,
      fields: { budget_duration: '1mo' },
      after: { ...month('UTC'), givenAs: '1mo' },
    },
    { name: 'a zone', before: ROLLING, fields: { budget_timezone: 'UTC' }, after: { ...month('UTC'), givenAs: '30d' } },
    { name: 'no zone', before: ROLLING, fields: { budget_timezone: null }, after: { ...ROLLING, givenAs: '30d' } },
    { name: 'an empty zone', before: ROLLING, fields: { budget_timezone: '' }, after: ROLLING },
    { name: 'the month as it is shown', before: MONTHLY, fields: { budget_duration: '30d' }, after: MONTHLY },
    {
      name: 'the month by another name',
      before: MONTHLY,
      fields: { budget_duration: '1mo' },
      after: { ...MONTHLY, givenAs: '1mo' },
    },
    {
      name: 'a month of another zone',
      before: MONTHLY,
      fields: { budget_timezone: 'asia/tokyo' },
      after: { ...month('Asia/Tokyo'), givenAs: '30d' },
    },
    {
      name: 'a length in its place',
      before: MONTHLY,
      fields: { budget_timezone: null },
      after: { ...ROLLING, givenAs: '30d', anchorMs: NOW },
    },
    { name: 'another limit', before: MONTHLY, fields: { max_budget: 7 }, after: { ...MONTHLY, limitNanoUsd: 7e9 } },
    {
      name: 'none',
      before: MONTHLY,
      fields: { budget_duration: null },
      after: { limitNanoUsd: 5e9, windowMs: undefined, anchorMs: NOW },
    },
    {
      name: 'an empty name',
      before: MONTHLY,
      fields: { budget_duration: '' },
      after: { limitNanoUsd: 5e9, windowMs: undefined, anchorMs: NOW },
    },
    {
      name: 'the word for none',
      before: MONTHLY,
      fields: { budget_duration: 'total' },
      after: { limitNanoUsd: 5e9, windowMs: undefined, anchorMs: NOW },
    },
  ])('change by $name', ({ before, fields, after }) => {
    expect(policyOf(fields, { policy: { ...FULL, budget: before }, tags: {} })?.budget).toStrictEqual(after);
  });

  it('go with the budget', () => {
    const fields = { max_budget: null, budget_duration: null, budget_timezone: null };
    expect(policyOf(fields, { policy: { ...FULL, budget: MONTHLY }, tags: {} })?.budget).toBeUndefined();
  });

  it.each<{ budget: Budget | undefined; shown: readonly unknown[] }>([
    { budget: undefined, shown: [null, null, null] },
    { budget: ROLLING, shown: [5, '30d', null] },
    { budget: { ...ROLLING, windowMs: 14 * DAY_MS, givenAs: '2w' }, shown: [5, '2w', null] },
    { budget: { ...ROLLING, windowMs: undefined }, shown: [5, null, null] },
    { budget: MONTHLY, shown: [5, '30d', 'Europe/Berlin'] },
    { budget: month('UTC', 1_000) as Budget, shown: [5, '1mo', 'UTC'] },
  ])('are shown as $shown, and taken back so', ({ budget, shown }) => {
    const fields = toBudgetFields(budget);
    expect(Object.values(fields)).toEqual(shown);
    const before = { policy: { ...FULL, budget }, tags: {} };
    const again = policyOf(fields, before)?.budget;
    expect(again?.anchorMs).toBe(budget?.anchorMs);
    expect(toBudgetFields(again)).toEqual(fields);
  });
});

describe('a key as it is shown', () => {
  const row: VirtualKeyRow = {
    id: 'vk_aaaaaaaaaaaaaaaa',
    alias: 'a',
    keySha256: 'ab'.repeat(32),
    lastFour: 'wxyz',
    accessKeyId: 'BRPXAAAAAAAAAAAAAAAA',
    sealedKey: Buffer.from('sealed'),
    createdAtMs: NOW,
    updatedAtMs: NOW + 1,
    lastUsedAtMs: NOW + 2,
    revokedAtMs: undefined,
    endsAtMs: NOW + 5_000,
    expiresAtMs: NOW + 9_000,
    blockedAtMs: undefined,
    policy: FULL,
    tags: { ...FULL_KEY.tags, bare: '' },
    note: 'n',
    metadata: { m: [1] },
  };
  const spend = {
    totalNanoUsd: 3_000_000_001,
    windowNanoUsd: 100_000_000,
    reservedNanoUsd: 7,
    resetsAtMs: NOW + DAY_MS,
  };

  it('shows of a key what was asked for, in the units of LiteLLM', () => {
    const shown = toLiteLlmKey(row, spend, NOW);
    expect(keyRow.parse(shown)).toMatchObject({
      key_name: 'sk-...wxyz',
      status: 'ending',
      expires: new Date(NOW + 5_000).toISOString(),
      max_budget: 5,
      budget_duration: '1d',
      budget_reset_at: new Date(NOW + DAY_MS).toISOString(),
      spend: 0.1,
      total_spend: 3.000000001,
      rpm_limit: 1,
      user_id: 'u',
      team_id: 't',
      tags: ['a=b', 'bare'],
      allowed_routes: [],
      last_used_at: new Date(NOW + 2).toISOString(),
    });
    expect(JSON.stringify(shown)).not.toContain('sealed');
  });

  it('takes a key back in as it showed it', () => {
    const { max_budget, budget_duration, models, regions, scope, allow_unpriced, rpm_limit, tpm_limit, note } =
      toLiteLlmKey(row, spend, NOW);
    const { max_parallel_requests, tags, user_id, team_id, metadata } = toLiteLlmKey(row, spend, NOW);
    const fields = { max_budget, budget_duration, models, regions, scope, allow_unpriced, rpm_limit, tpm_limit, note };
    const again = change({ ...fields, max_parallel_requests, tags, user_id, team_id, metadata }, row);
    expect(again).toEqual({ policy: FULL, tags: row.tags, note: 'n', metadata: row.metadata });
  });
});
