import { beforeEach, describe, expect, it, vi } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import { type AssumeRole, BaseRefused } from '../../../src/upstream/aws/assume-role.ts';
import { createCredentialSource, type ProvidedCredentials } from '../../../src/upstream/aws/credentials.ts';
import {
  createIdentities,
  type Identities,
  type IdentitiesOptions,
  joinIdentities,
  signerOf,
} from '../../../src/upstream/aws/identities.ts';
import { failureOf } from '../../helpers/failure.ts';

const ROLE = 'arn:aws:iam::222222222222:role/bedrock';
const HOUR_MS = 3_600_000;
const ALICE = { id: 'vk_a', alias: 'alice', tags: { team: 'search' } };
const BOB = { id: 'vk_b', alias: 'bob', tags: {} };

let nowMs: number;
/** What the chain gives next. */
let ownId: string;
let sts: ReturnType<typeof vi.fn<AssumeRole>>;
let loadProfile: ReturnType<typeof vi.fn<IdentitiesOptions['loadProfile']>>;

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  ownId = 'OWN';
  sts = vi.fn<AssumeRole>(async ({ sessionName }, { accessKeyId }) => ({
    accessKeyId: `${accessKeyId}>${sessionName}${sts.mock.calls.length}`,
    secretAccessKey: 's',
    sessionToken: 't',
    expiration: new Date(nowMs + HOUR_MS),
  }));
  loadProfile = vi.fn(async (profile) => ({ accessKeyId: profile, secretAccessKey: 's' }));
});

const tickMs = monotonicClock(() => nowMs);

const load = async (): Promise<ProvidedCredentials> => ({ accessKeyId: ownId, secretAccessKey: 's' });

function open(more: Partial<IdentitiesOptions> = {}): Identities {
  return createIdentities({
    own: createCredentialSource({ profile: undefined, nowMs: () => nowMs, tickMs, load }),
    defaults: { roleArn: undefined, externalId: undefined, durationSeconds: undefined, region: 'us-east-1' },
    sessionTags: [],
    loadProfile,
    assumeRole: sts,
    nowMs: () => nowMs,
    tickMs,
    ...more,
  });
}

const withRole = (more: Partial<IdentitiesOptions['defaults']> = {}): Partial<IdentitiesOptions> => ({
  defaults: { roleArn: ROLE, externalId: 'x', durationSeconds: 900, region: 'us-east-1', ...more },
});

async function idOf(source: { get(): Promise<{ readonly accessKeyId: string }> }): Promise<string> {
  return (await source.get()).accessKeyId;
}

