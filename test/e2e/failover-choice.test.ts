/**
 * Which upstream a request goes to: where its conversation is, by weights, by model and region and key, and what an
 * upstream that throttles, or is full, changes about that.
 */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { openSeveralUpstreams, type SeveralUpstreams, type UpstreamText } from '../helpers/several-upstreams.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
const throttle = (response: ServerResponse): void =>
  sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'no' });
const THREE = [
  { name: 'one', region: 'us-east-1' },
  { name: 'two', region: 'us-west-2' },
  { name: 'three', region: 'eu-west-1' },
];

interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly system?: string;
  readonly text?: string;
  /** Text is sent as it stands. */
  readonly body?: object | string;
}

interface Opened extends SeveralUpstreams {
  readonly key: string;
  ask(asked: Asked): Promise<{ status: number; upstream: string | null; attempts: string | null; body: string }>;
}

async function open(texts: readonly UpstreamText[], policy = {}): Promise<Opened> {
  const opened = await openSeveralUpstreams(texts);
  for (const upstream of opened.upstreams) {
    upstream.respondWith((_request, response) => sendJson(response, 200, USAGE));
  }
  const { key } = await opened.testbed.mint('k', { policy: { ...EMPTY_POLICY, ...policy } });
  return {
    ...opened,
    key,
    ask: async ({ path = `/model/${NOVA}/converse`, headers = {}, system, text = 'hi', body }) => {
      const messages = [{ role: 'user', content: [{ text }] }];
      const content = body ?? { messages, ...(system === undefined ? {} : { system: [{ text: system }] }) };
      const response = await fetch(`${opened.testbed.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, ...headers },
        body: typeof content === 'string' ? content : JSON.stringify(content),
      });
      const [upstream = null, attempts = null] = ['upstream', 'attempts'].map((name) =>
        response.headers.get(`x-bedrock-proxy-${name}`),
      );
      return { status: response.status, upstream, attempts, body: await response.text() };
    },
  };
}

describe('a conversation', () => {
  it('stays where it was, whatever follows the instructions of its system', async () => {
    const { ask } = await open(THREE);
    for (const system of ['a', 'b', 'c', 'd']) {
      const places = [];
      for (const text of ['1', '2', '3']) places.push((await ask({ system, text })).upstream);
      expect(new Set(places).size).toBe(1);
    }
  });

  it('begins anywhere, by the weights', async () => {
    const { ask, counts } = await open([
      { name: 'much', region: 'us-east-1', weight: 3 },
      { name: 'little', region: 'us-west-2', weight: 1 },
      { name: 'none', region: 'eu-west-1', weight: 0 },
    ]);
    for (let number = 0; number < 80; number += 1) await ask({ system: `s${number}` });
    const [much = 0, little = 0, none] = counts();
    expect([much > little, little > 3, none]).toEqual([true, true, 0]);
  });

  it('stays where it went when its upstream throttled', async () => {
    const { ask, upstreams } = await open(THREE);
    const first = (await ask({ system: 's' })).upstream;
    const index = THREE.findIndex(({ name }) => name === first);
    upstreams[index]?.respondWith((_request, response) => throttle(response));
    const second = await ask({ system: 's' });
    expect(second).toMatchObject({ status: 200, attempts: '2' });
    expect(second.upstream).not.toBe(first);
    upstreams[index]?.respondWith((_request, response) => sendJson(response, 200, USAGE));
    for (const text of ['1', '2', '3']) {
      expect(await ask({ system: 's', text })).toMatchObject({ upstream: second.upstream, attempts: '1' });
    }
  });
});

describe('an upstream that throttled', () => {
  it('is left alone for as long as it asks for, and for one model', async () => {
    const { ask, upstreams, counts } = await open([
      { name: 'one', region: 'us-east-1' },
      { name: 'two', region: 'us-east-2', weight: 0 },
    ]);
    upstreams[0]?.respondWith(({ rawTarget }, response) => {
      if (rawTarget.includes('nova-lite')) {
        const headers = { 'retry-after': '60' };
        sendAwsError(response, { status: 429, type: 'ThrottlingException', message: 'no', headers });
      } else sendJson(response, 200, USAGE);
    });
    expect(await ask({ system: 'a' })).toMatchObject({ upstream: 'two', attempts: '2' });
    expect(await ask({ system: 'b' })).toMatchObject({ upstream: 'two', attempts: '1' });
    const other = await ask({ system: 'a', path: '/model/amazon.nova-pro-v1:0/converse' });
    expect(other).toMatchObject({ upstream: 'one', attempts: '1' });
    expect(counts()).toEqual([2, 2]);
  });

  it('is asked all the same if no other one is left', async () => {
    const { ask, upstreams } = await open([{ name: 'one', region: 'us-east-1' }]);
    upstreams[0]?.respondWith((_request, response) => throttle(response));
    expect(await ask({})).toMatchObject({ status: 429, body: '{"message":"no"}' });
    upstreams[0]?.respondWith((_request, response) => sendJson(response, 200, USAGE));
    expect(await ask({})).toMatchObject({ status: 200, upstream: 'one' });
  });
});

describe('an upstream that is full', () => {
  it('gets no more, and if all are full the client is told to come back', async () => {
    const { ask, upstreams } = await open([
      { name: 'one', region: 'us-east-1', maxInFlight: 1 },
      { name: 'two', region: 'us-west-2', maxInFlight: 1, weight: 0 },
    ]);
    const held: ServerResponse[] = [];
    for (const upstream of upstreams) upstream.respondWith((_request, response) => void held.push(response));
    const first = ask({ system: 'a' });
    await upstreams[0]?.nextRequest();
    const second = ask({ system: 'b' });
    await upstreams[1]?.nextRequest();
    const third = await ask({ system: 'c' });
    expect(third.status).toBe(429);
    expect(third.body).toContain('one, two');
    for (const response of held) sendJson(response, 200, USAGE);
    expect([(await first).upstream, (await second).upstream]).toEqual(['one', 'two']);
  });
});

describe('the model', () => {
  const US = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
  const EU = 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0';

  it('is called by the name that is written down, in the path alone', async () => {
    const { ask, upstreams, testbed } = await open([
      { name: 'us', region: 'us-east-1' },
      { name: 'eu', region: 'eu-west-1', weight: 0, models: { [US]: EU } },
    ]);
    upstreams[0]?.respondWith((_request, response) => throttle(response));
    const over = testbed.nextRecord();
    expect(await ask({ path: `/model/${US}/converse` })).toMatchObject({ status: 200, upstream: 'eu' });
    const [[sent], [there]] = upstreams.map(({ requests }) => requests) as [[object], [object]];
    expect(there).toMatchObject({ rawTarget: `/model/${encodeURIComponent(EU)}/converse` });
    expect(Reflect.get(there, 'body')).toEqual(Reflect.get(sent, 'body'));
    const record = await over;
    expect(record).toMatchObject({ model: EU, route: { modelId: EU, modelAlias: US, region: 'eu-west-1' } });
  });

  it('is not called where its geography is not, and nothing is written down', async () => {
    const { ask, upstreams, counts } = await open([
      { name: 'us', region: 'us-east-1' },
      { name: 'eu', region: 'eu-west-1' },
    ]);
    upstreams[0]?.respondWith((_request, response) => throttle(response));
    expect((await ask({ path: `/model/${US}/converse` })).status).toBe(429);
    expect((await ask({ path: `/model/${EU}/converse` })).upstream).toBe('eu');
    const body = { model: US, max_tokens: 9, messages: [] };
    expect(await ask({ path: '/openai/v1/chat/completions', body })).toMatchObject({ status: 429, upstream: 'us' });
    expect(counts()).toEqual([2, 1]);
  });

  it('is called only where it is served', async () => {
    const { ask, counts } = await open([
      { name: 'nova', region: 'us-east-1', models: ['amazon.nova-*'] },
      { name: 'claude', region: 'us-west-2', models: ['*claude*'] },
    ]);
    for (const system of ['a', 'b', 'c']) {
      expect((await ask({ system })).upstream).toBe('nova');
      expect((await ask({ system, path: `/model/${US}/converse` })).upstream).toBe('claude');
    }
    const refused = await ask({ path: '/model/openai.gpt-oss-20b-1:0/converse' });
    expect(refused.status).toBe(400);
    expect(refused.body).toContain('No upstream of the proxy serves the model openai.gpt-oss-20b-1:0.');
    expect(counts()).toEqual([3, 3]);
  });

  it.each([
    ['two', `{"model":"${EU}","model":"${US}","messages":[]}`],
    ['two, the other way round', `{"model":"${US}","model":"${EU}","messages":[]}`],
    ['one in a tool', `{"model":"${EU}","tools":[{"type":"advisor","model":"${US}"}],"messages":[]}`],
  ])('is not called where it is not served, however a body names it: %s', async (_name, body) => {
    const { ask, counts } = await open([{ name: 'eu', region: 'eu-west-1', models: ['eu.*'] }]);
    expect((await ask({ path: '/anthropic/v1/messages', body })).status).toBe(400);
    expect(counts()).toEqual([0]);
  });

  it('stays in its region if the path has an ARN', async () => {
    const { ask, upstreams, counts } = await open(THREE);
    upstreams[1]?.respondWith((_request, response) => throttle(response));
    const arn = 'arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abcdefabcdef';
    expect((await ask({ path: `/model/${encodeURIComponent(arn)}/converse` })).status).toBe(429);
    expect(counts()).toEqual([0, 1, 0]);
  });
});

describe('the region', () => {
  it('that a client asks for by header is kept', async () => {
    const { ask, upstreams } = await open(THREE);
    const headers = { 'x-bedrock-proxy-region': 'us-west-2' };
    for (const system of ['a', 'b', 'c']) expect((await ask({ system, headers })).upstream).toBe('two');
    upstreams[1]?.respondWith((_request, response) => throttle(response));
    expect((await ask({ headers })).status).toBe(429);
    const elsewhere = await ask({ headers: { 'x-bedrock-proxy-region': 'ap-south-1' } });
    expect(elsewhere.status).toBe(400);
    expect(elsewhere.body).toContain('No upstream of the proxy is in the region ap-south-1.');
  });

  it('is one that the key may use', async () => {
    const { ask, counts } = await open(THREE, { regions: ['eu-*'] });
    for (const system of ['a', 'b', 'c']) expect((await ask({ system })).upstream).toBe('three');
    expect(counts()).toEqual([0, 0, 3]);
  });
});

describe('a key', () => {
  it('that is bound to an upstream goes nowhere else', async () => {
    const { ask, upstreams, counts } = await open(THREE, { upstreams: ['two'] });
    for (const system of ['a', 'b', 'c']) expect((await ask({ system })).upstream).toBe('two');
    upstreams[1]?.respondWith((_request, response) => throttle(response));
    expect((await ask({})).status).toBe(429);
    expect(counts()).toEqual([0, 4, 0]);
  });

  it('that is bound to one that is not there is refused', async () => {
    const { ask, counts } = await open(THREE, { upstreams: ['gone'] });
    const { status, body } = await ask({});
    expect(status).toBe(400);
    expect(body).toContain('This key is bound to the upstream gone, which is not there.');
    expect(counts()).toEqual([0, 0, 0]);
  });
});

it('keeps a request that names a guardrail where the guardrail is', async () => {
  const { ask, upstreams, counts } = await open(THREE);
  upstreams[0]?.respondWith((_request, response) => throttle(response));
  const body = { messages: [], guardrailConfig: { guardrailIdentifier: 'gr-1', guardrailVersion: '1' } };
  expect((await ask({ body })).status).toBe(429);
  expect(counts()).toEqual([1, 0, 0]);
});

it('keeps a request whose response is to be stored where it can be found', async () => {
  const { ask, upstreams, counts } = await open(THREE);
  upstreams[0]?.respondWith((_request, response) => throttle(response));
  const path = '/openai/v1/chat/completions';
  const body = { model: NOVA, messages: [], max_tokens: 9 };
  expect((await ask({ path, body: { ...body, store: true } })).status).toBe(429);
  expect(counts()).toEqual([1, 0, 0]);
  expect((await ask({ path, body: { ...body, store: false } })).status).toBe(200);
});

it('takes a file that has changed, and tells how its upstreams are', async () => {
  const { ask, describe: describeAll, testbed, upstreams } = await open([{ name: 'one', region: 'us-east-1' }]);
  expect((await ask({})).upstream).toBe('one');
  testbed.changeUpstreams(describeAll([{ name: 'new', region: 'us-west-2' }]));
  expect((await ask({})).upstream).toBe('new');
  expect(upstreams[0]?.requests[1]?.signature?.scope.region).toBe('us-west-2');
  upstreams[0]?.respondWith((_request, response) => throttle(response));
  await ask({});
  const origin = testbed.url.replace('/bedrock', '');
  const readiness = (await (await fetch(`${origin}/health/readiness`)).json()) as { upstreams: unknown };
  expect(readiness.upstreams).toEqual([
    {
      name: 'new',
      region: 'us-west-2',
      state: 'some models rest',
      requests_in_flight: 0,
      retry_in_seconds: expect.any(Number),
    },
  ]);
  const metrics = (await (await fetch(`${origin}/metrics`)).text()).split('\n');
  expect(metrics).toContain('bedrock_proxy_upstream_attempts_total{upstream="new",outcome="ThrottlingException"} 1');
  expect(metrics).toContain('bedrock_proxy_upstream_resting{upstream="new"} 1');
  expect(metrics).toContain('bedrock_proxy_upstream_requests_in_flight{upstream="new"} 0');
});
