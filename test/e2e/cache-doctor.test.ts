/**
 * The cache doctor through the whole program: Anthropic's SDK in a loop whose system prompt holds the time of day, and
 * what ledger, log, metrics and `cache` say of it.
 */
import AnthropicBedrock from '@anthropic-ai/bedrock-sdk';
import { expect, it } from 'vitest';
import { launchServer, openWorkplace, run } from '../helpers/program.ts';
import { openProxy } from '../helpers/proxy-test.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const RULES = Array.from({ length: 300 }, (_, index) => `Rule ${index} of the house is to be kept by everybody.`).join(
  '\n',
);
const OFFLINE = { offline: true, endpointUrls: new Map<never, never>() };
const MARK = { cache_control: { type: 'ephemeral' as const } };

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string | { type: 'text'; text: string; cache_control?: { type: 'ephemeral' } }[];
}

/** One turn of a loop: the history as it is, and a new question with a marker. */
async function ask(client: AnthropicBedrock, history: Turn[], time: string | undefined): Promise<void> {
  const question = `Question ${history.length / 2 + 1}`;
  const system = [
    { type: 'text' as const, text: 'You are a careful helper.' },
    ...(time === undefined ? [] : [{ type: 'text' as const, text: `The time is ${time}.` }]),
    { type: 'text' as const, text: RULES, ...MARK },
  ];
  const messages: Turn[] = [...history, { role: 'user', content: [{ type: 'text', text: question, ...MARK }] }];
  const { content } = await client.messages.create({ model: CLAUDE, max_tokens: 50, system, messages });
  const [answer] = content;
  history.push({ role: 'user', content: question });
  history.push({ role: 'assistant', content: answer?.type === 'text' ? answer.text : '-' });
}

it('names block and bytes of a time of day that loses the cache of ten turns, and the mended prompt hits', async () => {
  const proxy = await openProxy({ config: { ...OFFLINE, cacheDoctor: true } });
  const { key } = await proxy.mint('alice');
  const client = new AnthropicBedrock({ baseURL: proxy.url, apiKey: key, awsRegion: 'us-east-1' });
  const history: Turn[] = [];
  for (let turn = 0; turn < 10; turn += 1) await ask(client, history, `09:4${turn}:00`);
  const verdicts = proxy.records.map(({ cache }) => cache?.verdict);
  expect(verdicts).toEqual(['first', ...Array.from({ length: 9 }, () => 'changed')]);
  const last = proxy.records.at(-1);
  expect(last?.cache?.line).toMatch(
    /^cache changed: system block 2, bytes [\d,]+–[\d,]+, a time stamp; \$0\.0\d+ lost$/,
  );
  expect(last?.cache?.lostNanoUsd).toBeGreaterThan(0);
  const report = proxy.cacheDoctor?.verdictOf(last?.id ?? '');
  expect(report).toMatchObject({ pointer: '/system/1', change: 'timestamp', previous: proxy.records.at(-2)?.id });
  const [from = 0, to = 0] = report?.bytes ?? [];
  expect(to - from).toBe('09:49:00'.length);
  await ask(client, history, undefined);
  await ask(client, history, undefined);
  expect(proxy.records.at(-1)?.cache?.verdict).toBe('hit-partial');
  expect(proxy.records.at(-1)?.usage?.cacheReadTokens).toBeGreaterThan(1024);
  expect(proxy.records.at(-1)?.cache?.lostNanoUsd).toBeUndefined();
});

