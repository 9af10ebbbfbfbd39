/**
 * What calls of an application inference profile cost, whose name does not say the model: AWS is asked for it beside
 * the first call, and the row waits for what AWS says, not the response.
 */
import { describe, expect } from 'vitest';
import { setTimeout } from 'node:timers/promises';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const PROFILE = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';
const CALL = `/model/${encodeURIComponent(PROFILE)}/converse`;
const SONNET = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const IN_REGION = `arn:aws:bedrock:us-east-1::foundation-model/${SONNET}`;
const IN_THE_WORLD = `arn:aws:bedrock:::foundation-model/${SONNET}`;
const RESPONSE = { usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 } };
const PLAIN = 10 * 3_300 + 5 * 16_500;
const GLOBAL = 10 * 3_000 + 5 * 15_000;

const { it, testbed } = proxyTest();

function serveProfile(arns: readonly string[], until: Promise<unknown> = Promise.resolve()): void {
  testbed.upstream.respondWith(async (request, response) => {
    if (request.method !== 'GET') return sendJson(response, 200, RESPONSE);
    await until;
    if (arns.length === 0) return sendAwsError(response, { status: 403, type: 'AccessDeniedException', message: 'no' });
    return sendJson(response, 200, { models: arns.map((modelArn) => ({ modelArn })) });
  });
}

function post(key: string): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return fetch(`${testbed.url}${CALL}`, { method: 'POST', headers, body: '{}' });
}

async function untilRecords(count: number): Promise<void> {
  while (testbed.records.length < count) await testbed.nextRecord();
}

describe('the first calls of a profile', () => {
  it('are priced, all of them, although AWS is slow to tell the model, and no response waits for it', async () => {
    const looked = Promise.withResolvers<void>();
    serveProfile([IN_REGION], looked.promise);
    const { key } = await testbed.mint();
    const responses = await Promise.all(Array.from({ length: 30 }, () => post(key)));
    expect(await Promise.all(responses.map((response) => response.json()))).toEqual(responses.map(() => RESPONSE));
    // Nobody knows the cost yet, and nobody says that it will never be known.
    expect(responses.filter((response) => response.headers.has('x-bedrock-proxy-cost'))).toEqual([]);
    expect(testbed.records).toHaveLength(0);
    looked.resolve();
    await untilRecords(30);
    expect(testbed.records.filter(({ costNanoUsd }) => costNanoUsd !== PLAIN)).toEqual([]);
    const again = await post(key);
    expect(again.headers.get('x-bedrock-proxy-cost')).toBe('0.0001155');
  });

  it('are unpriced if AWS does not tell, and their rows are written as soon as it said so', async () => {
    serveProfile([]);
    const { key } = await testbed.mint();
    const over = testbed.nextRecord();
    await (await post(key)).arrayBuffer();
    expect(await over).toMatchObject({ pricing: 'unpriced', costNanoUsd: undefined, status: 200 });
  });

  it('have their rows at the end of the proxy, which does not wait for long', async () => {
    serveProfile([IN_REGION], new Promise(() => {}));
    const { key } = await testbed.mint();
    await (await post(key)).arrayBuffer();
    await setTimeout(20);
    expect(testbed.records).toHaveLength(0);
    const over = testbed.nextRecord();
    const ending = performance.now();
    await testbed.ledger.endDeferred();
    expect(performance.now() - ending).toBeLessThan(4_000);
    await over;
    expect(testbed.records).toMatchObject([{ pricing: 'unpriced', usage: { inputTokens: 10, outputTokens: 5 } }]);
  });
});

describe('a profile', () => {
  it.each([
    { name: 'of one region', arns: [IN_REGION], costNanoUsd: PLAIN },
    { name: 'of all the world', arns: [IN_THE_WORLD], costNanoUsd: GLOBAL },
    { name: 'of all the world, as AWS lists it', arns: [IN_REGION, IN_THE_WORLD], costNanoUsd: GLOBAL },
    { name: 'of a geography', arns: [IN_REGION, IN_REGION.replace('east-1', 'west-2')], costNanoUsd: PLAIN },
  ])('$name costs what its kind costs, for a key with a budget as well', async ({ arns, costNanoUsd }) => {
    serveProfile(arns);
    const plain = await testbed.mint('plain');
    const budget = { limitNanoUsd: 1e11, windowMs: undefined, anchorMs: 0 };
    const limited = await testbed.mint('limited', { policy: { ...EMPTY_POLICY, budget } });
    for (const { key } of [plain, limited]) {
      const over = testbed.nextRecord();
      await (await post(key)).arrayBuffer();
      expect(await over).toMatchObject({ pricing: 'priced', costNanoUsd, partial: false });
    }
    const [row] = testbed.records.slice(-1);
    expect(row).toMatchObject({ chargedNanoUsd: costNanoUsd });
  });
});
