/**
 * Two running proxies on one database, and commands in processes of their own beside them: one budget for both, a
 * change of a key that counts from the next request on in both, and one ledger that is followed and added up.
 * @module-tag slow
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { launch, launchServer, openProgramTest, run, type RunningServer } from '../helpers/program.ts';

const NOVA = 'amazon.nova-lite-v1:0';
const MAX_TOKENS = 100;
const BODY = JSON.stringify({
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
  inferenceConfig: { maxTokens: MAX_TOKENS },
});
/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST_NANO_USD = 5 * 60 + MAX_TOKENS * 240;
const RESPONSE = { usage: { inputTokens: 5, outputTokens: MAX_TOKENS, totalTokens: 5 + MAX_TOKENS } };

let upstream: FakeUpstream;
let databasePath: string;
let environment: Readonly<Record<string, string>>;
let servers: RunningServer[];

beforeEach(async () => {
  ({ upstream, databasePath, environment } = await openProgramTest());
  upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
  servers = await Promise.all([0, 1].map(() => launchServer([], environment)));
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

async function command(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args, environment);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.trim();
}

const makeKey = (...flags: string[]): Promise<string> => command('key', 'generate', '--quiet', ...flags);

interface Response {
  readonly status: number;
  readonly code: string | null;
}

async function converse({ port }: RunningServer, key: string): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${port}/bedrock/model/${NOVA}/converse`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: BODY,
  });
  await response.arrayBuffer();
  return { status: response.status, code: response.headers.get('x-bedrock-proxy-error') };
}

const askBoth = (key: string): Promise<Response[]> => Promise.all(servers.map((server) => converse(server, key)));

it('never overspends a key by a hundred requests at once over two servers', async () => {
  const key = await makeKey('--budget', '0.0003');
  const limitNanoUsd = 300_000;
  const responses = await Promise.all(Array.from({ length: 50 }, () => askBoth(key))).then((pairs) => pairs.flat());
  const passed = responses.filter(({ status }) => status === 200).length;
  expect(passed).toBeGreaterThan(0);
  expect(upstream.requests).toHaveLength(passed);
  for (const response of responses.filter(({ status }) => status !== 200)) {
    expect([
      { status: 429, code: 'ERR_BUDGET_HELD' },
      { status: 402, code: 'ERR_BUDGET_EXCEEDED' },
    ]).toContainEqual(response);
  }
  // What others reserved came free: now the rest of the budget goes, to the last request that fits.
  const rest = [];
  for (let turn = 0; turn < 20; turn += 1) rest.push(...(await askBoth(key)));
  expect(rest.at(-1)).toEqual({ status: 402, code: 'ERR_BUDGET_EXCEEDED' });
  const total = passed + rest.filter(({ status }) => status === 200).length;
  const store = await openSqliteStore(databasePath);
  // The response may be with its client a moment before the row is in the ledger.
  const filter = { status: [200, 200] } as const;
  const sumServed = async () => (await store.sumUsage({ filter, by: ['key'] })).total;
  await expect.poll(async () => (await sumServed()).requests, { timeout: 10_000, interval: 10 }).toBe(total);
  expect(await sumServed()).toMatchObject({ costNanoUsd: total * COST_NANO_USD });
  const [spend] = (await store.findSpend(await store.listKeys(), Date.now())).values();
  expect(spend).toMatchObject({ totalNanoUsd: total * COST_NANO_USD, reservedNanoUsd: 0 });
  await store.close();
  expect(total * COST_NANO_USD).toBeLessThanOrEqual(limitNanoUsd);
  // What is left is less than what one more may cost.
  expect(limitNanoUsd - total * COST_NANO_USD).toBeLessThan(1.2 * COST_NANO_USD);
});

it('applies a change of a key by a third process to the very next request in both servers', async () => {
  const key = await makeKey('--alias', 'alice');
  const admitted = { status: 200, code: null };
  expect(await askBoth(key)).toEqual([admitted, admitted]);
  const changes = [
    { change: ['update', 'alice', '--models', 'anthropic.*'], refusal: { status: 403, code: 'ERR_MODEL_NOT_ALLOWED' } },
    { change: ['update', 'alice', '--models', 'amazon.*'], refusal: undefined },
    { change: ['update', 'alice', '--budget', '0.000001'], refusal: { status: 402, code: 'ERR_BUDGET_EXCEEDED' } },
    { change: ['update', 'alice', '--budget', 'none'], refusal: undefined },
    { change: ['update', 'alice', '--regions', 'eu-*'], refusal: { status: 403, code: 'ERR_REGION_NOT_ALLOWED' } },
    { change: ['update', 'alice', '--regions', '*'], refusal: undefined },
    { change: ['block', 'alice'], refusal: { status: 401, code: 'ERR_KEY_BLOCKED' } },
    { change: ['unblock', 'alice'], refusal: undefined },
    { change: ['delete', 'alice'], refusal: { status: 401, code: 'ERR_KEY_UNKNOWN' } },
  ];
  for (const { change, refusal = admitted } of changes) {
    const { code, stderr } = await run(['key', ...change], environment);
    expect([change, code, stderr.includes('error')]).toEqual([change, 0, false]);
    expect([change, ...(await askBoth(key))]).toEqual([change, refusal, refusal]);
  }
});

/** Of a line of `logs --json`, and of a group of `usage --json`. */
interface Line {
  readonly id: string;
  readonly key: string;
  readonly status: number;
  readonly input_tokens: number | null;
  readonly cost_nano_usd: number | null;
}

