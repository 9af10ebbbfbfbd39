/**
 * What a request takes it gives back, however it ends: places among the requests at a time, money reserved, tokens. And
 * what is refused counts for nothing.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { type Testbed, startProxy } from '../helpers/testbed.ts';
import { ask, dial } from '../helpers/raw-socket.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 } };

const { it, testbed } = proxyTest();

// What attackers send here may well be faulty.
afterEach(() => void (testbed.upstream.failures.length = 0));

const policyOf = (policy: Partial<KeyPolicy>): KeyPolicy => ({ ...EMPTY_POLICY, ...policy });
const budgetOf = (usd: number) => ({ limitNanoUsd: usd * 1e9, windowMs: undefined, anchorMs: 0 });

const headersOf = (key: string, more: readonly string[] = []): string[] => [
  `Host: 127.0.0.1:${testbed.port}`,
  `Authorization: Bearer ${key}`,
  'Content-Length: 2',
  ...more,
];

async function converse(key: string, stream = '', at: Testbed = testbed): Promise<number> {
  const response = await fetch(`${at.url}/model/${NOVA}/converse${stream}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: '{}',
  });
  await response.arrayBuffer().catch(() => {});
  return response.status;
}

type Failure = (key: string) => Promise<unknown>;

/** Sends one request, and leaves as soon as AWS has it. */
async function leaveWhenSent(key: string): Promise<void> {
  const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
  testbed.upstream.respondWith(() => asked());
  const over = testbed.nextRecord();
  await using raw = await dial(testbed.port);
  await raw.send(`POST /bedrock/model/${NOVA}/converse HTTP/1.1\r\n${headersOf(key).join('\r\n')}\r\n\r\n{}`);
  await isAsked;
  raw.socket.destroy();
  await over;
}

/** Leaves in the middle of a response that is reserved. */
async function leaveWhileHeld(key: string): Promise<void> {
  const over = testbed.nextRecord();
  let upstreamClosed: Promise<unknown> | undefined;
  const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
  testbed.upstream.respondWith((request, response) => {
    upstreamClosed = request.closed;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1_000 });
    response.write('{"usage"', () => asked());
  });
  await using raw = await dial(testbed.port);
  await raw.send(`POST /bedrock/model/${NOVA}/converse HTTP/1.1\r\n${headersOf(key).join('\r\n')}\r\n\r\n{}`);
  await isAsked;
  raw.socket.destroy();
  await over;
  // AWS is told at once.
  expect(await upstreamClosed).toBe('broken');
}

