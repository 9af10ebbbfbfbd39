/**
 * When another upstream is asked, and what the client, the ledger and the budget see of it: a row for each thing that
 * an upstream can do, and for each kind of operation.
 */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { openSeveralUpstreams, type SeveralUpstreams } from '../helpers/several-upstreams.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST = 100 * 60 + 10 * 240;
const TEXT = eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 });
const METADATA = eventFrame('metadata', USAGE);
const BUDGET = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };
const TWO = [
  { name: 'first', region: 'us-east-1', weight: 1 },
  { name: 'second', region: 'us-west-2', weight: 0 },
];

type Respond = (response: ServerResponse) => void;
const fail =
  (status: number, type: string, headers: Record<string, string> = {}): Respond =>
  (response) =>
    sendAwsError(response, { status, type, message: 'no', headers });
const whole: Respond = (response) => sendJson(response, 200, USAGE);
const stream =
  (...frames: Buffer[]): Respond =>
  (response) => {
    startEventStream(response);
    for (const frame of frames) response.write(frame);
    response.end();
  };

const slowly: Respond = (response) => void setTimeout(() => fail(429, 'ThrottlingException')(response), 60);

interface Sent {
  readonly status: number;
  readonly bytes: Buffer;
  readonly header: (name: string) => string | null;
}

async function openTwo(first: Respond, second: Respond): Promise<SeveralUpstreams & { readonly key: string }> {
  const opened = await openSeveralUpstreams(TWO);
  for (const [index, respond] of [first, second].entries()) {
    opened.upstreams[index]?.respondWith((_request, response) => respond(response));
  }
  const { key } = await opened.testbed.mint('k', { policy: { ...EMPTY_POLICY, scope: 'all', budget: BUDGET } });
  return { ...opened, key };
}

async function send(url: string, key: string, path: string, method = 'POST'): Promise<Sent> {
  const body = JSON.stringify({ model: NOVA, messages: [], max_tokens: 2_000, inferenceConfig: { maxTokens: 2_000 } });
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(method === 'POST' ? { body } : {}),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, bytes, header: (name) => response.headers.get(name) };
}

const CONVERSE = `/model/${NOVA}/converse`;
const STREAM = `/model/${NOVA}/converse-stream`;

describe('another upstream is asked', () => {
  it.each<{ name: string; respond: Respond; partial?: boolean }>([
    { name: '429 ThrottlingException', respond: fail(429, 'ThrottlingException') },
    { name: '429 ModelNotReadyException', respond: fail(429, 'ModelNotReadyException') },
    { name: '424 ModelNotReadyException', respond: fail(424, 'ModelNotReadyException') },
    { name: '429 without a type', respond: (response) => sendJson(response, 429, { message: 'slow down' }) },
    { name: '503', respond: fail(503, 'ServiceUnavailableException') },
    { name: '529', respond: fail(529, 'Overloaded') },
    { name: '500', respond: fail(500, 'InternalServerException') },
    { name: 'a reset before a response', respond: cutConnection, partial: true },
    {
      name: 'a reset within the head of a refusal',
      respond: (response) => {
        response.writeHead(429, { 'content-length': 1000 });
        response.write('{', () => cutConnection(response));
      },
      partial: true,
    },
  ])('after $name', async ({ respond, partial = false }) => {
    const { testbed, key, counts } = await openTwo(respond, whole);
    const over = testbed.nextRecord();
    const { status, bytes, header } = await send(testbed.url, key, CONVERSE);
    expect([status, JSON.parse(bytes.toString())]).toEqual([200, USAGE]);
    expect([header('x-bedrock-proxy-upstream'), header('x-bedrock-proxy-attempts')]).toEqual(['second', '2']);
    expect(counts()).toEqual([1, 1]);
    const record = await over;
    expect(record).toMatchObject({ upstream: 'second', attempts: 2, pricing: 'priced', costNanoUsd: COST, partial });
    expect(record.route?.region).toBe('us-west-2');
    // What may have been billed before is told, and charged as far as it was reserved.
    if (partial) expect(record.chargedNanoUsd).toBeGreaterThan(COST);
    else expect(record.chargedNanoUsd).toBe(COST);
  });

  it.each(['throttlingException', 'serviceUnavailableException', 'internalServerException', 'modelNotReadyException'])(
    'after a stream that begins with %s',
    async (type) => {
      const { testbed, key, counts } = await openTwo(stream(exceptionFrame(type, 'no')), stream(TEXT, METADATA));
      const over = testbed.nextRecord();
      const { status, bytes } = await send(testbed.url, key, STREAM);
      expect([status, bytes]).toEqual([200, Buffer.concat([TEXT, METADATA])]);
      expect(counts()).toEqual([1, 1]);
      expect(await over).toMatchObject({ upstream: 'second', attempts: 2, costNanoUsd: COST, partial: false });
    },
  );

  it('after an upstream that cannot be reached, which costs nothing', async () => {
    const { testbed, key, upstreams } = await openTwo(whole, whole);
    await upstreams[0]?.close();
    const over = testbed.nextRecord();
    expect((await send(testbed.url, key, CONVERSE)).status).toBe(200);
    expect(await over).toMatchObject({ upstream: 'second', attempts: 2, chargedNanoUsd: COST, partial: false });
  });
});

