/**
 * What one session, one agent and one repository cost, from the headers of real clients to `usage` and the admin API.
 */
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { beforeEach, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import type { UsageGrouping } from '../../src/domain/ledger.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const MASTER_KEY = 'sk-master-of-the-testbed-000';
const NOVA = 'amazon.nova-lite-v1:0';

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
let key: MintedKey;

beforeEach(async () => {
  key = await testbed.mint('books', { tags: { team: 'red' } });
  testbed.upstream.respondWith((_request, response) =>
    sendJson(response, 200, { usage: { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 } }),
  );
});

async function converse(headers: Record<string, string>): Promise<void> {
  const over = testbed.nextRecord();
  const response = await fetch(`${testbed.url}/model/${NOVA}/converse`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json', ...headers },
    body: '{}',
  });
  await response.arrayBuffer();
  await over;
}

async function readLogs(query: string): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${testbed.port}/spend/logs?${query}`, {
    headers: { authorization: `Bearer ${MASTER_KEY}` },
  });
  return response.json();
}

async function costsBy(...by: readonly UsageGrouping[]): Promise<unknown> {
  const { groups } = await testbed.store.sumUsage({ filter: {}, by });
  return Object.fromEntries(groups.map(({ names, costNanoUsd }) => [names.join(), costNanoUsd]));
}

it('adds up what each session, agent and repository cost', async () => {
  const claude = { 'x-claude-code-session-id': 's-1', 'x-bedrock-proxy-tags': 'repo=proxy' };
  await converse(claude);
  await converse({ ...claude, 'x-claude-code-agent-id': 'a-1' });
  await converse({ 'x-bedrock-proxy-session': 's-2', 'x-litellm-tags': 'nightly,team=blue' });
  await converse({});
  // 1000 x 60 + 50 x 240
  const one = 72_000;
  expect(await costsBy('session')).toEqual({ 's-1': 2 * one, 's-2': one, '': one });
  expect(await costsBy('session', 'agent')).toEqual({ 's-1,a-1': one, 's-1,': one, 's-2,': one, ',': one });
  expect(await costsBy('tag:repo')).toEqual({ proxy: 2 * one, '': 2 * one });
  // The key's own tag counts, whatever its holder says.
  expect(await costsBy('tag:team')).toEqual({ red: 4 * one });
  expect(await costsBy('tag')).toEqual({ 'repo=proxy': 2 * one, 'team=red': 4 * one, 'nightly=': one });
  const { total } = await testbed.store.sumUsage({ filter: { session: 's-1' }, by: ['key'] });
  expect(total).toMatchObject({ requests: 2, costNanoUsd: 2 * one });
});

it('sends no header of ours to AWS, and every other one as it came', async () => {
  const theirs = { 'x-claude-code-session-id': 's-1', 'x-litellm-tags': 'a,b', 'x-litellm-session-id': 's-2' };
  const ours = { 'x-bedrock-proxy-session': 's', 'x-bedrock-proxy-agent': 'a', 'x-bedrock-proxy-tags': 'repo=proxy' };
  await converse({ ...theirs, ...ours });
  const { headers } = await testbed.upstream.nextRequest();
  const arrived = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  expect(arrived).toMatchObject(theirs);
  expect(Object.keys(arrived).filter((name) => name.startsWith('x-bedrock-proxy'))).toEqual([]);
});

it('takes a session from a client that signs', async () => {
  const credentials = { accessKeyId: key.accessKeyId, secretAccessKey: key.key };
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: testbed.url,
    maxAttempts: 1,
    credentials,
    requestHandler: new NodeHttpHandler(),
  });
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      Object.assign(headers, { 'x-bedrock-proxy-session': 'signed', 'x-bedrock-proxy-tags': 'repo=proxy' });
      return next(args);
    },
    { step: 'build' },
  );
  const over = testbed.nextRecord();
  await client.send(new ConverseCommand({ modelId: NOVA, messages: [{ role: 'user', content: [{ text: 'x' }] }] }));
  client.destroy();
  expect(await over).toMatchObject({ status: 200, session: 'signed', requestTags: { repo: 'proxy' } });
});

it('shows the session in the admin API, and finds its requests', async () => {
  await converse({ 'x-litellm-session-id': 's-1', 'x-litellm-end-user-id': 'carol' });
  await converse({ 'x-litellm-session-id': 's-2' });
  expect(await readLogs('session_id=s-1')).toMatchObject([
    {
      session_id: 's-1',
      end_user: 'carol',
      request_tags: ['end_user=carol', 'team=red'],
      metadata: { session: 's-1' },
    },
  ]);
  expect(await readLogs('')).toMatchObject([{ session_id: 's-2', end_user: '' }, { session_id: 's-1' }]);
});
