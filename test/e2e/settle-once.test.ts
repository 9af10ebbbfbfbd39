/**
 * However a request ends, over whichever HTTP version and whatever the database does meanwhile: it is settled once.
 * Batches of requests with every kind of end run at the same time through the whole proxy; after each batch nothing is
 * reserved, no slot is taken, the ledger has one row for each exchange, and its charges are what the budget has spent.
 */
import Database from 'better-sqlite3';
import * as fc from 'fast-check';
import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import {
  cutConnection,
  type FakeUpstream,
  sendAwsError,
  sendJson,
  startFakeUpstream,
} from '../helpers/fake-upstream.ts';
import { AWS_PAIR, type Testbed, startProxy } from '../helpers/testbed.ts';
import { type Http2Client, openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';

const SEED = 20_251_122;
const BATCHES = 16;
const LOCK_MS = 300;
const SLOTS = 8;
const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST_NANO_USD = 100 * 60 + 10 * 240;
const TEXT = eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 });
const METADATA = eventFrame('metadata', USAGE);
const BROKEN = Buffer.concat([METADATA.subarray(0, -1), Buffer.from([METADATA.at(-1) === 0 ? 1 : 0])]);

const HELD = 'a response that the test holds';
const held: ServerResponse[] = [];

type Respond = (response: ServerResponse) => void;
/**
 * When the client leaves: as soon as AWS has its request, at the first byte of its response, or in the middle of its
 * own body.
 */
type Leave = 'sent' | 'begun' | 'uploading';

interface Fate {
  readonly operation: 'converse' | 'converse-stream';
  /** What AWS does. */
  readonly respond: Respond;
  readonly leave?: Leave;
  /** The path, where it is not the one of `operation`. */
  readonly path?: string;
  readonly key?: string;
}

const stream =
  (...frames: Buffer[]): Respond =>
  (response) => {
    startEventStream(response);
    for (const frame of frames) response.write(frame);
    response.end();
  };

const silent: Respond = () => {};

