/**
 * `start --workers 2`: two processes behind one port that are one proxy to their clients and to their owner.
 * @module-tag slow
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'undici';
import { beforeEach, describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { startEventStream } from '../helpers/event-frames.ts';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { startFakeWebSocketServer } from '../helpers/fake-websocket.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { launchServer, openProgramTest, run, type RunningServer } from '../helpers/program.ts';
import { ask, dial, type RawResponse, type RawSocket, requestText } from '../helpers/raw-socket.ts';
import { IS_SERVED, WS_PATH } from '../helpers/websocket-testbed.ts';

const PATH = '/bedrock/model/amazon.nova-lite-v1:0/converse';
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

beforeEach(async () => {
  ({ upstream, databasePath, environment } = await openProgramTest());
  upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
});

async function makeKey(...flags: string[]): Promise<string> {
  return (await run(['key', 'generate', '--quiet', '--alias', 'alice', ...flags], environment)).stdout.trim();
}

/** Resolves when both serve. */
async function launchTwo(...args: string[]): Promise<RunningServer> {
  // A test that fails half-way kills the primary, and its workers end in order.
  const server = await launchServer(['--workers', '2', '--shutdown-grace', '5', ...args], environment);
  await untilServing(server.port);
  return server;
}

async function readMetrics(port: number): Promise<Map<string, number>> {
  const response = await ask(port, 'GET /metrics HTTP/1.1', ['Host: localhost']);
  const lines = response.body.toString().split('\n');
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

async function untilServing(port: number, count = 2): Promise<void> {
  const countServing = async () => (await readMetrics(port).catch(() => new Map())).get('bedrock_proxy_workers');
  await expect.poll(countServing, { timeout: 15_000, interval: 20 }).toBe(count);
}

const headLines = (key: string): string[] => [
  'Host: localhost',
  `Authorization: Bearer ${key}`,
  `Content-Length: ${BODY.length}`,
];

/** Each over a connection of its own: they go to the workers in turn. */
function converse({ port }: RunningServer, key: string): Promise<RawResponse> {
  return ask(port, `POST ${PATH} HTTP/1.1`, headLines(key), BODY);
}

const codeOf = (response: RawResponse): string => response.header('x-bedrock-proxy-error') ?? String(response.status);

async function converseMany(server: RunningServer, key: string, times: number): Promise<string[]> {
  return (await Promise.all(Array.from({ length: times }, () => converse(server, key)))).map(codeOf);
}

function countBy(values: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length]));
}

