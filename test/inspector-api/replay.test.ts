/** Replays spend money: whom they are charged to, and what they can be turned into, is looked at closely. */
import { beforeEach, describe, expect } from 'vitest';
import type { ExchangeDetails, ExchangeList, ReplayOffer } from '../../src/inspector/wire.ts';
import type { MintedKey } from '../../src/keys/mint.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const MASTER_KEY = 'sk-master-0123456789abcdef';
const { it, testbed } = proxyTest({
  config: { inspect: true },
  environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY },
});
const PATH = '/bedrock/model/amazon.nova-lite-v1%3A0/converse';
let alice: MintedKey;
let id: string;

beforeEach(async () => {
  alice = await testbed.mint('alice');
  const ended = testbed.nextRecord();
  const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Hello' }] }] });
  const headers = { authorization: `Bearer ${alice.key}`, 'content-type': 'application/json' };
  await fetch(`http://127.0.0.1:${testbed.port}${PATH}`, { method: 'POST', headers, body });
  ({ id } = await ended);
});

async function call(path: string, body?: unknown, token = testbed.inspectToken): Promise<[number, unknown]> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${testbed.port}/inspect/api/v1/${path}`, { headers, ...init });
  return [response.status, await response.json()];
}

const replay = (request: unknown, token?: string): Promise<[number, unknown]> =>
  call(`exchanges/${id}/replay`, request, token);

const idsOf = (offer: unknown): string[] => (offer as ReplayOffer).keys.map((key) => key.id);

describe('a replay', () => {
  it('is signed anew and charged to the key that was chosen, as an exchange of its own', async () => {
    const ended = testbed.nextRecord();
    const [status, said] = await replay({ key: alice.id });
    expect(status).toBe(200);
    const { id: next } = said as { id: string };
    expect((await ended).id).toBe(next);
    const [first, second] = testbed.upstream.requests;
    expect(second?.body).toEqual(first?.body);
    const [, details] = (await call(`exchanges/${next}`)) as [number, ExchangeDetails];
    expect(details.summary).toMatchObject({ parent: id, is_edited: false, row: { key_id: alice.id } });
  });

  it('goes beyond the limits of keys only for who shows the master key', async () => {
    const offers = await Promise.all([
      call(`exchanges/${id}/replay`),
      call(`exchanges/${id}/replay`, undefined, MASTER_KEY),
    ]);
    expect(offers.map(([, offer]) => idsOf(offer))).toEqual([[alice.id], [alice.id, 'master']]);
    expect((await replay({ key: 'master' }))[0]).toBe(400);
    expect((await replay({ key: 'master' }, MASTER_KEY))[0]).toBe(200);
  });

  it.each([
    { name: 'no key', request: {} },
    { name: 'a key that is not there', request: { key: 'vk_nobody' } },
    { name: 'the secret of a key', request: { key: 'sk-something' } },
    { name: 'nobody, where there are keys', request: { key: 'anonymous' } },
  ])('is refused with $name', async ({ request }) => {
    expect((await replay(request))[0]).toBe(400);
    expect(testbed.upstream.requests).toHaveLength(1);
  });

  it('does not become another operation without being confirmed', async () => {
    for (const edits of [
      { target: '/bedrock/model-customization-jobs' },
      { target: '/bedrock/model/amazon.nova-lite-v1%3A0/invoke/../converse' },
      { headers: [['X-Amz-Target', 'AmazonBedrockControl.DeleteEverything']] },
    ]) {
      expect((await replay({ key: alice.id, edits }))[0]).toBe(400);
    }
    expect(testbed.upstream.requests).toHaveLength(1);
    const ended = testbed.nextRecord();
    const target = PATH.replace('lite', 'micro');
    expect((await replay({ key: alice.id, edits: { target } }))[0]).toBe(200);
    await ended;
    expect(testbed.upstream.requests).toHaveLength(2);
  });

  it.each(['/key/generate', '/inspect/api/v1/faults', '/metrics', '//evil.example/x', 'http://evil.example/'])(
    'reaches nothing but Bedrock: %s',
    async (target) => {
      await replay({ key: alice.id, confirm: true, edits: { target, body: '{"key_alias":"mallory"}' } });
      expect(testbed.upstream.requests).toHaveLength(1);
      expect((await testbed.store.listKeys({ after: undefined, limit: 10 })).map(({ alias }) => alias)).toEqual([
        'alice',
      ]);
    },
  );

  it('of what was refused before its body came is refused, and not to be confirmed besides', async () => {
    const ended = testbed.nextRecord();
    const url = `http://127.0.0.1:${testbed.port}/bedrock/model-customization-jobs`;
    const headers = { authorization: 'Bearer sk-nobody-knows-this-key', 'content-type': 'application/json' };
    await fetch(url, { method: 'POST', headers, body: '{}' });
    const [, offer] = await call(`exchanges/${(await ended).id}/replay`);
    expect(offer).toMatchObject({ needs_confirmation: false, refusal: expect.stringContaining('not kept') });
  });

  it('takes no credential and no line break from edited headers', async () => {
    const [broken] = await replay({ key: alice.id, edits: { headers: [['X-A', 'b\r\nX-Evil: 1']] } });
    expect(broken).toBe(400);
    const ended = testbed.nextRecord();
    const headers = [
      ['Authorization', `Bearer ${MASTER_KEY}`],
      ['Content-Type', 'application/json'],
    ];
    expect((await replay({ key: alice.id, edits: { headers } }))[0]).toBe(200);
    expect(await ended).toMatchObject({ principal: { kind: 'key', keyId: alice.id } });
    const [, list] = (await call('exchanges')) as [number, ExchangeList];
    expect(JSON.stringify(list)).not.toContain(MASTER_KEY);
  });
});