describe('whose credentials sign', () => {
  it("are the proxy's own without a role, the very source, and nobody is asked", async () => {
    const identities = open();
    expect(identities.credentialsOf(undefined, ALICE)).toBe(identities.credentialsOf({}, BOB));
    expect(await idOf(identities.credentialsOf(undefined, ALICE))).toBe('OWN');
    expect([sts.mock.calls, loadProfile.mock.calls]).toEqual([[], []]);
  });

  it('are those of a profile, looked up once for all who have it', async () => {
    const identities = open(withRole());
    const source = identities.credentialsOf({ profile: 'research' }, ALICE);
    expect(identities.credentialsOf({ profile: 'research' }, BOB)).toBe(source);
    expect([await idOf(source), await idOf(source)]).toEqual(['research', 'research']);
    expect(loadProfile.mock.calls).toEqual([['research', 'us-east-1']]);
    expect(sts).not.toHaveBeenCalled();
  });

  it('are a session of the role for each caller, named and tagged by its key', async () => {
    const identities = open({ ...withRole(), sessionTags: [{ name: 'team', value: undefined }] });
    expect(await idOf(identities.credentialsOf(undefined, ALICE))).toBe('OWN>alice1');
    expect(await idOf(identities.credentialsOf(undefined, BOB))).toBe('OWN>bob2');
    expect(await idOf(identities.credentialsOf(undefined, { ...ALICE }))).toBe('OWN>alice1');
    expect(sts.mock.calls.map(([session]) => session)).toEqual([
      {
        roleArn: ROLE,
        externalId: 'x',
        durationSeconds: 900,
        region: 'us-east-1',
        sessionName: 'alice',
        tags: [['team', 'search']],
      },
      expect.objectContaining({ sessionName: 'bob', tags: [] }),
    ]);
  });

  it('are another session as soon as the tags of the key change', async () => {
    const identities = open({ ...withRole(), sessionTags: [{ name: '*', value: undefined }] });
    const first = identities.credentialsOf(undefined, ALICE);
    expect(identities.credentialsOf(undefined, { ...ALICE, tags: { team: 'ads' } })).not.toBe(first);
  });

  it('are those of the role that is named, with the own external id and duration unless it has some', async () => {
    const identities = open(withRole());
    const roleArn = 'arn:aws:iam::333333333333:role/other';
    await identities.credentialsOf({ roleArn }, ALICE).get();
    await identities
      .credentialsOf({ roleArn, profile: 'second', externalId: 'y', durationSeconds: 1_800 }, ALICE)
      .get();
    expect(sts.mock.calls).toMatchObject([
      [{ roleArn, externalId: 'x', durationSeconds: 900 }, { accessKeyId: 'OWN' }],
      [{ roleArn, externalId: 'y', durationSeconds: 1_800 }, { accessKeyId: 'second' }],
    ]);
  });

  it('do not carry what would make two identities one', () => {
    const identities = open(withRole());
    const sources = [
      identities.credentialsOf({ profile: 'a', roleArn: ROLE }, ALICE),
      identities.credentialsOf({ profile: 'b', roleArn: ROLE }, ALICE),
      identities.credentialsOf({ profile: 'a' }, ALICE),
      identities.credentialsOf({ profile: 'a', roleArn: ROLE, externalId: 'z' }, ALICE),
      identities.credentialsOf({ profile: 'a', roleArn: ROLE, region: 'eu-west-1' }, ALICE),
      identities.credentialsOf({ profile: '["a"]' }, ALICE),
    ];
    expect(new Set(sources).size).toBe(sources.length);
  });

  it.each([
    { ofUpstream: undefined, ofKey: undefined, joined: undefined },
    { ofUpstream: { profile: 'u', roleArn: ROLE }, ofKey: undefined, joined: { profile: 'u', roleArn: ROLE } },
    { ofUpstream: { profile: 'u', roleArn: ROLE }, ofKey: { profile: 'k' }, joined: { profile: 'k' } },
    {
      ofUpstream: { profile: 'u', region: 'r' },
      ofKey: { roleArn: 'k' },
      joined: { profile: 'u', roleArn: 'k', region: 'r' },
    },
    { ofUpstream: { roleArn: ROLE }, ofKey: {}, joined: { roleArn: ROLE } },
  ])('of an upstream and of a key are one: $ofUpstream, $ofKey', ({ ofUpstream, ofKey, joined }) => {
    expect(joinIdentities(ofUpstream, ofKey)).toEqual(joined);
  });

  it('are named by keys alone, and by nothing that a request says', () => {
    const policy = { ...EMPTY_POLICY, profile: 'p', roleArn: ROLE };
    const key = { kind: 'key', keyId: 'vk_a', label: 'alice', alias: 'alice', policy, tags: { a: 'b' } } as const;
    expect(signerOf(key)).toEqual({
      id: 'vk_a',
      alias: 'alice',
      tags: { a: 'b' },
      identity: { profile: 'p', roleArn: ROLE },
    });
    expect(signerOf({ ...key, policy: EMPTY_POLICY }).identity).toBeUndefined();
    expect(signerOf({ kind: 'anonymous', label: 'anonymous' })).toEqual({ id: 'anonymous' });
  });
});

