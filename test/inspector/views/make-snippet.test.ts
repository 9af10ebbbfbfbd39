/**
 * Requests as commands and programs: each one is run, as a user would who pastes it, and has to make the same request
 * again: to the offline Bedrock, through a proxy whose inspector tells what came.
 */
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { canonicalJson } from '../../../src/cassette/canonical-json.ts';
import { makeSnippet, SNIPPET_TARGETS, type SnippetTarget } from '../../../src/inspector/views/make-snippet.ts';
import type { Exchange, KeptBody } from '../../../src/inspector/exchange.ts';
import { cliName, pythonName } from '../../../src/inspector/views/snippet-names.ts';
import { OPERATIONS } from '../../../src/operations/catalog.ts';
import type { ExchangeDetails, ExchangeList } from '../../../src/inspector/wire.ts';
import { PYTHON_WITH_BOTO3 } from '../../helpers/boto3.ts';
import { type ExchangeParts, keptBody, keptExchange } from '../../helpers/kept-exchange.ts';
import { RUNTIME_HOST, startForTest } from '../../helpers/offline-bedrock.ts';
import { launchServer, openWorkplace, type RunningServer, run, type Workplace } from '../../helpers/program.ts';
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY } from '../../helpers/sigv4-signing.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const HAS_CURL = spawnSync('curl', ['--version']).status === 0;
const AWS_CLI = spawnSync('aws', ['--version'], { timeout: 20_000, encoding: 'utf8' }).stdout ?? '';
const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

/** Everything that a shell, a terminal or a language could take for its own. */
const HOSTILE = `It's "quoted" $(touch pwned) \`id\` $HOME %PATH% !! \\ \\' ''' """ # -- ; & | < > {0} \u2018x\u2019 é🙂\n\t</script>`;
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const CONVERSATION = {
  system: [{ text: 'Be "kind", don\'t $shout.' }],
  messages: [
    { role: 'user', content: [{ text: HOSTILE }, { image: { format: 'png', source: { bytes: PICTURE } } }] },
    {
      role: 'assistant',
      content: [{ toolUse: { toolUseId: 't1', name: 'f', input: { bytes: 'no bytes', deep: [1.5, null, true] } } }],
    },
    {
      role: 'user',
      content: [{ toolResult: { toolUseId: 't1', content: [{ json: { bytes: 'AAAA' } }], status: 'success' } }],
    },
  ],
  inferenceConfig: { maxTokens: 50, temperature: 0.5 },
  toolConfig: { tools: [{ toolSpec: { name: 'f', description: 'd', inputSchema: { json: { type: 'object' } } } }] },
};
const ANTHROPIC = {
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 50,
  messages: [{ role: 'user', content: [{ type: 'text', text: HOSTILE }] }],
};

interface Case {
  readonly name: string;
  readonly path: string;
  readonly operation: string;
  readonly service?: string;
  readonly request: object;
  readonly skip?: readonly SnippetTarget[];
  /** Of the AWS CLI, which has no streams. */
  readonly twin?: string;
}

const CASES: readonly Case[] = [
  { name: 'Converse', path: `/model/${MODEL}/converse`, operation: 'Converse', request: CONVERSATION },
  {
    name: 'ConverseStream, the model in percent',
    path: `/model/${encodeURIComponent(MODEL)}/converse-stream`,
    operation: 'ConverseStream',
    request: CONVERSATION,
    twin: 'converse',
  },
  { name: 'InvokeModel', path: `/model/${MODEL}/invoke`, operation: 'InvokeModel', request: ANTHROPIC },
  {
    name: 'InvokeModelWithResponseStream',
    path: `/model/${MODEL}/invoke-with-response-stream`,
    operation: 'InvokeModelWithResponseStream',
    request: ANTHROPIC,
    twin: 'invoke',
  },
  {
    name: 'ChatCompletions',
    path: '/openai/v1/chat/completions',
    operation: 'ChatCompletions',
    service: 'bedrock-mantle',
    request: { model: 'openai.gpt-oss-20b-1:0', messages: [{ role: 'user', content: HOSTILE }] },
    skip: ['aws-cli', 'boto3', 'js'],
  },
];

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly body: Buffer;
  readonly status: number;
}

const TOKEN = 'token-for-tests-of-snippets-0123456789';

let place: Workplace;
let server: RunningServer;
let key: string;
let keyId: string;
const PYTHON = { PYTHONDONTWRITEBYTECODE: '1' };
let before = 0;

