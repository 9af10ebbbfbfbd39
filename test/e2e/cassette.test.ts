/**
 * Cassettes through the whole proxy: what the offline Bedrock answers is recorded, and comes again, to the byte, from a
 * proxy that is connected to nothing.
 */
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { checkFiles } from '../../src/cassette/check.ts';
import { readCassetteFiles } from '../../src/cassette/check-files.ts';
import { Playback } from '../../src/cassette/playback.ts';
import { rowOf } from '../../src/domain/ledger-row.ts';
import { MACHINE_TICKS, monotonicClock } from '../../src/lib/clock.ts';
import { FrameSplitter } from '../../src/protocol/event-stream.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { OPERATIONS } from '../../src/operations/catalog.ts';
import { PLAYED_OPERATIONS } from '../../src/upstream/offline/dispatch.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { hashHex } from '../helpers/sigv4-signing.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import type { Testbed } from '../helpers/testbed.ts';

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const MODEL = `/model/${encodeURIComponent(CLAUDE)}`;
const HELLO = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] };
const MESSAGE = { max_tokens: 50, messages: [{ role: 'user', content: 'Hello' }] };
const INVOKE = { anthropic_version: 'bedrock-2023-05-31', ...MESSAGE };
const TEXTS = [{ type: 'TEXT', textDocument: { text: 'one' } }];

/** What each operation is asked, if it is no list. */
const BODIES: Readonly<Record<string, object>> = {
  Converse: HELLO,
  ConverseStream: HELLO,
  CountTokens: { input: { converse: HELLO } },
  InvokeModel: INVOKE,
  InvokeModelWithResponseStream: INVOKE,
  ChatCompletions: { model: 'openai.gpt-oss-20b-1:0', messages: MESSAGE.messages, stream: true },
  CreateResponse: { model: 'openai.gpt-oss-20b-1:0', input: 'Hello', stream: true },
  CreateMessage: { model: 'anthropic.claude-haiku-4-5', ...MESSAGE, stream: true },
  CountMessageTokens: { model: 'anthropic.claude-haiku-4-5', messages: MESSAGE.messages },
  ApplyGuardrail: { source: 'INPUT', content: [{ text: { text: 'Hello' } }] },
  InvokeAgent: { inputText: 'Hello' },
  Retrieve: { retrievalQuery: { text: 'Hello' } },
  RetrieveAndGenerate: {
    input: { text: 'Hello' },
    retrieveAndGenerateConfiguration: {
      type: 'KNOWLEDGE_BASE',
      knowledgeBaseConfiguration: { knowledgeBaseId: 'KB12345678', modelArn: CLAUDE },
    },
  },
  Rerank: {
    queries: [{ type: 'TEXT', textQuery: { text: 'Hello' } }],
    sources: [{ type: 'INLINE', inlineDocumentSource: TEXTS[0] }],
    rerankingConfiguration: {
      type: 'BEDROCK_RERANKING_MODEL',
      bedrockRerankingConfiguration: {
        modelConfiguration: { modelArn: 'arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0' },
      },
    },
  },
  StartAsyncInvoke: {
    modelId: 'amazon.nova-reel-v1:0',
    modelInput: { taskType: 'TEXT_VIDEO' },
    outputDataConfig: { s3OutputDataConfig: { s3Uri: 's3://bucket/folder' } },
  },
  InvokeAgentRuntime: { prompt: 'Hello' },
};

