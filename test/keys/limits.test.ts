/** The table of limits: what the commands, the admin API and the store rely on, whatever limits there are. */
import { describe, expect, it } from 'vitest';
import {
  describePolicy,
  EMPTY_POLICY,
  LIMIT_FLAGS,
  LIMITS,
  policyToJson,
  readPolicyFlags,
} from '../../src/keys/limits.ts';
import type { LimitValues } from '../../src/keys/define-limit.ts';
import { failureOf } from '../helpers/failure.ts';
import { findLocalTimeZone } from '../../src/lib/calendar.ts';

it('allows by an empty policy what every key may do, and lets nobody change it', () => {
  expect(EMPTY_POLICY).toMatchObject({ models: [], scope: 'default', regions: [], allowUnpriced: false });
  expect([EMPTY_POLICY, EMPTY_POLICY.models, EMPTY_POLICY.regions].every(Object.isFrozen)).toBe(true);
});

it('gives no two limits a flag, a word or a field of the same name', () => {
  const fields = Object.values(LIMITS).flatMap((limit) => ('field' in limit ? [limit.field.name] : []));
  for (const names of [
    LIMIT_FLAGS.map(({ name }) => name),
    describePolicy(EMPTY_POLICY).map(([name]) => name),
    fields,
  ]) {
    expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
  }
});

it('says nothing of the limits of a key that has none', () => {
  expect(describePolicy(EMPTY_POLICY).filter(([, text]) => text !== undefined)).toEqual([]);
});

