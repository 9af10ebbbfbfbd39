/**
 * What a key may spend beyond its budget, tried in each way that is known: nothing. A model thinks without showing it
 * and its client leaves; a text travels as base64; a response has no limit; a hundred requests come at once.
 */
import type { ServerResponse } from 'node:http';
import { describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

/** 60 nano-dollars a token in, 240 out. */
const NOVA = 'amazon.nova-lite-v1:0';
const NOVA_IN = 60;
const NOVA_OUT = 240;

const { it, testbed } = proxyTest();

async function keyWith(limitNanoUsd: number): Promise<{ id: string; key: string }> {
  const budget = { limitNanoUsd, windowMs: undefined, anchorMs: 0 };
  return testbed.mint('thrifty', { policy: { ...EMPTY_POLICY, budget } });
}

async function spendOf(id: string): Promise<{ totalNanoUsd: number; reservedNanoUsd: number }> {
  const found = await testbed.store.findSpend([{ id, policy: EMPTY_POLICY }], Date.now());
  return found.get(id) ?? expect.fail('the key has no account');
}

function send(key: string, body: object, operation = 'converse'): Promise<Response> {
  return fetch(`${testbed.url}/model/${NOVA}/${operation}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });
const respond = (handler: (response: ServerResponse) => void): void =>
  testbed.upstream.respondWith((_request, response) => handler(response));

describe('a stream of which nothing is seen', () => {
  const body = { ...user({ text: 'Think.' }), inferenceConfig: { maxTokens: 4_096 } };
  /** 34 or 35 tokens of body. */
  const RESERVED = 4_096 * NOVA_OUT;

  it('costs all that was reserved, so that 240 of them end with the budget', { timeout: 60_000 }, async () => {
    const { id, key } = await keyWith(50_000_000);
    respond((response) => {
      startEventStream(response);
      response.write(eventFrame('messageStart', { role: 'assistant' }));
      response.write(eventFrame('contentBlockDelta', { delta: { text: '' }, contentBlockIndex: 0 }));
    });
    const statuses: number[] = [];
    for (let count = 0; count < 240; count += 1) {
      const over = testbed.nextRecord();
      const response = await send(key, body, 'converse-stream');
      statuses.push(response.status);
      if (response.status === 402) break;
      await response.body?.cancel();
      const { chargedNanoUsd, partial } = await over;
      expect(partial).toBe(true);
      expect(chargedNanoUsd).toBeGreaterThanOrEqual(RESERVED);
    }
    // Each may have cost AWS's customer $0.00098304 for what the model thought: 50 of them are the budget.
    expect(statuses.filter((status) => status === 200)).toHaveLength(50);
    expect((await spendOf(id)).totalNanoUsd).toBeLessThanOrEqual(50_000_000);
  });
});

/** Sends all at once, answers each when all that are let in have come, and sums up what AWS then bills. */
async function sendAtOnce(
  count: number,
  key: string,
  { body, usage }: { body: object; usage: { inputTokens: number; outputTokens: number } },
): Promise<{ passed: number; billedNanoUsd: number }> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  testbed.upstream.respondWith(async (_request, response) => {
    await released;
    const totalTokens = usage.inputTokens + usage.outputTokens;
    sendJson(response, 200, { output: {}, usage: { ...usage, totalTokens } });
  });
  const sent = Array.from({ length: count }, async () => {
    const response = await send(key, body);
    await response.arrayBuffer();
    return response.status;
  });
  setTimeout(release, 1_000);
  const passed = (await Promise.all(sent)).filter((status) => status === 200).length;
  const billedNanoUsd = passed * (usage.inputTokens * NOVA_IN + usage.outputTokens * NOVA_OUT);
  return { passed, billedNanoUsd };
}

describe('many requests at once', { timeout: 60_000 }, () => {
  const bytes = Buffer.from('Once upon a time. '.repeat(25_000)).toString('base64');
  const limited = { inferenceConfig: { maxTokens: 10 } };
  const longText = { inputTokens: 112_500, outputTokens: 10 };
  const pages = Buffer.from(`%PDF-1.7 ${'/Type/Page '.repeat(600)}`).toString('base64');
  const text = 'Once upon a time. '.repeat(25_000);

  it.each([
    {
      name: 'a text as base64',
      limit: 50_000_000,
      body: { ...user({ document: { format: 'txt', name: 'd', source: { bytes } } }), ...limited },
      usage: longText,
    },
    {
      name: 'the same text as it is',
      limit: 50_000_000,
      body: { ...user({ document: { format: 'txt', name: 'd', source: { text } } }), ...limited },
      usage: longText,
    },
    {
      name: 'the same text as the argument of a tool that looks like base64',
      limit: 50_000_000,
      body: {
        ...user({ toolUse: { toolUseId: 't', name: 'n', input: { bytes: text.replaceAll(/[ .]/g, '') } } }),
        ...limited,
      },
      usage: { inputTokens: 100_000, outputTokens: 10 },
    },
    {
      name: 'a small PDF of many pages',
      count: 200,
      limit: 50_000_000,
      body: { ...user({ document: { format: 'pdf', name: 'd', source: { bytes: pages } } }), ...limited },
      // All that the model can read.
      usage: { inputTokens: 300_000, outputTokens: 10 },
    },
    {
      name: 'a response without a limit',
      count: 200,
      limit: 10_000_000,
      body: user({ text: 'Write.' }),
      usage: { inputTokens: 20, outputTokens: 10_000 },
    },
  ])('do not overspend together: $name', async ({ limit, body, usage, count = 50 }) => {
    const { id, key } = await keyWith(limit);
    const found = await sendAtOnce(count, key, { body, usage });
    const spend = await spendOf(id);
    expect(found.billedNanoUsd).toBeLessThanOrEqual(limit);
    expect(spend).toMatchObject({ totalNanoUsd: found.billedNanoUsd, reservedNanoUsd: 0 });
    expect(found.passed).toBeGreaterThan(0);
  });
});