interface Question {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

function ask(name: string): Question {
  const operation = OPERATIONS.find((known) => `${known.service.id}.${known.name}` === name);
  if (operation === undefined) throw new Error(`${name} is no operation.`);
  const path = operation.template
    .replace('{modelId}', encodeURIComponent(CLAUDE))
    .replace('{modelIdentifier}', 'anthropic.claude-haiku-4-5-20251001-v1%3A0')
    .replace('{inferenceProfileIdentifier}', encodeURIComponent(CLAUDE))
    .replace('{guardrailIdentifier}', 'abcdefghij')
    .replace('{guardrailVersion}', 'DRAFT')
    .replace(
      '{agentRuntimeArn}',
      encodeURIComponent('arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/a-1234567890'),
    )
    .replaceAll(/\{\w+\+?\}/g, 'ABCDEFGHIJ');
  const method = operation.method === '*' ? 'POST' : operation.method;
  const body = method === 'GET' ? undefined : JSON.stringify(BODIES[operation.name ?? ''] ?? {});
  return { name, method, path, body };
}

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly size: number;
  /** With what is scrubbed in a recording scrubbed here as well. */
  readonly sha256: string;
}

async function send(testbed: Testbed, key: string, { method, path, body }: Question): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${key}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const response = await fetch(`${testbed.url}${path}`, { method, headers, body: body ?? null });
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get('content-type');
  const scrubbed = bytes.toString('latin1').replaceAll(':123456789012:', ':000000000000:');
  return { status: response.status, type, size: bytes.length, sha256: hashHex(Buffer.from(scrubbed, 'latin1')) };
}

const record = (cassette: string, more: Record<string, string | string[]> = {}) =>
  openProxy({ flags: { cassette, cassetteMode: 'record', offline: 'true', endpointUrl: [], ...more } });
const replay = (cassette: string, more: Record<string, string | string[]> = {}) =>
  openProxy({ flags: { cassette, replaySpeed: 'instant', endpointUrl: [], ...more } });

const filesOf = (folder: string): string[] => readdirSync(folder).filter((name) => /^\d/.test(name));

describe('every operation of the offline Bedrock', () => {
  it.each(['runtime', 'mantle'])('is recorded and replayed, hashes equal; /openai is %s', async (openaiUpstream) => {
    const folder = await makeTemporaryFolder();
    const other = openaiUpstream === 'runtime' ? 'bedrock-mantle.' : 'bedrock-runtime.';
    const shared = /ChatCompletions|CreateResponse|CreateMessage|ListModels|CountMessageTokens/;
    const names = PLAYED_OPERATIONS.filter((name) => !(name.startsWith(other) && shared.test(name)));
    const live = await record(folder, { openaiUpstream });
    const { key } = await live.mint('tester', { policy: { ...EMPTY_POLICY, scope: 'all' } });
    const answers = new Map<string, Answer>();
    for (const name of names) answers.set(name, await send(live, key, ask(name)));
    await live.cassette?.close();
    const failed = [...answers].filter(([, { status }]) => status >= 400).map(([name]) => name);
    // There is no such invocation.
    expect(failed).toEqual(['bedrock-runtime.GetAsyncInvoke']);
    expect(filesOf(folder)).toHaveLength(names.length);
    // Nothing in them looks like a secret.
    expect(checkFiles(readCassetteFiles(folder).files, { nowMs: Date.now(), maxAgeMs: undefined })).toEqual([]);

    const played = await replay(folder, { openaiUpstream });
    const again = await played.mint('tester', { policy: { ...EMPTY_POLICY, scope: 'all' } });
    for (const name of names) expect(await send(played, again.key, ask(name)), name).toEqual(answers.get(name));
    expect(played.cassette?.state).toMatchObject({ played: names.length, missed: 0, unused: [] });
  });
});

it('breaks what is played by faults, and the recording is there for the next try', async () => {
  const folder = await makeTemporaryFolder();
  const live = await record(folder);
  const question = ask('bedrock-runtime.Converse');
  const answer = await send(live, (await live.mint()).key, question);
  await live.cassette?.close();
  const played = await replay(folder, { fault: ['throttle count=1'] });
  const { key } = await played.mint();
  expect((await send(played, key, question)).status).toBe(429);
  expect(played.cassette?.state).toMatchObject({ played: 0, missed: 0 });
  expect(await send(played, key, question)).toEqual(answer);
});

