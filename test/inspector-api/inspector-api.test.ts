/** The inspector's API as the page uses it: lists, details, live changes that lose nothing. */
import type { ServerResponse } from 'node:http';
import { describe, expect, onTestFinished } from 'vitest';
import type {
  DiffView,
  ExchangeDetails,
  ExchangeList,
  ExchangeSummary,
  FramesView,
  MessagesView,
} from '../../src/inspector/wire.ts';
import { INSPECTOR_ENDPOINTS } from '../../src/inspector-api/router.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest({ config: { inspect: true } });

function fetchApi(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${testbed.inspectToken}`, 'content-type': 'application/json' };
  return fetch(`http://127.0.0.1:${testbed.port}/inspect/api/v1/${path}`, { ...init, headers });
}

async function call<Result>(path: string, method = 'GET', body?: unknown): Promise<Result> {
  const response = await fetchApi(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  expect([path, response.status]).toEqual([path, 200]);
  return (await response.json()) as Result;
}

async function converse(texts: readonly string[], model = 'amazon.nova-lite-v1%3A0'): Promise<string> {
  const ended = testbed.nextRecord();
  const messages = texts.map((text, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: [{ text }] }));
  const body = JSON.stringify({ messages });
  await fetch(`${testbed.url}/model/${model}/converse`, { method: 'POST', body });
  return (await ended).id;
}

interface Told {
  readonly event: string;
  readonly data: { readonly cursor: number; readonly id?: string; readonly exchange?: ExchangeSummary };
}

/** Events as they come, until the test is over. */
async function follow(path: string): Promise<{ events: Told[]; stop: () => void; ended: Promise<void> }> {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const { body, headers } = await fetchApi(path, { signal: leaving.signal });
  expect(headers.get('content-type')).toBe('text/event-stream');
  const events: Told[] = [];
  const ended = (async () => {
    let rest = '';
    for await (const chunk of body ?? []) {
      const parts = (rest + Buffer.from(chunk).toString()).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
        if (event !== undefined && data !== undefined) events.push({ event, data: JSON.parse(data) as Told['data'] });
      }
    }
  })().catch(() => {});
  return { events, stop: () => leaving.abort(), ended };
}

describe('the list', () => {
  it('comes newest first, page by page, filtered on the server', async () => {
    const ids = [await converse(['one']), await converse(['two'], 'anthropic.claude-x'), await converse(['three'])];
    const { items, totals } = await call<ExchangeList>('exchanges?limit=2');
    expect(items.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    expect(totals.exchanges).toBe(2);
    const { next } = await call<ExchangeList>('exchanges?limit=2');
    const rest = await call<ExchangeList>(`exchanges?limit=2&before=${next}`);
    expect([rest.items.map(({ id }) => id), rest.next]).toEqual([[ids[0]], null]);
    const filtered = await call<ExchangeList>(`exchanges?filter=${encodeURIComponent('body:three | model:*claude*')}`);
    expect(filtered.items.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
  });

  it.each([String.raw`body:/(a+)+\$/`, String.raw`body:/a+x/`, String.raw`body:/(?:a|a)*b/`])(
    'refuses %s over a text that makes it slow, and meanwhile holds up nobody for long',
    async (filter) => {
      await converse(['a'.repeat(1_000_000)]);
      const startedAt = performance.now();
      const response = await fetchApi(`exchanges?filter=${encodeURIComponent(filter)}`);
      expect(response.status).toBe(400);
      expect(await response.text()).toMatch(/takes too long/);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect((await call<ExchangeList>('exchanges?filter=body:/a{50}/')).items).toHaveLength(1);
    },
  );

  it('pins and notes, and removes what is not pinned', async () => {
    const [kept, gone] = [await converse(['one']), await converse(['two'])];
    const marked = await call<ExchangeSummary>(`exchanges/${kept}`, 'PATCH', { pinned: true, note: 'look here' });
    expect([marked.is_pinned, marked.note]).toEqual([true, 'look here']);
    expect(await call('exchanges', 'DELETE')).toMatchObject({ removed: 1 });
    expect((await fetchApi(`exchanges/${gone}`)).status).toBe(404);
    await call(`exchanges/${kept}`, 'DELETE');
    expect((await call<ExchangeList>('exchanges')).items).toEqual([]);
  });
});

describe('one exchange', () => {
  it('has details, messages, a difference and text to paste', async () => {
    const first = await converse(['Hello']);
    const second = await converse(['Hello', 'Hi', 'More']);
    const details = await call<ExchangeDetails>(`exchanges/${second}`);
    expect(details.layers.signed_request?.headers.map(([name]) => name.toLowerCase())).toContain('authorization');
    expect(details.signing).toMatchObject({ scheme: 'sigv4' });
    const { messages } = await call<MessagesView>(`exchanges/${second}/messages`);
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    const diff = await call<DiffView>(`exchanges/${second}/diff?with=${first}`);
    expect([diff.base, diff.parts.filter(({ change }) => change === 'added').length]).toEqual([first, 2]);
    const snippet = await call<{ text: string }>(`exchanges/${second}/snippet?as=curl`);
    expect(snippet.text).toContain(`http://localhost:${testbed.port}/bedrock/model/amazon.nova-lite-v1%3A0/converse`);
    expect((await fetchApi(`exchanges/${second}/snippet?as=cobol`)).status).toBe(400);
    expect((await fetchApi(`exchanges/${first}/diff`)).status).toBe(400);
    expect(await call(`exchanges/${second}/cache`)).toBeNull();
  });

  it('is told frame by frame while it runs, each frame once, and then is over', async () => {
    let upstream: ServerResponse | undefined;
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      upstream = response;
    });
    const ended = testbed.nextRecord();
    const client = fetch(`${testbed.url}/model/amazon.nova-lite-v1%3A0/converse-stream`, {
      method: 'POST',
      body: '{}',
    });
    await expect.poll(() => upstream).toBeDefined();
    upstream?.write(eventFrame('messageStart', { role: 'assistant' }));
    await expect.poll(async () => (await call<ExchangeList>('exchanges')).items.length).toBe(1);
    const [open] = (await call<ExchangeList>('exchanges')).items;
    expect(open?.state).toBe('open');
    const { events, ended: over } = await follow(`exchanges/${open?.id}/events`);
    const framesOf = (): number[] =>
      events
        .flatMap(({ event, data }) =>
          event === 'frames' ? (data as unknown as FramesView & { frames: FramesView['items'] }).frames : [],
        )
        .map(({ index }) => index);
    await expect.poll(framesOf).toEqual([0]);
    upstream?.write(eventFrame('contentBlockDelta', { delta: { text: 'a' }, contentBlockIndex: 0 }));
    await expect.poll(framesOf).toEqual([0, 1]);
    upstream?.write(eventFrame('messageStop', { stopReason: 'end_turn' }));
    upstream?.end();
    await (await client).arrayBuffer();
    await ended;
    await over;
    expect(framesOf()).toEqual([0, 1, 2]);
    expect(events.at(-1)).toMatchObject({ event: 'summary', data: { exchange: { state: 'complete' } } });
  });
});

