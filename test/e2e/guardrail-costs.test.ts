/**
 * A guardrail is billed besides the model. If the response does not say by how much, the cost is known in part, and
 * ledger and headers say so; nothing of it is taken for a cost of 0.
 */
import { beforeEach, describe, expect } from 'vitest';
import { sendJson } from '../helpers/fake-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const CONVERSE = `/model/${NOVA}/converse`;
const INVOKE = `/model/${NOVA}/invoke`;
const BODY = { guardrailConfig: { guardrailIdentifier: 'gr1', guardrailVersion: '1' } };
const HEADERS = { 'x-amzn-bedrock-guardrailidentifier': 'gr1', 'x-amzn-bedrock-guardrailversion': '1' };
const TOKENS = { inputTokens: 20, outputTokens: 5, totalTokens: 25 };
const NO_TOKENS = { inputTokens: 0, outputTokens: 0, totalTokens: 0 };
/** 20 x 60 + 5 x 240 */
const OF_TOKENS = 2_400;
const UNITS = { topicPolicyUnits: 0, contentPolicyUnits: 0, wordPolicyUnits: 0 };
const trace = (usage: object): object => ({
  guardrail: { inputAssessment: { gr1: { invocationMetrics: { usage } } } },
});

const { it, testbed } = proxyTest();
let key: string;

beforeEach(async () => {
  key = (await testbed.mint()).key;
});

async function post(
  path: string,
  { body = {}, headers = {} }: { body?: object; headers?: Record<string, string> },
): Promise<{ readonly record: RequestRecord; readonly cost: string | null; readonly isPart: string | null }> {
  const over = testbed.nextRecord();
  const response = await fetch(`${testbed.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  const [cost, isPart] = ['x-bedrock-proxy-cost', 'x-bedrock-proxy-cost-partial'].map((name) =>
    response.headers.get(name),
  );
  return { record: await over, cost: cost ?? null, isPart: isPart ?? null };
}

const respond = (content: object): void =>
  testbed.upstream.respondWith((_request, response) => sendJson(response, 200, content));

describe('a response without the units of the guardrail that its request names', () => {
  it.each([
    { name: 'Converse', path: CONVERSE, body: BODY, headers: {} },
    { name: 'InvokeModel', path: INVOKE, body: {}, headers: HEADERS },
  ])('is priced in part: $name', async ({ path, ...request }) => {
    respond({ usage: TOKENS, stopReason: 'end_turn' });
    const { record, cost, isPart } = await post(path, request);
    expect(record).toMatchObject({ pricing: 'priced', costNanoUsd: OF_TOKENS, partial: true });
    expect(record.usage?.guardrailUnits).toBeUndefined();
    expect({ cost, isPart }).toEqual({ cost: '0.0000024', isPart: 'true' });
  });

  it('is priced in part as a stream', async () => {
    testbed.upstream.respondWith((_request, response) => {
      startEventStream(response);
      response.end(eventFrame('metadata', { usage: TOKENS }));
    });
    const { record } = await post(`/model/${NOVA}/converse-stream`, { body: BODY });
    expect(record).toMatchObject({ pricing: 'priced', costNanoUsd: OF_TOKENS, partial: true });
  });

  it.each([
    { name: 'a guardrail that the request names', body: BODY },
    { name: 'one that the account enforces', body: {} },
  ])('has no cost that anybody knows if it was blocked at the input by $name', async ({ body }) => {
    respond({ usage: NO_TOKENS, stopReason: 'guardrail_intervened' });
    const { record, cost } = await post(CONVERSE, { body });
    expect(record).toMatchObject({ pricing: 'unpriced', costNanoUsd: undefined, partial: true });
    expect(cost).toBe('unpriced');
  });
});

describe('a response whose cost is known', () => {
  it.each([
    { name: 'none was used', units: {}, costNanoUsd: OF_TOKENS },
    {
      name: 'three were used',
      units: { topicPolicyUnits: 1, contentPolicyUnits: 2 },
      costNanoUsd: OF_TOKENS + 450_000,
    },
  ])('has the units of its guardrail: $name', async ({ units, costNanoUsd }) => {
    respond({ usage: TOKENS, trace: trace({ ...UNITS, ...units }) });
    const { record, isPart } = await post(CONVERSE, { body: BODY });
    expect(record).toMatchObject({ pricing: 'priced', costNanoUsd, partial: false });
    expect(isPart).toBeNull();
  });

  it('names no guardrail', async () => {
    respond({ usage: TOKENS });
    const { record, isPart } = await post(CONVERSE, { body: { messages: [{ content: [{ text: 'guardrail' }] }] } });
    expect(record).toMatchObject({ pricing: 'priced', costNanoUsd: OF_TOKENS, partial: false });
    expect(isPart).toBeNull();
  });
});