describe('the time of a replay', () => {
  // A machine that is busy with something else measures that.
  const isIdle = (loadavg()[0] ?? 0) < availableParallelism();

  it.runIf(isIdle)('is that of the recording at the client, within 5 milliseconds at the 99th percentile', async () => {
    const folder = await makeTemporaryFolder();
    const frames = Array.from({ length: 100 }, (_value, index) => [index * 7.3, 'chunk', { bytes: { index }, p: 'a' }]);
    writeRecording(folder, '001-stream', {
      firstByteMs: 40,
      headers: [['content-type', 'application/vnd.amazon.eventstream']],
      frames,
    });
    const played = await replay(folder, { replaySpeed: '1' });
    const { key } = await played.mint();
    // A machine that is busy with something else is late with its timers as well: those of this process are the measure.
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 8 && best >= 5; round += 1) {
      const arrivals: number[] = [];
      const timers: number[] = [];
      const begun = performance.now();
      const response = await fetch(`${played.url}${MODEL}/invoke-with-response-stream`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify(INVOKE),
      });
      let first: number | undefined;
      const splitter = new FrameSplitter();
      for await (const chunk of response.body ?? []) {
        const at = performance.now();
        if (first === undefined) {
          first = at;
          frames.forEach(([due], index) => setTimeout(() => (timers[index] = performance.now()), Number(due)));
        }
        for (const frame of splitter.push(Buffer.from(chunk))) if (frame.bytes.length > 0) arrivals.push(at);
      }
      expect((first ?? 0) - begun).toBeGreaterThan(38);
      expect(arrivals).toHaveLength(frames.length);
      await vi.waitUntil(() => timers.length === frames.length);
      const lates = arrivals.map((at, index) => Math.abs(at - (timers[index] ?? 0)));
      best = Math.min(best, lates.toSorted((one, other) => one - other)[98] ?? 0);
    }
    expect(best).toBeLessThan(5);
  });

  it('keeps to absolute times, within 5 milliseconds of the timers of this process at the 99th percentile', async () => {
    const rounds: number[] = [];
    // Another program may have the processor between two of them: some round is without.
    while (rounds.length < 8 && Math.min(...rounds) >= 5) rounds.push(await measureLateness());
    expect(Math.min(...rounds)).toBeLessThan(5);
  });

  it('waits for a client that takes nothing, and shifts the rest', () => {
    let nowMs = 0;
    const got: [number, string][] = [];
    const sink = {
      onHead: () => {},
      onBytes: (chunk: Buffer) => {
        got.push([nowMs, chunk.toString()]);
        if (got.length === 1) playback.pause();
      },
      onEnd: () => got.push([nowMs, 'end']),
    };
    const pieces = ['a', 'b', 'c'].map((text, index) => ({ atMs: index * 100, bytes: Buffer.from(text) }));
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const playback = new Playback(pieces, sink, { tickMs: monotonicClock(() => nowMs), firstByteMs: 0, speed: 1 });
    const pass = (ms: number): void => {
      nowMs += ms;
      vi.advanceTimersByTime(ms);
    };
    playback.start();
    pass(500);
    expect(got).toEqual([[0, 'a']]);
    playback.resume();
    pass(99);
    expect(got).toEqual([
      [0, 'a'],
      [500, 'b'],
    ]);
    pass(1);
    expect(got.slice(2)).toEqual([
      [600, 'c'],
      [600, 'end'],
    ]);
  });
});

