/**
 * The ledger, the metrics and the log against what strangers write into them: clients with names of models and tiers,
 * an upstream with ids and error types. Rows stay small, series stay few, and no secret gets in.
 */
import { createServer } from 'node:http';
import { beforeEach, describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { describeForPeople, formatJsonLine } from '../../src/telemetry/access-log.ts';
import { layoutFor } from '../../src/telemetry/line-layout.ts';
import { formatRow } from '../../src/telemetry/record-line.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { AWS_PAIR, startProxy } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';
import { listen } from '../helpers/ports.ts';

const MASTER_KEY = 'sk-master-of-the-testbed-000';
const NOVA = 'amazon.nova-lite-v1:0';
const PLAIN = { dim: String, good: String, warn: String, bad: String, strong: String };
const lineOf = (record: RequestRecord): string =>
  formatRow(describeForPeople(record), { paint: PLAIN, layout: layoutFor(undefined) });

const { it, testbed } = proxyTest({ environment: { BEDROCK_PROXY_MASTER_KEY: MASTER_KEY } });
let key: string;

beforeEach(async () => {
  key = (await testbed.mint('books')).key;
});

async function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  const over = testbed.nextRecord();
  const response = await fetch(`${testbed.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...headers },
    body,
  });
  await response.arrayBuffer();
  await over;
  return response;
}

async function lastRow(): Promise<LedgerEntry> {
  const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
  if (row === undefined) throw new Error('the ledger is empty');
  return row;
}

const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${testbed.port}/metrics`)).text();

const countSeries = async (): Promise<number> => (await metrics()).split('\n').length;

const long = (letter: string): string => letter.repeat(40_000);

describe('a key over its limits', () => {
  it('writes few rows and small ones, however often it asks', async () => {
    key = (await testbed.mint('over', { policy: { ...EMPTY_POLICY, requestsPerMinute: 1 } })).key;
    for (let count = 0; count < 40; count += 1) await post(`/model/${'x'.repeat(2_000)}/converse`, '{}');
    const rows = await testbed.store.readLedgerBackwards({}, { limit: 100 });
    expect(rows.map(({ status }) => status)).toEqual([429, 429, 429, 429, 429, 200]);
    expect(Math.max(...rows.slice(0, 5).map(({ model }) => model?.length ?? 0))).toBe(256);
  });

  it('writes few rows of paths that do not exist', async () => {
    for (let count = 0; count < 40; count += 1) await post(`/nowhere/${count}`, '{}');
    expect((await testbed.store.readLedgerBackwards({}, { limit: 100 })).length).toBeLessThanOrEqual(5);
  });
});

describe('a row stays small', () => {
  it.each([
    { name: 'model in the body', path: '/openai/v1/chat/completions', body: `{"model":"${long('m')}"}` },
    { name: 'model in the path', path: `/model/${long('m')}/converse`, body: '{}' },
    {
      name: 'tier in a header',
      path: `/model/${NOVA}/invoke`,
      body: '{}',
      headers: { 'x-amzn-bedrock-service-tier': long('t') },
    },
    {
      name: 'session, agent and tags',
      path: `/model/${NOVA}/invoke`,
      body: '{}',
      headers: {
        'x-bedrock-proxy-session': 's'.repeat(3_000),
        'x-bedrock-proxy-agent': 'a'.repeat(3_000),
        'x-bedrock-proxy-tags': Array.from(
          { length: 20 },
          (_, at) => `${at}${'n'.repeat(90)}=${'v'.repeat(120)}`,
        ).join(),
      },
    },
    { name: 'user agent', path: `/model/${NOVA}/invoke`, body: '{}', headers: { 'user-agent': `boto3/${long('u')}` } },
  ])('keeps a row small whatever a client sends as its $name', async ({ path, body, headers }) => {
    await post(path, body, headers);
    const row = JSON.stringify(await lastRow());
    expect(row.length).toBeLessThan(4_000);
    expect(lineOf(testbed.records.at(-1) ?? expect.unreachable()).length).toBeLessThan(600);
  });

  it.each(['x-amzn-requestid', 'x-amzn-errortype', 'x-amzn-bedrock-service-tier'])(
    'keeps a row small whatever an upstream sends as %s',
    async (name) => {
      testbed.upstream.respondWith((_request, response) => sendJson(response, 400, {}, { [name]: 'x'.repeat(50_000) }));
      const over = testbed.nextRecord();
      const headers = [`Host: 127.0.0.1:${testbed.port}`, `Authorization: Bearer ${key}`, 'Content-Length: 2'];
      await ask(testbed.port, `POST /bedrock/model/${NOVA}/converse HTTP/1.1`, headers, '{}');
      expect((await over).status).toBe(400);
      expect(JSON.stringify(await lastRow()).length).toBeLessThan(2_000);
      expect((await metrics()).length).toBeLessThan(60_000);
    },
  );

  it('keeps a row small if its process dies, too', async () => {
    const budget = { limitNanoUsd: 1e9, windowMs: undefined, anchorMs: 0 };
    key = (await testbed.mint('risky', { policy: { ...EMPTY_POLICY, budget, allowUnpriced: true } })).key;
    const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
    testbed.upstream.respondWith(() => asked());
    const leaving = new AbortController();
    const sent = fetch(`${testbed.url}/model/${'m'.repeat(10_000)}/converse`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{}',
      signal: leaving.signal,
    });
    sent.catch(() => {});
    await isAsked;
    // As another process would, an hour after this one fell silent.
    expect(await testbed.store.settleLost(Date.now() + 3_600_000)).toBe(1);
    expect(JSON.stringify(await lastRow()).length).toBeLessThan(4_000);
    const over = testbed.nextRecord();
    leaving.abort();
    await over;
  });
});