describe('no other upstream is asked', () => {
  it.each<{ name: string; respond: Respond; path?: string; status: number }>([
    { name: '400', respond: fail(400, 'ValidationException'), status: 400 },
    { name: '403', respond: fail(403, 'AccessDeniedException'), status: 403 },
    { name: '404', respond: fail(404, 'ResourceNotFoundException'), status: 404 },
    { name: '408 ModelTimeoutException', respond: fail(408, 'ModelTimeoutException'), status: 408 },
    { name: '424 ModelErrorException', respond: fail(424, 'ModelErrorException'), status: 424 },
    { name: '429 ServiceQuotaExceededException', respond: fail(429, 'ServiceQuotaExceededException'), status: 429 },
    { name: '502', respond: fail(502, 'BadGatewayException'), status: 502 },
    {
      name: 'a stream that begins with a validationException',
      respond: stream(exceptionFrame('validationException', 'no')),
      path: STREAM,
      status: 200,
    },
    {
      name: 'an exception after the first frame',
      respond: stream(TEXT, exceptionFrame('throttlingException', 'no')),
      path: STREAM,
      status: 200,
    },
  ])('after $name', async ({ respond, path = CONVERSE, status }) => {
    const { testbed, key, counts } = await openTwo(respond, whole);
    const over = testbed.nextRecord();
    expect((await send(testbed.url, key, path)).status).toBe(status);
    expect(counts()).toEqual([1, 0]);
    expect(await over).toMatchObject({ upstream: 'first', attempts: 1 });
  });

  it('after a break in the middle of a stream', async () => {
    const { testbed, key, counts } = await openTwo((response) => {
      startEventStream(response);
      response.write(TEXT, () => cutConnection(response));
    }, whole);
    const over = testbed.nextRecord();
    await send(testbed.url, key, STREAM).catch(() => {});
    expect(await over).toMatchObject({ upstream: 'first', attempts: 1, error: { code: 'ERR_UPSTREAM_RESET' } });
    expect(counts()).toEqual([1, 0]);
  });

  it.each([
    ['starts a job', 'POST', '/async-invoke'],
    ['stores a response', 'POST', '/openai/v1/responses'],
    ['starts a batch', 'POST', '/openai/v1/batches'],
    ['is of a session', 'POST', '/agents/A/agentAliases/B/sessions/C/text'],
    ['creates something', 'POST', '/guardrails'],
    ['deletes something', 'DELETE', '/guardrails/abc'],
    ['is of a guardrail, which one region has', 'POST', '/guardrail/abc/version/1/apply'],
    ['is not known', 'POST', '/bedrock-runtime/nobody/knows'],
  ])('for an operation that %s', async (_name, method, path) => {
    const { testbed, counts } = await openTwo(fail(429, 'ThrottlingException'), whole);
    const { key } = await testbed.mint('all', { policy: { ...EMPTY_POLICY, scope: 'all' } });
    expect((await send(testbed.url, key, path, method)).status).toBe(429);
    expect(counts()).toEqual([1, 0]);
  });
});

