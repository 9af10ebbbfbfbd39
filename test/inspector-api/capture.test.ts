/** What a proxy without `--inspect` shows, and how somebody has content kept for a while. */
import { describe, expect } from 'vitest';
import type { ExchangeList, InspectorState } from '../../src/inspector/wire.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest();

async function call<Result>(path: string, method = 'GET', body?: unknown): Promise<Result> {
  const headers = { authorization: `Bearer ${testbed.inspectToken}`, 'content-type': 'application/json' };
  const url = `http://127.0.0.1:${testbed.port}/inspect/api/v1/${path}`;
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  expect(response.status).toBe(200);
  return (await response.json()) as Result;
}

async function converse(text: string): Promise<string> {
  const ended = testbed.nextRecord();
  const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }] });
  await fetch(`${testbed.url}/model/amazon.nova-lite-v1%3A0/converse`, { method: 'POST', body });
  const { id } = await ended;
  await expect.poll(async () => (await testbed.store.readLedger({ id }, { after: 0, limit: 1 })).length).toBe(1);
  return id;
}

describe('without --inspect', () => {
  it('lists the ledger, without content', async () => {
    const ids = [await converse('one'), await converse('two')];
    const { items } = await call<ExchangeList>('exchanges');
    expect(items.map(({ id, omitted }) => [id, omitted])).toEqual(ids.toReversed().map((id) => [id, 'off']));
    expect(await call<InspectorState>('state')).toMatchObject({
      kept: 'ledger',
      is_capturing: false,
      may_capture: true,
      captures_until: null,
    });
    const filtered = await call<ExchangeList>('exchanges?filter=id:nothing');
    expect([filtered.items.length, filtered.scanned]).toEqual([0, 2]);
  });

  it('says of a filter over content that there is none, in place of an empty list', async () => {
    await converse('a needle');
    const headers = { authorization: `Bearer ${testbed.inspectToken}` };
    const url = `http://127.0.0.1:${testbed.port}/inspect/api/v1/exchanges?filter=body:needle`;
    const response = await fetch(url, { headers });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('body: looks at what the inspector keeps, and the ledger does not');
  });

  it('keeps content from when somebody asks for it until the time is over, above the rows from before', async () => {
    const before = await converse('before');
    const on = await call<InspectorState>('capture', 'PUT', { on: true, minutes: 15 });
    expect([on.kept, on.is_capturing]).toEqual(['memory', true]);
    expect(Date.parse(on.captures_until ?? '') - Date.now()).toBeGreaterThan(14 * 60_000);
    const during = await converse('a needle');
    const off = await call<InspectorState>('capture', 'PUT', { on: false });
    expect([off.is_capturing, off.captures_until]).toEqual([false, null]);
    const after = await converse('after');
    const { items } = await call<ExchangeList>('exchanges');
    expect(items.map(({ id, omitted }) => [id, omitted])).toEqual([
      [after, 'off'],
      [during, null],
      [before, 'off'],
    ]);
    const paged = await call<ExchangeList>('exchanges?limit=2');
    const rest = await call<ExchangeList>(`exchanges?limit=2&before=${paged.next}`);
    expect([paged.items.map(({ id }) => id), rest.items.map(({ id }) => id)]).toEqual([[after, during], [before]]);
    const found = await call<ExchangeList>('exchanges?filter=body:needle');
    expect(found.items.map(({ id }) => id)).toEqual([during]);
  });

  it('tells those who watch already, as the source changes below them', async () => {
    const { cursor } = await call<ExchangeList>('exchanges');
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${testbed.inspectToken}` };
    const url = `http://127.0.0.1:${testbed.port}/inspect/api/v1/events?after=${cursor}`;
    const { body } = await fetch(url, { headers, signal: leaving.signal });
    let text = '';
    const reading = (async () => {
      for await (const chunk of body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => {});
    const first = await converse('one');
    await expect.poll(() => text, { timeout: 3_000 }).toContain(first);
    await call('capture', 'PUT', { on: true });
    const second = await converse('two');
    await expect.poll(() => text, { timeout: 3_000 }).toContain(second);
    expect(text).not.toContain('event: reset');
    leaving.abort();
    await reading;
  });
});