/** Process ids, as the metrics do not have them: children of the primary. */
async function findWorkers(server: RunningServer): Promise<number[]> {
  const pid = String(server.child.pid);
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Responses that have begun, on connections of their own, until the test ends them. */
async function openStreams(server: RunningServer, key: string, count: number) {
  const open: { end(): void }[] = [];
  upstream.respondWith((_request, response) => {
    startEventStream(response);
    response.write('begun;');
    open.push({ end: () => void response.end('ended;') });
  });
  const sockets: RawSocket[] = [];
  for (let index = 0; index < count; index += 1) {
    const raw = await dial(server.port);
    const request = requestText(`POST ${PATH}-stream HTTP/1.1`, headLines(key), BODY);
    await raw.send(request);
    await raw.until('begun;');
    sockets.push(raw);
  }
  return { sockets, endAll: () => open.forEach((stream) => stream.end()) };
}

describe('limits', () => {
  it('let exactly five requests of a key pass that may send five a minute', async () => {
    const key = await makeKey('--rpm', '5');
    await using server = await launchTwo();
    expect(countBy(await converseMany(server, key, 20))).toEqual({ 200: 5, ERR_REQUEST_RATE: 15 });
    expect(upstream.requests).toHaveLength(5);
  });

  it('let as many run at a time as the key may, whichever worker has them, and give slots back', async () => {
    const key = await makeKey('--max-parallel', '3');
    await using server = await launchTwo();
    const { sockets, endAll } = await openStreams(server, key, 3);
    expect(countBy(await converseMany(server, key, 4))).toEqual({ ERR_TOO_MANY_PARALLEL: 4 });
    endAll();
    await Promise.all(sockets.map((raw) => raw.readResponse()));
    upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
    for (let turn = 0; turn < 4; turn += 1) expect(codeOf(await converse(server, key))).toBe('200');
  });

  it('never overspend a budget', async () => {
    const key = await makeKey('--budget', '0.0003');
    await using server = await launchTwo();
    const codes = await converseMany(server, key, 60);
    let served = codes.filter((code) => code === '200').length;
    let last = '';
    for (let turn = 0; turn < 20 && last !== 'ERR_BUDGET_EXCEEDED'; turn += 1) {
      last = codeOf(await converse(server, key));
      if (last === '200') served += 1;
    }
    expect(last).toBe('ERR_BUDGET_EXCEEDED');
    expect(served * COST_NANO_USD).toBeLessThanOrEqual(300_000);
    await using store = await openStore();
    const findTotal = async () => [...(await store.findSpend(await store.listKeys(), Date.now())).values()][0];
    await expect.poll(findTotal).toMatchObject({ totalNanoUsd: served * COST_NANO_USD, reservedNanoUsd: 0 });
  });

  it('refuse a revoked key in both within a second, and cut what it has under way in both', async () => {
    const key = await makeKey();
    await using server = await launchTwo();
    const { sockets } = await openStreams(server, key, 4);
    await run(['key', 'revoke', 'alice'], environment);
    const revokedAt = performance.now();
    expect(countBy(await converseMany(server, key, 10))).toEqual({ ERR_KEY_REVOKED: 10 });
    await Promise.all(sockets.map((raw) => raw.ended));
    expect(performance.now() - revokedAt).toBeLessThan(2_000);
  });
});

it('counts wrong credentials over both', async () => {
  await makeKey();
  await using server = await launchTwo();
  const codes: string[] = [];
  for (let turn = 0; turn < 62; turn += 1) codes.push(codeOf(await converse(server, `sk-${'x'.repeat(40)}`)));
  expect(countBy(codes)).toEqual({ ERR_KEY_UNKNOWN: 60, ERR_TOO_MANY_FAILURES: 2 });
});

async function openStore() {
  const store = await openSqliteStore(databasePath);
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}

describe('what is told', () => {
  it('adds up the metrics of both, exactly, and the state of their ledgers', async () => {
    const key = await makeKey();
    await using server = await launchTwo();
    await converseMany(server, key, 30);
    const { sockets, endAll } = await openStreams(server, key, 4);
    const labels = 'service="bedrock-runtime",operation="Converse",model="amazon.nova-lite-v1:0",key="alice"';
    const metrics = await readMetrics(server.port);
    expect(metrics.get(`bedrock_proxy_requests_total{${labels},status="200"}`)).toBe(30);
    expect(metrics.get(`bedrock_proxy_tokens_total{${labels},kind="output"}`)).toBe(30 * MAX_TOKENS);
    expect(metrics.get(`bedrock_proxy_cost_usd_total{${labels}}`)).toBe((30 * COST_NANO_USD) / 1e9);
    const series = labels.replace(',key="alice"', '');
    expect(metrics.get(`bedrock_proxy_request_duration_seconds_bucket{le="+Inf",${series}}`)).toBe(30);
    expect(metrics.get('bedrock_proxy_streams_in_flight')).toBe(4);
    for (const worker of ['1', '2', 'primary']) {
      expect(metrics.get(`process_resident_memory_bytes{worker="${worker}"}`)).toBeGreaterThan(1e7);
    }
    // Neither did all of it.
    const cpu = ['1', '2'].map((worker) => metrics.get(`process_cpu_seconds_total{worker="${worker}"}`));
    expect(Math.min(...cpu.map(Number))).toBeGreaterThan(0);
    const health = await ask(server.port, 'GET /health/readiness HTTP/1.1', ['Host: localhost']);
    expect(JSON.parse(health.body.toString())).toMatchObject({ status: 'healthy', ledger: { lost_rows: 0 } });
    endAll();
    await Promise.all(sockets.map((raw) => raw.readResponse()));
  });

  it('is one banner, and a whole line for each request', async () => {
    const key = await makeKey();
    await using server = await launchTwo('--log-format', 'json');
    await converseMany(server, key, 100);
    server.child.kill('SIGTERM');
    const { code, stdout, stderr } = await server.ended;
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; status: number });
    expect(new Set(lines.map(({ id }) => id)).size).toBe(100);
    expect(lines.every(({ status }) => status === 200)).toBe(true);
    expect(stderr.match(/boto3\.client/g)).toHaveLength(1);
    expect(stderr).toContain('2 processes share the port');
    const logged = (await run(['logs', '--json', '-n', '200'], environment)).stdout.trim().split('\n');
    expect(logged).toHaveLength(100);
  });

  it('is a bad number of workers', async () => {
    const { code, stderr } = await run(['start', '--port', '0', '--workers', 'many'], environment);
    expect(code).toBe(2);
    expect(stderr).toContain('--workers must be auto or a whole number from 1 to 64, not "many"');
  });

  it('is once why they cannot start', async () => {
    await using other = await launchServer([], environment);
    const { code, stderr } = await run(['start', '--port', String(other.port), '--workers', '2'], environment);
    expect(code).toBe(2);
    expect(stderr.match(/already listens/g)).toHaveLength(1);
    expect(stderr).not.toContain('boto3');
  });
});