describe('a session', () => {
  it('is asked for once by all that wait for it', async () => {
    const identities = open(withRole());
    const ids = await Promise.all(Array.from({ length: 50 }, () => idOf(identities.credentialsOf(undefined, ALICE))));
    expect(new Set(ids)).toEqual(new Set(['OWN>alice1']));
    expect(sts).toHaveBeenCalledTimes(1);
  });

  it('is renewed before it ends, while requests go on with the old one', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    await source.get();
    nowMs += HOUR_MS - 4 * 60_000;
    expect(await idOf(source)).toBe('OWN>alice1');
    await vi.waitFor(async () => expect(await idOf(source)).toBe('OWN>alice2'));
  });

  it('is used to its end if STS fails meanwhile', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    await source.get();
    sts.mockRejectedValue(new ProxyError('ERR_AWS_CREDENTIALS', 'STS fails.'));
    nowMs += HOUR_MS - 30_000;
    expect(await idOf(source)).toBe('OWN>alice1');
    nowMs += 30_000;
    expect((await failureOf(() => source.get())).message).toBe('STS fails.');
  });

  it('is asked for no more than once a second if it is refused', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    sts.mockRejectedValue(new ProxyError('ERR_ROLE_REFUSED', 'No.'));
    for (let count = 0; count < 5; count += 1) {
      expect((await failureOf(() => source.get())).code).toBe('ERR_ROLE_REFUSED');
    }
    expect(sts).toHaveBeenCalledTimes(1);
  });

  it('is made with the credentials of a renewed login, if AWS refuses the old ones', async () => {
    const identities = open(withRole());
    await identities.credentialsOf(undefined, ALICE).get();
    ownId = 'NEW';
    sts.mockRejectedValueOnce(new BaseRefused(true, new Error('expired')));
    expect(await idOf(identities.credentialsOf(undefined, BOB))).toBe('NEW>bob3');
  });

  it('says that the own credentials are refused, if there are no others', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    sts.mockRejectedValue(new BaseRefused(true, new Error('The security token is expired: AKIA…')));
    const error = await failureOf(() => source.get());
    expect([error.code, error.message]).toEqual([
      'ERR_AWS_CREDENTIALS',
      'AWS does not take the credentials that are to assume a role.',
    ]);
    expect(error.detail).toContain('expired');
  });

  it('is looked up anew after AWS has refused it', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    const first = await source.get();
    expect(source.invalidate(first, true)).toBe(true);
    expect(await idOf(source)).toBe('OWN>alice2');
  });

  it('is described by its role, and never by its values', async () => {
    const source = open(withRole()).credentialsOf(undefined, ALICE);
    expect(await source.describe()).toEqual({ description: `role ${ROLE}`, expiresAtMs: nowMs + HOUR_MS });
  });

  it('is forgotten if others were used since, and few enough are kept', async () => {
    const identities = open({ ...withRole(), maxSources: 3 });
    const first = identities.credentialsOf(undefined, ALICE);
    for (let count = 0; count < 2; count += 1) identities.credentialsOf(undefined, { id: `vk_${count}` });
    expect(identities.credentialsOf(undefined, ALICE)).toBe(first);
    for (let count = 2; count < 5; count += 1) identities.credentialsOf(undefined, { id: `vk_${count}` });
    expect(identities.credentialsOf(undefined, ALICE)).not.toBe(first);
  });
});

describe('the STS that is asked', () => {
  it.each([
    { roleArn: ROLE, region: undefined, asked: 'us-east-1' },
    { roleArn: ROLE, region: 'eu-central-1', asked: 'eu-central-1' },
    { roleArn: 'arn:aws-cn:iam::222222222222:role/r', region: 'cn-north-1', asked: 'cn-north-1' },
    { roleArn: 'arn:aws-cn:iam::222222222222:role/r', region: undefined, asked: 'cn-northwest-1' },
    { roleArn: 'arn:aws-us-gov:iam::222222222222:role/r', region: undefined, asked: 'us-gov-west-1' },
  ])('is $asked for $roleArn and the region $region', async ({ roleArn, region, asked }) => {
    await open(withRole({ roleArn, region })).credentialsOf(undefined, ALICE).get();
    expect(sts.mock.calls[0]?.[0].region).toBe(asked);
  });

  it('is none for a role of another partition', async () => {
    const identities = open(withRole({ roleArn: 'arn:aws-cn:iam::222222222222:role/r' }));
    const error = await failureOf(() => identities.credentialsOf(undefined, ALICE).get());
    expect([error.code, error.message]).toEqual(['ERR_ROLE_REFUSED', expect.stringContaining('partitions')]);
    expect(sts).not.toHaveBeenCalled();
  });
});
