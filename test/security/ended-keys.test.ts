/**
 * What becomes of requests that are under way when their key ends: they are cut within a second, on every protocol, so
 * that nobody takes what came for complete; and when the first key is made, open mode ends for what is under way too.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it as plainIt, onTestFinished } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { type MintedKey, mintKey } from '../../src/keys/mint.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { signWithSdk } from '../helpers/sigv4-signing.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';
import { AWS_PAIR, type Testbed } from '../helpers/testbed.ts';
import { IS_SERVED, openWebSocketProxy } from '../helpers/websocket-testbed.ts';

const { it, testbed } = proxyTest();

const TARGET = '/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream';
const TYPE = 'application/vnd.amazon.eventstream';
/** From the change to the end of the request, with room for a slow machine. */
const PROMISED_MS = 1_000;

/** The response of the next request, begun as an event stream with one event. */
function nextStream(proxy: Testbed = testbed): Promise<ServerResponse> {
  return new Promise((resolve) => {
    proxy.upstream.respondWith((_, response) => {
      startEventStream(response);
      response.write(eventFrame('contentBlockDelta', { delta: { text: 'first-event' }, contentBlockIndex: 0 }));
      resolve(response);
    });
  });
}

const post = (key: string | undefined, port: number, target = TARGET): Buffer =>
  requestText(`POST ${target} HTTP/1.1`, [
    `Host: localhost:${port}`,
    ...(key === undefined ? [] : [`Authorization: Bearer ${key}`]),
  ]);

/** What was sent has been read as far as it goes. */
const untilWatched = (): Promise<unknown> => delay(100);

async function within<T>(work: Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await work;
  expect(performance.now() - startedAt).toBeLessThan(PROMISED_MS + 500);
  return result;
}

/** Another process: its own connection to the database. */
async function elsewhere(proxy: Testbed = testbed) {
  const store = await openSqliteStore(proxy.databasePath);
  onTestFinished(() => store.close());
  return store;
}

const ENDINGS = [
  {
    how: 'revoked',
    code: 'ERR_KEY_REVOKED',
    end: async ({ id }: MintedKey) => testbed.store.revokeKey(id, Date.now()),
  },
  {
    how: 'blocked',
    code: 'ERR_KEY_BLOCKED',
    end: async ({ id }: MintedKey) => testbed.store.updateKey(id, { blockedAtMs: Date.now() }, Date.now()),
  },
  {
    how: 'deleted',
    code: 'ERR_KEY_UNKNOWN',
    end: async ({ id }: MintedKey) => testbed.store.deleteKey(id, Date.now()),
  },
  {
    how: 'revoked by another process',
    code: 'ERR_KEY_REVOKED',
    end: async ({ id }: MintedKey) => (await elsewhere()).revokeKey(id, Date.now()),
  },
  {
    how: 'made to expire',
    code: 'ERR_KEY_EXPIRED',
    end: async ({ id }: MintedKey) => testbed.store.updateKey(id, { expiresAtMs: Date.now() + 100 }, Date.now()),
  },
];

