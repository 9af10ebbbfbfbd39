import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { OfflineBedrock, OfflineBedrockOptions } from '../../../src/upstream/offline/server.ts';
import { decodeFrames } from '../../helpers/event-frames.ts';
import { openSigned, RUNTIME_HOST, sendSigned, startForTest } from '../../helpers/offline-bedrock.ts';
import { SIGNED_AT_MS, type RequestToSign } from '../../helpers/sigv4-signing.ts';

let bedrock: OfflineBedrock;

afterEach(() => bedrock.close());

const MODEL = 'anthropic.claude-3-haiku-20240307-v1:0';
const CONVERSE: RequestToSign = {
  method: 'POST',
  path: `/model/${MODEL}/converse`,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'hi' }] }] }),
};

async function send(toSign: RequestToSign, options: Partial<OfflineBedrockOptions> = {}) {
  bedrock = await startForTest(options);
  const response = await sendSigned(bedrock.port, toSign);
  const type = String(response.headers['x-amzn-errortype']).replace(/:.*/, '');
  return { ...response, type, text: response.body.toString() };
}

describe('the offline Bedrock', () => {
  it('dates and numbers its responses by what it was given', async () => {
    const toSign = { ...CONVERSE, atMs: SIGNED_AT_MS };
    const response = await send(toSign, { nowMs: () => SIGNED_AT_MS, newId: () => 'id-1' });
    expect(response.status).toBe(200);
    expect(response.headers).toMatchObject({ date: 'Sat, 14 Mar 2026 15:09:26 GMT', 'x-amzn-requestid': 'id-1' });
  });

  it('puts the token counts of InvokeModel in headers', async () => {
    const body = {
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'hi' }],
    };
    const response = await send({ ...CONVERSE, path: `/model/${MODEL}/invoke`, body: JSON.stringify(body) });
    const usage = (JSON.parse(response.text) as { usage: Record<string, number> }).usage;
    expect(response.headers['x-amzn-bedrock-input-token-count']).toBe(String(usage['input_tokens']));
    expect(response.headers['x-amzn-bedrock-output-token-count']).toBe(String(usage['output_tokens']));
    expect(Number(response.headers['x-amzn-bedrock-invocation-latency'])).toBeGreaterThan(0);
  });

  it('takes an encoded ARN for a model id', async () => {
    const arn = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.${MODEL}`;
    expect(await send({ ...CONVERSE, path: `/model/${encodeURIComponent(arn)}/converse` })).toMatchObject({
      status: 200,
    });
  });

  it('plays the host of another region', async () => {
    const there = { host: 'bedrock-runtime.eu-west-3.amazonaws.com', region: 'eu-west-3' };
    expect(await send({ ...CONVERSE, ...there })).toMatchObject({ status: 200 });
  });

  it.each([
    { name: 'a wrong secret', edit: { secretAccessKey: 'x' }, status: 403, type: 'InvalidSignatureException' },
    { name: 'a wrong access key id', edit: { accessKeyId: 'AKIAX' }, status: 403, type: 'UnrecognizedClientException' },
    { name: 'a foreign session', edit: { sessionToken: 'x' }, status: 403, type: 'UnrecognizedClientException' },
    { name: 'an old signature', edit: { atMs: Date.now() - 600_000 }, status: 403, type: 'InvalidSignatureException' },
    {
      name: 'the scope of another region',
      edit: { region: 'us-west-2' },
      status: 403,
      type: 'InvalidSignatureException',
    },
    { name: 'the scope of another service', edit: { service: 's3' }, status: 403, type: 'InvalidSignatureException' },
    {
      name: 'a host of no service',
      edit: { host: 's3.us-east-1.amazonaws.com' },
      status: 404,
      type: 'UnknownOperationException',
    },
    { name: 'an unknown path', edit: { path: '/modell/x/converse' }, status: 404, type: 'UnknownOperationException' },
    { name: 'a wrong method', edit: { method: 'GET', body: '' }, status: 404, type: 'UnknownOperationException' },
    { name: 'no JSON', edit: { body: '{"messages":' }, status: 400, type: 'SerializationException' },
    {
      name: 'an unknown model',
      edit: { path: '/model/nobody.knows-v1:0/converse' },
      status: 400,
      type: 'ValidationException',
    },
    {
      name: 'an embedding model',
      edit: { path: '/model/amazon.titan-embed-text-v2:0/converse' },
      status: 400,
      type: 'ValidationException',
    },
  ])('refuses a request with $name as $type', async ({ edit, status, type }) => {
    const response = await send({ ...CONVERSE, ...edit });
    expect(response).toMatchObject({ status, type });
    expect(JSON.parse(response.text)).toEqual({ message: expect.any(String) });
    expect(response.headers['x-amzn-requestid']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('takes the session token it was given, and refuses requests without it', async () => {
    const response = await send({ ...CONVERSE, sessionToken: 'session' }, { sessionToken: 'session' });
    expect(response.status).toBe(200);
    expect(await sendSigned(bedrock.port, CONVERSE)).toMatchObject({ status: 403 });
  });

  it('refuses requests without a signature, or with a malformed one', async () => {
    bedrock = await startForTest();
    const target = `http://127.0.0.1:${bedrock.port}/model/x/converse`;
    expect(await statusLine(`GET ${target} HTTP/1.1`, [])).toContain('MissingAuthenticationTokenException');
    expect(await statusLine(`GET ${target} HTTP/1.1`, ['authorization: Bearer x'])).toContain(
      'MissingAuthenticationToken',
    );
    expect(await statusLine(`GET ${target} HTTP/1.1`, ['authorization: AWS4-HMAC-SHA256 x'])).toContain(
      'IncompleteSignature',
    );
  });

  it('refuses a region that AWS does not have', async () => {
    const response = await send({ ...CONVERSE, host: 'bedrock-runtime.us-esat-1.amazonaws.com', region: 'us-esat-1' });
    expect(response).toMatchObject({ status: 400, type: 'UnknownEndpointException' });
    expect(response.text).toContain('https://bedrock-runtime.us-esat-1.amazonaws.com/');
  });

  it('refuses a body that is longer than AWS takes', async () => {
    const response = await send({ ...CONVERSE, body: Buffer.alloc(25_000_001, 32), sendsPayloadHash: false });
    expect(response).toMatchObject({ status: 413, type: 'RequestEntityTooLargeException' });
  });

  it.each([
    {
      name: 'an operation it lacks',
      edit: { path: '/model/x/invoke-with-bidirectional-stream' },
      says: 'InvokeModelWithBidirectionalStream',
    },
    { name: 'a route without a name', edit: { path: '/openai/v1/files', method: 'PUT' }, says: 'PUT /openai/v1/files' },
    {
      name: 'an awsJson operation',
      edit: {
        path: '/',
        host: 'bedrock-data-automation-runtime.us-east-1.amazonaws.com',
        headers: { 'x-amz-target': 'AmazonBedrockKeystoneRuntimeService.GetDataAutomationStatus' },
      },
      says: 'GetDataAutomationStatus',
    },
  ])('says by name that it lacks $name', async ({ edit, says }) => {
    const response = await send({ ...CONVERSE, ...edit });
    expect(response.status).toBe(400);
    expect(response.text).toContain(`The offline Bedrock lacks`);
    expect(response.text).toContain(says);
  });
});

