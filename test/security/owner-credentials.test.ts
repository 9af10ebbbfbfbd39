/**
 * What a holder of a key may try to get at the credentials behind it: AgentCore's Identity, which hands out tokens and
 * API keys of the account, in every disguise; STS in every form in which SDKs call it; and the errors of a profile or a
 * role that fails. Not one request leaves.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { startProxy, type Testbed } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';

const MASTER_KEY = 'sk-master-key-of-the-tests';
let testbed: Testbed;
let key: string;
let before: number;

beforeAll(async () => {
  testbed = await startProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
  key = (await testbed.mint('all', { policy: { ...EMPTY_POLICY, scope: 'all' } })).key;
});

afterAll(async () => {
  expect(testbed.upstream.failures).toEqual([]);
  await testbed[Symbol.asyncDispose]();
});

beforeEach(() => {
  before = testbed.upstream.requests.length;
});

const headersOf = (token: string, more: readonly string[] = []): string[] => [
  `Host: 127.0.0.1:${testbed.port}`,
  `Authorization: Bearer ${token}`,
  'Connection: close',
  ...more,
];

const IDENTITY = [
  'POST /bedrock/identities/api-key',
  'POST /bedrock/identities/oauth2/token',
  'POST /bedrock/identities/payment/token',
  'POST /bedrock/identities/GetWorkloadAccessToken',
  'POST /bedrock/identities/GetWorkloadAccessTokenForJWT',
  'POST /bedrock/identities/GetWorkloadAccessTokenForUserId',
  'POST /bedrock/bedrock-agentcore/identities/api-key',
  'POST /bedrock/bedrock-agentcore/%69dentities/api-key',
  'POST /bedrock/bedrock-agentcore/identit%69es/api%2dkey',
  'POST /bedrock/bedrock-agentcore/%2569dentities/api-key',
  'POST /bedrock/bedrock-agentcore/identities//api-key',
  'POST /bedrock/bedrock-agentcore//identities/api-key',
  'POST /bedrock/bedrock-agentcore/identities/api-key/',
  'POST /bedrock/bedrock-agentcore/identities/api-key;x=y',
  'POST /bedrock/bedrock-agentcore/Identities/api-key',
  'PUT /bedrock/bedrock-agentcore/identities/api-key',
  'POST /bedrock/bedrock-runtime/identities/api-key',
  'POST /bedrock/bedrock/identities/api-key',
  'POST /bedrock/agentcore-gateway/g1/identities/api-key',
  'POST /bedrock/bedrock-agentcore/x/../identities/api-key',
  'POST /bedrock/bedrock-agentcore/x/%2e%2e/identities/api-key',
];

it.each(IDENTITY)('refuses a key of every scope what hands out credentials: %s', async (line) => {
  const response = await ask(
    testbed.port,
    `${line} HTTP/1.1`,
    headersOf(key, ['Content-Length: 2']),
    Buffer.from('{}'),
  );
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(response.header('x-bedrock-proxy-error')).toMatch(/^ERR_(SCOPE|BAD_TARGET|UNKNOWN_OPERATION)$/);
  expect(testbed.upstream.requests).toHaveLength(before);
});

it('does not refuse it the master key, which is the owner', async () => {
  const line = 'POST /bedrock/identities/api-key HTTP/1.1';
  const response = await ask(testbed.port, line, headersOf(MASTER_KEY, ['Content-Length: 2']), Buffer.from('{}'));
  expect([response.status, testbed.upstream.requests.length]).toEqual([200, before + 1]);
});

const FORM = 'Action=GetSessionToken&Version=2011-06-15';

it.each([
  { name: 'the form at the root', line: 'POST /', body: FORM },
  { name: 'the form below the mount', line: 'POST /bedrock/', body: FORM },
  { name: 'the form behind a name', line: 'POST /bedrock/sts/', body: FORM },
  { name: 'the query', line: `GET /bedrock/?${FORM}`, body: '' },
  { name: 'the query at the root', line: `GET /?${FORM}`, body: '' },
  { name: 'the query of AssumeRole', line: 'GET /bedrock/sts?Action=AssumeRole&Version=2011-06-15', body: '' },
  { name: 'the paths of JSON', line: 'POST /bedrock/service/AWSSecurityTokenServiceV20110615/operation/X', body: '{}' },
  { name: 'the credentials of a container', line: 'GET /bedrock/v2/credentials/x', body: '' },
  { name: 'instance metadata', line: 'GET /bedrock/latest/meta-data/iam/security-credentials/', body: '' },
  { name: 'the portal of SSO', line: 'GET /bedrock/federation/credentials?role_name=x&account_id=1', body: '' },
])('sends nothing to STS and its like: $name', async ({ line, body }) => {
  const type = body === FORM ? 'application/x-www-form-urlencoded' : 'application/json';
  const headers = headersOf(key, [`Content-Length: ${body.length}`, `Content-Type: ${type}`]);
  const response = await ask(testbed.port, `${line} HTTP/1.1`, headers, Buffer.from(body));
  // The root says what the program is, whatever a query says.
  if (response.status === 200) expect(response.body.toString()).toContain('bedrock-proxy');
  else expect(response.status).toBeGreaterThanOrEqual(400);
  expect(testbed.upstream.requests).toHaveLength(before);
});
