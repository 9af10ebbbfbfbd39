/**
 * What one request may cost whoever waits behind it: every path that is served, with the largest target, the largest
 * headers and a large hostile body. The time is CPU time of the proxy's process, the best of a few turns, so that a
 * busy machine does not count; anything quadratic takes hundreds of milliseconds.
 *
 * @module-tag slow
 */
import { Agent, request } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { OPERATIONS, SERVICES } from '../../src/operations/catalog.ts';
import { launchServer, openProgramTest, type RunningServer, run } from '../helpers/program.ts';

/**
 * Of CPU. A target took 84 where names were looked for in a list, and takes some 3. A megabyte has to be received,
 * hashed and sent, and is scanned in pieces between which others are served: some 30.
 */
const MAX_MS = 40;
const MAX_BODY_MS = 120;
const TURNS = 3;
const SIZE = 60_000;
const BODY_SIZE = 1_000_000;

interface Attack {
  readonly name: string;
  readonly suffix?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

const repeat = (text: string, size: number): string => text.repeat(Math.floor(size / text.length));
const many = (size: number, piece: (index: number) => string): string => {
  let text = '';
  for (let index = 0; text.length < size; index += 1) text += piece(index);
  return text;
};
const manyHeaders = (name: (index: number) => string): string[] =>
  Array.from({ length: 900 }, (_, index) => [name(index), 'v']).flat();

const TARGETS: readonly Attack[] = [
  ['parameters', `?${repeat('a=1&b=1&', SIZE)}`],
  ['parameters of one name', `?${repeat('a&', SIZE)}`],
  ['parameters of many names', `?${many(SIZE, (index) => `${index.toString(36)}=1&`)}`],
  ['ampersands', `?${repeat('&', SIZE)}`],
  ['escapes', `?x=${repeat('%41', SIZE)}`],
  ['a signature', `?X-Amz-Signature=${repeat('a', 1_000)}&X-Amz-SignedHeaders=${repeat('a;', SIZE - 2_000)}`],
  ['slashes', repeat('/', SIZE)],
  ['segments', repeat('/a', SIZE)],
  ['dots', repeat('/..', SIZE)],
  ['escaped slashes', repeat('%2F', SIZE)],
  ['colons', `/${repeat('arn:', SIZE)}`],
  ['a long name', `/${repeat('a', SIZE)}`],
].map(([name = '', suffix = '']) => ({ name: `a target of ${name}`, suffix }));

const HEADERS: readonly Attack[] = [
  { name: 'many headers', headers: manyHeaders((index) => `x-h${index}`) },
  { name: 'one header many times', headers: manyHeaders(() => 'x-same') },
  { name: 'amz headers', headers: manyHeaders((index) => `x-amz-h${index}`) },
  ...[
    ['authorization', `Bearer ${repeat('a', SIZE)}`],
    [
      'authorization',
      `AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=${repeat('a;', SIZE)}, Signature=x`,
    ],
    ['authorization', repeat('AWS4-HMAC-SHA256 ', SIZE)],
    ['authorization', `AWS4-HMAC-SHA256 ${repeat('Credential=,', SIZE)}`],
    ['authorization', repeat(' ', SIZE) + 'x'],
    ['authorization', `Bearer a.${repeat('.', SIZE)}`],
    ['x-api-key', repeat('sk-', SIZE)],
    ['x-amz-target', repeat('a.', SIZE)],
    ['x-amz-security-token', repeat('a', SIZE)],
    ['x-forwarded-for', repeat('1,', SIZE)],
    ['forwarded', repeat('for=', SIZE)],
    ['forwarded', repeat('for=1;', SIZE)],
    ['user-agent', repeat('api/bedrock ', SIZE)],
    ['user-agent', repeat('a/', SIZE)],
    ['cookie', repeat('a=b;', SIZE)],
    ['origin', `http://${repeat('a.', SIZE)}`],
    ['content-type', repeat('a;', SIZE)],
    ['connection', repeat('a,', SIZE)],
    ['via', repeat('1.1 a,', SIZE)],
    ['traceparent', repeat('00-', SIZE)],
    ['x-bedrock-proxy-region', repeat('us-', SIZE)],
    ['content-encoding', repeat('gzip,', SIZE)],
    ['accept', repeat('*/*,', SIZE)],
  ].map(([header = '', value = '']) => ({ name: `${header}: ${value.slice(0, 24)}…`, headers: [header, value] })),
];

const BODIES: readonly Attack[] = [
  ['brackets', repeat('[', BODY_SIZE)],
  ['objects', repeat('{"a":', BODY_SIZE)],
  ['escapes', `{"model":"${repeat('\\u0041', BODY_SIZE)}"}`],
  ['backslashes', `{"a":"${repeat('\\\\', BODY_SIZE)}"}`],
  ['digits', `{"max_tokens":${repeat('1', BODY_SIZE)}}`],
  ['spaces', `{${repeat(' ', BODY_SIZE)}}`],
  ['models', `{${repeat('"model":"a",', BODY_SIZE)}"model":"a"}`],
  ['members', `{${many(BODY_SIZE, (index) => `"k${index}":0,`)}"z":0}`],
  ['elements', `{"messages":[${repeat('{},', BODY_SIZE)}{}]}`],
  ['nulls', repeat('\0', BODY_SIZE)],
  ['an ARN', `{"resourceARN":"${repeat('arn:', BODY_SIZE)}"}`],
  ['many ARNs', `{${repeat('"resourceARN":"arn:aws:bedrock:us-east-1:1:blueprint/x",', BODY_SIZE)}"a":0}`],
].map(([name = '', body = '']) => ({ name: `a body of ${name}`, body }));

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

interface Path {
  readonly method: string;
  readonly path: string;
}

/** An error of the connection is a response too: what matters is what it cost. */
function send(port: number, { method, path }: Path, attack: Attack, key: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const headers = ['host', 'localhost', ...(attack.headers ?? [])];
    if (key !== undefined && !headers.includes('authorization')) headers.push('authorization', `Bearer ${key}`);
    if (attack.body !== undefined) headers.push('content-length', String(attack.body.length));
    const sent = request({ port, agent, method, path: path + (attack.suffix ?? ''), headers }, (response) => {
      response.resume().on('close', resolve);
    });
    sent.setTimeout(5_000, () => sent.destroy(new Error('no response')));
    sent.on('error', () => resolve());
    sent.end(attack.body);
  });
}

