/**
 * The AWS SDK for JavaScript as people use it, with a bearer key: over HTTP/2 (its own choice for http://) and
 * HTTP/1.1.
 */
import { BedrockClient, ListFoundationModelsCommand } from '@aws-sdk/client-bedrock';
import { BedrockAgentRuntimeClient, InvokeAgentCommand } from '@aws-sdk/client-bedrock-agent-runtime';
import { BedrockAgentCoreClient, InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { cutConnection, sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const PROFILE_ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';
const RUNTIME_ARN = 'arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/my_agent-AbCdEf1234';
const MESSAGES = [{ role: 'user' as const, content: [{ text: 'Grüß dich' }] }];

const { it, testbed } = proxyTest();
let key: MintedKey;
const clients: { destroy(): void }[] = [];

beforeEach(async () => {
  key = await testbed.mint('sdk');
});

afterEach(async () => {
  clients.splice(0).forEach((client) => client.destroy());
});

function settings(endpoint = testbed.url) {
  return {
    region: 'us-east-1',
    endpoint,
    maxAttempts: 1,
    token: { token: key.key },
    authSchemePreference: ['httpBearerAuth'],
  };
}

/** Dummy AWS keys and the virtual key in a header: the way where a client knows no bearer tokens. */
function signed() {
  return {
    region: 'us-east-1',
    endpoint: testbed.url,
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'dummy' },
  };
}

/** Every event of a stream. */
async function readAll<T>(stream: AsyncIterable<T> | undefined): Promise<T[]> {
  const events: T[] = [];
  for await (const event of stream ?? []) events.push(event);
  return events;
}

function owned<T extends { destroy(): void }>(client: T): T {
  clients.push(client);
  return client;
}

const VERSIONS = [
  { version: '2', handler: {} },
  { version: '1.1', handler: { requestHandler: new NodeHttpHandler() } },
];

describe.each(VERSIONS)('bedrock-runtime over HTTP/$version', ({ version, handler }) => {
  const runtime = (endpoint?: string): BedrockRuntimeClient =>
    owned(new BedrockRuntimeClient({ ...settings(endpoint), ...handler }));

  it.each([
    { name: 'a model id', modelId: MODEL },
    { name: 'an ARN', modelId: PROFILE_ARN },
  ])('converses with the AWS SDK by $name', async ({ modelId }) => {
    const message = {
      output: { message: { role: 'assistant', content: [{ text: 'Hallo' }] } },
      usage: { inputTokens: 1 },
    };
    testbed.upstream.respondWith((_, response) => sendJson(response, 200, message, { 'x-amzn-requestid': 'from-aws' }));
    const ended = testbed.nextRecord();
    const result = await runtime().send(new ConverseCommand({ modelId, messages: MESSAGES }));
    expect(result.output?.message?.content).toEqual([{ text: 'Hallo' }]);
    expect(result.$metadata).toMatchObject({ httpStatusCode: 200, requestId: 'from-aws', attempts: 1 });
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe(`/model/${encodeURIComponent(modelId)}/converse`);
    expect(JSON.parse(request.body.toString())).toEqual({ messages: MESSAGES });
    expect(request.signature?.scope).toMatchObject({ region: 'us-east-1', service: 'bedrock' });
    expect(await ended).toMatchObject({
      httpVersion: version,
      route: { operation: 'Converse' },
      upstreamRequestId: 'from-aws',
    });
  });

  it('streams a conversation to the AWS SDK', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }));
      for (const text of ['one ', 'two'])
        response.write(eventFrame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 }));
      response.end(eventFrame('messageStop', { stopReason: 'end_turn' }));
    });
    const result = await runtime().send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
    const events = await readAll(result.stream);
    expect(events.map((event) => event.contentBlockDelta?.delta?.text ?? Object.keys(event)[0])).toEqual([
      'messageStart',
      'one ',
      'two',
      'messageStop',
    ]);
  });

  it('invokes a model with bytes of the AWS SDK', async () => {
    const body = Buffer.from([0, 255, 1, 254]);
    testbed.upstream.respondWith((request, response) => {
      response.writeHead(200, { 'content-type': 'image/x', 'x-amzn-bedrock-input-token-count': '3' });
      response.end(request.body);
    });
    const result = await runtime().send(
      new InvokeModelCommand({ modelId: MODEL, body, contentType: 'image/x', accept: '*/*' }),
    );
    expect(Buffer.from(result.body).equals(body)).toBe(true);
    expect(result.contentType).toBe('image/x');
    expect((await testbed.upstream.nextRequest()).header('content-type')).toBe('image/x');
  });

  it('invokes a model with a streamed response to the AWS SDK', async () => {
    const pieces = ['{"type":"a"}', '{"type":"b"}'];
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      for (const piece of pieces) response.write(eventFrame('chunk', { bytes: Buffer.from(piece).toString('base64') }));
      response.end();
    });
    const result = await runtime().send(new InvokeModelWithResponseStreamCommand({ modelId: MODEL, body: '{}' }));
    const events = await readAll(result.body);
    expect(events.map((event) => Buffer.from(event.chunk?.bytes ?? []).toString())).toEqual(pieces);
  });

  it('serves an AWS SDK whose endpoint ends in a slash', async () => {
    await runtime(`${testbed.url}/`).send(new ConverseCommand({ modelId: MODEL, messages: MESSAGES }));
    expect((await testbed.upstream.nextRequest()).rawTarget).toBe(`/model/${encodeURIComponent(MODEL)}/converse`);
  });

  it.each([
    { status: 400, type: 'ValidationException' },
    { status: 403, type: 'AccessDeniedException' },
    { status: 404, type: 'ResourceNotFoundException' },
    { status: 408, type: 'ModelTimeoutException' },
    { status: 424, type: 'ModelErrorException' },
    { status: 429, type: 'ThrottlingException' },
    { status: 500, type: 'InternalServerException' },
    { status: 503, type: 'ServiceUnavailableException' },
  ])("makes the AWS SDK throw AWS's $type as its own class", async ({ status, type }) => {
    testbed.upstream.respondWith((_, response) => sendAwsError(response, { status, type, message: 'from AWS' }));
    const failure: unknown = await runtime()
      .send(new ConverseCommand({ modelId: MODEL, messages: MESSAGES }))
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: type, message: 'from AWS', $metadata: { httpStatusCode: status } });
  });

  it('makes the AWS SDK throw an exception in the middle of a stream as its own class', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }));
      response.end(exceptionFrame('throttlingException', 'slow down'));
    });
    const result = await runtime().send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
    const reading = readAll(result.stream);
    await expect(reading).rejects.toMatchObject({ name: 'ThrottlingException', message: 'slow down' });
  });

  it('never lets the AWS SDK take a stream that AWS broke off for a whole one', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }), () => cutConnection(response));
    });
    const result = await runtime().send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
    await expect(readAll(result.stream)).rejects.toThrow();
  });

  it('makes the AWS SDK throw our refusals as typed errors that say what to do', async () => {
    const client = owned(new BedrockRuntimeClient({ ...settings(), ...handler, token: { token: 'sk-wrong' } }));
    const failure: unknown = await client
      .send(new ConverseCommand({ modelId: MODEL, messages: MESSAGES }))
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'UnrecognizedClientException', $metadata: { httpStatusCode: 401 } });
    expect(String(failure)).toContain('key generate');
  });

  it('ends the work at AWS if the caller of the AWS SDK gives up', async () => {
    testbed.upstream.respondWith(() => {});
    const abort = new AbortController();
    const sent = runtime().send(new ConverseCommand({ modelId: MODEL, messages: MESSAGES }), {
      abortSignal: abort.signal,
    });
    const failed = sent.catch((error: unknown) => error);
    const request = await testbed.upstream.nextRequest();
    abort.abort();
    expect(await request.closed).toBe('broken');
    expect(await failed).toMatchObject({ name: 'AbortError' });
  });
});