/** Leaves while its own body is on the way. */
async function leaveWhileUploading(key: string): Promise<void> {
  const over = testbed.nextRecord();
  await using raw = await dial(testbed.port);
  await raw.send(
    `POST /bedrock/model/${NOVA}/converse HTTP/1.1\r\n${headersOf(key).join('\r\n').replace('h: 2', 'h: 9')}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await raw.until('100 Continue');
  await raw.send('{');
  raw.socket.destroy();
  await over;
}

const FAILURES: readonly (readonly [name: string, Failure])[] = [
  [
    'AWS refuses',
    (key) => {
      testbed.upstream.respondWith((_request, response) =>
        sendAwsError(response, { status: 400, type: 'ValidationException', message: 'no' }),
      );
      return converse(key);
    },
  ],
  [
    'AWS throttles',
    (key) => {
      testbed.upstream.respondWith((_request, response) =>
        sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'no' }),
      );
      return converse(key);
    },
  ],
  [
    'AWS hangs up',
    (key) => {
      testbed.upstream.respondWith((_request, response) => cutConnection(response));
      return converse(key);
    },
  ],
  [
    'AWS hangs up in its response',
    (key) => {
      testbed.upstream.respondWith((_request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('{', () => cutConnection(response));
      });
      return converse(key).catch(() => {});
    },
  ],
  [
    'the stream is no stream',
    (key) => {
      testbed.upstream.respondWith((_request, response) => {
        startEventStream(response);
        response.end('this is no frame at all, and never was');
      });
      return converse(key, '-stream');
    },
  ],
  [
    'the stream says an error',
    (key) => {
      testbed.upstream.respondWith((_request, response) => {
        startEventStream(response);
        response.end(eventFrame('internalServerException', { message: 'no' }));
      });
      return converse(key, '-stream');
    },
  ],
  ['it leaves when sent', leaveWhenSent],
  ['it leaves while held', leaveWhileHeld],
  ['it leaves while uploading', leaveWhileUploading],
  [
    'no model is named',
    (key) => ask(testbed.port, 'POST /bedrock/openai/v1/chat/completions HTTP/1.1', headersOf(key), '{}'),
  ],
  [
    'a malformed ARN',
    (key) => ask(testbed.port, 'POST /bedrock/model/arn%3Aaws%3Abedrock/converse HTTP/1.1', headersOf(key), '{}'),
  ],
  [
    'an unknown region',
    (key) =>
      ask(
        testbed.port,
        `POST /bedrock/model/${NOVA}/converse HTTP/1.1`,
        headersOf(key, ['x-bedrock-proxy-region: mars']),
        '{}',
      ),
  ],
  [
    'a region that is not allowed',
    (key) =>
      ask(
        testbed.port,
        `POST /bedrock/model/${NOVA}/converse HTTP/1.1`,
        headersOf(key, ['x-bedrock-proxy-region: eu-west-1']),
        '{}',
      ),
  ],
];

describe('after every kind of failure', () => {
  it.each(FAILURES)('frees every slot of a key after a failure: %s', async (_name, fail) => {
    const policy = policyOf({ maxParallel: 2, budget: budgetOf(0.1), regions: ['us-east-1'] });
    const { key, id } = await testbed.mint('places', { policy });
    for (let turn = 0; turn < 3; turn += 1) await fail(key);
    const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
    testbed.upstream.respondWith(async (_request, response) => {
      await isReleased;
      sendJson(response, 200, USAGE);
    });
    const before = testbed.upstream.requests.length;
    const both = [converse(key), converse(key)];
    while (testbed.upstream.requests.length < before + 2) await setImmediate();
    expect(await converse(key)).toBe(429);
    release();
    expect(await Promise.all(both)).toEqual([200, 200]);
    const [row] = (await testbed.store.listKeys()).filter((known) => known.id === id);
    const spend = await testbed.store.findSpend(row === undefined ? [] : [row], Date.now());
    expect(spend.get(id)?.reservedNanoUsd).toBe(0);
  });

  it('counts nothing that the proxy refuses for a rate', async () => {
    const policy = policyOf({ requestsPerMinute: 2, maxParallel: 1, models: ['amazon.*'], regions: ['us-east-1'] });
    const { key } = await testbed.mint('rates', { policy });
    testbed.upstream.respondWith((_request, response) => sendJson(response, 200, USAGE));
    const refused = async (path: string, more: string[] = [], method = 'POST'): Promise<void> => {
      const response = await ask(testbed.port, `${method} /bedrock${path} HTTP/1.1`, headersOf(key, more), '{}');
      expect([path, response.status]).toEqual([path, 403]);
    };
    for (let turn = 0; turn < 3; turn += 1) {
      await refused('/model/anthropic.claude-opus-4-6-v1/converse');
      await refused(`/model/${NOVA}/converse`, ['x-bedrock-proxy-region: eu-west-1']);
      await refused('/guardrails/gr12345678', [], 'DELETE');
    }
    expect([await converse(key), await converse(key), await converse(key), await converse(key)]).toEqual([
      200, 200, 429, 429,
    ]);
  });

  it('keeps slots and budget without AWS credentials', async () => {
    await using poor = await startProxy({ load: () => Promise.reject(new Error('none')) });
    const { key, id } = await poor.mint('poor', { policy: policyOf({ maxParallel: 1, budget: budgetOf(0.003) }) });
    for (let turn = 0; turn < 4; turn += 1) expect(await converse(key, '', poor)).toBe(403);
    const spend = await poor.store.findSpend(await poor.store.listKeys(), Date.now());
    expect(spend.get(id)).toMatchObject({ reservedNanoUsd: 0, totalNanoUsd: 0 });
  });
});

it('refuses a key that is blocked while its body is on the way', async () => {
  const { key, id } = await testbed.mint('slow');
  await using raw = await dial(testbed.port);
  await raw.send(
    `POST /bedrock/model/${NOVA}/converse HTTP/1.1\r\n${headersOf(key).join('\r\n')}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await raw.until('100 Continue');
  await raw.send('{');
  await testbed.store.updateKey(id, { blockedAtMs: Date.now() }, Date.now());
  await raw.send('}');
  await raw.until('\r\n\r\nHTTP/1.1 ');
  expect(testbed.upstream.requests).toEqual([]);
});