describe.runIf(process.platform === 'linux')('a worker that is killed', () => {
  it('is replaced; the other one serves on, its slots are free, and what it had reserved is not lost', async () => {
    const key = await makeKey('--max-parallel', '4', '--budget', '1');
    await using server = await launchTwo();
    expect(countBy(await converseMany(server, key, 4))).toEqual({ 200: 4 });
    await readMetrics(server.port);
    const { sockets, endAll } = await openStreams(server, key, 4);
    expect(codeOf(await converse(server, key))).toBe('ERR_TOO_MANY_PARALLEL');
    const [victim = 0] = await findWorkers(server);
    process.kill(victim, 'SIGKILL');
    await Promise.race(sockets.map((raw) => raw.ended));
    await server.untilStderr(`(process ${victim}) ended: SIGKILL; another one starts in 0.2 s.`);
    upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
    // Two slots are those of the dead one.
    expect(
      countBy(await Promise.all([converse(server, key), converse(server, key)]).then((all) => all.map(codeOf))),
    ).toEqual({ 200: 2 });
    await untilServing(server.port);
    expect(countBy(await converseMany(server, key, 2))).toEqual({ 200: 2 });
    const metrics = await readMetrics(server.port);
    expect(metrics.get('bedrock_proxy_worker_restarts_total')).toBe(1);
    const labels = 'service="bedrock-runtime",operation="Converse",model="amazon.nova-lite-v1:0",key="alice"';
    expect(metrics.get(`bedrock_proxy_requests_total{${labels},status="200"}`)).toBe(8);
    endAll();
    await Promise.allSettled(sockets.map((raw) => raw.readResponse()));
    server.child.kill('SIGTERM');
    await server.ended;
    const { stdout } = await run(['logs', '--json', '-n', '50'], environment);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: number | null });
    // Of two streams the worker died: what they had reserved is charged when their lease is over.
    expect(countBy(rows.map(({ status }) => String(status)))).toEqual({ 200: 10, 429: 1 });
  });

  it('leaves the port as it is, also if all are killed at once', async () => {
    await using server = await launchTwo();
    for (const worker of await findWorkers(server)) process.kill(worker, 'SIGKILL');
    await untilServing(server.port);
    expect((await ask(server.port, 'GET /health HTTP/1.1', ['Host: localhost'])).status).toBe(200);
  });
});