describe('a stream under way', () => {
  it.each(ENDINGS)('is broken over HTTP/1.1 when its key is $how, and never ends in order', async ({ code, end }) => {
    const key = await testbed.mint('alice');
    const begun = nextStream();
    await using raw = await dial(testbed.port);
    await raw.send(post(key.key, testbed.port));
    const upstreamResponse = await begun;
    await raw.until('first-event');
    const upstreamGone = new Promise((resolve) => upstreamResponse.once('close', resolve));
    const record = testbed.nextRecord();
    await end(key);
    expect(await within(raw.ended)).toBe('broken');
    await upstreamGone;
    expect(await record).toMatchObject({ error: { code }, status: 200, partial: true });
    const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
    expect(row).toMatchObject({ errorCode: code, partial: true, keyId: key.id });
  });

  it('is reset over HTTP/2 when its key is revoked, and the others on the connection go on', async () => {
    const [key, other] = [await testbed.mint('alice'), await testbed.mint('bob')];
    await using client = openHttp2(testbed.port);
    const open = async (token: string) => {
      const begun = nextStream();
      const stream = client.open({ ':method': 'POST', ':path': TARGET, authorization: `Bearer ${token}` });
      const response = readHttp2Response(stream);
      return { upstreamResponse: await begun, response };
    };
    const ending = await open(key.key);
    const going = await open(other.key);
    await testbed.store.revokeKey(key.id, Date.now());
    const cut = await within(ending.response);
    expect(cut.isComplete).toBe(false);
    expect(cut.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
    going.upstreamResponse.end();
    expect(await going.response).toMatchObject({ status: 200, isComplete: true });
  });

  it('is charged to the budget of its key as one that broke off', async () => {
    const budget = { limitNanoUsd: 1_000_000_000, windowMs: undefined, anchorMs: Date.now() };
    const key = await testbed.mint('alice', { policy: { ...EMPTY_POLICY, budget } });
    const begun = nextStream();
    await using raw = await dial(testbed.port);
    await raw.send(post(key.key, testbed.port));
    await begun;
    await raw.until('first-event');
    const record = testbed.nextRecord();
    await testbed.store.revokeKey(key.id, Date.now());
    await within(raw.ended);
    expect((await record).chargedNanoUsd).toBeGreaterThan(0);
  });

  it('gets the error itself if the response has not begun', async () => {
    const key = await testbed.mint('alice');
    const asked = new Promise<void>((resolve) => testbed.upstream.respondWith(() => resolve()));
    await using raw = await dial(testbed.port);
    await raw.send(post(key.key, testbed.port));
    await asked;
    await testbed.store.revokeKey(key.id, Date.now());
    const response = await within(raw.readResponse());
    expect(response.status).toBe(401);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_KEY_REVOKED');
  });

  it('gets the error itself, and the ledger its status, if a response was waiting to be complete', async () => {
    const key = await testbed.mint('alice');
    const asked = new Promise<void>((resolve) => {
      testbed.upstream.respondWith((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{"half":');
        resolve();
      });
    });
    await using raw = await dial(testbed.port);
    await raw.send(post(key.key, testbed.port, TARGET.replace('-stream', '')));
    await asked;
    const record = testbed.nextRecord();
    await testbed.store.revokeKey(key.id, Date.now());
    expect((await within(raw.readResponse())).status).toBe(401);
    expect(await record).toMatchObject({ status: 401, upstreamStatus: 200, error: { code: 'ERR_KEY_REVOKED' } });
  });

  it('goes on if its key was changed and still counts', async () => {
    const key = await testbed.mint('alice');
    const begun = nextStream();
    await using raw = await dial(testbed.port);
    await raw.send(post(key.key, testbed.port));
    const response = await begun;
    await raw.until('first-event');
    await (await elsewhere()).updateKey(key.id, { note: 'changed' }, Date.now());
    await delay(PROMISED_MS);
    response.end(eventFrame('messageStop', { stopReason: 'end_turn' }));
    expect((await raw.readResponse()).status).toBe(200);
  });
});

/** All but the last byte of a body, over HTTP/1.1. */
const beginUpload = async (headers: readonly HeaderPair[], target = TARGET) => {
  const raw = await dial(testbed.port);
  onTestFinished(() => raw[Symbol.asyncDispose]());
  await raw.send(requestText(`POST ${target} HTTP/1.1`, [...headers, ['Content-Length', '2']], '{'));
  return raw;
};
const bearer = ({ key }: MintedKey): HeaderPair[] => [
  ['Host', `localhost:${testbed.port}`],
  ['Authorization', `Bearer ${key}`],
];
/** The hash of the body is in the signature alone: nobody knows yet whether it is good. */
const signed = async ({ key, accessKeyId }: MintedKey): Promise<HeaderPair[]> => {
  const signing = { accessKeyId, secretAccessKey: key, atMs: Date.now(), host: `localhost:${testbed.port}` };
  const toSign = { method: 'POST', path: '/bedrock/model/m/converse', body: '{}', sendsPayloadHash: false };
  return [...(await signWithSdk({ ...toSign, ...signing })).request.headers];
};

describe('an upload under way', () => {
  it.each(ENDINGS)('is refused within a second if its key is $how, not at its end', async ({ code, end }) => {
    const key = await testbed.mint('alice');
    const raw = await beginUpload(bearer(key));
    await untilWatched();
    const record = testbed.nextRecord();
    await end(key);
    const response = await within(raw.readResponse());
    expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([401, code]);
    expect(await record).toMatchObject({ status: 401, error: { code } });
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('is refused within a second if the signature that names its key is not even proved', async () => {
    const key = await testbed.mint('alice');
    const raw = await beginUpload(await signed(key), '/bedrock/model/m/converse');
    await untilWatched();
    await testbed.store.revokeKey(key.id, Date.now());
    expect((await within(raw.readResponse())).header('x-bedrock-proxy-error')).toBe('ERR_KEY_REVOKED');
  });

  it('is refused within a second over HTTP/2, and another on the same connection goes on', async () => {
    const [key, other] = [await testbed.mint('alice'), await testbed.mint('bob')];
    await using client = openHttp2(testbed.port);
    const upload = (token: string) => {
      const headers = { ':method': 'POST', ':path': TARGET, authorization: `Bearer ${token}` };
      const stream = client.open(headers, { endStream: false });
      stream.write('{');
      return { stream, response: readHttp2Response(stream) };
    };
    const [ending, going] = [upload(key.key), upload(other.key)];
    await untilWatched();
    await testbed.store.revokeKey(key.id, Date.now());
    expect((await within(ending.response)).status).toBe(401);
    going.stream.end('}');
    expect((await going.response).status).toBe(200);
  });

  it('gives back the slot and the request of its key', async () => {
    const key = await testbed.mint('alice', { policy: { ...EMPTY_POLICY, maxParallel: 1, requestsPerMinute: 1 } });
    const raw = await beginUpload(bearer(key));
    await untilWatched();
    await testbed.store.updateKey(key.id, { blockedAtMs: Date.now() }, Date.now());
    expect((await within(raw.readResponse())).status).toBe(401);
    await testbed.store.updateKey(key.id, { blockedAtMs: undefined }, Date.now());
    await using next = await dial(testbed.port);
    await next.send(post(key.key, testbed.port));
    expect((await next.readResponse()).status).toBe(200);
  });

  it('is refused within a second if it began in open mode, when the first key is made', async () => {
    const raw = await beginUpload([['Host', 'localhost']]);
    await untilWatched();
    await testbed.mint('first');
    expect((await within(raw.readResponse())).header('x-bedrock-proxy-error')).toBe('ERR_KEY_MISSING');
  });
});

describe('with --no-cut', () => {
  const quiet = proxyTest({ environment: { BEDROCK_PROXY_NO_CUT: 'true' } });
  quiet.it('a stream goes on to its end when its key is revoked', async () => {
    const key = await quiet.testbed.mint('alice');
    const begun = nextStream(quiet.testbed);
    await using raw = await dial(quiet.testbed.port);
    await raw.send(post(key.key, quiet.testbed.port));
    const response = await begun;
    await quiet.testbed.store.revokeKey(key.id, Date.now());
    await delay(PROMISED_MS);
    response.end();
    expect((await raw.readResponse()).status).toBe(200);
  });
});

describe('both ways', () => {
  plainIt.runIf(IS_SERVED)('a WebSocket is broken on both sides when its key is revoked', async () => {
    const rooms = await openWebSocketProxy();
    const upgrading = rooms.aws.nextUpgrade();
    await using raw = await rooms.dialWebSocket();
    const upgrade = await upgrading;
    upgrade.accept();
    await raw.until('101 Switching Protocols');
    const upstreamGone = new Promise((resolve) => upgrade.socket.once('close', resolve).on('error', () => {}));
    const record = rooms.testbed.nextRecord();
    const [row] = await rooms.testbed.store.listKeys();
    await rooms.testbed.store.revokeKey(row?.id ?? '', Date.now());
    expect(await within(raw.ended)).toBe('broken');
    await upstreamGone;
    expect(await record).toMatchObject({ status: 101, error: { code: 'ERR_KEY_REVOKED' }, partial: true });
  });

  plainIt('a bidirectional stream is reset when its key is revoked', async () => {
    const upstream = await startBidirectionalUpstream(AWS_PAIR);
    onTestFinished(() => upstream[Symbol.asyncDispose]());
    const proxy = await openProxy({ flags: { endpointUrl: [`bedrock-runtime=${upstream.origin}`] } });
    const key = await proxy.mint('sonic');
    await using client = openHttp2(proxy.port);
    const path = '/bedrock/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream';
    const headers = { ':method': 'POST', ':path': path, 'content-type': TYPE, authorization: `Bearer ${key.key}` };
    const stream = client.open(headers, { endStream: false });
    const response = readHttp2Response(stream);
    await new Promise((resolve) => stream.once('response', resolve));
    const record = proxy.nextRecord();
    await proxy.store.revokeKey(key.id, Date.now());
    expect((await within(response)).isComplete).toBe(false);
    expect(await record).toMatchObject({ error: { code: 'ERR_KEY_REVOKED' }, partial: true });
    expect(await upstream.calls[0]?.over).not.toBe('ended');
  });
});

describe('open mode', () => {
  it('has no rights left for an upload that began in it, after the first key', async () => {
    await using raw = await dial(testbed.port);
    const body = '{"a":1}';
    await raw.send(
      `DELETE /bedrock/guardrails/abc HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n{`,
    );
    await delay(50);
    await testbed.mint('first');
    await raw.send(body.slice(1));
    const response = await raw.readResponse();
    expect(response.status).toBe(401);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_KEY_MISSING');
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('ends for a stream that began in it, with the first key', async () => {
    const begun = nextStream();
    await using raw = await dial(testbed.port);
    await raw.send(post(undefined, testbed.port));
    await begun;
    await raw.until('first-event');
    const store = await elsewhere();
    const record = testbed.nextRecord();
    await mintKey({ store, serverSecret: randomBytes(32), alias: 'first', nowMs: Date.now(), randomBytes });
    expect(await within(raw.ended)).toBe('broken');
    expect((await record).error?.code).toBe('ERR_KEY_MISSING');
  });
});
