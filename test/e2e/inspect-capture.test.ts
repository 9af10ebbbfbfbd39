/**
 * What `--inspect` keeps of what passes: every byte with its time, in four layers, never a credential; and how it is
 * sent once more.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect } from 'vitest';
import type {
  ExchangeDetails,
  ExchangeList,
  ExchangeSummary,
  FramesView,
  ReplayOffer,
} from '../../src/inspector/wire.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';

const CANARY = 'canaryZq7vK2mN8pR4sT6wX9';
const MASTER = 'sk-master-0123456789abcdef';
const { it, testbed } = proxyTest({
  config: { inspect: true },
  flags: { fault: ['empty where model:never'] },
  environment: { BEDROCK_PROXY_MASTER_KEY: MASTER },
  sessionToken: `session-${CANARY}`,
});

function fetchApi(path: string, init: RequestInit = {}): Promise<Response> {
  // With the token alone nobody replays beyond the limits of a key.
  const bearer = path.endsWith('/replay') ? MASTER : testbed.inspectToken;
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  return fetch(`http://127.0.0.1:${testbed.port}/inspect/api/v1/${path}`, { ...init, headers });
}

async function call<Result>(path: string, method = 'GET', body?: unknown): Promise<Result> {
  const response = await fetchApi(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return (await response.json()) as Result;
}

async function send(
  body: string | Uint8Array<ArrayBuffer>,
  { key = MASTER, headers = {} }: { readonly key?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<ExchangeDetails> {
  const ended = testbed.nextRecord();
  const response = await fetch(`${testbed.url}/model/amazon.nova-lite-v1%3A0/converse`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
  });
  await response.arrayBuffer();
  return call(`exchanges/${(await ended).id}`);
}

/** As of a client that signs for this service; the signature is none. */
function signedFor(service: string): string {
  const credential = `AKIAIOSFODNN7EXAMPLE/20261128/eu-west-1/${service}/aws4_request`;
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=${'a'.repeat(64)}`;
}

const HELLO = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Hello' }] }] });

describe('what is kept', () => {
  it('is the request of the client, what was signed, what came back and what the client got', async () => {
    const { layers, signing, summary } = await send(HELLO);
    expect(layers.client_request.target).toBe('/bedrock/model/amazon.nova-lite-v1%3A0/converse');
    expect(layers.client_request.body?.size_bytes).toBe(HELLO.length);
    expect(layers.signed_request?.target).toBe('/model/amazon.nova-lite-v1%3A0/converse');
    expect(layers.upstream_response?.status).toBe(200);
    expect(layers.client_response?.headers.map(([name]) => name)).toContain('x-bedrock-proxy-request-id');
    // It is too short for a part of it to be shown.
    expect(signing).toMatchObject({ scheme: 'sigv4', access_key_id: '[masked]' });
    expect(signing?.canonical_request).toContain('content-type:application/json');
    expect(summary.state).toBe('complete');
  });

  it('is what went through, byte for byte', async () => {
    const { summary } = await send(HELLO);
    const kept = await fetchApi(`exchanges/${summary.id}/body/client_request`);
    expect(await kept.text()).toBe(HELLO);
    expect(kept.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(kept.headers.get('content-type')).toBe('application/octet-stream');
  });

  it('holds no credential, wherever it is looked for', async () => {
    const { key } = await testbed.mint('canary');
    const { summary } = await send(HELLO, {
      key,
      headers: { 'x-auth-token': CANARY, cookie: `session=${CANARY}`, 'x-note': 'sk-abcdefghijkl' },
    });
    const parts = ['', '/frames', '/messages', '/snippet?as=curl', '/snippet?as=curl-aws', '/snippet?as=boto3'];
    const paths = [
      'exchanges',
      'state',
      'export?format=ndjson&sanitize=1',
      'export?format=har&sanitize=1',
      'export?format=html&sanitize=1',
      ...parts.map((part) => `exchanges/${summary.id}${part}`),
    ];
    for (const path of paths) {
      const said = await (await fetchApi(path)).text();
      for (const secret of [CANARY, key, MASTER, AWS_PAIR.secretAccessKey, 'sk-abcdefghijkl']) {
        expect(said.includes(secret), `${path} has ${secret.slice(0, 6)}…`).toBe(false);
      }
    }
  });

  it('is nothing but the row if the client or its key asks for that', async () => {
    const asked = await send(HELLO, { headers: { 'x-bedrock-proxy-inspect': 'off' } });
    expect(asked.summary.omitted).toBe('opt-out');
    expect(asked.layers.client_request.body).toBeNull();
    const sent = testbed.upstream.requests.at(-1);
    expect(sent?.header('x-bedrock-proxy-inspect')).toBeUndefined();
    const { key } = await testbed.mint('private', { metadata: { inspect: 'never' } });
    const never = await send(HELLO, { key });
    expect(never.summary.omitted).toBe('opt-out');
    expect(never.layers.upstream_response?.body ?? null).toBeNull();
  });

  it.each(['CreateApiKeyCredentialProvider', 'UpdateOauth2CredentialProvider', 'GetResourceApiKey'])(
    'is nothing but the row of %s, because its body is a credential',
    async (operation) => {
      const path = operation === 'GetResourceApiKey' ? 'api-key' : operation;
      const ended = testbed.nextRecord();
      const response = await fetch(`${testbed.url}/identities/${path}`, {
        method: 'POST',
        body: JSON.stringify({ name: 'a', apiKey: CANARY, oauth2ProviderConfigInput: { clientSecret: CANARY } }),
        headers: { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' },
      });
      await response.arrayBuffer();
      const { id } = await ended;
      const details = await call<ExchangeDetails>(`exchanges/${id}`);
      expect(details.summary.row).toMatchObject({ operation });
      expect(details.summary.omitted).toBe('opt-out');
      expect(details.layers.client_request.body).toBeNull();
    },
  );

  it('is beginning and end of a body that waits in a file', async () => {
    const text = randomBytes(20 * 1024 * 1024).toString('base64');
    const { layers } = await send(JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }] }));
    const facts = layers.client_request.body;
    expect(facts?.size_bytes).toBeGreaterThan(26 * 1024 * 1024);
    expect(facts?.hole).toMatchObject({ why: 'size' });
    expect(facts?.kept_bytes).toBeGreaterThan(0);
    expect(facts?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  describe('of a response that a fault befell', () => {
    const frames = [
      eventFrame('messageStart', { role: 'assistant' }),
      eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 }),
      eventFrame('messageStop', { stopReason: 'end_turn' }),
    ];
    const stream = Buffer.concat(frames);

    it.each([
      { fault: 'crc at=frame:2', differs: true, end: 'complete', crcs: ['ok', 'ok', 'bad'] },
      { fault: 'reset at=frame:1', differs: true, end: 'cut', crcs: ['ok'] },
      { fault: 'gap=1ms', differs: false, end: 'complete', crcs: ['ok', 'ok', 'ok'] },
    ])('is what the client got, if that is not what AWS sent: $fault', async ({ fault, differs, end, crcs }) => {
      testbed.upstream.respondWith((_request, response) => {
        startEventStream(response);
        response.end(stream);
      });
      const ended = testbed.nextRecord();
      const headers = { authorization: `Bearer ${MASTER}`, 'x-bedrock-proxy-fault': fault };
      const path = '/model/amazon.nova-lite-v1%3A0/converse-stream';
      const response = await fetch(`${testbed.url}${path}`, { method: 'POST', body: HELLO, headers });
      const got = await response.bytes().catch(() => undefined);
      const { id } = await ended;
      const bodyOf = async (layer: string) => (await fetchApi(`exchanges/${id}/body/${layer}`)).bytes();
      expect(Buffer.from(await bodyOf('upstream_response')).equals(stream)).toBe(true);
      if (got !== undefined) expect(await bodyOf('client_response')).toEqual(got);
      const { layers } = await call<ExchangeDetails>(`exchanges/${id}`);
      expect(layers.client_response?.body !== null).toBe(differs);
      const shown = await call<FramesView>(`exchanges/${id}/frames`);
      expect(shown.end).toBe(end);
      expect(shown.items.map(({ crc }) => crc)).toEqual(crcs);
      expect(shown.problem?.includes('changed what the upstream sent') ?? false).toBe(differs);
    });
  });

  it('is also what the proxy refused itself, with what it said', async () => {
    const { summary, layers } = await send(HELLO, { key: 'sk-nobody-knows-this-key' });
    expect(summary).toMatchObject({ state: 'refused', kind: 'own' });
    expect(layers.signed_request).toBeNull();
    const body = await fetchApi(`exchanges/${summary.id}/body/client_response`);
    expect(await body.text()).toContain('message');
  });
});

describe('a replay', () => {
  it('is sent anew, charged to the key that was chosen, and linked', async () => {
    const { id, key } = await testbed.mint('alice');
    const first = await send(HELLO, { key });
    const offer = await call<ReplayOffer>(`exchanges/${first.summary.id}/replay`);
    expect(offer).toMatchObject({ refusal: null, needs_confirmation: false });
    expect(offer.keys[0]).toEqual({ id, name: 'alice' });
    const ended = testbed.nextRecord();
    const made = await call<{ id: string }>(`exchanges/${first.summary.id}/replay`, 'POST', { key: id });
    const record = await ended;
    expect(record.id).toBe(made.id);
    expect(record.principal).toMatchObject({ keyId: id });
    const [before, again] = testbed.upstream.requests.slice(-2);
    expect(again?.body.equals(before?.body ?? Buffer.alloc(0))).toBe(true);
    expect(again?.failure).toBeUndefined();
    const { summary } = await call<ExchangeDetails>(`exchanges/${made.id}`);
    expect(summary).toMatchObject({ parent: first.summary.id, is_edited: false, row: { key: 'alice' } });
  });

  it.each([
    { by: 'its header', headers: { 'x-bedrock-proxy-region': 'eu-west-1' } },
    {
      by: 'what its client signed for',
      headers: {
        'x-api-key': MASTER,
        authorization: signedFor('bedrock'),
      },
    },
  ])('goes to the region of the first, by $by', async ({ headers }) => {
    const { id } = await testbed.mint('alice');
    const first = await send(HELLO, { headers });
    const ended = testbed.nextRecord();
    const made = await call<{ id: string }>(`exchanges/${first.summary.id}/replay`, 'POST', { key: id });
    await ended;
    const { summary } = await call<ExchangeDetails>(`exchanges/${made.id}`);
    expect([first.summary.row['region'], summary.row['region']]).toEqual(['eu-west-1', 'eu-west-1']);
  });

  it('goes to the service of the first, by what its client signed for', async () => {
    const ended = testbed.nextRecord();
    await fetch(`${testbed.url}/newer/than/our/tables`, {
      method: 'POST',
      body: '{}',
      headers: { authorization: signedFor('bedrock-mantle'), 'x-api-key': MASTER, 'content-type': 'application/json' },
    });
    const { id, route } = await ended;
    const again = testbed.nextRecord();
    await call(`exchanges/${id}/replay`, 'POST', { key: 'master', confirm: true });
    const { route: second, error } = await again;
    expect([route?.service, second?.service, error]).toEqual(['bedrock-mantle', 'bedrock-mantle', undefined]);
    expect(second?.region).toBe('eu-west-1');
  });

  it('is edited: the path, headers and body that were given, and a signature of its own', async () => {
    const first = await send(HELLO);
    const body = HELLO.replace('Hello', 'Edited');
    const ended = testbed.nextRecord();
    const edits = {
      target: '/bedrock/model/amazon.nova-micro-v1%3A0/converse',
      headers: [
        ['content-type', 'application/json'],
        ['authorization', 'Bearer sk-smuggled-in-by-the-page'],
        ['x-amz-security-token', 'smuggled'],
      ],
      body,
    };
    await call(`exchanges/${first.summary.id}/replay`, 'POST', { key: 'master', edits });
    await ended;
    const sent = testbed.upstream.requests.at(-1);
    expect(sent?.rawTarget).toBe('/model/amazon.nova-micro-v1%3A0/converse');
    expect(sent?.body.toString()).toBe(body);
    expect(sent?.failure).toBeUndefined();
    expect(JSON.stringify(sent?.headers)).not.toContain('smuggled');
  });

  it('goes through the limits of its key', async () => {
    const { id, key } = await testbed.mint('limited', { policy: { ...EMPTY_POLICY, models: ['*haiku*'] } });
    const first = await send(HELLO);
    const ended = testbed.nextRecord();
    const sent = testbed.upstream.requests.length;
    await call(`exchanges/${first.summary.id}/replay`, 'POST', { key: id });
    expect((await ended).error?.code).toBe('ERR_MODEL_NOT_ALLOWED');
    expect(testbed.upstream.requests).toHaveLength(sent);
    expect(key).toMatch(/^sk-/);
  });

  it.each([
    { name: 'of a key that does not exist', change: { key: 'nobody' } },
    { name: 'with a path that is none', change: { key: 'master', edits: { target: 'http://elsewhere/' } } },
    { name: 'with a header that is none', change: { key: 'master', edits: { headers: [['a b', 'c']] } } },
    { name: 'with a header of two lines', change: { key: 'master', edits: { headers: [['a', 'b\r\nc: d']] } } },
  ])('is refused $name', async ({ change }) => {
    const first = await send(HELLO);
    const response = await fetchApi(`exchanges/${first.summary.id}/replay`, {
      method: 'POST',
      body: JSON.stringify(change),
    });
    expect(response.status).toBe(400);
  });

  it('of what is no call of a model wants a confirmation', async () => {
    const ended = testbed.nextRecord();
    await fetch(`${testbed.url}/guardrails/abc`, { method: 'DELETE', headers: { authorization: `Bearer ${MASTER}` } });
    const { id } = await ended;
    expect(await call<ReplayOffer>(`exchanges/${id}/replay`)).toMatchObject({ needs_confirmation: true });
    const sent = testbed.upstream.requests.length;
    const refused = await fetchApi(`exchanges/${id}/replay`, { method: 'POST', body: '{"key":"master"}' });
    expect(refused.status).toBe(400);
    expect(testbed.upstream.requests).toHaveLength(sent);
    const again = testbed.nextRecord();
    await call(`exchanges/${id}/replay`, 'POST', { key: 'master', confirm: true });
    await again;
    expect(testbed.upstream.requests).toHaveLength(sent + 1);
  });

  it('of a body that is not kept as a whole is refused, and says why', async () => {
    const text = randomBytes(14 * 1024 * 1024).toString('base64');
    const { summary } = await send(JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }] }));
    const offer = await call<ReplayOffer>(`exchanges/${summary.id}/replay`);
    expect(offer.refusal).toBe('Its body is not kept as a whole.');
  });
});

describe('the same request after a failure', () => {
  it('is its next attempt', async () => {
    testbed.upstream.respondWith((_request, response) => void response.writeHead(429).end('{}'));
    await send(HELLO);
    const { summary } = await send(HELLO);
    expect(summary.attempt).toMatchObject({ number: 2 });
    const list = await call<ExchangeList>('exchanges?filter=is:retry');
    expect(list.items.map(({ id }: ExchangeSummary) => id)).toContain(summary.id);
  });
});