const FATES = {
  'a whole response': { operation: 'converse', respond: (response) => sendJson(response, 200, USAGE) },
  'a whole stream': { operation: 'converse-stream', respond: stream(TEXT, METADATA) },
  'a stream that reports nothing': { operation: 'converse-stream', respond: stream(TEXT) },
  'a stream with a broken frame': { operation: 'converse-stream', respond: stream(TEXT, BROKEN, METADATA) },
  'a stream cut in a frame, but ended': {
    operation: 'converse-stream',
    respond: stream(TEXT, METADATA.subarray(0, 30)),
  },
  'a stream that is none': { operation: 'converse-stream', respond: stream(Buffer.alloc(100_000, 0xff)) },
  'an exception in a stream': { operation: 'converse-stream', respond: stream(TEXT, exceptionFrame('x', 'y')) },
  'an error of AWS': {
    operation: 'converse',
    respond: (response) => sendAwsError(response, { status: 400, type: 'ValidationException', message: 'no' }),
  },
  'a reset before any response': { operation: 'converse', respond: cutConnection },
  'a reset in a stream': {
    operation: 'converse-stream',
    respond: (response) => {
      startEventStream(response);
      response.write(TEXT, () => cutConnection(response));
    },
  },
  'a reset in a whole response': {
    operation: 'converse',
    respond: (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"usage":{"inputTokens":5', () => cutConnection(response));
    },
  },
  'no HTTP at all': { operation: 'converse', respond: (response) => void response.socket?.end('SSH-2.0-OpenSSH\r\n') },
  'a client that leaves before any response': { operation: 'converse', respond: silent, leave: 'sent' },
  'a client that leaves as the response comes': {
    operation: 'converse',
    respond: (response) => sendJson(response, 200, USAGE),
    leave: 'sent',
  },
  'a client that leaves as the stream comes': {
    operation: 'converse-stream',
    respond: stream(TEXT, METADATA),
    leave: 'sent',
  },
  'a client that leaves in a stream': {
    operation: 'converse-stream',
    respond: (response) => {
      startEventStream(response);
      response.write(TEXT);
    },
    leave: 'begun',
  },
  'a client that leaves in its own body': { operation: 'converse', respond: silent, leave: 'uploading' },
  'nobody at the other end': { operation: 'converse', respond: silent, path: '/v1/chat/completions' },
  'a key that nobody knows': { operation: 'converse', respond: silent, key: 'sk-unknown' },
  [HELD]: { operation: 'converse', respond: (response) => void held.push(response) },
  'a model without a price': { operation: 'converse', respond: silent, path: '/model/nobody.knows-v1:0/converse' },
} as const satisfies Record<string, Fate>;

type FateName = keyof typeof FATES;
const NAMES = Object.keys(FATES) as FateName[];

interface Request {
  readonly fate: FateName;
  readonly http: '1.1' | '2';
}

const WHOLE = { status: 200, errorCode: undefined, pricing: 'priced', costNanoUsd: COST_NANO_USD, partial: false };
const UNKNOWN = {
  pricing: 'unpriced',
  costNanoUsd: undefined,
  partial: true,
  chargedNanoUsd: expect.toSatisfy(isPositive),
};
const GONE = { ...UNKNOWN, errorCode: 'ERR_CLIENT_GONE' };
const FREE = { pricing: 'free', costNanoUsd: 0, chargedNanoUsd: 0, partial: false };

/** What the ledger says of each; undefined where it says nothing. */
const EXPECTED: Partial<Record<FateName, object>> = {
  'a whole response': { ...WHOLE, chargedNanoUsd: COST_NANO_USD },
  'a whole stream': { ...WHOLE, chargedNanoUsd: COST_NANO_USD },
  'a stream that reports nothing': { ...UNKNOWN, status: 200 },
  'a stream with a broken frame': { ...UNKNOWN, status: 200 },
  'a stream cut in a frame, but ended': { ...UNKNOWN, status: 200 },
  'a stream that is none': { ...UNKNOWN, status: 200 },
  'an exception in a stream': { ...UNKNOWN, status: 200 },
  'an error of AWS': { ...FREE, status: 400, errorCode: 'ValidationException' },
  'a reset before any response': { ...UNKNOWN, status: 502, errorCode: 'ERR_UPSTREAM_RESET' },
  'a reset in a stream': { ...UNKNOWN, status: 200, errorCode: 'ERR_UPSTREAM_RESET' },
  'a reset in a whole response': { status: 200, errorCode: 'ERR_UPSTREAM_RESET', partial: true },
  'no HTTP at all': { ...UNKNOWN, status: 502, errorCode: 'ERR_UPSTREAM_RESET' },
  'a client that leaves before any response': GONE,
  'a client that leaves as the response comes': { principal: 'key' },
  'a client that leaves as the stream comes': { principal: 'key' },
  'a client that leaves in a stream': { ...GONE, status: 200 },
  'a client that leaves in its own body': { ...FREE, errorCode: 'ERR_CLIENT_GONE' },
  'nobody at the other end': { ...FREE, status: 502, errorCode: 'ERR_UPSTREAM_UNREACHABLE' },
  'a model without a price': { ...FREE, status: 402, errorCode: 'ERR_UNPRICED' },
};

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}

let upstream: FakeUpstream;
let testbed: Testbed;
let http2: Http2Client;
let key: string;
let raw: Database.Database;
let serial = 0;
/** Told when AWS has got the request of this number. */
const arrivals = new Map<number, () => void>();

beforeEach(async () => {
  upstream = await startFakeUpstream(AWS_PAIR);
  const endpointUrl = [`http://${upstream.authority}`, 'bedrock-mantle=http://127.0.0.1:1'];
  testbed = await startProxy({ flags: { endpointUrl } });
  http2 = openHttp2(testbed.port);
  const budget = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };
  ({ key } = await testbed.mint('limited', { policy: { ...EMPTY_POLICY, budget, maxParallel: SLOTS } }));
  raw = new Database(testbed.databasePath, { timeout: 0 });
  upstream.respondWith(({ body }, response) => {
    const { fate, number } = JSON.parse(body.toString()) as { fate: FateName; number: number };
    FATES[fate].respond(response);
    arrivals.get(number)?.();
  });
});

afterEach(async () => {
  raw.close();
  await http2[Symbol.asyncDispose]();
  await testbed[Symbol.asyncDispose]();
  expect(upstream.failures).toEqual([]);
  await upstream.close();
});

