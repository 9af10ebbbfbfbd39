import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeFrames } from './event-frames.ts';
import { CACHED_TOKENS, type FakeAws, MAIN_ACCOUNT, SECOND_ACCOUNT, startFakeAws } from './fake-aws.ts';
import { cutAfterText, cutBefore, exceptionFirst, REFUSALS, serve, throttle } from './fake-bedrock.ts';
import { STS_FAULTS } from './fake-sts.ts';
import { type RawResponse, sendSigned } from './offline-bedrock.ts';
import { ask } from './raw-socket.ts';
import type { RequestToSign } from './sigv4-signing.ts';

const ROLE = 'arn:aws:iam::222222222222:role/path/bedrock';
const MODEL = 'us.anthropic.claude-haiku-4-5-20251001-v1:0';
let aws: FakeAws;
let nowMs = 0;

beforeEach(async () => {
  nowMs = Date.now();
  const roles = [{ arn: ROLE, externalId: 'ours' }];
  aws = await startFakeAws({ regions: ['us-east-1', 'us-west-2', 'eu-west-1'], roles, nowMs: () => nowMs });
});

afterEach(async () => {
  await aws[Symbol.asyncDispose]();
});

type Signer = Pick<RequestToSign, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>;

function post(
  region: string,
  form: string,
  signer: Signer = MAIN_ACCOUNT,
  more: Partial<RequestToSign> = {},
): Promise<RawResponse> {
  const { upstream } = aws.region(region);
  const path = `/model/${encodeURIComponent(MODEL)}/${form}`;
  const toSign = { method: 'POST', path, region, body: BODY, atMs: nowMs, host: upstream.authority };
  const { accessKeyId, secretAccessKey, sessionToken } = signer;
  const keys = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  return sendSigned(upstream.port, { ...toSign, ...(keys as Signer), ...more });
}

async function readCached(...args: Parameters<typeof post>): Promise<number> {
  const { usage } = JSON.parse((await post(...args)).body.toString()) as { usage: { cacheReadInputTokens: number } };
  return usage.cacheReadInputTokens;
}

const BODY = JSON.stringify({
  system: [{ cachePoint: {} }],
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
});

async function assumeRole(fields: Record<string, string>): Promise<{ status: number; text: string; signer: Signer }> {
  const { upstream } = aws.sts;
  const body = new URLSearchParams({
    Action: 'AssumeRole',
    Version: '2011-06-15',
    RoleArn: ROLE,
    ...fields,
  }).toString();
  const toSign = { method: 'POST', path: '/', service: 'sts', body, atMs: nowMs, host: upstream.authority };
  const { accessKeyId, secretAccessKey } = MAIN_ACCOUNT;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { status, body: bytes } = await sendSigned(upstream.port, { ...toSign, accessKeyId, secretAccessKey, headers });
  const text = bytes.toString();
  const read = (name: string): string => new RegExp(`<${name}>([^<]*)`).exec(text)?.[1] ?? '';
  const pair = { accessKeyId: read('AccessKeyId'), secretAccessKey: read('SecretAccessKey') };
  return { status, text, signer: { ...pair, sessionToken: read('SessionToken') } };
}

