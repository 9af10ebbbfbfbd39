import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { BaseRefused, createRoleAssumer, type RoleSession } from '../../../src/upstream/aws/assume-role.ts';
import { createForwarder, type Forwarder } from '../../../src/upstream/aws/forward.ts';
import { startForwardProxy } from '../../helpers/forward-proxy.ts';
import { failureOf } from '../../helpers/failure.ts';
import { type FakeUpstream, startFakeUpstream } from '../../helpers/fake-upstream.ts';

const OWN = { accessKeyId: 'AKIDOWN', secretAccessKey: 'own-secret' };
const NOW_MS = Date.now();
const SESSION: RoleSession = {
  roleArn: 'arn:aws:iam::222222222222:role/bedrock',
  externalId: undefined,
  durationSeconds: undefined,
  region: 'eu-west-1',
  sessionName: 'search',
  tags: [],
};

let sts: FakeUpstream;
let forwarder: Forwarder;

/** It plays every host of AWS. */
beforeEach(async () => {
  sts = await startFakeUpstream(OWN);
  sts.respondWith((_, response) => sendSession(response));
  forwarder = createForwarder({ connectTimeoutMs: 1_000, idleTimeoutMs: 5_000, dialPort: sts.port });
});

afterEach(async () => {
  await forwarder.close();
  await sts.close();
});

function assume(session: Partial<RoleSession> = {}, { fips = false } = {}) {
  return createRoleAssumer({ forwarder, fips, nowMs: () => NOW_MS })({ ...SESSION, ...session }, OWN);
}

function sendSession(response: ServerResponse, expiresAtMs = NOW_MS + 3_600_000): void {
  const expiration = new Date(expiresAtMs).toISOString();
  sendXml(
    response,
    200,
    `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
      `<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>a/b+c=</SecretAccessKey>` +
      `<SessionToken>token==</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleResult>` +
      `</AssumeRoleResponse>`,
  );
}

function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendXml(
    response,
    status,
    `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code>` +
      `<Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
  );
}

function sendXml(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/xml' });
  response.end(body);
}

const form = async (): Promise<Readonly<Record<string, string>>> => {
  const { body } = await sts.nextRequest();
  return Object.fromEntries(new URLSearchParams(body.toString('utf8')));
};

describe('the request to STS', () => {
  it('names the role and the session, is signed with the own credentials, and its response is read', async () => {
    const given = await assume();
    expect(given).toEqual({
      accessKeyId: 'ASIAROLE',
      secretAccessKey: 'a/b+c=',
      sessionToken: 'token==',
      expiration: new Date(NOW_MS + 3_600_000),
    });
    expect(await form()).toEqual({
      Action: 'AssumeRole',
      Version: '2011-06-15',
      RoleArn: SESSION.roleArn,
      RoleSessionName: 'search',
    });
    expect(sts.failures).toEqual([]);
  });

  it('has external id, duration and tags', async () => {
    await assume({
      externalId: 'x/1',
      durationSeconds: 900,
      tags: [
        ['cost', 'a b'],
        ['team', 'search'],
      ],
    });
    expect(await form()).toMatchObject({
      ExternalId: 'x/1',
      DurationSeconds: '900',
      'Tags.member.1.Key': 'cost',
      'Tags.member.1.Value': 'a b',
      'Tags.member.2.Key': 'team',
      'Tags.member.2.Value': 'search',
    });
  });

  it.each([
    ['eu-west-1', false, 'sts.eu-west-1.amazonaws.com'],
    ['us-east-1', false, 'sts.us-east-1.amazonaws.com'],
    ['us-gov-west-1', false, 'sts.us-gov-west-1.amazonaws.com'],
    ['cn-north-1', false, 'sts.cn-north-1.amazonaws.com.cn'],
    ['us-east-1', true, 'sts-fips.us-east-1.amazonaws.com'],
  ])('goes to the endpoint of the region (%s, FIPS: %s)', async (region, fips, host) => {
    await assume({ region }, { fips });
    const request = await sts.nextRequest();
    expect([request.header('host'), request.signature?.scope.region]).toEqual([host, region]);
  });
});