it('is the way from ten lost turns to a hit: the page names the bytes, the prompt is mended by edit-and-replay', async () => {
  await using place = await openWorkplace();
  const token = 'a-token-of-thirty-two-characters';
  const environment = { ...place.environment, BEDROCK_PROXY_INSPECT_TOKEN: token };
  const made = await run(['key', 'generate', '--alias', 'alice', '--json'], environment);
  const { key, id: keyId } = JSON.parse(made.stdout) as { key: string; id: string };
  await using server = await launchServer(['--offline', '--inspect'], environment);
  const url = `http://localhost:${server.port}`;
  const client = new AnthropicBedrock({ baseURL: `${url}/bedrock`, apiKey: key, awsRegion: 'us-east-1' });
  const api = async (path: string, body?: object): Promise<Response> =>
    fetch(`${url}/inspect/api/v1/${path}`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
  const listed = async (): Promise<{ id: string; cache: unknown; parent: string | null }[]> =>
    ((await (await api('exchanges')).json()) as { items: { id: string; cache: unknown; parent: string | null }[] })
      .items;
  const history: Turn[] = [];
  for (let turn = 0; turn < 10; turn += 1) await ask(client, history, `09:4${turn}:00`);
  const lost = await listed();
  const last = lost[0]?.id ?? '';
  expect(lost.map(({ cache }) => (cache as { verdict: string }).verdict)).toEqual([
    ...Array.from({ length: 9 }, () => 'changed'),
    'first',
  ]);
  const found = (await (await api(`exchanges/${last}/cache`)).json()) as { pointer: string; bytes: [number, number] };
  const body = Buffer.from(await (await api(`exchanges/${last}/body/client_request`)).arrayBuffer());
  expect([found.pointer, body.toString('utf8', ...found.bytes)]).toEqual(['/system/1', '09:49:00']);
  // What the advice says: what changes leaves the system, and the rest stays.
  const mended = JSON.parse(body.toString()) as { system: unknown[] };
  mended.system.splice(1, 1);
  const replayed = await api(`exchanges/${last}/replay`, { key: keyId, edits: { body: JSON.stringify(mended) } });
  expect(replayed.status).toBe(200);
  const { id } = (await replayed.json()) as { id: string };
  // The mended prompt is another one, and is written once.
  await expect
    .poll(async () => (await listed()).find((each) => each.id === id)?.cache)
    .toMatchObject({ verdict: 'changed' });
  expect((await listed()).find((each) => each.id === id)).toMatchObject({ parent: last, is_edited: true });
  await ask(client, history, undefined);
  expect((await listed())[0]?.cache).toMatchObject({ verdict: 'hit-partial', confidence: 'certain', lost_usd: null });
});

it('tells it in the log, in the metrics, in the ledger and in `cache`', async () => {
  await using place = await openWorkplace();
  await using server = await launchServer(['--offline', '--cache-doctor'], place.environment);
  const url = `http://localhost:${server.port}`;
  const client = new AnthropicBedrock({ baseURL: `${url}/bedrock`, apiKey: 'anything', awsRegion: 'us-east-1' });
  const history: Turn[] = [];
  for (const time of ['10:00:00', '10:01:00', '10:02:00']) await ask(client, history, time);
  await server.untilStdout('cache changed: system block 2');
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain(`bedrock_proxy_cache_verdicts_total{verdict="changed",model="${CLAUDE}"} 2`);
  const logs = await run(['logs', '--json'], place.environment);
  expect(logs.stdout).toMatch(/"cache_verdict":"changed","cache_lost_usd":"0\.0\d+"/);
  const { stdout } = await run(['cache', '--json'], place.environment);
  expect(JSON.parse(stdout)).toMatchObject({
    causes: [{ verdict: 'changed', requests: 2, example: expect.stringMatching(/^[0-9a-f-]{36}$/) }],
    total: { requests: 3, judged: 3, hit_share: 0 },
  });
  const table = await run(['cache', '--by', 'verdict'], place.environment);
  expect(table.stdout).toMatch(/^CAUSE {2,}REQUESTS/m);
});

it('shows the page blocks and both texts where exchanges are kept', async () => {
  await using place = await openWorkplace();
  const token = 'a-token-of-thirty-two-characters';
  const environment = { ...place.environment, BEDROCK_PROXY_INSPECT_TOKEN: token };
  await using server = await launchServer(['--offline', '--inspect'], environment);
  const url = `http://localhost:${server.port}`;
  const client = new AnthropicBedrock({ baseURL: `${url}/bedrock`, apiKey: 'anything', awsRegion: 'us-east-1' });
  const history: Turn[] = [];
  for (const time of ['10:00:00', '10:01:00']) await ask(client, history, time);
  const get = async (path: string): Promise<unknown> =>
    (await fetch(`${url}/inspect/api/v1/${path}`, { headers: { authorization: `Bearer ${token}` } })).json();
  const { items } = (await get('exchanges')) as { items: { id: string; cache: unknown }[] };
  expect(items[0]?.cache).toMatchObject({ verdict: 'changed', confidence: 'certain' });
  expect(await get(`exchanges/${items[0]?.id}/cache`)).toMatchObject({
    pointer: '/system/1',
    before: expect.stringContaining('The time is 10:00:00.'),
    after: expect.stringContaining('The time is 10:01:00.'),
    previous: items[1]?.id,
    segments: [
      { pointer: '/system/0', state: 'same', has_marker: false },
      { pointer: '/system/1', state: 'changed', has_marker: false },
      { pointer: '/system/2', state: 'written', has_marker: true },
      ...Array.from({ length: 3 }, () => ({ state: 'written' })),
    ],
  });
});

it('says nothing, and costs nothing, where it is off', async () => {
  const proxy = await openProxy({ config: OFFLINE });
  const { key } = await proxy.mint();
  const client = new AnthropicBedrock({ baseURL: proxy.url, apiKey: key, awsRegion: 'us-east-1' });
  await ask(client, [], '11:00:00');
  expect(proxy.records.at(-1)?.cache).toBeUndefined();
});