async function readCpuMs(port: number): Promise<number> {
  const text = await (await fetch(`http://localhost:${port}/metrics`)).text();
  return Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1]) * 1_000;
}

/** The best of a few turns, but only of one if that is good enough. */
async function measure(port: number, path: Path, attack: Attack, key: string | undefined): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < TURNS && best > MAX_MS; turn += 1) {
    const before = await readCpuMs(port);
    await send(port, path, attack, key);
    best = Math.min(best, (await readCpuMs(port)) - before);
  }
  return best;
}

/** The document names all of the admin API; of AWS's operations, the first of each service, and those bodies decide. */
async function listPaths(port: number): Promise<Path[]> {
  const document: unknown = await (await fetch(`http://localhost:${port}/openapi.json`)).json();
  const { paths } = document as { readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>> };
  const admin = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.replace('{key}', 'k') })),
  );
  const firsts = [...SERVICES.keys()].flatMap((id) =>
    OPERATIONS.filter(({ service }) => service.id === id).slice(0, 1),
  );
  const bedrock = firsts.map(({ method, template, service }) => ({
    method: method === '*' ? 'POST' : method,
    path: `/bedrock/${service.id}${template.replaceAll(/\{[^}]*\}/g, 'x').replace(/\/\*+$/, '/x')}`,
  }));
  const others = [
    'POST /bedrock/tagResource',
    'POST /bedrock/model/amazon.nova-lite-v1%3A0/converse',
    'POST /bedrock/model/x/invoke-with-response-stream',
    'POST /bedrock/openai/v1/chat/completions',
    'POST /bedrock/anthropic/v1/messages',
    'GET /bedrock/tags/arn',
    'POST /bedrock/agents/ABCDEFGHIJ',
    'POST /bedrock/runtimes/x/invocations',
    'POST /bedrock/nowhere',
    'GET /bedrock',
    'GET /',
    'GET /health',
    'GET /metrics',
    'GET /nowhere',
  ].map((line) => ({ method: line.split(' ')[0] ?? '', path: line.split(' ')[1] ?? '' }));
  return [...admin, ...bedrock, ...others];
}

/** Replaces the credential of the client. */
function isCredential({ headers = [], suffix = '' }: Attack): boolean {
  return suffix.includes('Signature') || headers[0] === 'authorization' || headers[0] === 'x-api-key';
}

type Try = readonly [path: Path, attack: Attack, key?: string];

async function findExpensive({ port }: RunningServer, tries: readonly Try[]): Promise<string[]> {
  const expensive: string[] = [];
  for (const [path, attack, key] of tries) {
    const cpuMs = await measure(port, path, attack, key);
    if (cpuMs > (attack.body === undefined ? MAX_MS : MAX_BODY_MS))
      expensive.push(`${path.method} ${path.path}, ${attack.name}: ${cpuMs.toFixed(0)} ms`);
  }
  return expensive;
}

const MASTER_KEY = 'sk-master-of-the-testbed-000';

/** A server with a master key, and a virtual key with limits. */
async function start(): Promise<{ server: RunningServer; key: string }> {
  const { environment, upstream } = await openProgramTest();
  // Such targets fail the checks of the fake upstream, which are not what is tested here.
  onTestFinished(() => void (upstream.failures.length = 0));
  upstream.respondWith((_request, response) => void response.end('{}'));
  const limits = ['--models', 'amazon.*', '--budget', '1', '--tpm', '100000'];
  const minted = await run(['key', 'generate', '--alias', 'hostile', ...limits, '--json'], environment);
  const { key } = JSON.parse(minted.stdout) as { readonly key: string };
  return { server: await launchServer([], { ...environment, BEDROCK_PROXY_MASTER_KEY: MASTER_KEY }), key };
}

it('keeps nobody waiting for what a client with a key sends, on every path', { timeout: 300_000 }, async () => {
  const { server, key } = await start();
  await using _ = server;
  const attacks = [...TARGETS, ...HEADERS, ...BODIES].filter((attack) => !isCredential(attack));
  const paths = await listPaths(server.port);
  const tries = paths.flatMap((path) =>
    attacks.map((attack): Try => [path, attack, path.path.startsWith('/bedrock') ? key : MASTER_KEY]),
  );
  expect(await findExpensive(server, tries)).toEqual([]);
});

it('keeps nobody waiting for what a client without a key sends, on every path', { timeout: 300_000 }, async () => {
  const { server } = await start();
  await using _ = server;
  const all = [...TARGETS, ...HEADERS, ...BODIES];
  const paths = await listPaths(server.port);
  // Not all with all: the response to a wrong credential waits after some fifty of them, which is no work.
  const tries = paths.flatMap((path, at): Try[] =>
    all.filter((_attack, which) => which % 40 === at % 40).map((attack) => [path, attack]),
  );
  const path = { method: 'POST', path: '/bedrock/model/x/converse' };
  const credentials = all.filter(isCredential).map((attack): Try => [path, attack]);
  expect(await findExpensive(server, [...credentials, ...tries])).toEqual([]);
});