it('goes through the proxy of a corporate network', async () => {
  await using proxy = await startForwardProxy({ toPort: sts.port });
  vi.stubEnv('AWS_ENDPOINT_URL_STS', 'http://sts.example.com');
  onTestFinished(() => void vi.unstubAllEnvs());
  const url = `http://127.0.0.1:${proxy.port}`;
  const network = { httpsProxy: url, httpProxy: url, noProxy: '', caBundle: undefined };
  const out = createForwarder({ connectTimeoutMs: 1_000, idleTimeoutMs: 5_000, network });
  onTestFinished(() => out.close());
  const assumeThere = createRoleAssumer({ forwarder: out, fips: false, nowMs: () => NOW_MS });
  expect((await assumeThere(SESSION, OWN)).accessKeyId).toBe('ASIAROLE');
  expect(proxy.targets).toEqual(['sts.example.com:80']);
});

describe('an STS that fails', () => {
  it.each([
    ['AccessDenied', 403, 'User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole'],
    ['ValidationError', 400, 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.'],
    ['RegionDisabledException', 403, 'STS is not activated in this region'],
    ['PackedPolicyTooLarge', 400, 'Packed size of session tags consumes 101% of allotted space.'],
  ])('refuses the role for good: %s', async (code, status, words) => {
    sts.respondWith((_, response) => sendError(response, status, code, words));
    const error = await failureOf(() => assume());
    expect([error.code, error.status]).toEqual(['ERR_ROLE_REFUSED', 403]);
    expect(error.detail).toContain(words);
    expect(`${error.message} ${error.hint}`).not.toContain('arn:');
    expect(sts.requests).toHaveLength(1);
  });

  it.each([
    ['ExpiredTokenException', true],
    ['ExpiredToken', true],
    ['InvalidClientTokenId', false],
  ])('says that it is the own credentials that it refuses: %s', async (code, haveExpired) => {
    sts.respondWith((_, response) => sendError(response, 403, code, 'no'));
    const thrown = await assume().catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(BaseRefused);
    expect(thrown).toMatchObject({ haveExpired });
  });

  it('is asked again after a 500, and three times at most', async () => {
    let asked = 0;
    sts.respondWith((_, response) => {
      asked += 1;
      if (asked < 3) sendError(response, 500, 'InternalFailure', 'oops');
      else sendSession(response);
    });
    expect((await assume()).accessKeyId).toBe('ASIAROLE');
    asked = -10;
    const error = await failureOf(() => assume());
    expect([error.code, asked]).toEqual(['ERR_AWS_CREDENTIALS', -7]);
  });

  it.each([
    ['a JSON document', '{"Credentials":{}}'],
    ['no XML', 'what?'],
    ['XML cut short', '<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A'],
    ['XML without credentials', '<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>'],
    ['nothing', ''],
  ])('is not believed where its response is %s', async (_, body) => {
    sts.respondWith((__, response) => sendXml(response, 200, body));
    expect((await failureOf(() => assume())).code).toBe('ERR_AWS_CREDENTIALS');
  });

  it('is not believed where what it gives has ended already', async () => {
    sts.respondWith((_, response) => sendSession(response, NOW_MS - 1_000));
    const error = await failureOf(() => assume());
    expect([error.code, error.hint]).toEqual([
      'ERR_AWS_CREDENTIALS',
      'On the machine that runs the proxy, set the clock.',
    ]);
  });

  it('is tried again if the connection breaks, and is then told as unreachable', async () => {
    let cuts = 0;
    sts.respondBeforeBody((incoming) => {
      cuts += 1;
      incoming.socket.destroy();
    });
    const error = await failureOf(() => assume());
    expect([error.code, cuts]).toEqual(['ERR_AWS_CREDENTIALS', 3]);
  });
});
