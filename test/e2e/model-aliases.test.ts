/**
 * Names that the owner gives to models: what stands in the path is replaced before it is signed, whoever calls; the
 * body never. Limits, prices and the ledger speak of the model that was sent.
 */
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { beforeEach, describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import type { MintedKey } from '../../src/keys/mint.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const NOVA = 'amazon.nova-lite-v1:0';
const PROFILE = 'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc1def2ghi3';

const { it, testbed } = proxyTest({
  flags: { modelAlias: [`claude=${SONNET}`, `team/fast=${NOVA}`, `mine=${NOVA}`, `profile=${PROFILE}`] },
});

beforeEach(() => {
  testbed.upstream.respondWith((_request, response) =>
    sendJson(response, 200, {
      output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 1000, outputTokens: 50, totalTokens: 1050 },
    }),
  );
});

function keyWith(policy: Partial<KeyPolicy> = {}): Promise<MintedKey> {
  return testbed.mint('limited', { policy: { ...EMPTY_POLICY, ...policy } });
}

/** Spaces, and a name that is an alias: nobody may touch them. */
const BODY = '{ "messages":[{"role":"user","content":[{"text":"claude"}]}], "model" : "claude" }';

async function converse({ key }: MintedKey, path: string, body = BODY): Promise<Response> {
  const ended = testbed.nextRecord();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(`${testbed.url}${path}`, { method: 'POST', headers, body });
  await response.arrayBuffer();
  await ended;
  return response;
}

async function lastRow(): Promise<object | undefined> {
  const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
  return row;
}

const encoded = encodeURIComponent;

describe('an alias of the proxy', () => {
  it.each([
    {
      name: 'a plain name',
      path: '/model/claude/converse',
      sent: `/model/${encoded(SONNET)}/converse`,
      alias: 'claude',
    },
    {
      name: 'one that is encoded',
      path: '/model/%63laude/converse',
      sent: `/model/${encoded(SONNET)}/converse`,
      alias: 'claude',
    },
    {
      name: 'one with a slash',
      path: '/model/team%2Ffast/invoke',
      sent: `/model/${encoded(NOVA)}/invoke`,
      alias: 'team/fast',
    },
    {
      name: 'a named service',
      path: '/bedrock-runtime/model/claude/converse',
      sent: `/model/${encoded(SONNET)}/converse`,
      alias: 'claude',
    },
    {
      name: 'a query behind it',
      path: '/model/claude/converse?a=%2f',
      sent: `/model/${encoded(SONNET)}/converse?a=%2f`,
      alias: 'claude',
    },
  ])('takes the model behind it: $name', async ({ path, sent, alias }) => {
    const response = await converse(await keyWith(), path);
    expect(response.status).toBe(200);
    const [arrived] = testbed.upstream.requests;
    expect(arrived?.rawTarget).toBe(sent);
    expect(arrived?.body.toString()).toBe(BODY);
    expect(await lastRow()).toMatchObject({ model: alias === 'team/fast' ? NOVA : SONNET, modelAlias: alias });
  });

  it('is priced as the model that was sent', async () => {
    const response = await converse(await keyWith(), '/model/mine/converse', '{}');
    // 1000 x 60 + 50 x 240
    expect(response.headers.get('x-bedrock-proxy-cost')).toBe('0.000072');
    expect(await lastRow()).toMatchObject({ costNanoUsd: 72_000, model: NOVA, modelAlias: 'mine' });
  });

  it('goes to the region of the ARN behind it', async () => {
    await converse(await keyWith(), '/model/profile/converse');
    const arrived = testbed.upstream.requests.find(({ method }) => method === 'POST');
    expect(arrived?.rawTarget).toBe(`/model/${encoded(PROFILE)}/converse`);
    expect(arrived?.signature?.scope).toMatchObject({ region: 'eu-west-1' });
  });

  it.each([
    { name: 'another name', path: '/model/claude-2/converse' },
    { name: 'a name in other letters', path: '/model/Claude/converse' },
    { name: 'a name encoded twice', path: '/model/%2563laude/converse' },
    { name: 'a member of every object', path: '/model/constructor/converse' },
    { name: 'a model of the control plane', path: '/foundation-models/claude', method: 'GET' },
  ])('leaves $name as it is', async ({ path, method = 'POST' }) => {
    const { key } = await keyWith();
    const body = method === 'POST' ? { body: BODY } : {};
    await fetch(`${testbed.url}${path}`, { method, headers: { authorization: `Bearer ${key}` }, ...body });
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(path);
  });

  it('is replaced under a signature, which is verified over what the client sent', async () => {
    const { key, accessKeyId } = await keyWith();
    const credentials = { accessKeyId, secretAccessKey: key };
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: testbed.url,
      maxAttempts: 1,
      credentials,
    });
    const messages = [{ role: 'user' as const, content: [{ text: 'Hello' }] }];
    await client.send(new ConverseCommand({ modelId: 'team/fast', messages }));
    client.destroy();
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(`/model/${encoded(NOVA)}/converse`);
    expect(testbed.records.at(-1)).toMatchObject({ status: 200, route: { modelId: NOVA, modelAlias: 'team/fast' } });
  });
});

describe('an alias of a key', () => {
  it('is stronger than one of the proxy, and nobody else has it', async () => {
    await converse(await keyWith({ modelAliases: { claude: NOVA } }), '/model/claude/converse');
    await converse(await testbed.mint('other'), '/model/claude/converse');
    const targets = testbed.upstream.requests.map(({ rawTarget }) => rawTarget);
    expect(targets).toEqual([`/model/${encoded(NOVA)}/converse`, `/model/${encoded(SONNET)}/converse`]);
  });

  it('is not looked up again', async () => {
    await converse(await keyWith({ modelAliases: { own: 'claude' } }), '/model/own/converse');
    expect(testbed.upstream.requests[0]?.rawTarget).toBe('/model/claude/converse');
  });

  it('holds for a client that signs', async () => {
    const { key, accessKeyId } = await keyWith({ modelAliases: { own: NOVA } });
    const credentials = { accessKeyId, secretAccessKey: key };
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: testbed.url,
      maxAttempts: 1,
      credentials,
    });
    await client.send(new ConverseCommand({ modelId: 'own', messages: [] }));
    client.destroy();
    expect(testbed.upstream.requests[0]?.rawTarget).toBe(`/model/${encoded(NOVA)}/converse`);
  });
});

describe('the models of a key', () => {
  it('are those that are sent', async () => {
    const key = await keyWith({ models: ['*claude*'] });
    expect((await converse(key, '/model/claude/converse', '{}')).status).toBe(200);
    const refused = await converse(key, '/model/mine/converse', '{}');
    expect([refused.status, refused.headers.get('x-bedrock-proxy-error')]).toEqual([403, 'ERR_MODEL_NOT_ALLOWED']);
    expect(testbed.upstream.requests).toHaveLength(1);
    expect(await lastRow()).toMatchObject({ model: NOVA, modelAlias: 'mine', status: 403 });
  });

  it('are not widened by an alias that is named like one of them', async () => {
    const key = await keyWith({ models: [NOVA], modelAliases: { [NOVA]: SONNET } });
    const refused = await converse(key, `/model/${encoded(NOVA)}/converse`, '{}');
    expect(refused.headers.get('x-bedrock-proxy-error')).toBe('ERR_MODEL_NOT_ALLOWED');
  });
});
