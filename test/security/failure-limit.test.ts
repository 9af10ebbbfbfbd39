/**
 * Guessing: on the machine itself sixty wrong credentials are told what is wrong, and then the response is 429, for
 * whoever shows wrong ones. Right ones pass all the while: one misconfigured program must not lock out everybody else
 * at the desk.
 */
import { beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const FREE = 60;

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
let key: MintedKey;

beforeEach(async () => {
  key = await testbed.mint('alice');
});

const TARGETS = {
  bedrock: 'POST /bedrock/model/amazon.nova-lite-v1%3A0/invoke HTTP/1.1',
  key: 'POST /key/generate HTTP/1.1',
};

function post(target: keyof typeof TARGETS, headers: readonly HeaderPair[]): Promise<RawResponse> {
  return ask(testbed.port, TARGETS[target], [['Host', 'localhost'], ...headers]);
}

const bearer = (token: string): HeaderPair => ['Authorization', `Bearer ${token}`];
const signature = (accessKeyId: string): HeaderPair => {
  const scope = `${accessKeyId}/20260101/us-east-1/bedrock/aws4_request`;
  return [
    'Authorization',
    `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
  ];
};
const DATE: HeaderPair = ['X-Amz-Date', '20260101T000000Z'];

async function failSixtyTimes(target: keyof typeof TARGETS, headers: readonly HeaderPair[]): Promise<void> {
  for (let count = 0; count < FREE; count += 1) expect((await post(target, headers)).status).toBe(401);
}

describe('on /bedrock', () => {
  it.each([
    { name: 'an unknown key', headers: () => [bearer('sk-wrong')] },
    { name: 'no key', headers: () => [] },
    { name: "somebody's AWS credentials", headers: () => [signature('AKIAIOSFODNN7EXAMPLE'), DATE] },
    { name: 'a wrong signature', headers: () => [signature(key.accessKeyId), DATE] },
  ])('throttles the 61st request on /bedrock with $name, but not a right key', async ({ headers }) => {
    await failSixtyTimes('bedrock', headers());
    const refused = await post('bedrock', headers());
    expect(refused.status).toBe(429);
    expect(refused.header('x-amzn-errortype')).toBe('ThrottlingException');
    expect(refused.header('x-bedrock-proxy-error')).toBe('ERR_TOO_MANY_FAILURES');
    expect(Number(refused.header('retry-after'))).toBeGreaterThanOrEqual(2);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ __type: 'ThrottlingException' });
    expect((await post('bedrock', [bearer(key.key)])).status).toBe(200);
    expect((await post('bedrock', [bearer(MASTER_KEY)])).status).toBe(200);
    expect((await post('bedrock', headers())).status).toBe(429);
    expect(testbed.upstream.requests).toHaveLength(2);
  });

  it('counts a key that was revoked as wrong, over HTTP/2 as well', async () => {
    await testbed.store.revokeKey(key.id, Date.now());
    await using client = openHttp2(testbed.port);
    const send = (token: string) =>
      client.ask({
        ':method': 'POST',
        ':path': '/bedrock/model/a/invoke',
        authorization: `Bearer ${token}`,
      });
    for (let count = 0; count < FREE; count += 1) expect((await send(key.key)).status).toBe(401);
    const refused = await send(key.key);
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } });
    expect((await send(MASTER_KEY)).status).toBe(200);
  });
});

describe('on /key', () => {
  it.each([
    { name: 'an unknown key', headers: () => [bearer('sk-wrong')] },
    { name: 'no key', headers: () => [] },
    { name: 'a virtual key', headers: () => [bearer(key.key)] },
  ])('throttles the 61st request on /key with $name, but not the master key', async ({ headers }) => {
    await failSixtyTimes('key', headers());
    const refused = await post('key', headers());
    expect(refused.status).toBe(429);
    expect(Number(refused.header('retry-after'))).toBeGreaterThanOrEqual(2);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ error: { code: '429' } });
    expect((await post('key', [bearer(MASTER_KEY)])).status).toBe(200);
  });

  it('counts wrong keys on /key and /bedrock together: guesses cannot be spread', async () => {
    await failSixtyTimes('key', [bearer('sk-wrong')]);
    expect((await post('bedrock', [bearer('sk-wrong')])).status).toBe(429);
    expect((await post('bedrock', [bearer(key.key)])).status).toBe(200);
  });
});

describe('through a tunnel', () => {
  const forwarded: HeaderPair = ['X-Forwarded-For', '203.0.113.9'];

  it('refuses the 61st guess at the master key, and then the right one too, but nobody else', async () => {
    for (let count = 0; count < FREE; count += 1) {
      expect((await post('key', [forwarded, bearer(`sk-guess-${count}`)])).status).toBe(401);
    }
    expect((await post('key', [forwarded, bearer(MASTER_KEY)])).status).toBe(429);
    expect((await post('bedrock', [forwarded, bearer(key.key)])).status).toBe(429);
    expect((await post('bedrock', [['X-Forwarded-For', '203.0.113.10'], bearer(key.key)])).status).toBe(200);
    expect((await post('key', [bearer(MASTER_KEY)])).status).toBe(200);
  });

  it('slows down guesses that name another address each time, until some come every two seconds', async () => {
    const startedAt = performance.now();
    for (let count = 0; count < FREE + 4; count += 1) {
      await post('key', [['X-Forwarded-For', `203.0.113.${count}`], bearer(`sk-guess-${count}`)]);
    }
    expect(performance.now() - startedAt).toBeGreaterThan(100 + 200 + 300 + 400 - 50);
  });
});

describe('a short master key', () => {
  it('is taken from this machine, and not through a tunnel: right or wrong, the response is the same', async () => {
    const short = await openProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: 'sk-1234' } });
    const send = async (...headers: HeaderPair[]) => ask(short.port, TARGETS.key, [['Host', 'localhost'], ...headers]);
    const tunnel: HeaderPair = ['CF-Connecting-IP', '203.0.113.9'];
    expect((await send(bearer('sk-1234'))).status).toBe(200);
    const [right, wrong] = [await send(tunnel, bearer('sk-1234')), await send(tunnel, bearer('sk-4321'))];
    expect([right.status, right.body.toString()]).toEqual([401, wrong.body.toString()]);
    expect(right.body.toString()).toContain('fewer than 16 characters');
    const onBedrock = await ask(short.port, TARGETS.bedrock, [['Host', 'localhost'], tunnel, bearer('sk-1234')]);
    expect(onBedrock.status).toBe(401);
  });
});