describe('the end', () => {
  it('waits by SIGTERM for what runs in both, takes nothing new, and is 0', async () => {
    const key = await makeKey();
    await using server = await launchTwo();
    const { sockets, endAll } = await openStreams(server, key, 4);
    server.child.kill('SIGTERM');
    await server.untilStderr('Ending');
    await expect.poll(() => converse(server, key).then(codeOf, () => 'refused')).toBe('refused');
    endAll();
    for (const raw of sockets) expect((await raw.readResponse()).body.toString()).toBe('begun;ended;');
    const { code, stderr } = await server.ended;
    expect(code).toBe(0);
    expect(stderr.match(/Ending/g)).toHaveLength(1);
  });

  it('says once how many were cut off in both', async () => {
    const key = await makeKey();
    await using server = await launchTwo('--shutdown-grace', '0');
    const { sockets } = await openStreams(server, key, 4);
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('4 requests were cut off') });
    for (const raw of sockets) expect(await raw.ended).toBe('broken');
  });

  it('is at once by a second signal', async () => {
    const key = await makeKey();
    await using server = await launchTwo();
    const { sockets } = await openStreams(server, key, 4);
    server.child.kill('SIGTERM');
    await server.untilStderr('Ending');
    server.child.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 143 });
    for (const raw of sockets) expect(await raw.ended).toBe('broken');
  });

  it.runIf(process.platform === 'linux')('is in order if the primary is killed', async () => {
    const key = await makeKey();
    await using server = await launchTwo();
    const { sockets, endAll } = await openStreams(server, key, 2);
    const workers = await findWorkers(server);
    server.child.kill('SIGKILL');
    await expect.poll(() => converse(server, key).then(codeOf, () => 'refused')).toBe('refused');
    endAll();
    for (const raw of sockets) expect((await raw.readResponse()).body.toString()).toBe('begun;ended;');
    await expect.poll(() => workers.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });
});

it('speaks HTTP/2 in both', async () => {
  const key = await makeKey('--rpm', '10');
  await using server = await launchTwo();
  const statuses: (number | undefined)[] = [];
  for (let connection = 0; connection < 4; connection += 1) {
    await using client = openHttp2(server.port);
    const headers = { ':method': 'POST', ':path': PATH, authorization: `Bearer ${key}` };
    const all = await Promise.all(Array.from({ length: 5 }, () => client.ask(headers, BODY)));
    statuses.push(...all.map(({ status }) => status));
  }
  expect(countBy(statuses.map(String))).toEqual({ 200: 10, 429: 10 });
});

it('is not ready in either, and takes requests, until load balancers had time to notice', async () => {
  const key = await makeKey();
  await using server = await launchTwo('--shutdown-delay', '2');
  server.child.kill('SIGTERM');
  await server.untilStderr('Ending: not ready any more');
  const ready = (): Promise<RawResponse> => ask(server.port, 'GET /health/readiness HTTP/1.1', ['Host: localhost']);
  for (let turn = 0; turn < 4; turn += 1) await expect.poll(async () => (await ready()).status).toBe(503);
  for (let turn = 0; turn < 4; turn += 1) {
    expect((await ask(server.port, `POST ${PATH} HTTP/1.1`, headLines(key), BODY)).status).toBe(200);
  }
  expect(await server.ended).toMatchObject({ code: 0 });
});

it('speaks TLS in both, with one certificate', async () => {
  const key = await makeKey();
  await using server = await launchTwo('--tls');
  const shown: string[] = [];
  for (let connection = 0; connection < 4; connection += 1) {
    const socket = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    shown.push(socket.getPeerCertificate().fingerprint256);
    socket.write(requestText(`POST ${PATH} HTTP/1.1`, [...headLines(key), 'Connection: close'], BODY));
    expect(await text(socket)).toContain('HTTP/1.1 200 OK');
  }
  expect(new Set(shown).size).toBe(1);
});

it.runIf(IS_SERVED)('carries WebSockets in both, as many of a key as it may have at a time', async () => {
  const key = await makeKey('--max-parallel', '2');
  await using aws = await startFakeWebSocketServer();
  environment = { ...environment, BEDROCK_PROXY_ENDPOINT_URL: `http://127.0.0.1:${aws.port}` };
  await using server = await launchTwo();
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/bedrock${WS_PATH}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error('refused')));
    });
    return socket;
  };
  const sockets = [await open(), await open()];
  await expect(open()).rejects.toThrow('refused');
  for (const socket of sockets) {
    const answered = once(socket, 'message') as Promise<[MessageEvent]>;
    socket.send('hello');
    expect((await answered)[0].data).toBe('hello');
    socket.close(1000);
  }
  // Their slots come free when the connections are over.
  await expect
    .poll(
      () =>
        open().then(
          (socket) => socket.close(1000),
          () => 'refused',
        ),
      { timeout: 5_000 },
    )
    .toBe(undefined);
  expect(aws.failures).toEqual([]);
});

it('is one process if `exec` starts it', async () => {
  const { stdout, code } = await run(
    ['exec', '--', process.execPath, '-e', 'console.log(process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME)'],
    { ...environment, BEDROCK_PROXY_WORKERS: '2' },
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/bedrock/);
});