/** Resolves when the client is done with it, which may be before the proxy is. */
async function send({ fate: name, http }: Request): Promise<void> {
  const fate: Fate = FATES[name];
  serial += 1;
  const number = serial;
  const arrived = new Promise<void>((resolve) => arrivals.set(number, resolve));
  const body = JSON.stringify({
    fate: name,
    number,
    model: 'openai.gpt-oss-20b-1:0',
    messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
    inferenceConfig: { maxTokens: 20 },
    max_tokens: 20,
  });
  const path = `/bedrock${fate.path ?? `/model/${NOVA}/${fate.operation}`}`;
  const outgoing = { path, authorization: `Bearer ${fate.key ?? key}`, body, leave: fate.leave, arrived };
  await (http === '2' ? sendHttp2(outgoing) : sendHttp1(outgoing));
  arrivals.delete(number);
}

interface Outgoing {
  readonly path: string;
  readonly authorization: string;
  readonly body: string;
  readonly leave: Leave | undefined;
  readonly arrived: Promise<void>;
}

async function sendHttp1({ path, authorization, body, leave, arrived }: Outgoing): Promise<void> {
  await using socket = await dial(testbed.port);
  const headers = ['Host: localhost', `Authorization: ${authorization}`, `Content-Length: ${body.length}`];
  const sent = leave === 'uploading' ? body.slice(0, 20) : body;
  await socket.send(requestText(`POST ${path} HTTP/1.1`, [...headers, 'Connection: close'], sent));
  if (leave === 'sent') await arrived;
  if (leave === 'begun') await socket.until('Hello');
  if (leave !== undefined) socket.socket.end();
  await socket.ended;
}

async function sendHttp2({ path, authorization, body, leave, arrived }: Outgoing): Promise<void> {
  const headers = { ':method': 'POST', ':path': path, authorization };
  if (leave === 'uploading') {
    // Node's client would end the body properly before it resets its stream: only the end of a connection leaves no
    // ambiguity.
    await using lone = openHttp2(testbed.port);
    const opened = lone.open(headers, { endStream: false });
    await new Promise((resolve) => opened.write(body.slice(0, 20), resolve));
    // The answer to a ping is behind what came before it.
    await new Promise((resolve) => lone.session.ping(resolve));
    return;
  }
  const opened = http2.open(headers, { endStream: false });
  const over = readHttp2Response(opened);
  opened.end(body);
  if (leave === 'sent') await arrived;
  if (leave === 'begun') await new Promise((resolve) => opened.once('data', resolve));
  if (leave !== undefined) opened.close(constants.NGHTTP2_CANCEL);
  await over;
}

/** Another process writes for so long that nobody else can. */
async function lockDatabase(): Promise<void> {
  raw.exec('BEGIN IMMEDIATE');
  await delay(LOCK_MS);
  raw.exec('COMMIT');
}

const ended = (): number => testbed.records.length;
/** What never came as far as a signature was refused; of many refused ones, several have one row together, later. */
const mayShareRow = ({ overheadMs }: RequestRecord): boolean => overheadMs === undefined;
const withRow = (): readonly RequestRecord[] =>
  testbed.records.filter((record) => record.principal !== undefined && !mayShareRow(record));
const readRows = (): Promise<LedgerEntry[]> => testbed.store.readLedger({}, { after: 0, limit: 100_000 });

type Told = Pick<LedgerEntry, 'id' | 'status' | 'chargedNanoUsd' | 'partial'>;

/** What ledger and exchange must agree on. */
function told({ id, status, chargedNanoUsd, partial }: Told): Told {
  return { id, status, chargedNanoUsd, partial };
}

function byId(one: Told, other: Told): number {
  return one.id < other.id ? -1 : 1;
}

/** After everything is over: the books are closed, and agree with each other. */
async function checkBooks(): Promise<void> {
  const untold = async (): Promise<number> => {
    const ids = new Set((await readRows()).map(({ id }) => id));
    return withRow().filter(({ id }) => !ids.has(id)).length;
  };
  await expect.poll(untold, { interval: 5 }).toBe(0);
  const shared = new Set(testbed.records.filter(mayShareRow).map(({ id }) => id));
  const rows = (await readRows()).filter(({ id }) => !shared.has(id));
  expect(rows.map(told).toSorted(byId)).toEqual(withRow().map(told).toSorted(byId));
  const charged = rows.reduce((sum, { chargedNanoUsd }) => sum + chargedNanoUsd, 0);
  const spend = async () => {
    const [row] = await testbed.store.listKeys();
    return row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
  };
  // What is reserved for a client that has left meanwhile is given back a moment later.
  await expect.poll(spend, { interval: 5 }).toMatchObject({ totalNanoUsd: charged, reservedNanoUsd: 0 });
  expect(raw.prepare('SELECT count(*) FROM reservations').pluck().get()).toBe(0);
  const metrics = await (await fetch(`http://127.0.0.1:${testbed.port}/metrics`)).text();
  expect(metrics.match(/^bedrock_proxy_\w+_in_flight .*$/gm)).toEqual([
    'bedrock_proxy_requests_in_flight 0',
    'bedrock_proxy_streams_in_flight 0',
  ]);
}

