/** What a budget reserves for a request that may go to upstreams of different prices, and what it is charged. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { openSeveralUpstreams } from '../helpers/several-upstreams.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const US = 'us.own.model-v1:0';
const EU = 'eu.own.model-v1:0';
const USAGE = { usage: { inputTokens: 10, outputTokens: 10, totalTokens: 20 } };
/** Nano-dollars for the hundred output tokens that the request asks for, and for those of the response. */
const RESERVED = 100 * 9_000;

async function open(models: object, policy = {}) {
  const prices = join(await makeTemporaryFolder(), 'prices.json');
  await writeFile(prices, JSON.stringify({ models }));
  const texts = [
    { name: 'us', region: 'us-east-1' },
    { name: 'eu', region: 'eu-west-1', weight: 0, models: { [US]: EU } },
  ];
  const opened = await openSeveralUpstreams(texts, { flags: { prices } });
  const { testbed, upstreams } = opened;
  const held: ServerResponse[] = [];
  upstreams[0]?.respondWith((_request, response) => void held.push(response));
  upstreams[1]?.respondWith((_request, response) => sendJson(response, 200, USAGE));
  const budget = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };
  const { key } = await testbed.mint('k', { policy: { ...EMPTY_POLICY, budget, ...policy } });
  const readSpend = async () => {
    const [row] = await testbed.store.listKeys();
    return row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
  };
  const ask = () =>
    fetch(`${testbed.url}/model/${US}/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{"messages":[],"inferenceConfig":{"maxTokens":100}}',
    });
  return { ...opened, held, readSpend, ask };
}

it('reserves for the dearest, and charges what the one costs that responded', async () => {
  const { upstreams, held, readSpend, ask, testbed } = await open({
    [US]: { input_mtok: 0, output_mtok: 1 },
    [EU]: { input_mtok: 0, output_mtok: 9 },
  });
  const over = testbed.nextRecord();
  const asked = ask();
  await upstreams[0]?.nextRequest();
  expect(await readSpend()).toMatchObject({ reservedNanoUsd: RESERVED });
  for (const response of held) sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'no' });
  expect((await asked).headers.get('x-bedrock-proxy-cost')).toBe('0.00009');
  expect(await over).toMatchObject({ model: EU, costNanoUsd: 90_000, chargedNanoUsd: 90_000 });
  await expect.poll(readSpend).toMatchObject({ reservedNanoUsd: 0, totalNanoUsd: 90_000 });
});

it.each([
  ['has no price that is known', { [US]: { input_mtok: 0, output_mtok: 1 } }, {}],
  [
    'is not allowed',
    { [US]: { input_mtok: 0, output_mtok: 1 }, [EU]: { input_mtok: 0, output_mtok: 1 } },
    { models: [US] },
  ],
])('does not go by a name that %s for the key', async (_name, models, policy) => {
  const { upstreams, held, ask, counts } = await open(models, policy);
  const asked = ask();
  await upstreams[0]?.nextRequest();
  for (const response of held) sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'no' });
  expect((await asked).status).toBe(429);
  expect(counts()).toEqual([1, 0]);
});