const STREAM: RequestToSign = { ...CONVERSE, path: `/model/${MODEL}/converse-stream` };

describe('a stream of the offline Bedrock', () => {
  it('pads the frames of a stream, each with the three headers of AWS', async () => {
    const { headers, body } = await send(STREAM);
    expect(headers['content-type']).toBe('application/vnd.amazon.eventstream');
    for (const frame of decodeFrames(body)) {
      expect(Object.keys(frame.headers)).toEqual([':event-type', ':content-type', ':message-type']);
      expect(JSON.parse(Buffer.from(frame.body).toString())).toHaveProperty('p');
    }
  });

  it('streams frame by frame', async () => {
    bedrock = await startForTest({ pacingMs: 5 });
    const incoming = await openSigned(bedrock.port, STREAM);
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const frames = decodeFrames(Buffer.concat(chunks));
    expect(frames.length).toBeGreaterThan(8);
    expect(chunks.length).toBeGreaterThan(frames.length / 2);
  });

  it('waits for a client that does not read a stream', async () => {
    const text = 'word '.repeat(40_000);
    const content = { messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { maxTokens: 60_000 } };
    bedrock = await startForTest();
    const incoming = await openSigned(bedrock.port, { ...STREAM, body: JSON.stringify(content) });
    await once(incoming, 'readable');
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    expect(decodeFrames(Buffer.concat(chunks)).length).toBeGreaterThan(40_000);
  });

  it.each([
    { name: 'a stream', path: '/model/offline.reset-v1:0/converse-stream' },
    { name: 'a response', path: '/model/offline.reset-v1:0/converse' },
  ])('breaks $name off on demand', async ({ path }) => {
    bedrock = await startForTest();
    const incoming = await openSigned(bedrock.port, { ...CONVERSE, path });
    expect(incoming.statusCode).toBe(200);
    await expect(incoming.toArray()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('falls silent in a stream on demand, and its close ends the stream', async () => {
    bedrock = await startForTest();
    const incoming = await openSigned(bedrock.port, {
      ...CONVERSE,
      path: '/model/offline.silent-v1:0/converse-stream',
    });
    const [chunk] = (await once(incoming, 'data')) as [Buffer];
    expect(decodeFrames(chunk).length).toBeLessThanOrEqual(2);
    const broken = once(incoming, 'error');
    await bedrock.close();
    expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);
    bedrock = await startForTest();
  });

  it('streams slowly on demand', async () => {
    bedrock = await startForTest({ slowMs: 60 });
    const startedAtMs = performance.now();
    await (await openSigned(bedrock.port, { ...CONVERSE, path: '/model/offline.slow-v1:0/converse-stream' })).toArray();
    expect(performance.now() - startedAtMs).toBeGreaterThan(100);
  });
});

/** Sends raw lines and gives the whole response as text. */
async function statusLine(requestLine: string, headers: readonly string[]): Promise<string> {
  const socket = connect(bedrock.port, '127.0.0.1');
  const lines = [requestLine.replace(/http:\/\/[^/]+/, ''), `host: ${RUNTIME_HOST}`, 'x-amz-date: 20260314T150926Z'];
  socket.write([...lines, ...headers, 'connection: close', '', ''].join('\r\n'));
  return Buffer.concat((await socket.toArray()) as Buffer[]).toString();
}
