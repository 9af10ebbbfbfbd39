/** The owner's Amazon Bedrock API key through the whole proxy: who gets it, who is signed for, and who is refused. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import type { Testbed, TestbedOptions } from '../helpers/testbed.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { AWS_VARIABLES, launchServer, openWorkplace, type Workplace } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../helpers/recording-upstream.ts';
import { IS_SERVED, WS_KEY, WS_PATH } from '../helpers/websocket-testbed.ts';

const API_KEY = 'ABSKQmVkcm9ja0FQSUtleS0xMjM0';
const BEARER_OPERATIONS = [
  'POST /model/a/converse',
  'POST /model/a/invoke-with-response-stream',
  'GET /foundation-models',
  'POST /openai/v1/chat/completions',
  'POST /anthropic/v1/messages',
  'POST /v1/responses',
];
const SIGNED_OPERATIONS = [
  'POST /agents/AGENT12345/agentAliases/ALIAS12345/sessions/s/text',
  'POST /knowledgebases/KB12345678/retrieve',
  'PUT /agents/',
  'POST /runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fa/invocations',
  'PUT /data-automation-projects/',
  'GET /openai/v1/agents/sessions',
  'POST /bedrock-mantle/openai/v1/agents/sessions',
];

let upstream: RecordingUpstream;

beforeEach(async () => {
  upstream = await startRecordingUpstream();
});

function open(options: TestbedOptions = {}): Promise<Testbed> {
  return openProxy({
    flags: { endpointUrl: [`http://127.0.0.1:${upstream.port}`], openaiUpstream: 'runtime' },
    environment: { AWS_BEARER_TOKEN_BEDROCK: API_KEY },
    ...options,
  });
}

const withoutCredentials: TestbedOptions = {
  load: () => Promise.reject(new ProxyError('ERR_NO_AWS_CREDENTIALS', 'There are none.')),
};

function call({ port }: Testbed, operation: string, headers: readonly string[] = []) {
  const [method, path] = operation.split(' ');
  return ask(port, `${method} /bedrock${path} HTTP/1.1`, ['Host: localhost', 'Content-Length: 2', ...headers], '{}');
}

describe('the API key', () => {
  it.each(BEARER_OPERATIONS)(
    'sends the API key to %s, unsigned, with and without credentials beside it',
    async (operation) => {
      for (const options of [{}, withoutCredentials]) {
        const opened = await open(options);
        const { key } = await opened.mint('alice');
        const response = await call(opened, operation, [`Authorization: Bearer ${key}`]);
        expect(response.status).toBe(200);
        const request = upstream.requests.at(-1);
        expect(request?.header('authorization')).toBe(`Bearer ${API_KEY}`);
        expect(request?.headers.filter(([name]) => /^x-amz-(date|content|security)/i.test(name))).toEqual([]);
        expect(JSON.stringify(request?.headers)).not.toContain(key);
      }
    },
  );

  it.each(SIGNED_OPERATIONS)('signs %s instead of sending the API key', async (operation) => {
    const opened = await open({
      flags: { endpointUrl: [`http://127.0.0.1:${upstream.port}`], openaiUpstream: 'mantle' },
    });
    expect((await call(opened, operation)).status).toBe(200);
    const [request] = upstream.requests;
    expect(request?.header('authorization')).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\//);
    expect(JSON.stringify(request?.headers)).not.toContain(API_KEY);
  });

  it.each(SIGNED_OPERATIONS)('refuses %s if there is only an API key', async (operation) => {
    const opened = await open({
      ...withoutCredentials,
      flags: { endpointUrl: [`http://127.0.0.1:${upstream.port}`], openaiUpstream: 'mantle' },
    });
    const response = await call(opened, operation);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_API_KEY_REFUSED']);
    expect(response.body.toString()).toContain('AWS does not take Amazon Bedrock API keys');
    expect(response.body.toString()).not.toContain(API_KEY);
    expect(upstream.requests).toEqual([]);
  });

  it('never sends the API key over the stream in both directions', async () => {
    const opened = await open(withoutCredentials);
    await using client = openHttp2(opened.port);
    const path = '/bedrock/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream';
    const type = 'application/vnd.amazon.eventstream';
    const response = await client.ask({ ':method': 'POST', ':path': path, 'content-type': type }, '');
    expect([response.status, response.headers['x-bedrock-proxy-error']]).toEqual([403, 'ERR_API_KEY_REFUSED']);
    expect(upstream.requests).toEqual([]);
  });

  it.runIf(IS_SERVED)('never sends the API key over a WebSocket', async () => {
    const upgrade = [
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${WS_KEY}`,
      'Sec-WebSocket-Version: 13',
    ];
    const opened = await open();
    await ask(opened.port, `GET /bedrock${WS_PATH} HTTP/1.1`, upgrade);
    expect(upstream.requests[0]?.header('authorization')).toMatch(/^AWS4-HMAC-SHA256 /);
    const poor = await open(withoutCredentials);
    const response = await ask(poor.port, `GET /bedrock${WS_PATH} HTTP/1.1`, upgrade);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_API_KEY_REFUSED');
    expect(upstream.requests).toHaveLength(1);
  });

  it('refuses requests with an API key that has expired', async () => {
    const opened = await open({ environment: { AWS_BEARER_TOKEN_BEDROCK: shortTermKey('20200101T000000Z') } });
    const response = await call(opened, 'POST /model/a/converse');
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_AWS_CREDENTIALS']);
    expect(response.body.toString()).toContain('expired at 2020-01-01T12:00:00.000Z');
    expect(upstream.requests).toEqual([]);
  });

  it('ignores a virtual key in place of an API key, and signs', async () => {
    const opened = await open({ environment: { AWS_BEARER_TOKEN_BEDROCK: 'sk-mine' } });
    expect((await call(opened, 'POST /model/a/converse')).status).toBe(200);
    expect(upstream.requests[0]?.header('authorization')).toMatch(/^AWS4-HMAC-SHA256 /);
  });
});

describe('the program', () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await openWorkplace();
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const { AWS_REGION: _region, ...pair } = AWS_VARIABLES;
  const start = (environment: Readonly<Record<string, string>>, flags: readonly string[] = []) =>
    launchServer(flags, { ...place.environment, ...environment });

  it('says at start that it has an API key, for how long, what is beside it, and takes its region by default', async () => {
    const minutes = 90;
    const signedAt = new Date(Date.now() - 43_200_000 + minutes * 60_000);
    const amzDate = `${signedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
    const key = shortTermKey(amzDate);
    await using server = await start({ ...pair, AWS_BEARER_TOKEN_BEDROCK: key });
    server.child.kill('SIGTERM');
    const { stderr } = await server.ended;
    expect(stderr).toMatch(
      /credentials +Bedrock API key \(AWS_BEARER_TOKEN_BEDROCK\), for another (90|89) min; beside it/,
    );
    expect(stderr).toContain('environment variables');
    expect(stderr).toMatch(/region +eu-west-1 \(Bedrock API key\)/);
    expect(stderr).not.toContain(key);
  });

  it('says at start what it refuses if there is nothing beside the API key', async () => {
    await using server = await start({ AWS_BEARER_TOKEN_BEDROCK: API_KEY, AWS_REGION: 'us-east-1' });
    await server.untilStderr('no AWS credentials, so agents');
    server.child.kill('SIGTERM');
    expect((await server.ended).stderr).not.toContain(API_KEY);
  });

  it('warns at start of a virtual key in place of the API key', async () => {
    await using server = await start({ ...AWS_VARIABLES, AWS_BEARER_TOKEN_BEDROCK: 'sk-not-for-aws' });
    const stderr = await server.untilStderr('boto3.client');
    expect(stderr).toContain('warning: AWS_BEARER_TOKEN_BEDROCK holds a virtual key');
    expect(stderr).not.toContain('sk-not-for-aws');
  });

  it('signs for the offline Bedrock, whatever API key there is', async () => {
    await using server = await start({ AWS_BEARER_TOKEN_BEDROCK: API_KEY }, ['--offline']);
    const body = '{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}';
    const head = ['Host: localhost', 'Content-Type: application/json', `Content-Length: ${body.length}`];
    const line = 'POST /bedrock/model/amazon.nova-lite-v1%3A0/converse HTTP/1.1';
    expect((await ask(server.port, line, head, body)).status).toBe(200);
  });
});

function shortTermKey(amzDate: string): string {
  const presigned =
    'bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256' +
    '&X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Feu-west-1%2Fbedrock%2Faws4_request' +
    `&X-Amz-Date=${amzDate}&X-Amz-Expires=43200&X-Amz-SignedHeaders=host&X-Amz-Signature=00&Version=1`;
  return `bedrock-api-key-${Buffer.from(presigned).toString('base64')}`;
}