describe('what a client says of whom its request is for', () => {
  it('shows no key, makes no series, and moves no cursor', async () => {
    await post(`/model/${NOVA}/invoke`, '{}');
    const before = await countSeries();
    const headers = { 'x-session-id': `${key}\u009b1m`, 'x-claude-code-agent-id': `Bearer ${key}` };
    await post(`/model/${NOVA}/invoke`, '{}', { ...headers, 'x-bedrock-proxy-tags': `repo=${key},${key}` });
    const row = await lastRow();
    expect(row).toMatchObject({ session: 'sk-…?1m', agent: 'Bearer sk-…', tags: { repo: 'sk-…' } });
    const record = testbed.records.at(-1) ?? expect.unreachable();
    expect(`${formatJsonLine(record)}${lineOf(record)}${JSON.stringify(row)}`).not.toContain(key);
    expect(await countSeries()).toBe(before);
  });

  it('takes no request out of the sums of its owner, nor into those of another', async () => {
    key = (await testbed.mint('owned', { tags: { team: 'red', user_id: 'bob' } })).key;
    await post(`/model/${NOVA}/invoke`, '{}', { 'x-litellm-tags': 'team=blue,user_id=eve,team_id=finance' });
    expect((await lastRow()).tags).toEqual({ team: 'red', user_id: 'bob' });
  });
});

describe('strangers', () => {
  it('does not let strangers make the database or the series grow', async () => {
    const before = (await metrics()).split('\n').length;
    for (let turn = 0; turn < 40; turn += 1) {
      const headers = [
        `Host: 127.0.0.1:${testbed.port}`,
        `Authorization: Bearer sk-unknown-${turn}`,
        'Connection: close',
      ];
      await ask(testbed.port, `GET /bedrock/model/m${turn}/x${turn} HTTP/1.1`, headers);
    }
    expect(await testbed.store.readLedger({}, { after: 0, limit: 10 })).toEqual([]);
    // One series for all of them, in each metric, and one for each of the few codes.
    expect((await metrics()).split('\n').length - before).toBeLessThan(80);
  });

  it('does not let a key make series of what AWS refuses', async () => {
    testbed.upstream.respondWith((_request, response) => sendJson(response, 400, {}));
    for (let turn = 0; turn < 30; turn += 1) await post(`/model/anthropic.m${turn}/converse`, '{}');
    expect(await metrics()).not.toContain('anthropic.m');
  });
});

it('lets nobody forge a line, a label or a cell', async () => {
  const forged = `x"} 1\nbedrock_proxy_cost_usd_total{key="books"} 99\u001b[2J\u202e,=cmd()`;
  const alias = 'a","key="b\\';
  key = (await testbed.mint(alias)).key;
  await post('/openai/v1/chat/completions', JSON.stringify({ model: forged }));
  const text = await metrics();
  expect(text).not.toMatch(/^bedrock_proxy_cost_usd_total\{key="books"\}/m);
  expect(text).not.toContain('\u001b');
  expect(text).toContain(String.raw`key="a\",\"key=\"b\\"`);
  const record = testbed.records.at(-1) ?? expect.unreachable();
  for (const line of [formatJsonLine(record), lineOf(record)]) {
    // oxlint-disable-next-line no-control-regex -- these are what must not be there
    expect(line).not.toMatch(/[\u0000-\u001f\u202e]/);
  }
  expect((await lastRow()).model).toBe(forged);
});

it('shows no secret in log, metrics, database and rows', async () => {
  const { id } = await testbed.mint('rotated');
  const admin = (path: string, init: RequestInit = {}): Promise<string> =>
    fetch(`http://127.0.0.1:${testbed.port}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' },
    }).then((response) => response.text());
  await post(`/model/${NOVA}/converse`, '{}');
  await post(`/model/${encodeURIComponent(key)}/converse`, '{}');
  await post(`/model/${NOVA}/converse?key=${key}`, '{}');
  await fetch(`${testbed.url}/model/${NOVA}/converse`, {
    method: 'POST',
    headers: { 'x-api-key': MASTER_KEY },
    body: '{}',
  });
  await fetch(`http://127.0.0.1:${testbed.port}/key/${key}/regenerate`, {
    method: 'POST',
    headers: { origin: 'https://evil.example' },
  });
  const told = [
    await metrics(),
    await admin('/key/list?return_full_object=true&size=100'),
    await admin(`/key/info?key=${id}`),
    await admin('/spend/logs'),
    await admin('/openapi.json'),
    await admin(`/key/${key}x/regenerate`, { method: 'POST', body: '{}' }),
    await admin('/key/update', { method: 'POST', body: JSON.stringify({ key: `${key}x` }) }),
    ...testbed.records.flatMap((record) => [formatJsonLine(record), lineOf(record)]),
  ].join('\n');
  for (const secret of [MASTER_KEY, AWS_PAIR.secretAccessKey, key]) expect(told).not.toContain(secret);
});

it('ignores the costs that an upstream claims', async () => {
  const server = createServer((incoming, response) => {
    incoming.resume();
    sendJson(
      response,
      200,
      { usage: { inputTokens: 1_000, outputTokens: 0, totalTokens: 1_000 } },
      { 'X-Bedrock-Proxy-Cost': '0' },
    );
  });
  const endpointUrl = [`http://127.0.0.1:${await listen(server)}`];
  await using other = await startProxy({ flags: { endpointUrl } });
  const response = await fetch(`${other.url}/model/${NOVA}/converse`, { method: 'POST', body: '{}' });
  expect(response.headers.get('x-bedrock-proxy-cost')).toBe('0.00006');
});
