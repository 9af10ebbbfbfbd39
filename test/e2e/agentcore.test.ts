/**
 * AgentCore through the whole proxy: agents in every form in which they answer, MCP and agent cards below their path,
 * gateways on hosts of their own, and callers who bring an OAuth token of their own instead of being signed for.
 */
import type { ServerResponse } from 'node:http';
import { beforeEach, describe, expect, it } from 'vitest';
import type { FakeUpstream } from '../helpers/fake-upstream.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { Testbed } from '../helpers/testbed.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { ask, dial, type RawResponse, requestText } from '../helpers/raw-socket.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../helpers/recording-upstream.ts';
import { IS_SERVED, WS_KEY, WS_PATH } from '../helpers/websocket-testbed.ts';

const ARN = 'arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fmy_agent-1234567890';
const INVOKE = `/runtimes/${ARN}/invocations`;
const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';
const SESSION = 'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id';

describe('an agent, called by a virtual key', () => {
  let opened: Testbed;
  let aws: FakeUpstream;
  let key: string;

  beforeEach(async () => {
    opened = await openProxy({ realHosts: true });
    aws = opened.upstream;
    ({ key } = await opened.mint('alice'));
  });

  const call = (method: string, path: string, headers: readonly string[] = [], body = '') =>
    ask(
      opened.port,
      `${method} /bedrock${path} HTTP/1.1`,
      ['Host: localhost', `Authorization: Bearer ${key}`, ...headers, `Content-Length: ${body.length}`],
      body,
    );

  it.each([
    { method: 'POST', path: `${INVOKE}?qualifier=DEFAULT&accountId=123456789012`, operation: 'InvokeAgentRuntime' },
    { method: 'GET', path: `${INVOKE}/.well-known/agent-card.json?qualifier=DEFAULT`, operation: 'GetAgentCard' },
    { method: 'POST', path: `${INVOKE}/mcp`, operation: 'InvokeAgentRuntimeSubpath' },
    { method: 'DELETE', path: `${INVOKE}/mcp`, operation: 'InvokeAgentRuntimeSubpath' },
    { method: 'PATCH', path: `${INVOKE}/a/b%2Fc//d`, operation: 'InvokeAgentRuntimeSubpath' },
    { method: 'POST', path: `/runtimes/${ARN}/commands`, operation: 'InvokeAgentRuntimeCommand' },
  ])('signs $method $path of an agent, and keeps it as it was', async ({ method, path, operation }) => {
    const response = await call(
      method,
      path,
      ['Content-Type: application/x-anything'],
      method === 'GET' ? '' : '{"p":1}',
    );
    expect(response.status).toBe(200);
    const request = await aws.nextRequest();
    expect([request.method, request.rawTarget]).toEqual([method, path]);
    expect(request.header('host')).toBe('bedrock-agentcore.us-east-1.amazonaws.com');
    expect(request.signature?.scope).toMatchObject({ service: 'bedrock-agentcore', region: 'us-east-1' });
    expect(opened.records.at(-1)?.route?.operation).toBe(operation);
    expect(JSON.stringify(request.headers)).not.toContain(key);
  });

  it('keeps session, MCP and tracing headers both ways, and signs the session', async () => {
    aws.respondWith((_, response) => {
      response.writeHead(202, {
        [SESSION]: 'answer-session',
        'Mcp-Session-Id': 'mcp-answer',
        'Mcp-Protocol-Version': '2025-06-18',
        'X-Amzn-Trace-Id': 'Root=1-2',
        traceparent: '00-a-b-01',
        'Content-Type': 'application/x-agent',
      });
      response.end('bytes');
    });
    const sent = {
      [SESSION]: 's'.repeat(36),
      'X-Amzn-Bedrock-AgentCore-Runtime-User-Id': 'alice',
      'X-Amzn-Bedrock-AgentCore-Runtime-Custom-Tone': 'kind',
      'Mcp-Session-Id': 'mcp',
      'Mcp-Protocol-Version': '2025-06-18',
      'Mcp-Method': 'tools/call',
      'Mcp-Name': 'search',
      'X-Amzn-Trace-Id': 'Root=1-1',
      traceparent: '00-1-2-01',
      tracestate: 'a=b',
      baggage: 'c=d',
    };
    const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}`);
    const response = await call('POST', INVOKE, lines, '{}');
    const request = await aws.nextRequest();
    for (const [name, value] of Object.entries(sent)) expect(request.headers).toContainEqual([name, value]);
    expect(request.signature?.signedHeaders).toContain(SESSION.toLowerCase());
    expect(response.status).toBe(202);
    expect([response.header(SESSION.toLowerCase()), response.header('mcp-session-id')]).toEqual([
      'answer-session',
      'mcp-answer',
    ]);
    expect([response.header('x-amzn-trace-id'), response.header('traceparent')]).toEqual(['Root=1-2', '00-a-b-01']);
    expect([response.header('content-type'), response.body.toString()]).toEqual(['application/x-agent', 'bytes']);
  });

  it.each([
    { name: 'server-sent events', type: 'text/event-stream', pieces: ['data: {"a":1}\n\n', 'data: [DONE]\n\n'] },
    { name: 'bytes', type: 'application/octet-stream', pieces: ['\x00\xff\r\n', '\x01\x80'] },
  ])('streams $name of an agent as they come', async ({ type, pieces: [first = '', second = ''] }) => {
    const streams: ServerResponse[] = [];
    aws.respondWith((_, response) => {
      response.writeHead(200, { 'content-type': type });
      response.write(Buffer.from(first, 'latin1'));
      streams.push(response);
    });
    await using raw = await dial(opened.port);
    const head = ['Host: localhost', `Authorization: Bearer ${key}`, 'Content-Length: 2'];
    await raw.send(requestText(`POST /bedrock${INVOKE} HTTP/1.1`, head, '{}'));
    // The agent goes on only after the client has its first piece.
    await raw.until(first);
    streams[0]?.end(Buffer.from(second, 'latin1'));
    const response = await raw.readResponse();
    expect([response.header('content-type'), response.body.toString('latin1')]).toEqual([type, first + second]);
  });

  it("sends a gateway's request to the host of that gateway", async () => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const type = 'Content-Type: application/json';
    const response = await call('POST', '/agentcore-gateway/my-gateway-abc123/mcp', [type, 'Mcp-Session-Id: m'], body);
    expect(response.status).toBe(200);
    const request = await aws.nextRequest();
    expect(request.rawTarget).toBe('/mcp');
    expect(request.header('host')).toBe('my-gateway-abc123.gateway.bedrock-agentcore.us-east-1.amazonaws.com');
    expect(request.signature?.scope.service).toBe('bedrock-agentcore');
    expect([request.header('mcp-session-id'), request.body.toString()]).toEqual(['m', body]);
  });

  it.each(['UPPER', 'a.evil.example', '-a', 'a%2Fb', 'a@b'])('refuses a gateway named %s', async (id) => {
    const response = await call('POST', `/agentcore-gateway/${id}/mcp`);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([400, 'ERR_BAD_TARGET']);
    expect(aws.requests).toHaveLength(0);
  });
});

describe("a caller's own OAuth token", () => {
  let opened: Testbed;
  let aws: RecordingUpstream;
  let key: string;

  beforeEach(async () => {
    aws = await startRecordingUpstream();
    opened = await openProxy({
      flags: { endpointUrl: [`http://127.0.0.1:${aws.port}`] },
      environment: { AWS_BEARER_TOKEN_BEDROCK: 'ABSKowner' },
    });
    ({ key } = await opened.mint('alice', { policy: { ...EMPTY_POLICY, scope: 'all' } }));
  });

  const callWithToken = (method: string, path: string, keyHeader = `X-Api-Key: ${key}`): Promise<RawResponse> =>
    ask(
      opened.port,
      `${method} /bedrock${path} HTTP/1.1`,
      ['Host: localhost', `Authorization: Bearer ${JWT}`, keyHeader, `${SESSION}: s`, 'Content-Length: 2'],
      '{}',
    );

  it.each([
    `POST ${INVOKE}?qualifier=DEFAULT`,
    `GET ${INVOKE}/.well-known/agent-card.json`,
    `POST ${INVOKE}/mcp`,
    'POST /agentcore-gateway/my-gateway-abc123/mcp',
  ])("keeps a caller's OAuth token and signs nothing: %s", async (operation) => {
    const [method = '', path = ''] = operation.split(' ');
    expect((await callWithToken(method, path)).status).toBe(200);
    const [request] = aws.requests;
    expect(request?.header('authorization')).toBe(`Bearer ${JWT}`);
    expect(request?.headers.filter(([name]) => /^x-amz-/i.test(name))).toEqual([]);
    expect(request?.header(SESSION.toLowerCase())).toBe('s');
    expect(JSON.stringify(request?.headers)).not.toContain(key);
    expect(request?.header('x-api-key')).toBeUndefined();
  });

  it.each([
    'POST /model/a/converse',
    'POST /agents/AGENT12345/agentAliases/ALIAS12345/sessions/s/text',
    'POST /openai/v1/chat/completions',
    'POST /memories/m/actors',
    'POST /code-interpreters/aws.codeinterpreter.v1/tools/invoke',
    'PUT /runtimes/',
  ])("never sends a caller's OAuth token elsewhere: %s", async (operation) => {
    const [method = '', path = ''] = operation.split(' ');
    await callWithToken(method, path);
    expect(aws.requests).toHaveLength(1);
    for (const { headers } of aws.requests) expect(JSON.stringify(headers)).not.toMatch(new RegExp(`${JWT}|${key}`));
  });

  it("refuses a caller's OAuth token without a virtual key", async () => {
    const response = await callWithToken('POST', INVOKE, 'X-Api-Key: sk-wrong');
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([401, 'ERR_KEY_UNKNOWN']);
    expect((await callWithToken('POST', INVOKE, 'X-Nothing: 1')).status).toBe(401);
    expect(aws.requests).toEqual([]);
  });

  it('does not take a virtual key in Authorization for an OAuth token', async () => {
    const lines = ['Host: localhost', `Authorization: Bearer ${key}`, 'Content-Length: 2'];
    expect((await ask(opened.port, `POST /bedrock${INVOKE} HTTP/1.1`, lines, '{}')).status).toBe(200);
    expect(aws.requests[0]?.header('authorization')).toMatch(/^AWS4-HMAC-SHA256 /);
  });

  it("passes on AWS's refusal of an OAuth token as AWS gave it", async () => {
    aws.respondWith((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="https://x.example/.well-known"' });
      response.end('{"message":"expired"}');
    });
    const response = await callWithToken('POST', `${INVOKE}/mcp`);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([401, undefined]);
    expect(response.header('www-authenticate')).toContain('resource_metadata');
  });

  it.runIf(IS_SERVED)("opens a WebSocket with a caller's OAuth token, unsigned", async () => {
    aws.onUpgrade((_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
    });
    await using raw = await dial(opened.port);
    const lines = [
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${WS_KEY}`,
      'Sec-WebSocket-Version: 13',
      `Authorization: Bearer ${JWT}`,
      `X-Api-Key: ${key}`,
    ];
    await raw.send(requestText(`GET /bedrock${WS_PATH} HTTP/1.1`, lines));
    expect(await raw.until('hello')).toContain('101');
    const [request] = aws.requests;
    expect(request?.header('authorization')).toBe(`Bearer ${JWT}`);
    expect(JSON.stringify(request?.headers)).not.toMatch(new RegExp(`${key}|x-amz-date`, 'i'));
  });
});