interface Usage {
  readonly groups: readonly { readonly label: string; readonly requests: number; readonly cost_nano_usd: number }[];
  readonly total: Readonly<Record<'requests' | 'errors' | 'input_tokens' | 'cost_nano_usd', number>>;
}

function readLines(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line);
}

function sum(lines: readonly Line[], name: 'input_tokens' | 'cost_nano_usd'): number {
  return lines.reduce((before, line) => before + (line[name] ?? 0), 0);
}

it('shows in `logs -f` what both servers do as it happens, and in `usage` the sum of it', async () => {
  const keys = [await makeKey('--alias', 'alice'), await makeKey('--alias', 'bob', '--models', 'anthropic.*')];
  const [alice = '', bob = ''] = keys;
  await askBoth(alice);
  await using logs = launch(['logs', '-f', '-n', '100', '--json'], environment);
  let seen = '';
  logs.child.stdout.on('data', (chunk: string) => (seen += chunk));
  await expect.poll(() => readLines(seen).length, { timeout: 10_000, interval: 10 }).toBe(2);
  for (let turn = 0; turn < 5; turn += 1) {
    await askBoth(alice);
    await askBoth(bob);
  }
  await expect.poll(() => readLines(seen).length, { timeout: 10_000, interval: 10 }).toBe(22);
  logs.child.kill('SIGTERM');
  const { code, stdout } = await logs.ended;
  expect(code).toBe(0);
  const told = readLines(stdout);
  expect(new Set(told.map(({ id }) => id)).size).toBe(22);
  const usage = JSON.parse(await command('usage', '--by', 'key', '--json')) as Usage;
  for (const label of ['alice', 'bob']) {
    const own = told.filter(({ key }) => key === label);
    expect(usage.groups.find((group) => group.label === label)).toMatchObject({
      requests: own.length,
      cost_nano_usd: sum(own, 'cost_nano_usd'),
    });
  }
  expect(usage.total).toMatchObject({
    requests: 22,
    errors: told.filter(({ status }) => status >= 400).length,
    input_tokens: sum(told, 'input_tokens'),
    cost_nano_usd: 12 * COST_NANO_USD,
  });
  expect(usage.total.errors).toBe(10);
  expect(sum(told, 'cost_nano_usd')).toBe(12 * COST_NANO_USD);
});
