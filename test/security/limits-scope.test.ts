/**
 * A key by default against every operation there is, as it stands in the table: of the control planes nothing passes
 * but Get and List. And against the disguises of a path that AWS might read another way.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { type Operation, OPERATIONS } from '../../src/operations/catalog.ts';
import { startProxy, type Testbed } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';
import { openHttp2 } from '../helpers/http2-client.ts';

let testbed: Testbed;
let key: string;
let modelsAlone: string;
let limited: string;

beforeAll(async () => {
  testbed = await startProxy();
  key = (await testbed.mint('default')).key;
  modelsAlone = (await testbed.mint('models', { policy: { ...EMPTY_POLICY, scope: 'inference' } })).key;
  const policy: KeyPolicy = { ...EMPTY_POLICY, scope: 'all', models: ['amazon.nova-lite-*'] };
  limited = (await testbed.mint('limited', { policy })).key;
});

afterAll(async () => {
  expect(testbed.upstream.failures).toEqual([]);
  await testbed[Symbol.asyncDispose]();
});

const headersOf = (token: string, more: readonly string[] = []): string[] => [
  `Host: 127.0.0.1:${testbed.port}`,
  `Authorization: Bearer ${token}`,
  'Connection: close',
  ...more,
];

describe('a write in disguise', () => {
  const POLICY = '/automated-reasoning-policies/abc';
  it.each([
    { name: 'HEAD', line: 'HEAD /bedrock/bedrock/guardrails/gr12345678' },
    { name: 'OPTIONS', line: 'OPTIONS /bedrock/bedrock/guardrails/gr12345678' },
    { name: 'an encoded letter', line: `GET /bedrock/bedrock${POLICY}/%65xport` },
    { name: 'an export', line: `GET /bedrock/bedrock${POLICY}/export` },
    { name: 'an export with a slash', line: `GET /bedrock/bedrock${POLICY}/export/` },
    { name: 'two slashes', line: `GET /bedrock/bedrock${POLICY}//export` },
    { name: 'a path parameter', line: `GET /bedrock/bedrock${POLICY}/export;a=b` },
    { name: 'an unknown path', line: 'GET /bedrock/bedrock-agent/whatever' },
    { name: 'a write behind the wrong service', line: 'DELETE /bedrock/bedrock-agent/guardrails/gr12345678' },
    { name: 'a write with a slash more', line: 'DELETE /bedrock/guardrails/gr12345678/' },
    { name: 'PrepareAgent that lost its slash', line: 'POST /bedrock/agents/ABCDEFGHIJ' },
    { name: 'PrepareAgent', line: 'POST /bedrock/agents/ABCDEFGHIJ/' },
    { name: 'PrepareAgent behind its neighbour', line: 'POST /bedrock/bedrock-agent-runtime/agents/ABCDEFGHIJ/' },
    { name: 'a write behind a data plane', line: 'DELETE /bedrock/bedrock-runtime/guardrails/gr12345678' },
    { name: 'a write behind awsJson', line: 'DELETE /bedrock/bedrock-data-automation-runtime/guardrails/gr12345678' },
    { name: 'a write behind a gateway', line: 'DELETE /bedrock/agentcore-gateway/g1/guardrails/gr12345678' },
    { name: 'a purchase', line: 'POST /bedrock/bedrock-runtime/provisioned-model-throughput' },
    { name: 'an unknown write', line: 'POST /bedrock/bedrock-runtime/model/x/of-tomorrow' },
    { name: 'an unknown write at the root', line: 'POST /bedrock/bedrock-agentcore/' },
    { name: 'a write that an encoded letter hides', line: 'DELETE /bedrock/bedrock-runtime/%67uardrails/gr12345678' },
    { name: 'an archive', line: 'POST /bedrock/v1/organization/projects/p1/archive' },
    { name: 'a job of fine-tuning', line: 'POST /bedrock/v1/fine_tuning/jobs' },
    { name: 'a batch', line: 'POST /bedrock/openai/v1/batches' },
    { name: 'an upload', line: 'POST /bedrock/v1/uploads' },
    { name: 'a delete of a file', line: 'DELETE /bedrock/v1/files/f1' },
    { name: 'a delete of a response', line: 'DELETE /bedrock/v1/responses/resp_1' },
    { name: 'a batch of messages', line: 'POST /bedrock/anthropic/v1/messages/batches' },
  ])('refuses a write in disguise: $name', async ({ line }) => {
    const before = testbed.upstream.requests.length;
    const response = await ask(testbed.port, `${line} HTTP/1.1`, headersOf(key, ['Content-Length: 0']));
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_SCOPE']);
    expect(testbed.upstream.requests).toHaveLength(before);
  });

  it.each([
    'X-HTTP-Method-Override: DELETE',
    'X-Method-Override: DELETE',
    'X-Amz-Target: AmazonBedrock.DeleteGuardrail',
  ])('lets a read stay a read with %s', async (header) => {
    const response = await ask(testbed.port, 'GET /bedrock/guardrails/gr12345678 HTTP/1.1', headersOf(key, [header]));
    expect(response.status).toBe(200);
    const sent = testbed.upstream.requests.at(-1);
    expect(sent?.method).toBe('GET');
    expect(sent?.header('x-amz-target')).toBeUndefined();
  });
});

const CALLS = OPERATIONS.filter(
  ({ name, method, stream, service }) =>
    name !== undefined && method !== '*' && stream !== 'both' && stream !== 'websocket' && !service.targetPrefix,
);

describe('every operation', () => {
  it('is open to each scope by its effect', async () => {
    const wrong: string[] = [];
    const check = async ({ effect, service, name = '', method, template }: Operation): Promise<void> => {
      const path = `/${service.id}${template.replaceAll(/\{[^}]+\}/g, 'x')}`;
      const isReached =
        service.plane === 'data'
          ? effect !== 'write' && effect !== 'secret'
          : effect === 'read' && /^(?:Get|List)/.test(name);
      for (const [token, isOpen] of [
        [key, isReached],
        [modelsAlone, effect === 'inference'],
      ] as const) {
        const response = await fetch(`http://127.0.0.1:${testbed.port}/bedrock${path}`, {
          method,
          headers: { authorization: `Bearer ${token}` },
        });
        await response.arrayBuffer();
        const code = response.headers.get('x-bedrock-proxy-error');
        if ((code === 'ERR_SCOPE') === isOpen) wrong.push(`${token === key} ${method} ${path}: ${code}`);
      }
    };
    for (let at = 0; at < CALLS.length; at += 32) await Promise.all(CALLS.slice(at, at + 32).map(check));
    expect(CALLS.length).toBeGreaterThan(550);
    expect(wrong).toEqual([]);
  });
});

const chat = (body: string | Buffer, more: string[] = []): Promise<{ status: number; code: string | undefined }> => {
  const bytes = Buffer.from(body);
  const headers = headersOf(limited, [`Content-Length: ${bytes.length}`, ...more]);
  const sent = ask(testbed.port, 'POST /bedrock/openai/v1/chat/completions HTTP/1.1', headers, bytes);
  return sent.then(({ status, header }) => ({ status, code: header('x-bedrock-proxy-error') }));
};

describe('a model that is not on the list', () => {
  const OPUS = 'anthropic.claude-opus-4-6-v1';
  const NOVA = 'amazon.nova-lite-v1:0';
  const PARTITION = 'arn:aws-cn:bedrock:cn-north-1::foundation-model/';
  it.each([
    `/model/${OPUS}/converse`,
    `/model/${NOVA}%2F${OPUS}/converse`.replace(NOVA, 'x'),
    `/model/%61nthropic.claude-opus-4-6-v1/converse`,
    `/model/%20${NOVA}/converse`,
    `/model/${NOVA}%3F${OPUS}/converse`,
    `/model/${NOVA};${OPUS}/converse`,
    `/model/${NOVA}%20/converse`,
    `/model/${NOVA}%2F${OPUS}/converse`,
    `/model/${NOVA}%253F/converse`,
    `/model/${encodeURIComponent(PARTITION + OPUS)}/converse`,
    `/bedrock-runtime/model/${OPUS}/converse`,
    `/bedrock-runtime/model/${OPUS}/%63onverse`,
    `/bedrock-runtime/%6dodel/${OPUS}/converse`,
    `/bedrock-runtime/model//${OPUS}/converse`,
    `/bedrock-runtime/service/AmazonBedrockFrontendService/operation/Converse`,
    `/bedrock-mantle/v1/embeddings`,
    `/bedrock-mantle/openai/v1/completions`,
    `/bedrock-mantle/openai/v1/batches`,
    `/bedrock-mantle/openai/v1/fine_tuning/jobs`,
    `/bedrock-agent-runtime/model/${OPUS}/converse`,
    `/bedrock/model/${OPUS}/invoke`,
    `/async-invoke`,
    `/retrieveAndGenerate`,
  ])('refuses a model that is not on the list by %s', async (path) => {
    const before = testbed.upstream.requests.length;
    const body = JSON.stringify({ model: OPUS, modelId: OPUS, messages: [] });
    const headers = headersOf(limited, [`Content-Length: ${body.length}`, 'Content-Type: application/json']);
    const response = await ask(testbed.port, `POST /bedrock${path} HTTP/1.1`, headers, body);
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([403, 'ERR_MODEL_NOT_ALLOWED']);
    expect(testbed.upstream.requests).toHaveLength(before);
  });

  const plain = `{"model":"${NOVA}"}`;
  it.each<{ name: string; body: string | Buffer; headers?: string[] }>([
    { name: 'UTF-32', body: Buffer.from([...plain].flatMap((letter) => [letter.charCodeAt(0), 0, 0, 0])) },
    { name: 'another case of model', body: `{"model":"${NOVA}","Model":"${OPUS}"}` },
    { name: 'a list for a model', body: `{"model":"${NOVA}","model":["${OPUS}"]}` },
    { name: 'a NUL at its end', body: `${plain}\0` },
    { name: 'a NUL in a name', body: `{"model":"${NOVA}","mo\0del":"${OPUS}"}` },
    { name: 'garbage behind', body: `${plain}x` },
    { name: 'single quotes', body: `{'model':'${NOVA}'}` },
    { name: 'no quotes', body: `{model:"${NOVA}"}` },
    { name: 'a deep nest before it', body: `{"a":${'['.repeat(2000)}${']'.repeat(2000)},"model":"${NOVA}"}` },
    {
      name: 'two content types',
      body: plain,
      headers: ['Content-Type: application/json', 'Content-Type: text/plain; charset=utf-16'],
    },
    {
      name: 'a form',
      body: `--x\r\n\r\n${plain}\r\n--x--`,
      headers: ['Content-Type: multipart/form-data; boundary=x'],
    },
    {
      name: 'the name at the end of nine megabytes',
      body: `{"messages":["${'x '.repeat(4_600_000)}"],"model":"${OPUS}"}`,
    },
  ])('refuses a model that is not on the list in a body with $name', async ({ body, headers }) => {
    const before = testbed.upstream.requests.length;
    expect(await chat(body, headers)).toEqual({ status: 403, code: 'ERR_MODEL_NOT_ALLOWED' });
    expect(testbed.upstream.requests).toHaveLength(before);
  });

  it('refuses a body with a coding that it cannot unpack', async () => {
    const before = testbed.upstream.requests.length;
    const refused = await chat(plain, ['Content-Encoding: aws-chunked']);
    expect(refused).toEqual({ status: 415, code: 'ERR_BODY_ENCODING' });
    expect(testbed.upstream.requests).toHaveLength(before);
  });

  it('refuses a model that is not on the list in chunks with trailers, and over HTTP/2', async () => {
    const before = testbed.upstream.requests.length;
    const body = `{"model":"${OPUS}"}`;
    const chunks = [...body].map((letter) => `1;a=b\r\n${letter}\r\n`).join('');
    const line = 'POST /bedrock/openai/v1/chat/completions HTTP/1.1';
    const trailers = `${chunks}0\r\nContent-Encoding: gzip\r\n\r\n`;
    const response = await ask(testbed.port, line, headersOf(limited, ['Transfer-Encoding: chunked']), trailers);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_MODEL_NOT_ALLOWED');
    await using client = openHttp2(testbed.port);
    const overHttp2 = await client.ask(
      { ':method': 'POST', ':path': `/bedrock/model/${OPUS}/converse`, authorization: `Bearer ${limited}` },
      body,
    );
    expect(overHttp2.headers['x-bedrock-proxy-error']).toBe('ERR_MODEL_NOT_ALLOWED');
    expect(testbed.upstream.requests).toHaveLength(before);
  });

  it('lets the allowed model pass in a body of any media type', async () => {
    for (const type of ['text/plain', 'application/json; charset=UTF-8', 'application/x-amz-json-1.1']) {
      expect(await chat(plain, [`Content-Type: ${type}`])).toMatchObject({ status: 200 });
    }
  });
});