/** As many requests as the key may have under way at a time are let in, and one more is not. */
async function checkSlots(): Promise<void> {
  const before = ended();
  const all = Array.from({ length: SLOTS }, () => send({ fate: HELD, http: '2' }));
  await expect.poll(() => held.length + ended() - before, { interval: 1 }).toBe(SLOTS);
  await send({ fate: 'a whole response', http: '1.1' });
  expect(testbed.records.slice(before).map(({ error }) => error?.code)).toEqual(['ERR_TOO_MANY_PARALLEL']);
  for (const response of held.splice(0)) sendJson(response, 200, USAGE);
  await Promise.all(all);
  await expect.poll(() => ended() - before, { interval: 1 }).toBe(SLOTS + 1);
}

const requests: fc.Arbitrary<Request> = fc.record({
  fate: fc.constantFrom(...NAMES.filter((name) => name !== HELD)),
  http: fc.constantFrom('1.1' as const, '2' as const),
});
const batches = fc.record({
  batch: fc.array(requests, { minLength: 1, maxLength: SLOTS }),
  isLocked: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

it('settles each of many requests at a time once, whatever happens to them', async () => {
  const property = fc.asyncProperty(batches, async ({ batch, isLocked }) => {
    const before = ended();
    const locked = isLocked ? lockDatabase() : undefined;
    await Promise.all(batch.map(send));
    await locked;
    await expect.poll(() => ended() - before, { interval: 1 }).toBe(batch.length);
    await checkBooks();
    await checkSlots();
    await checkBooks();
  });
  // The testbed lives on from batch to batch, so that a failure cannot be made smaller.
  await fc.assert(property, { seed: SEED, numRuns: BATCHES, endOnFailure: true });
});

describe.each(['1.1', '2'] as const)('over HTTP/%s', (http) => {
  it.each(NAMES.filter((name) => name !== HELD))(
    'writes one row and leaves nothing reserved after this: %s',
    async (fate) => {
      await send({ fate, http });
      await expect.poll(ended, { interval: 1 }).toBe(1);
      await checkBooks();
      expect(await readRows()).toMatchObject(EXPECTED[fate] === undefined ? [] : [EXPECTED[fate]]);
    },
  );
});

it.each(['1.1', '2'] as const)(
  'charges nothing over HTTP/%s for a client that leaves while the database is busy, before anything went to AWS',
  async (http) => {
    raw.exec('BEGIN IMMEDIATE');
    const body = '{"messages":[],"inferenceConfig":{"maxTokens":20}}';
    const path = `/bedrock/model/${NOVA}/converse`;
    await (http === '2' ? leaveHttp2 : leaveHttp1)(path, body);
    raw.exec('COMMIT');
    await expect.poll(ended, { interval: 1 }).toBe(1);
    await checkBooks();
    await expect.poll(readRows).toMatchObject([{ ...FREE, errorCode: 'ERR_CLIENT_GONE' }]);
    expect(upstream.requests).toEqual([]);
  },
);

async function leaveHttp1(path: string, body: string): Promise<void> {
  await using socket = await dial(testbed.port);
  const headers = ['Host: localhost', `Authorization: Bearer ${key}`, `Content-Length: ${body.length}`];
  await socket.send(requestText(`POST ${path} HTTP/1.1`, headers, body));
  await expect.poll(readInFlight, { interval: 1 }).toBe(1);
  socket.socket.end();
  await socket.ended;
}

async function leaveHttp2(path: string, body: string): Promise<void> {
  await using lone = openHttp2(testbed.port);
  const headers = { ':method': 'POST', ':path': path, authorization: `Bearer ${key}` };
  const opened = lone.open(headers, { endStream: false });
  opened.end(body);
  await expect.poll(readInFlight, { interval: 1 }).toBe(1);
  opened.close(constants.NGHTTP2_CANCEL);
  // Its response is behind the reset.
  await new Promise((resolve) => lone.session.ping(resolve));
}

async function readInFlight(): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${testbed.port}/metrics`)).text();
  return Number(/^bedrock_proxy_requests_in_flight (\d+)$/m.exec(metrics)?.[1]);
}