/** Asks the inspector what has come since. */
async function readApi(path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const response = await fetch(`http://127.0.0.1:${server.port}/inspect/api/v1/${path}`, { headers });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

async function listSeen(): Promise<Seen[]> {
  const { items } = (await (await readApi('exchanges?limit=20')).json()) as ExchangeList;
  const fresh = items.filter(({ sequence }) => sequence > before);
  return Promise.all(
    fresh.map(async ({ id, row }) => {
      const { layers } = (await (await readApi(`exchanges/${id}`)).json()) as ExchangeDetails;
      const body = Buffer.from(await (await readApi(`exchanges/${id}/body/client_request`)).arrayBuffer());
      const { method, target } = layers.client_request;
      return { method: method ?? '', url: target ?? '', body, status: Number(row['status']) };
    }),
  );
}

beforeAll(async () => {
  place = await openWorkplace();
  const made = await run(['key', 'generate', '--json'], place.environment);
  ({ key, access_key_id: keyId } = JSON.parse(made.stdout) as { key: string; access_key_id: string });
  server = await launchServer(['--offline', '--inspect'], {
    ...place.environment,
    BEDROCK_PROXY_INSPECT_TOKEN: TOKEN,
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

beforeEach(async () => {
  const { items } = (await (await readApi('exchanges?limit=1')).json()) as ExchangeList;
  before = items[0]?.sequence ?? 0;
});

function exchangeOf({ path, operation, service, request }: Case, parts: ExchangeParts = {}) {
  return keptExchange({
    row: { operation, ...(service === undefined ? {} : { service }) },
    request,
    target: `/bedrock${path}`,
    requestHeaders: [
      ['Host', '127.0.0.1:4000'],
      ['Authorization', 'Bearer [masked]'],
      ['Content-Type', 'application/json'],
      ['User-Agent', 'boto3'],
      ['X-Note', "it's $HOME"],
    ],
    ...parts,
  });
}

function snippetOf(each: Case, as: SnippetTarget) {
  const exchange = exchangeOf(each);
  const { clientRequest } = exchange.layers;
  const signedRequest = clientRequest && {
    ...clientRequest,
    target: each.path,
    authority: RUNTIME_HOST,
    body: undefined,
  };
  const layers = { ...exchange.layers, ...(signedRequest && { signedRequest }) };
  return makeSnippet({ ...exchange, layers }, as, { url: `http://127.0.0.1:${server.port}` });
}

/** Runs it in a folder of its own, in an environment that knows the key and nothing else. */
async function paste(command: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const environment = { ...place.environment, BEDROCK_PROXY_KEY: key, BEDROCK_PROXY_KEY_ID: keyId, ...PYTHON, ...more };
  const options: SpawnOptions = {
    cwd: place.folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  };
  const child = spawn(command, args, options);
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

async function runPython(text: string) {
  const file = join(place.folder, 'pasted.py');
  await writeFile(file, text);
  return paste(PYTHON_WITH_BOTO3 ?? '', [file]);
}

function runJavaScript(text: string) {
  const program = text
    .replaceAll("'@aws-sdk/", `'${ROOT}node_modules/@aws-sdk/`)
    .replace(/(client-[a-z-]+)'/, "$1/dist-cjs/index.js'");
  return paste(process.execPath, ['--input-type=module', '-e', program]);
}

function hashOf(json: unknown): string {
  return createHash('sha256').update(canonicalJson(json)).digest('hex');
}

async function expectSame({ path, request, twin }: Case, as: SnippetTarget): Promise<void> {
  const seen = await listSeen();
  expect(seen).toHaveLength(1);
  const [{ method, url, body, status } = { method: '', url: '', body: Buffer.alloc(0), status: 0 }] = seen;
  expect([method, status]).toEqual(['POST', 200]);
  const wanted = as === 'aws-cli' && twin !== undefined ? path.replace(/[^/]+$/, twin) : path;
  expect(decodeURIComponent(url)).toBe(`/bedrock${decodeURIComponent(wanted)}`);
  if (as === 'curl') expect(body.toString()).toBe(JSON.stringify(request));
  expect(hashOf(JSON.parse(body.toString()))).toBe(hashOf(request));
}

describe.skipIf(!HAS_CURL)('curl (skipped where it is not installed)', () => {
  it.each(CASES)('makes the same request again: $name', async (each) => {
    const { text, note } = snippetOf(each, 'curl');
    expect(note).toBeUndefined();
    expect(text).not.toContain('masked');
    const { code, stderr } = await paste('sh', ['-c', text]);
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    await expectSame(each, 'curl');
  });

  it('straight to AWS signs as the offline Bedrock wants it', async () => {
    const bedrock = await startForTest();
    onTestFinished(() => bedrock.close());
    const path = '/model/us.anthropic.claude-opus-4-6-v1/converse';
    const request = { messages: [{ role: 'user', content: [{ text: HOSTILE }] }] };
    const { text } = snippetOf({ name: '', path, operation: 'Converse', request }, 'curl-aws');
    expect(text).toContain(`curl https://${RUNTIME_HOST}${path} `);
    const local = text
      .replace(`https://${RUNTIME_HOST}`, `http://${RUNTIME_HOST}:${bedrock.port}`)
      .replace('curl ', `curl -sS -w '%{http_code}' --resolve ${RUNTIME_HOST}:${bedrock.port}:127.0.0.1 `);
    const keys = { AWS_ACCESS_KEY_ID: ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY };
    const { stdout, stderr } = await paste('sh', ['-c', local], keys);
    expect(stdout + stderr).toMatch(/"output".*200$/s);
  });

  it.each([':', '%3A'])('does not sign a model id with %s as AWS wants it: it is not offered', async (colon) => {
    const bedrock = await startForTest();
    onTestFinished(() => bedrock.close());
    const path = `/model/amazon.nova-lite-v1${colon}0/converse`;
    const { text, note } = snippetOf({ name: '', path, operation: 'Converse', request: {} }, 'curl-aws');
    expect([text, note]).toEqual(['', expect.stringContaining('curl does not sign this path')]);
    const url = `http://${RUNTIME_HOST}:${bedrock.port}${path}`;
    const words = ['-sS', '--resolve', `${RUNTIME_HOST}:${bedrock.port}:127.0.0.1`, url, '-d', '{"messages":[]}'];
    const sign = ['--aws-sigv4', 'aws:amz:us-east-1:bedrock', '--user', `${ACCESS_KEY_ID}:${SECRET_ACCESS_KEY}`];
    const { stdout } = await paste('curl', [...words, ...sign]);
    // A curl that gets this right makes this fail: then it can be offered.
    expect(stdout).toContain('signature');
  });
});

describe.skipIf(AWS_CLI === '')('the AWS CLI (skipped where it is not installed)', () => {
  // Version 1 takes base64 within JSON for bytes, and encodes them again: the note says so.
  const withoutPicture = { ...CONVERSATION, messages: [{ role: 'user', content: [{ text: HOSTILE }] }] };
  const isOld = AWS_CLI.startsWith('aws-cli/1');
  const cases = CASES.filter(({ skip }) => skip?.includes('aws-cli') !== true).map((each) =>
    isOld && each.request === CONVERSATION ? { ...each, request: withoutPicture } : each,
  );
  it.each(cases)('makes the same request again, or that without a stream: $name', async (each) => {
    const { text, note } = snippetOf(each, 'aws-cli');
    expect(note ?? '').toMatch(
      each.twin === undefined ? /^(?:It has bytes.*)?BEDROCK_PROXY_KEY_ID is/ : /^The AWS CLI has no streams: this is/,
    );
    // What is no terminal, and no file, has no /dev/stdout.
    const { code, stderr } = await paste('sh', ['-c', `{ ${text}\n} > cli.out`]);
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    await expectSame(each, 'aws-cli');
  });

  it('says what version 1 does with bytes', () => {
    const [each] = CASES;
    expect(each && snippetOf(each, 'aws-cli').note).toMatch(/^It has bytes in base64/);
  });
});

describe.skipIf(PYTHON_WITH_BOTO3 === undefined)('boto3 (skipped where it is not installed)', () => {
  it.each(CASES.filter(({ skip }) => skip?.includes('boto3') !== true))(
    'makes the same request again: $name',
    async (each) => {
      const { text } = snippetOf(each, 'boto3');
      const { code, stderr } = await runPython(text);
      expect(`${code} ${stderr}`).toMatch(/^0 /);
      await expectSame(each, 'boto3');
    },
  );
});

describe('the AWS SDK for JavaScript', () => {
  it.each(CASES.filter(({ skip }) => skip?.includes('js') !== true))(
    'makes the same request again: $name',
    async (each) => {
      const { text } = snippetOf(each, 'js');
      const { code, stderr } = await runJavaScript(text);
      expect(`${code} ${stderr}`).toMatch(/^0 /);
      await expectSame(each, 'js');
    },
  );
});

/** An exchange that never left the proxy, with this body. */
function keptRequest(
  body: KeptBody | undefined,
  row: ExchangeParts['row'] = {},
  target = `/bedrock/model/${MODEL}/converse`,
): Exchange {
  const clientRequest = { method: 'POST', target, headers: [], body };
  return keptExchange({ layers: { clientRequest }, row: { operation: 'Converse', requestBytes: 5, ...row } });
}

describe('what cannot be copied', () => {
  const body = keptBody(['{"messages":[]}']);

  it.each([
    {
      name: 'a request of which the ledger has a row',
      as: 'curl',
      exchange: keptExchange({ layers: {} }),
      says: 'is not kept',
    },
    {
      name: 'a body that is not kept',
      as: 'curl',
      exchange: keptRequest(undefined),
      says: "The request's body is not kept.",
    },
    {
      name: 'a body with a hole',
      as: 'js',
      exchange: keptRequest(keptBody(['0123456789'], { hole: [2, 3] })),
      says: 'not kept whole (size)',
    },
    { name: 'to AWS, what the proxy refused', as: 'curl-aws', exchange: keptRequest(body), says: 'did not go to AWS' },
    {
      name: 'what no SDK knows',
      as: 'boto3',
      exchange: keptRequest(body, { operation: undefined }),
      says: 'The AWS SDKs do not know',
    },
    {
      name: 'another path than that of the operation',
      as: 'js',
      exchange: keptRequest(body, { operation: 'CountTokens' }),
      says: 'The AWS SDKs do not',
    },
    {
      name: 'what is no JSON, for an SDK',
      as: 'boto3',
      exchange: keptRequest(keptBody(['{"a'])),
      says: 'is no JSON object',
    },
  ] as const)('says why: $name', ({ as, exchange, says }) => {
    const { text, note } = makeSnippet(exchange, as, { url: 'http://127.0.0.1:4000' });
    expect([text, note]).toEqual(['', expect.stringContaining(says)]);
  });

  it.each([
    { as: 'boto3', name: 'Converse' },
    { as: 'js', name: 'Converse' },
    { as: 'boto3', name: 'InvokeModel' },
    { as: 'js', name: 'InvokeModel' },
  ] as const)('reads a large body of $name from a file that is saved first: $as', async ({ as, name }) => {
    const found = CASES.find((one) => one.name === name);
    if (found === undefined || (as === 'boto3' && PYTHON_WITH_BOTO3 === undefined)) return;
    const each = { ...found, request: { ...found.request, system: [{ text: 'x'.repeat(4_000_000) }] } };
    const begun = performance.now();
    const { text, note } = snippetOf(each, as);
    expect(performance.now() - begun).toBeLessThan(400);
    expect(text.length).toBeLessThan(2_000);
    expect(note).toContain('as request.json first');
    await writeFile(join(place.folder, 'request.json'), JSON.stringify(each.request));
    const { code, stderr } = as === 'js' ? await runJavaScript(text) : await runPython(text);
    expect(`${code} ${stderr}`).toMatch(/^0 /);
    await expectSame(each, as);
  });

  it('has its inner lines where the formatters of its language have them', () => {
    const { text } = makeSnippet(keptRequest(keptBody(['{"messages":[{"role":"user"}]}'])), 'js', {
      url: 'http://127.0.0.1:4000',
    });
    expect(text).toContain('    "messages": [\n      {\n        "role": "user",\n      },\n    ],\n');
  });

  it.each([
    { name: 'longer than a terminal takes', bytes: JSON.stringify({ a: 'x'.repeat(70_000) }) },
    { name: 'that ends a paste', bytes: '{"a":"\u009b201~"}' },
    { name: 'that is no text', bytes: Buffer.of(0xff, 0xfe) },
  ])('says to save a body first $name', ({ bytes }) => {
    for (const as of ['curl', 'powershell'] as const) {
      const { text, note } = makeSnippet(keptRequest(keptBody([bytes])), as, { url: 'http://127.0.0.1:4000' });
      expect(text).toContain('request.json');
      expect(text.length).toBeLessThan(1_000);
      expect(note).toMatch(/save the request's body as request\.json first/);
    }
  });
});

describe('a request of somebody hostile', () => {
  it('stays data in a program: names of members, values, models', () => {
    const request = {
      messages: [],
      "x=__import__('os').system('touch pwned'),y": 1,
      class: 2,
      ['__proto__']: { polluted: true },
      '\u2028': '\u202e',
    };
    const target = `/bedrock/model/${encodeURIComponent('a"\n);evil(\u0027')}/converse`;
    const bytes = Buffer.from(JSON.stringify(request).replace('"polluted"', '"__proto__":1,"polluted"'));
    const exchange = keptRequest(keptBody([bytes]), {}, target);
    const python = makeSnippet(exchange, 'boto3', { url: 'http://127.0.0.1:4000' }).text;
    expect(python).toContain(`**{"x=__import__('os').system('touch pwned'),y": 1},`);
    expect(python).toContain('**{"class": 2},');
    expect(python).toContain('modelId="a\\"\\n);evil(\'",');
    expect(python).toContain(String.raw`**{"\u2028": "\u202e"}`);
    const javascript = makeSnippet(exchange, 'js', { url: 'http://127.0.0.1:4000' }).text;
    expect(javascript).toContain('["__proto__"]: {');
    const cli = makeSnippet(exchange, 'aws-cli', { url: 'http://127.0.0.1:4000' });
    expect(cli.text).toBe('');
  });

  it('brings no credential along, and no line of its own', () => {
    const requestHeaders = [
      ['Authorization', 'AWS4-HMAC-SHA256 Credential=AKIA'],
      ['X-Api-Key', 'sk-1'],
      ['Cookie', 'a=b'],
      ['X-Amz-Security-Token', 'token'],
      ['X-Other', 'has [masked] in it'],
      ['X-Evil', 'a\r\nb'],
      ['X-Good', "it's"],
    ] as const;
    const target = '/bedrock/guardrails?maxResults=1&X-Amz-Signature=abc&key=sk-2';
    const { text } = makeSnippet(
      keptExchange({ requestHeaders, target, request: {}, row: { operation: undefined } }),
      'curl',
      {
        url: 'http://127.0.0.1:4000',
      },
    );
    expect(text.split(' \\\n  ')).toEqual([
      `curl 'http://127.0.0.1:4000/bedrock/guardrails?maxResults=1'`,
      '-H "Authorization: Bearer $BEDROCK_PROXY_KEY"',
      String.raw`-H 'x-good: it'\''s'`,
      "-H 'content-type:'",
      "--data-raw '{}'",
    ]);
  });

  it('is a text of PowerShell', () => {
    const exchange = keptRequest(keptBody(['{"a":"it\u2019s $HOME `id`"}']));
    expect(makeSnippet(exchange, 'powershell', { url: 'http://127.0.0.1:4000' })).toEqual({
      text:
        "Invoke-WebRequest -UseBasicParsing -Method 'POST' -Uri 'http://127.0.0.1:4000/bedrock/model/" +
        `${MODEL}/converse' \`\n` +
        '  -Headers @{ Authorization = "Bearer $env:BEDROCK_PROXY_KEY" } `\n' +
        '  -Body ([Text.Encoding]::UTF8.GetBytes(\'{"a":"it\u2019\u2019s $HOME `id`"}\'))',
    });
  });
});

const python = PYTHON_WITH_BOTO3;
describe.skipIf(python === undefined)('names of operations (skipped where boto3 is not installed)', () => {
  it('are those of botocore', () => {
    const names = OPERATIONS.flatMap(({ name }) => (name === undefined ? [] : [name]));
    const script =
      'import json,sys,botocore;names=json.load(sys.stdin);print(json.dumps([botocore.xform_name(n, s) for s in "_-" for n in names]))';
    const { stdout } = spawnSync(python ?? '', ['-c', script], { input: JSON.stringify(names), encoding: 'utf8' });
    expect([...names.map(pythonName), ...names.map(cliName)]).toEqual(JSON.parse(stdout));
  });
});

it('has a target for each that the API names', () => {
  const exchange = keptRequest(keptBody(['{"messages":[]}']));
  for (const as of SNIPPET_TARGETS) expect(makeSnippet(exchange, as, { url: 'http://127.0.0.1:4000' })).toBeDefined();
});
