/**
 * @module-tag slow
 *
 * Roles that are assumed for callers: what CloudTrail would say of each request, when STS is asked and how often, and
 * what a client gets if STS fails. The fake AWS verifies that a request is signed with the session that STS gave.
 */
import { appendFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { refuse, serve, throttle } from '../helpers/fake-bedrock.ts';
import { openAwsTest, run } from '../helpers/program.ts';
import { STS_FAULTS, stsAfter, type FakeRole, type StsCall, type StsFault } from '../helpers/fake-sts.ts';
import { NOVA, openUpstreamsTest, type UpstreamsTest, type UpstreamsTestOptions } from '../helpers/upstreams-test.ts';

const REGION = 'us-east-1';
const ROLE = 'arn:aws:iam::222222222222:role/bedrock';
const ROLES: readonly FakeRole[] = [{ arn: ROLE, maxDurationSeconds: 7_200 }];

const open = (
  args: readonly string[] = [],
  { roles = ROLES, ...more }: Partial<UpstreamsTestOptions> = {},
): Promise<UpstreamsTest> =>
  openUpstreamsTest({ regions: [REGION, 'us-west-2'], roles, args: ['--role-arn', ROLE, ...args], ...more });

const twoRoles: UpstreamsTestOptions['upstreams'] = (aws) => [
  { name: 'own', region: REGION, endpointUrl: aws.region(REGION).url },
  { name: 'role', region: 'us-west-2', endpointUrl: aws.region('us-west-2').url, roleArn: ROLE, weight: 0 },
];

const roleFirst: UpstreamsTestOptions['upstreams'] = (aws) => [
  { name: 'role', region: 'us-west-2', endpointUrl: aws.region('us-west-2').url, roleArn: ROLE, weight: 1 },
  { name: 'own', region: REGION, endpointUrl: aws.region(REGION).url, weight: 0 },
];

/** What STS was asked for in the name of keys: at its start the proxy looks whether the role is there, as itself. */
const callsFor = ({ aws }: UpstreamsTest): readonly StsCall[] =>
  aws.sts.calls.filter(({ session }) => session !== 'bedrock-proxy');

/** A key of this alias, and these flags. */
async function makeKey(test: UpstreamsTest, alias: string, ...flags: readonly string[]): Promise<string> {
  const made = await test.cli('key', 'generate', '--alias', alias, '--json', ...flags);
  return (JSON.parse(made) as { key: string }).key;
}

describe('callers that AWS can tell apart', () => {
  it('have a session of their own, named after their key', async () => {
    const test = await open();
    const alice = await makeKey(test, 'alice');
    const bob = await makeKey(test, 'bob');
    for (const key of [alice, bob, alice, bob]) expect((await test.converse('Hello', { key })).status).toBe(200);
    expect(test.aws.trail.map(({ callerArn }) => callerArn)).toEqual(
      ['alice', 'bob', 'alice', 'bob'].map((name) => `arn:aws:sts::222222222222:assumed-role/bedrock/${name}`),
    );
    // Each is assumed once, with the proxy's own credentials.
    expect(callsFor(test).map(({ session, callerArn }) => [session, callerArn])).toEqual([
      ['alice', 'arn:aws:iam::111111111111:user/owner'],
      ['bob', 'arn:aws:iam::111111111111:user/owner'],
    ]);
  });

  it('have the tags that --session-tag names as session tags', async () => {
    const test = await open(['--session-tag', 'team', '--session-tag', 'app=proxy']);
    const key = await makeKey(test, 'alice', '--tag', 'team=search', 'secret=no');
    expect((await test.converse('Hello', { key, headers: { 'x-bedrock-proxy-tags': 'team=other' } })).status).toBe(200);
    expect(test.aws.trail[0]?.tags).toEqual({ team: 'search', app: 'proxy' });
  });

  it.each(['a', 'Élodie Müller', 'x'.repeat(100), 'a b/c+d: e'])(
    'have a session whatever their alias is: %s',
    async (alias) => {
      const test = await open();
      const key = await makeKey(test, alias);
      expect((await test.converse('Hello', { key })).status).toBe(200);
      expect(test.aws.trail[0]?.session).toMatch(/^[\w+=,.@-]{2,64}$/);
    },
  );

  it('are told external id, duration and region of STS', async () => {
    const roles = [{ arn: ROLE, externalId: 'ours', maxDurationSeconds: 7_200 }];
    const test = await open(['--external-id', 'ours', '--role-duration', '7200'], { roles });
    expect((await test.converse()).status).toBe(200);
    expect(callsFor(test)).toMatchObject([{ externalId: 'ours', durationSeconds: 7_200, region: REGION }]);
  });

  it('are asked for at STS once, however many requests come at the same time', async () => {
    const test = await open();
    test.aws.sts.always(stsAfter(300));
    const replies = await Promise.all(Array.from({ length: 30 }, () => test.converse()));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(callsFor(test)).toHaveLength(1);
  });

  it('have new credentials before the old ones end', async () => {
    const test = await open();
    // What ends within a minute is not used any longer.
    test.aws.sts.liveFor(62_000);
    expect((await test.converse()).status).toBe(200);
    test.aws.sts.liveFor(undefined);
    await expect
      .poll(async () => ((await test.converse()).status, callsFor(test).length), { timeout: 10_000, interval: 500 })
      .toBe(2);
    expect(test.aws.region(REGION).upstream.requests.every(({ hasExpired }) => !hasExpired)).toBe(true);
  });
});

describe('if STS fails', () => {
  it.each<{ readonly name: keyof typeof STS_FAULTS; readonly code: string }>([
    { name: 'denied', code: 'ERR_ROLE_REFUSED' },
    { name: 'an error of its own', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'throttled', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'no XML', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'a page of a proxy', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'XML without credentials', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'half a response', code: 'ERR_AWS_CREDENTIALS' },
    { name: 'a reset', code: 'ERR_AWS_CREDENTIALS' },
  ])('refuses with $code, sends nothing and charges nothing: $name; then goes on', async ({ name, code }) => {
    const test = await open();
    const fault: StsFault = STS_FAULTS[name];
    test.aws.sts.always(fault);
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([403, code]);
    // What STS says names accounts and users, and is not for clients.
    expect(reply.body.toString()).not.toMatch(/\d{12}|arn:|owner/);
    expect(test.aws.trail).toEqual([]);
    expect((await test.ledger(1))[0]).toMatchObject({ error: code, pricing: 'free', charged_nano_usd: 0 });
    expect(await test.spend()).toMatchObject({ reserved_usd: '0', total_usd: '0' });
    test.aws.sts.always(undefined);
    await expect.poll(async () => (await test.converse()).status, { timeout: 8_000, interval: 200 }).toBe(200);
  });

  it('refuses credentials that have ended when they come', async () => {
    const test = await open();
    test.aws.sts.liveFor(-1_000);
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([403, 'ERR_AWS_CREDENTIALS']);
    expect(test.aws.trail).toEqual([]);
  });

  it('does not let a request wait for ever for an STS that is silent', { timeout: 60_000 }, async () => {
    const test = await open();
    test.aws.sts.always(STS_FAULTS.silence);
    const begunMs = performance.now();
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([403, 'ERR_AWS_CREDENTIALS']);
    expect(performance.now() - begunMs).toBeLessThan(35_000);
    expect(await test.spend()).toMatchObject({ total_usd: '0' });
  });

  it('serves with what it has while STS is silent, until that ends', async () => {
    const test = await open();
    test.aws.sts.liveFor(20 * 60_000);
    expect((await test.converse()).status).toBe(200);
    test.aws.sts.always(STS_FAULTS.silence);
    expect((await test.converse()).status).toBe(200);
  });

  it('assumes a role anew whose session AWS calls expired', async () => {
    const test = await open();
    expect((await test.converse()).status).toBe(200);
    const region = test.aws.region(REGION);
    region.next(refuse(403, 'ExpiredTokenException', 'The security token included in the request is expired'));
    expect((await test.converse()).status).toBe(200);
    expect(callsFor(test)).toHaveLength(2);
    expect(region.trail).toHaveLength(3);
  });

  it('lets others in while the role of one is refused', async () => {
    const theirs = 'arn:aws:iam::222222222222:role/theirs';
    const test = await open();
    const key = await makeKey(test, 'alice', '--role-arn', theirs);
    const refused = await test.converse('Hello', { key });
    expect(refused.headers.get('x-bedrock-proxy-error')).toBe('ERR_ROLE_REFUSED');
    expect((await test.converse()).status).toBe(200);
  });
});

describe('upstreams with roles', () => {
  it('are asked for when they are needed, each in the name of its caller', async () => {
    const test = await openUpstreamsTest({ regions: [REGION, 'us-west-2'], roles: ROLES, upstreams: twoRoles });
    expect((await test.converse()).status).toBe(200);
    expect(test.aws.sts.calls).toEqual([]);
    test.aws.region(REGION).always(throttle());
    expect((await test.converse()).headers.get('x-bedrock-proxy-upstream')).toBe('role');
    expect(test.aws.trail.at(-1)?.callerArn).toBe('arn:aws:sts::222222222222:assumed-role/bedrock/tester');
  });

  it('pass by one whose credentials cannot be had', async () => {
    const test = await openUpstreamsTest({ regions: [REGION, 'us-west-2'], roles: ROLES, upstreams: roleFirst });
    test.aws.sts.always(STS_FAULTS['an error of its own']);
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-upstream')]).toEqual([200, 'own']);
    expect(test.aws.bills).toHaveLength(1);
  });

  it('do not pass by one whose role is refused: that may be meant for the caller', async () => {
    const test = await openUpstreamsTest({ regions: [REGION, 'us-west-2'], roles: ROLES, upstreams: roleFirst });
    test.aws.sts.always(STS_FAULTS.denied);
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([403, 'ERR_ROLE_REFUSED']);
    expect(test.aws.trail).toEqual([]);
  });
});

describe('keys', () => {
  it('are bound to a profile', async () => {
    const test = await openUpstreamsTest({ regions: [REGION] });
    const key = await makeKey(test, 'alice', '--profile', 'second');
    test.aws.region(REGION).always(serve);
    await test.converse('Hello', { key });
    await test.converse();
    expect(test.aws.trail.map(({ account }) => account)).toEqual(['222222222222', '111111111111']);
  });

  it('are bound to an upstream, whatever becomes of it', async () => {
    const test = await openUpstreamsTest({
      regions: [REGION, 'us-west-2'],
      upstreams: (aws) =>
        [REGION, 'us-west-2'].map((region) => ({ name: region, region, endpointUrl: aws.region(region).url })),
    });
    const key = await makeKey(test, 'alice', '--upstream', 'us-west-2');
    test.aws.region('us-west-2').next(serve, throttle());
    expect((await test.converse('Hello', { key })).status).toBe(200);
    expect((await test.converse('Hello', { key })).status).toBe(429);
    expect(test.aws.trail.map(({ region }) => region)).toEqual(['us-west-2', 'us-west-2']);
  });

  it('have an inference profile in the path in the place of a model, and their name in the metadata of requests', async () => {
    const profile = 'arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abcdef123456';
    const test = await openUpstreamsTest({ regions: [REGION], args: ['--request-metadata'] });
    const key = await makeKey(test, 'alice', '--inference-profile', `${NOVA}=${profile}`, '--tag', 'team=search');
    const reply = await test.send(`/model/${NOVA}/invoke`, {
      key,
      headers: { 'x-amzn-bedrock-request-metadata': '{"ticket":"A-1"}' },
    });
    expect(reply.status).toBe(200);
    const [event] = test.aws.trail;
    expect(event?.model).toBe(profile);
    const metadata = JSON.parse(event?.request.header('x-amzn-bedrock-request-metadata') ?? '{}') as object;
    expect(metadata).toMatchObject({ ticket: 'A-1', team: 'search' });
    expect(Object.values(metadata)).toContain('alice');
    expect(event?.request.signature?.signedHeaders).toContain('x-amzn-bedrock-request-metadata');
  });
});

describe('the credentials of the owner', () => {
  it.each([
    { name: 'STS by its host', path: '/', headers: { host: 'sts.us-east-1.amazonaws.com' } },
    { name: 'STS by the form', path: '/sts/?Action=GetSessionToken&Version=2011-06-15', headers: {} },
    { name: 'AssumeRole', path: '/?Action=AssumeRole&Version=2011-06-15', headers: {} },
  ])('are out of reach through $name', async ({ path, headers }) => {
    const test = await open();
    const key = await makeKey(test, 'alice', '--scope', 'all');
    const body = 'Action=GetSessionToken&Version=2011-06-15';
    const reply = await test.send(path, {
      key,
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(callsFor(test)).toEqual([]);
    expect(test.aws.trail).toEqual([]);
  });
});

describe('start', () => {
  it.each([
    { args: ['--role-arn', 'bedrock'], words: /--role-arn.*ARN/ },
    { args: ['--role-arn', ROLE, '--role-duration', '60'], words: /--role-duration.*900/ },
    { args: ['--role-arn', ROLE, '--session-tag', 'aws:x=1'], words: /--session-tag/ },
    { args: ['--role-arn', 'arn:aws-cn:iam::222222222222:role/bedrock'], words: /--role-arn.*partition/ },
    { args: ['--external-id', 'a'], words: /--external-id/ },
  ])('refuses $args with words that say what is wrong', async ({ args, words }) => {
    const { environment } = await openAwsTest({ regions: [REGION] });
    const { code, stderr } = await run(['start', '--port', '0', ...args], environment);
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
  });

  it('says that a profile with an MFA device cannot be used by a server', async () => {
    const test = await openUpstreamsTest({ regions: [REGION], roles: ROLES });
    const profile = [
      '',
      '[profile mfa]',
      `role_arn = ${ROLE}`,
      'source_profile = main',
      'mfa_serial = arn:aws:iam::111111111111:mfa/owner',
    ];
    await appendFile(test.environment['AWS_CONFIG_FILE'] ?? '', profile.join('\n'));
    const key = await makeKey(test, 'alice', '--profile', 'mfa');
    const reply = await test.converse('Hello', { key });
    expect(reply.status).toBe(403);
    expect(reply.body.toString()).toMatch(/MFA/);
    expect(callsFor(test)).toEqual([]);
  });
});
