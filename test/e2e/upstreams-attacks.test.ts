/**
 * @module-tag slow
 *
 * What a caller may try with several ways to Bedrock: to have one sign with credentials that are not that way's, to
 * make a way rest for others, and to lose by a second attempt what AWS has said in the first.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FakeAws, SECOND_ACCOUNT } from '../helpers/fake-aws.ts';
import { REFUSALS, throttle } from '../helpers/fake-bedrock.ts';
import { STS_FAULTS } from '../helpers/fake-sts.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { NOVA, openUpstreamsTest, type Reply, type UpstreamsTest } from '../helpers/upstreams-test.ts';

const EAST = 'us-east-1';
const WEST = 'us-west-2';
const ROLE = 'arn:aws:iam::222222222222:role/bedrock';

const twoWays =
  (west: object, east: object = {}) =>
  (aws: FakeAws): object[] => [
    { name: 'east', region: EAST, endpointUrl: aws.region(EAST).url, ...east },
    { name: 'west', region: WEST, endpointUrl: aws.region(WEST).url, weight: 0, ...west },
  ];

const open = (
  ways: ReturnType<typeof twoWays>,
  more: Partial<Parameters<typeof openUpstreamsTest>[0]> = {},
): Promise<UpstreamsTest> => openUpstreamsTest({ regions: [EAST, WEST], upstreams: ways, ...more });

const wayOf = ({ headers }: Reply): string | null => headers.get('x-bedrock-proxy-upstream');
const errorOf = ({ headers }: Reply): string | null => headers.get('x-bedrock-proxy-error');

async function makeKey(test: UpstreamsTest, alias: string, ...flags: readonly string[]): Promise<string> {
  const made = await test.cli('key', 'generate', '--alias', alias, '--json', ...flags);
  return (JSON.parse(made) as { key: string }).key;
}

describe('a way with an API key', () => {
  it('never signs with the credentials of the proxy what takes no API key', async () => {
    const test = await open(twoWays({ apiKeyVariable: 'SECOND_BEDROCK_KEY' }), {
      environment: { SECOND_BEDROCK_KEY: SECOND_ACCOUNT.apiKey ?? '' },
    });
    const key = await makeKey(test, 'bound', '--upstream', 'west');
    const reply = await test.send('/agents/', { key, body: '{}' });
    expect(test.aws.trail).toEqual([]);
    expect(errorOf(reply)).toBe('ERR_API_KEY_REFUSED');
    expect(wayOf(await test.converse('Hello', { key }))).toBe('west');
  });
});

describe('a way', () => {
  it('does not rest for others because one key has no credentials', async () => {
    const config = join(await makeTemporaryFolder(), 'aws-config');
    await writeFile(config, '[profile broken]\ncredential_process = false\n');
    const test = await open(twoWays({}), { environment: { AWS_CONFIG_FILE: config } });
    const key = await makeKey(test, 'broken', '--profile', 'broken', '--upstream', 'east');
    expect(errorOf(await test.converse('Hello', { key }))).toBe('ERR_NO_AWS_CREDENTIALS');
    expect(wayOf(await test.converse())).toBe('east');
  });

  it('does not rest for others because it takes no API key for one operation', async () => {
    const test = await open(twoWays({}, { apiKeyVariable: 'MAIN_BEDROCK_KEY' }), {
      environment: { MAIN_BEDROCK_KEY: 'ABSKbWFpbi1hcGkta2V5' },
    });
    await test.send('/agents/', { body: '{}' });
    expect(wayOf(await test.converse())).toBe('east');
  });

  it('does not rest for others because it fails at what one key sends', async () => {
    const test = await open(twoWays({ profile: 'second' }));
    const key = await makeKey(test, 'mean');
    for (const region of [EAST, WEST]) test.aws.region(region).next(REFUSALS.InternalServerException);
    expect((await test.converse('Hello', { key })).status).toBe(500);
    expect(wayOf(await test.converse())).toBe('east');
    test.aws.region(EAST).next(REFUSALS.InternalServerException);
    expect(wayOf(await test.converse('Hello', { key }))).toBe('west');
    expect(wayOf(await test.converse())).toBe('east');
  });

  it('does not rest for others because one of its hosts cannot be reached', async () => {
    const test = await openUpstreamsTest({
      regions: [EAST, WEST],
      upstreams: (aws) => [
        {
          name: 'east',
          region: EAST,
          endpointUrl: [`bedrock-runtime=${aws.region(EAST).url}`, 'bedrock-agent=http://127.0.0.1:1'],
        },
        { name: 'west', region: WEST, endpointUrl: aws.region(WEST).url, weight: 0 },
      ],
    });
    const key = await makeKey(test, 'all', '--scope', 'all');
    expect(errorOf(await test.send('/agents/', { key, body: '{}' }))).toBe('ERR_UPSTREAM_UNREACHABLE');
    expect(wayOf(await test.converse())).toBe('east');
  });
});

it('gives back what AWS said, if the role of the next way is refused', async () => {
  const test = await open(twoWays({ roleArn: ROLE }), { roles: [{ arn: ROLE }] });
  test.aws.sts.always(STS_FAULTS.denied);
  test.aws.region(EAST).always(throttle());
  const reply = await test.converse();
  expect([reply.status, wayOf(reply), errorOf(reply)]).toEqual([429, 'east', null]);
  expect((await test.ledger(1))[0]).toMatchObject({ status: 429, upstream: 'east', charged_nano_usd: 0 });
  expect((await test.spend()).reserved_usd).toBe('0');
});

it('leaves an inference profile in its account', async () => {
  const arn = `arn:aws:bedrock:${EAST}:111111111111:application-inference-profile/abc1def2ghi3`;
  const test = await openUpstreamsTest({
    regions: [EAST],
    upstreams: (aws) => [
      { name: 'main', region: EAST, endpointUrl: aws.region(EAST).url },
      { name: 'second', region: EAST, endpointUrl: aws.region(EAST).url, profile: 'second', weight: 0 },
    ],
  });
  const key = await makeKey(test, 'search', '--inference-profile', `${NOVA}=${arn}`);
  test.aws.region(EAST).next(throttle());
  expect(wayOf(await test.converse('Hello', { key }))).toBe('second');
  expect(test.aws.trail.map(({ account, model }) => [account, model])).toEqual([
    ['111111111111', arn],
    ['222222222222', NOVA],
  ]);
});

it('leaves in its account what the body names by an ARN', async () => {
  const arn = `arn:aws:bedrock:${EAST}:111111111111:imported-model/abc1def2ghi3`;
  const test = await openUpstreamsTest({
    regions: [EAST],
    upstreams: (aws) => [
      { name: 'main', region: EAST, endpointUrl: aws.region(EAST).url },
      { name: 'second', region: EAST, endpointUrl: aws.region(EAST).url, profile: 'second', weight: 0 },
    ],
  });
  const key = await makeKey(test, 'chat');
  test.aws.region(EAST).always(throttle());
  const body = JSON.stringify({ model: arn, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 10 });
  const reply = await test.send('/openai/v1/chat/completions', { key, body });
  expect([reply.status, test.aws.trail.map(({ account }) => account)]).toEqual([429, ['111111111111']]);
});