describe('a region of the fake AWS', () => {
  it('serves each account in the form of its operation, and bills it', async () => {
    const whole = await post('us-east-1', 'converse');
    expect(JSON.parse(whole.body.toString())).toMatchObject({
      usage: { outputTokens: 10, cacheWriteInputTokens: CACHED_TOKENS },
    });
    const streamed = await post('us-west-2', 'converse-stream', SECOND_ACCOUNT);
    expect(decodeFrames(streamed.body).map(({ headers }) => headers[':event-type']?.value)).toEqual([
      'messageStart',
      'contentBlockDelta',
      'contentBlockStop',
      'messageStop',
      'metadata',
    ]);
    expect(aws.bills.map(({ region, account, model }) => [region, account, model])).toEqual([
      ['us-east-1', '111111111111', MODEL],
      ['us-west-2', '222222222222', MODEL],
    ]);
    expect(aws.failures).toEqual([]);
  });

  it('has prompt caches of its own for each account', async () => {
    expect(await readCached('us-east-1', 'converse')).toBe(0);
    expect(await readCached('us-east-1', 'converse')).toBe(CACHED_TOKENS);
    expect(await readCached('us-east-1', 'converse', SECOND_ACCOUNT)).toBe(0);
    expect(await readCached('us-west-2', 'converse')).toBe(0);
  });

  it('refuses a signature of another region, and of a pair that no account has', async () => {
    expect((await post('us-west-2', 'converse', MAIN_ACCOUNT, { region: 'us-east-1' })).status).toBe(403);
    expect((await post('us-west-2', 'converse', { accessKeyId: 'AKIAOTHER', secretAccessKey: 'x' })).status).toBe(403);
    expect(aws.failures).toEqual([
      expect.stringContaining('signed for us-east-1, but sent to us-west-2'),
      expect.stringContaining('AKIAOTHER'),
    ]);
  });

  it('does what the script says, then what it always does', async () => {
    const region = aws.region('us-east-1');
    region.next(throttle(7), REFUSALS.ModelNotReadyException, exceptionFirst('throttlingException'), serve);
    const first = await post('us-east-1', 'converse');
    expect(first).toMatchObject({ status: 429, headers: { 'retry-after': '7' } });
    expect((await post('us-east-1', 'converse')).headers['x-amzn-errortype']).toMatch(/^ModelNotReady/);
    const third = await post('us-east-1', 'converse-stream');
    expect(third.status).toBe(200);
    expect(decodeFrames(third.body)[0]?.headers[':exception-type']?.value).toBe('throttlingException');
    expect(aws.bills).toEqual([]);
    region.always(REFUSALS.InternalServerException);
    expect((await post('us-east-1', 'converse')).status).toBe(200);
    expect((await post('us-east-1', 'converse')).status).toBe(500);
  });

  it('cuts before a response and in the middle of one, and goes down', async () => {
    const region = aws.region('us-east-1');
    region.next(cutBefore(), cutAfterText, cutAfterText);
    await expect(post('us-east-1', 'converse')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(aws.bills).toEqual([]);
    await expect(post('us-east-1', 'converse-stream')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(post('us-east-1', 'invoke')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(aws.bills).toHaveLength(2);
    await region.upstream.goDown();
    await expect(post('us-east-1', 'converse')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await region.upstream.comeUp();
    expect((await post('us-east-1', 'converse')).status).toBe(200);
  });

  it('knows no model of another geography', async () => {
    const refused = await post('eu-west-1', 'converse');
    expect(refused).toMatchObject({ status: 400 });
    expect(aws.region('eu-west-1').trail).toMatchObject([{ model: MODEL, form: 'converse' }]);
  });

  it('is reached with its name in the path as well, and takes an API key', async () => {
    const { port, pathname } = new URL(aws.url.replace('{region}', 'us-west-2'));
    const line = `POST ${pathname}/model/a/converse HTTP/1.1`;
    const headers = ['Host: localhost', `Authorization: Bearer ${SECOND_ACCOUNT.apiKey}`];
    expect((await ask(Number(port), line, headers)).status).toBe(200);
    expect(aws.trail).toMatchObject([{ region: 'us-west-2', account: '222222222222', form: 'converse' }]);
  });
});

describe('the STS of the fake AWS', () => {
  it('hands out a session that the regions accept until it is over', async () => {
    const { signer } = await assumeRole({
      RoleSessionName: 'alice',
      ExternalId: 'ours',
      'Tags.member.1.Key': 'team',
      'Tags.member.1.Value': 'a',
    });
    expect((await post('us-west-2', 'converse', signer)).status).toBe(200);
    expect(aws.trail).toMatchObject([
      {
        account: '222222222222',
        callerArn: 'arn:aws:sts::222222222222:assumed-role/bedrock/alice',
        session: 'alice',
        tags: { team: 'a' },
      },
    ]);
    nowMs += 3_600_000;
    const late = await post('us-west-2', 'converse', signer);
    expect([late.status, late.headers['x-amzn-errortype']]).toEqual([403, expect.stringMatching(/^ExpiredToken/)]);
    expect(aws.failures).toEqual([]);
    expect(aws.sts.calls).toMatchObject([{ session: 'alice', externalId: 'ours', durationSeconds: undefined }]);
  });

  it.each([
    { name: 'a session name with a blank', fields: { RoleSessionName: 'a b' }, code: 'ValidationError' },
    { name: 'a session name of 65 characters', fields: { RoleSessionName: 'a'.repeat(65) }, code: 'ValidationError' },
    { name: 'another external id', fields: { ExternalId: 'theirs' }, code: 'AccessDenied' },
    { name: 'a role of nobody', fields: { RoleArn: `${ROLE}x` }, code: 'AccessDenied' },
    { name: 'more time than the role has', fields: { DurationSeconds: '7200' }, code: 'ValidationError' },
    {
      name: 'two tags of one name',
      fields: { 'Tags.member.1.Key': 'a', 'Tags.member.2.Key': 'A' },
      code: 'InvalidParameterValue',
    },
  ])('refuses $name', async ({ fields, code }) => {
    const { text } = await assumeRole({ RoleSessionName: 'alice', ExternalId: 'ours', ...(fields as object) });
    expect(text).toContain(`<Code>${code}</Code>`);
  });

  it('fails as the script says', async () => {
    aws.sts.next(STS_FAULTS.denied, STS_FAULTS['no XML']);
    expect((await assumeRole({ RoleSessionName: 'alice', ExternalId: 'ours' })).status).toBe(403);
    expect((await assumeRole({ RoleSessionName: 'alice', ExternalId: 'ours' })).text).toBe('{"credentials": nothing');
    expect((await assumeRole({ RoleSessionName: 'alice', ExternalId: 'ours' })).status).toBe(200);
  });
});