describe('a cassette in use', () => {
  const HAIKU = ask('bedrock-runtime.Converse');

  it('tells a request without a recording what is nearest, and keeps that', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder);
    await send(live, (await live.mint()).key, HAIKU);
    await live.cassette?.close();
    const played = await replay(folder);
    const { key } = await played.mint();
    const body = JSON.stringify({ messages: [{ role: 'user', content: [{ text: 'Help!' }] }] });
    const response = await fetch(`${played.url}${HAIKU.path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body,
    });
    expect(response.status).toBe(404);
    expect(response.headers.get('x-amzn-errortype')).toBe('CassetteMissException');
    expect(await response.text()).toContain('/messages/0/content/0/text');
    await played.cassette?.close();
    expect(readFileSync(join(folder, 'misses.ndjson'), 'utf8')).toContain('"operation":"Converse"');
    expect(played.cassette?.describe()).toBe('0 played, 1 missed, 1 unused');
  });

  it('says in header and ledger that it was played, what it would have cost, and charges no budget', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder);
    await send(live, (await live.mint()).key, HAIKU);
    await live.cassette?.close();
    const played = await replay(folder);
    const budget = { limitNanoUsd: 1e12, anchorMs: 0, windowMs: undefined };
    const { key } = await played.mint('budgeted', { policy: { ...EMPTY_POLICY, budget } });
    const ended = played.nextRecord();
    const response = await fetch(`${played.url}${HAIKU.path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: HAIKU.body ?? null,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-bedrock-proxy-cassette')).toMatch(/^001-converse-claude-sonnet-4-5-20250929-v1-0-/);
    await response.arrayBuffer();
    const record1 = await ended;
    expect(record1).toMatchObject({ pricing: 'priced', chargedNanoUsd: 0, partial: false });
    expect(record1.costNanoUsd).toBeGreaterThan(0);
    const row = rowOf(record1, record1.principal!);
    expect(row.source).toBe('cassette');
  });

  it('keeps nothing of what a client shows: keys, cookies, secrets in headers of its own', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder);
    const { key } = await live.mint('secretive');
    await fetch(`${live.url}${HAIKU.path}`, {
      method: 'POST',
      headers: {
        'x-api-key': key,
        cookie: 'session=canary-1',
        'x-my-token': 'canary-2',
        'content-type': 'application/json',
      },
      body: HAIKU.body ?? null,
    });
    await live.cassette?.close();
    const [file = ''] = filesOf(folder);
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text).toContain('"Hello"');
    expect(text).not.toMatch(/canary|sk-|secretive/);
  });

  it('records the same request again in the place of what was there', async () => {
    const folder = await makeTemporaryFolder();
    for (let round = 0; round < 2; round += 1) {
      const live = await record(folder);
      const { key } = await live.mint();
      await send(live, key, HAIKU);
      await send(live, key, HAIKU);
      await live.cassette?.close();
    }
    expect(filesOf(folder)).toHaveLength(2);
  });

  it('records nothing that hands out credentials, or takes them in', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder);
    for (const path of [
      '/identities/api-key',
      '/identities/GetWorkloadAccessToken',
      '/identities/CreateApiKeyCredentialProvider',
      '/identities/UpdateOauth2CredentialProvider',
      '/identities/CompleteResourceTokenAuth',
      '/payments/managers/m/connectors/c/rotate-credentials',
    ]) {
      await send(live, 'anything', { name: path, method: 'POST', path, body: '{}' });
    }
    await send(live, 'anything', { name: 'other', method: 'GET', path: '/foundation-models', body: undefined });
    await live.cassette?.close();
    expect(filesOf(folder)).toEqual([expect.stringContaining('list-foundation-models')]);
  });

  it('records with auto what it does not have, and plays the rest', async () => {
    const folder = await makeTemporaryFolder();
    const flags = { cassette: folder, cassetteMode: 'auto', offline: 'true', endpointUrl: [], replaySpeed: 'instant' };
    const states: unknown[] = [];
    for (let round = 0; round < 2; round += 1) {
      const both = await openProxy({ flags });
      await send(both, (await both.mint()).key, HAIKU);
      await both.cassette?.close();
      states.push(both.cassette?.describe());
    }
    expect(states).toEqual(['0 played, 1 recorded, 0 unused', '1 played, 0 recorded, 0 unused']);
  });

  it('leaves out what is to be skipped', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder, { cassetteSkip: 'status:4xx' });
    const { key } = await live.mint();
    await send(live, key, { ...HAIKU, path: '/model/offline.throttle-v1:0/converse' });
    await send(live, key, HAIKU);
    await live.cassette?.close();
    expect(filesOf(folder)).toHaveLength(1);
  });

  it('gives each test the sub-directory that it names', async () => {
    const folder = await makeTemporaryFolder();
    const live = await record(folder);
    const headers = { authorization: `Bearer ${(await live.mint()).key}`, 'x-bedrock-proxy-cassette': 'orders/refund' };
    await (await fetch(live.url + HAIKU.path, { method: 'POST', headers, body: HAIKU.body ?? null })).arrayBuffer();
    const outside = { ...headers, 'x-bedrock-proxy-cassette': '../refund' };
    const refused = await fetch(live.url + HAIKU.path, { method: 'POST', headers: outside, body: HAIKU.body ?? null });
    expect(refused.status).toBe(400);
    await live.cassette?.close();
    expect(filesOf(join(folder, 'orders', 'refund'))).toHaveLength(1);
  });
});