describe('live changes', () => {
  it('go on after the cursor of a list, and after that of the last event', async () => {
    await converse(['before']);
    const { cursor } = await call<ExchangeList>('exchanges');
    const missed = await converse(['missed']);
    const one = await follow(`events?after=${cursor}`);
    const idsOf = ({ events }: typeof one): (string | undefined)[] => [
      ...new Set(events.flatMap(({ event, data }) => (event === 'upsert' ? [data.exchange?.id] : []))),
    ];
    await expect.poll(() => idsOf(one)).toEqual([missed]);
    const live = await converse(['live']);
    await expect
      .poll(() => one.events.findLast(({ event }) => event === 'upsert')?.data.exchange)
      .toMatchObject({ id: live, state: 'complete' });
    const last = one.events.findLast(({ event }) => event === 'upsert')?.data.cursor;
    one.stop();
    const away = await converse(['away']);
    const two = await follow(`events?after=${last}`);
    await expect.poll(() => idsOf(two)).toEqual([away]);
    expect([...one.events, ...two.events].some(({ event }) => event === 'reset')).toBe(false);
  });

  it('tell what is removed, and what a filter does not let through any more', async () => {
    const id = await converse(['one']);
    const { events } = await follow('events?filter=is:pinned');
    await call(`exchanges/${id}`, 'PATCH', { pinned: true });
    await expect
      .poll(() => events.filter(({ event }) => event === 'upsert').map(({ data }) => data.exchange?.id))
      .toEqual([id]);
    await call(`exchanges/${id}`, 'PATCH', { pinned: false });
    await expect.poll(() => events.filter(({ event }) => event === 'remove').map(({ data }) => data.id)).toEqual([id]);
  });

  it.each(['1', '0', '999999999999999'])('begin anew at the cursor %s of another process', async (after) => {
    await converse(['one']);
    const { events } = await follow(`events?after=${after}`);
    await expect.poll(() => events[0]?.event).toBe('reset');
    const { cursor } = await call<ExchangeList>('exchanges');
    expect(events[0]?.data.cursor).toBe(cursor);
  });
});

describe('the document', () => {
  it('describes every endpoint', async () => {
    const { paths } = await call<{ paths: Record<string, Record<string, unknown>> }>('openapi.json');
    const told = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace('/inspect/api/v1/', '')}`),
    );
    expect(told.toSorted()).toEqual(INSPECTOR_ENDPOINTS.map(({ method, path }) => `${method} ${path}`).toSorted());
  });
});