describe('flags', () => {
  const NOW_MS = 1_000;
  const given = { models: ['a*'], budget: '5', budgetWindow: '1d', allowUnpriced: true, rpm: '60', maxParallel: '4' };
  const MODEL_ALIAS = ['fast=amazon.nova-lite-v1:0', ' slow = bedrock/us.amazon.nova-pro-v1:0 '];

  it('reads aliases of models, and takes them away', () => {
    const policy = readPolicyFlags({ modelAlias: MODEL_ALIAS }, EMPTY_POLICY, NOW_MS) ?? EMPTY_POLICY;
    expect(policy.modelAliases).toEqual({ fast: 'amazon.nova-lite-v1:0', slow: 'us.amazon.nova-pro-v1:0' });
    expect(readPolicyFlags({ modelAlias: ['none'] }, policy, NOW_MS)).toEqual(EMPTY_POLICY);
  });

  it.each([
    { given: 'fast', reason: 'the id or ARN of a model' },
    { given: 'fast=', reason: 'the id or ARN of a model' },
    { given: '=amazon.nova-lite-v1:0', reason: 'names of up to 256' },
    { given: '__proto__=amazon.nova-lite-v1:0', reason: 'names of up to 256' },
    { given: 'a*=amazon.nova-lite-v1:0', reason: 'names of up to 256' },
    { given: 'up=..', reason: 'the id or ARN of a model' },
    { given: 'up=x/../../guardrails', reason: 'the id or ARN of a model' },
    { given: 'up=a?b', reason: 'the id or ARN of a model' },
    { given: 'up=a%2Fb', reason: 'the id or ARN of a model' },
    { given: 'a=amazon.x,a=amazon.y', reason: 'each model once' },
  ])('refuses the alias $given', async ({ given: alias, reason }) => {
    const read = (): unknown => readPolicyFlags({ modelAlias: [alias] }, EMPTY_POLICY, NOW_MS);
    expect(await failureOf(read)).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringContaining(reason) });
  });

  const ROLE = 'arn:aws:iam::111122223333:role/bedrock';
  const [US, EU] = ['us-east-1', 'eu-west-1'].map(
    (region) => `arn:aws:bedrock:${region}:111122223333:application-inference-profile/abc`,
  );

  it('reads profile, role and inference profiles, and takes them away', () => {
    const inferenceProfile = [`amazon.nova-lite-v1:0=${US}`, `amazon.nova-lite-v1:0=${EU}`];
    const flags = { profile: ' research ', roleArn: ROLE, inferenceProfile };
    const policy = readPolicyFlags(flags, EMPTY_POLICY, NOW_MS) ?? EMPTY_POLICY;
    expect(policy).toEqual({
      ...EMPTY_POLICY,
      profile: 'research',
      roleArn: ROLE,
      inferenceProfiles: { 'amazon.nova-lite-v1:0': [US, EU] },
    });
    const taken = { profile: 'none', roleArn: 'none', inferenceProfile: ['none'] };
    expect(readPolicyFlags(taken, policy, NOW_MS)).toEqual(EMPTY_POLICY);
  });

  it.each([
    { flags: { profile: ' ' }, reason: 'name of a profile' },
    { flags: { profile: 'a\nb' }, reason: 'name of a profile' },
    { flags: { roleArn: 'bedrock' }, reason: 'the ARN of a role' },
    { flags: { roleArn: 'arn:aws:iam::111122223333:user/ann' }, reason: 'the ARN of a role' },
    { flags: { roleArn: 'arn:aws:iam::111122223333:mfa/ann' }, reason: 'MFA' },
    { flags: { inferenceProfile: ['amazon.nova-lite-v1:0'] }, reason: 'application inference profile' },
    { flags: { inferenceProfile: ['a=arn:aws:bedrock:us-east-1::foundation-model/amazon.x'] }, reason: 'application' },
    { flags: { inferenceProfile: [`a=${US}`, `a=${US}2`] }, reason: 'for each region' },
    { flags: { inferenceProfile: [`__proto__=${US}`] }, reason: 'application inference profile' },
  ])('refuses $flags', async ({ flags, reason }) => {
    const read = (): unknown => readPolicyFlags(flags, EMPTY_POLICY, NOW_MS);
    expect(await failureOf(read)).toMatchObject({ code: 'ERR_BAD_OPTION', message: expect.stringContaining(reason) });
  });

  it('changes by flags the limits that they name and nothing else', () => {
    const policy = readPolicyFlags(given, { ...EMPTY_POLICY, tokensPerMinute: 7, regions: ['eu-*'] }, NOW_MS);
    expect(policy).toEqual({
      models: ['a*'],
      scope: 'default',
      regions: ['eu-*'],
      upstreams: [],
      budget: { limitNanoUsd: 5e9, windowMs: 86_400_000, anchorMs: NOW_MS },
      allowUnpriced: true,
      requestsPerMinute: 60,
      tokensPerMinute: 7,
      maxParallel: 4,
      modelAliases: {},
      profile: undefined,
      roleArn: undefined,
      inferenceProfiles: {},
    });
  });

  const NAMED = { budget: '5', budgetWindow: 'month', budgetTimezone: 'europe/berlin' };
  const inBerlin = (unit: 'day' | 'month', anchorMs = NOW_MS): object => ({
    limitNanoUsd: 5e9,
    windowMs: undefined,
    calendar: { unit, timeZone: 'Europe/Berlin' },
    anchorMs,
  });

  it.each<{ flags: LimitValues; budget: object }>([
    { flags: {}, budget: inBerlin('month') },
    { flags: { budget: '5' }, budget: inBerlin('month') },
    { flags: { budgetWindow: 'month' }, budget: inBerlin('month') },
    { flags: { budgetWindow: 'day' }, budget: inBerlin('day', 2_000) },
    { flags: { budgetTimezone: 'Europe/Berlin' }, budget: inBerlin('month') },
    {
      flags: { budgetTimezone: 'UTC' },
      budget: { limitNanoUsd: 5e9, windowMs: undefined, calendar: { unit: 'month', timeZone: 'UTC' }, anchorMs: 2_000 },
    },
    { flags: { budgetWindow: '1mo' }, budget: { limitNanoUsd: 5e9, windowMs: 30 * 86_400_000, anchorMs: 2_000 } },
    { flags: { budgetWindow: 'total' }, budget: { limitNanoUsd: 5e9, windowMs: undefined, anchorMs: 2_000 } },
  ])('changes a budget by the calendar with $flags', ({ flags, budget }) => {
    const old = readPolicyFlags(NAMED, EMPTY_POLICY, NOW_MS) ?? EMPTY_POLICY;
    expect((readPolicyFlags(flags, old, 2_000) ?? old).budget).toStrictEqual(budget);
  });

  it('gives days, weeks and months the zone of this machine if none is named', () => {
    const policy = readPolicyFlags({ budget: '5', budgetWindow: 'week' }, EMPTY_POLICY, NOW_MS);
    expect(policy?.budget?.calendar).toEqual({ unit: 'week', timeZone: findLocalTimeZone() });
  });

  it.each<{ flags: LimitValues; says: string }>([
    {
      flags: { ...NAMED, budgetWindow: '30d' },
      says: '--budget-timezone needs a --budget-window of day, week or month.',
    },
    { flags: { ...NAMED, budgetWindow: 'total' }, says: '--budget-timezone needs a' },
    { flags: { budget: '5', budgetTimezone: 'UTC' }, says: '--budget-timezone needs a' },
    { flags: { ...NAMED, budgetTimezone: 'Mars/Olympus' }, says: '--budget-timezone must be a time zone such as' },
    { flags: { budgetWindow: 'month' }, says: '--budget-window needs a --budget.' },
    { flags: { ...NAMED, budget: 'none' }, says: '--budget-window needs a --budget.' },
  ])('refuses $flags', ({ flags, says }) => {
    expect(() => readPolicyFlags(flags, EMPTY_POLICY, NOW_MS)).toThrow(says);
  });

  it('shows a budget by the calendar with its zone', () => {
    const policy = readPolicyFlags(NAMED, EMPTY_POLICY, NOW_MS) ?? EMPTY_POLICY;
    expect(policyToJson(policy)).toMatchObject({ budget_window: 'month', budget_timezone: 'Europe/Berlin' });
    expect(describePolicy(policy)).toContainEqual(['budget', '$5.00 per month (Europe/Berlin)']);
  });

  it('makes no policy by flags that name no limit', () => {
    expect(readPolicyFlags({ alias: 'alice', json: true }, EMPTY_POLICY, NOW_MS)).toBeUndefined();
  });

  it('takes a limit away by the word of its flag', () => {
    const old = readPolicyFlags({ ...given, tpm: '9', regions: ['eu-*'] }, EMPTY_POLICY, NOW_MS) ?? EMPTY_POLICY;
    const gone = { models: ['any'], regions: ['any'], budget: 'none', rpm: 'none', tpm: 'none', maxParallel: 'none' };
    expect(readPolicyFlags({ ...gone, allowUnpriced: false }, old, NOW_MS)).toEqual(EMPTY_POLICY);
  });
});

it('writes a limit that does not exist as null in JSON', () => {
  expect(policyToJson(EMPTY_POLICY)).toEqual({
    models: [],
    scope: 'default',
    regions: [],
    upstreams: [],
    budget_usd: null,
    budget_window: null,
    budget_timezone: null,
    allow_unpriced: false,
    rpm: null,
    tpm: null,
    max_parallel: null,
    model_aliases: {},
    profile: null,
    role_arn: null,
    inference_profiles: {},
  });
});