describe('what may come with a clone', () => {
  it.each([
    { name: 'a hash that is wrong', change: { sha256: 'a'.repeat(64) }, says: 'its hash is wrong' },
    { name: 'a header that ends early', change: { headers: [['a', 'b\r\nc: d']] }, says: '/response/headers' },
    { name: 'a file outside', change: { body: { blob: '../../secret' } }, says: '/response/body' },
    { name: 'a time that never ends', change: { firstByteMs: 1e12 }, says: '/response/firstByteMs' },
    { name: 'two bodies', change: { body: { text: '' }, frames: [] }, says: 'has body and frames' },
    { name: 'a status that is none', change: { status: 1000 }, says: '/response/status' },
  ])('is refused: $name', async ({ change, says }) => {
    const folder = await makeTemporaryFolder();
    writeRecording(folder, '001-bad', change);
    await expect(replay(folder)).rejects.toThrow(says);
  });

  it('does not follow links', async () => {
    const folder = await makeTemporaryFolder();
    const outside = await makeTemporaryFolder();
    writeRecording(outside, '001-outside', {});
    symlinkSync(join(outside, '001-outside.json'), join(folder, '001-inside.json'));
    symlinkSync(outside, join(folder, 'sub'));
    const played = await replay(folder);
    expect(played.cassette?.state.unused).toEqual([]);
  });
});

function writeRecording(folder: string, name: string, response: object): void {
  const request = {
    service: 'bedrock-runtime',
    operation: 'InvokeModelWithResponseStream',
    method: 'POST',
    path: `${MODEL}/invoke-with-response-stream`,
    headers: [],
    body: { json: INVOKE },
  };
  const whole = { status: 200, headers: [], firstByteMs: 0, end: 'complete', ...response };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ version: 1, request, response: whole }));
}

/** How late the 99th of a hundred pieces is, measured against a timer for each. */
async function measureLateness(): Promise<number> {
  const pieces = Array.from({ length: 200 }, (_value, index) => ({ atMs: index * 3.3, bytes: Buffer.from([index]) }));
  const [played, timers]: [number[], number[]] = [[], []];
  const note = (chunk: Buffer): void => chunk.forEach((index) => (played[index] = performance.now()));
  await new Promise<void>((resolve) => {
    const sink = { onHead: () => {}, onBytes: note, onEnd: resolve };
    new Playback(pieces, sink, { tickMs: MACHINE_TICKS, firstByteMs: 20, speed: 1 }).start();
    pieces.forEach(({ atMs }, index) => setTimeout(() => (timers[index] = performance.now()), 20 + atMs));
  });
  await vi.waitUntil(() => timers.length === pieces.length);
  const lates = played.map((at, index) => Math.abs(at - (timers[index] ?? 0)));
  return lates.toSorted((one, other) => one - other)[197] ?? 0;
}