describe('the other services', () => {
  it('invokes an agent with the key in litellm_user_api_key', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response, {
        'x-amzn-bedrock-agent-content-type': 'application/json',
        'x-amz-bedrock-agent-session-id': 's',
      });
      response.write(eventFrame('chunk', { bytes: Buffer.from('Hel').toString('base64') }));
      response.end(eventFrame('chunk', { bytes: Buffer.from('lo').toString('base64') }));
    });
    const client = owned(new BedrockAgentRuntimeClient(signed()));
    client.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        headers['litellm_user_api_key'] = `Bearer ${key.key}`;
        return next(args);
      },
      { step: 'build' },
    );
    const ended = testbed.nextRecord();
    const command = { agentId: 'AGENT12345', agentAliasId: 'ALIAS12345', sessionId: 's', inputText: 'hi' };
    const result = await client.send(new InvokeAgentCommand(command));
    const events = await readAll(result.completion);
    expect(Buffer.concat(events.map((event) => event.chunk?.bytes ?? new Uint8Array())).toString()).toBe('Hello');
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe('/agents/AGENT12345/agentAliases/ALIAS12345/sessions/s/text');
    expect(JSON.stringify(request.headers)).not.toContain('AKIAIOSFODNN7EXAMPLE');
    expect(await ended).toMatchObject({ principal: { label: 'sdk' }, route: { service: 'bedrock-agent-runtime' } });
  });

  it('lists models with a bearer key of the AWS SDK', async () => {
    testbed.upstream.respondWith((_, response) =>
      sendJson(response, 200, { modelSummaries: [{ modelId: 'a', modelArn: 'b' }] }),
    );
    const client = owned(new BedrockClient(settings()));
    const ended = testbed.nextRecord();
    const result = await client.send(new ListFoundationModelsCommand({ byProvider: 'Amazon' }));
    expect(result.modelSummaries).toEqual([{ modelId: 'a', modelArn: 'b' }]);
    expect((await testbed.upstream.nextRequest()).rawTarget).toBe('/foundation-models?byProvider=Amazon');
    expect(await ended).toMatchObject({ route: { service: 'bedrock', operation: 'ListFoundationModels' } });
  });

  it('invokes an agent runtime with the AWS SDK and keeps its session', async () => {
    const session = 'a-session-of-at-least-thirty-three-characters';
    testbed.upstream.respondWith((_, response) => {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'x-amzn-bedrock-agentcore-runtime-session-id': session,
      });
      response.end('data: "hi"\n\n');
    });
    const client = owned(new BedrockAgentCoreClient(signed()));
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as { headers: Record<string, string> }).headers['x-api-key'] = key.key;
        return next(args);
      },
      { step: 'build' },
    );
    const command = {
      agentRuntimeArn: RUNTIME_ARN,
      runtimeSessionId: session,
      qualifier: 'DEFAULT',
      payload: Buffer.from('{}'),
    };
    const result = await client.send(new InvokeAgentRuntimeCommand(command));
    expect(result.runtimeSessionId).toBe(session);
    expect(await result.response?.transformToString()).toBe('data: "hi"\n\n');
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe(`/runtimes/${encodeURIComponent(RUNTIME_ARN)}/invocations?qualifier=DEFAULT`);
    expect(request.signature?.scope.service).toBe('bedrock-agentcore');
    expect(request.signature?.signedHeaders).toContain('x-amzn-bedrock-agentcore-runtime-session-id');
  });
});