describe('what passes if nobody does better', () => {
  it('is the last that AWS said, unchanged', async () => {
    const { testbed, key, counts } = await openTwo(
      fail(429, 'ThrottlingException', { 'x-amzn-requestid': 'one' }),
      fail(503, 'ServiceUnavailableException', { 'x-amzn-requestid': 'two', 'retry-after': '7' }),
    );
    const over = testbed.nextRecord();
    const { status, bytes, header } = await send(testbed.url, key, CONVERSE);
    expect([status, bytes.toString()]).toEqual([503, '{"message":"no"}']);
    expect([header('x-amzn-requestid'), header('retry-after')]).toEqual(['two', '7']);
    expect(header('x-bedrock-proxy-attempts')).toBe('2');
    expect(counts()).toEqual([1, 1]);
    expect(await over).toMatchObject({
      upstream: 'second',
      attempts: 2,
      status: 503,
      pricing: 'free',
      chargedNanoUsd: 0,
    });
  });

  it('is what an earlier upstream of AWS said, if the last one cannot be reached', async () => {
    const { testbed, key, upstreams } = await openTwo(fail(429, 'ThrottlingException'), whole);
    await upstreams[1]?.close();
    const over = testbed.nextRecord();
    const { status, bytes, header } = await send(testbed.url, key, CONVERSE);
    expect([status, bytes.toString()]).toEqual([429, '{"message":"no"}']);
    expect([header('x-bedrock-proxy-upstream'), header('x-bedrock-proxy-attempts')]).toEqual(['first', '2']);
    expect(await over).toMatchObject({ upstream: 'first', attempts: 2, status: 429, chargedNanoUsd: 0 });
  });

  it('is the stream with its exception, if the other one throttles as well', async () => {
    const exception = stream(exceptionFrame('throttlingException', 'no'));
    const { testbed, key } = await openTwo(exception, exception);
    const over = testbed.nextRecord();
    const { status, bytes } = await send(testbed.url, key, STREAM);
    expect([status, bytes]).toEqual([200, exceptionFrame('throttlingException', 'no')]);
    expect(await over).toMatchObject({ attempts: 2, upstreamErrorType: 'ThrottlingException' });
  });

  it('is the error of the proxy, if none of them can be reached', async () => {
    const { testbed, key, upstreams } = await openTwo(whole, whole);
    for (const upstream of upstreams) await upstream.close();
    const over = testbed.nextRecord();
    const { status, header } = await send(testbed.url, key, CONVERSE);
    expect(status).toBe(502);
    expect([header('x-bedrock-proxy-upstream'), header('x-bedrock-proxy-attempts')]).toEqual(['second', '2']);
    const error = { code: 'ERR_UPSTREAM_UNREACHABLE' };
    expect(await over).toMatchObject({ error, attempts: 2, pricing: 'free', chargedNanoUsd: 0 });
  });

  it('charges once what two broken connections may have cost', async () => {
    const { testbed, key } = await openTwo(cutConnection, cutConnection);
    const over = testbed.nextRecord();
    expect((await send(testbed.url, key, CONVERSE)).status).toBe(502);
    const record = await over;
    expect(record).toMatchObject({ attempts: 2, pricing: 'unpriced', partial: true });
    expect(record.chargedNanoUsd).toBeGreaterThan(0);
    await testbed.ledger.close();
    const [row] = await testbed.store.listKeys();
    const spend = row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
    expect(spend).toMatchObject({ reservedNanoUsd: 0, windowNanoUsd: record.chargedNanoUsd });
  });
});

it('makes no further attempt when its time is over', async () => {
  const { testbed, upstreams, counts } = await openSeveralUpstreams(TWO, { config: { failoverDeadlineMs: 20 } });
  upstreams[0]?.respondWith((_request, response) => slowly(response));
  const { key } = await testbed.mint('k');
  expect((await send(testbed.url, key, CONVERSE)).status).toBe(429);
  expect(counts()).toEqual([1, 0]);
});

it('makes none after a stream that has begun and is silent: AWS is at work', { timeout: 20_000 }, async () => {
  const { testbed, upstreams, counts } = await openSeveralUpstreams(TWO, { flags: { idleTimeout: '1' } });
  upstreams[0]?.respondWith((_request, response) => startEventStream(response));
  const { key } = await testbed.mint('k');
  const over = testbed.nextRecord();
  expect((await send(testbed.url, key, STREAM)).status).toBe(504);
  expect(await over).toMatchObject({ error: { code: 'ERR_UPSTREAM_TIMEOUT' }, attempts: 1, partial: true });
  expect(counts()).toEqual([1, 0]);
});

it('sends a body that waits in a file again from there', async () => {
  const { testbed, upstreams, key } = await openTwo(fail(429, 'ThrottlingException'), whole);
  const text = 'x'.repeat(40_000_000);
  const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { maxTokens: 9 } });
  const response = await fetch(`${testbed.url}${CONVERSE}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body,
  });
  expect([response.status, response.headers.get('x-bedrock-proxy-upstream')]).toEqual([200, 'second']);
  const [first, second] = upstreams.map((upstream) => upstream.requests[0]?.body);
  expect(first?.length).toBe(body.length);
  expect(second?.equals(Buffer.from(body))).toBe(true);
});
