/**
 * InvokeModelWithBidirectionalStream through the whole proxy: real clients on one side, on the other an upstream that
 * verifies the signature of the request and of every frame.
 */
import { BedrockRuntimeClient, InvokeModelWithBidirectionalStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { FrameChain, findSeedSignature } from '../../src/protocol/sigv4/frame-chain.ts';
import { signWithSdk } from '../helpers/sigv4-signing.ts';
import { decodeFrames, eventFrame, exceptionFrame } from '../helpers/event-frames.ts';
import { AWS_PAIR, type Testbed, type TestbedOptions, startProxy } from '../helpers/testbed.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { type BidirectionalUpstream, ECHO, startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';

const MODEL = 'amazon.nova-sonic-v1:0';
const TARGET = '/bedrock/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream';
const UPSTREAM_TARGET = TARGET.slice('/bedrock'.length);
const TYPE = 'application/vnd.amazon.eventstream';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('with the AWS SDK for JavaScript', () => {
  it('carries a dialogue of the AWS SDK: each event is answered before the next one is sent', async () => {
    const { testbed, upstream } = await startedProxies();
    const { key, accessKeyId } = await testbed.mint('sonic');
    const turns = new Turns();
    const client = openSdk(testbed, { accessKeyId, secretAccessKey: key });
    // `send` itself waits for the first event of the response.
    turns.say('event 0');
    const { body } = await client.send(new InvokeModelWithBidirectionalStreamCommand({ modelId: MODEL, body: turns }));
    const received: string[] = [];
    for await (const { chunk } of body ?? []) {
      received.push(Buffer.from(chunk?.bytes ?? []).toString());
      if (received.length < 5) turns.say(`event ${received.length}`);
      else turns.end();
    }
    expect(received).toEqual(['event 0', 'event 1', 'event 2', 'event 3', 'event 4']);
    const [call] = upstream.calls;
    expect(await call?.over).toBe('ended');
    expect(call?.rawTarget).toBe(UPSTREAM_TARGET);
    expect(call?.header('content-type')).toBe(TYPE);
    expect(JSON.stringify(call?.headers)).not.toContain(key);
    expect(JSON.stringify(call?.headers)).not.toContain(accessKeyId);
    client.destroy();
  });

  it('keeps a hundred frames of up to a megabyte, each as it is', async () => {
    const { testbed, upstream } = await startedProxies();
    const parts = Array.from({ length: 100 }, (_, index) => Buffer.alloc(1 + index * 7_400, index));
    const client = openSdk(testbed, AWS_PAIR);
    const nextRecord = testbed.nextRecord();
    const { body } = await client.send(
      new InvokeModelWithBidirectionalStreamCommand({ modelId: MODEL, body: say(parts) }),
    );
    let count = 0;
    for await (const { chunk } of body ?? []) {
      expect(parts[count]?.equals(chunk?.bytes ?? Buffer.alloc(0))).toBe(true);
      count += 1;
    }
    expect(count).toBe(100);
    expect(upstream.calls[0]?.inner).toHaveLength(101);
    const record = await nextRecord;
    expect(record).toMatchObject({
      status: 200,
      error: undefined,
      route: { modelId: MODEL, streaming: 'bidirectional' },
    });
    expect(record.responseBytes).toBeGreaterThan(record.requestBytes * 0.98);
    expect(record.requestBytes).toBeGreaterThan(parts.reduce((sum, { length }) => sum + length, 0));
    client.destroy();
  }, 60_000);

  it('brings the AWS SDK the exception that AWS sends in the middle of the stream', async () => {
    const { testbed, upstream } = await startedProxies();

    upstream.respondWith({
      ...ECHO,
      onFrame: ({ stream }) => stream.end(exceptionFrame('modelStreamErrorException', 'oh')),
    });
    const client = openSdk(testbed, AWS_PAIR);
    const command = new InvokeModelWithBidirectionalStreamCommand({
      modelId: MODEL,
      body: say([Buffer.from('hello')]),
    });
    await expect(client.send(command).then(({ body }) => readAll(body))).rejects.toMatchObject({
      name: 'ModelStreamErrorException',
      message: 'oh',
    });
    client.destroy();
  });

  it('gives up with AWS if the AWS SDK does', async () => {
    const { testbed, upstream } = await startedProxies();
    const aborter = new AbortController();
    const client = openSdk(testbed, AWS_PAIR);
    const turns = new Turns();
    const nextRecord = testbed.nextRecord();
    turns.say('hello');
    const command = new InvokeModelWithBidirectionalStreamCommand({ modelId: MODEL, body: turns });
    const { body } = await client.send(command, { abortSignal: aborter.signal });
    const events = body?.[Symbol.asyncIterator]();
    await events?.next();
    aborter.abort();
    expect(await upstream.calls[0]?.over).toBe('reset');
    expect((await nextRecord).error?.code).toBe('ERR_CLIENT_GONE');
    await events?.next().catch(() => {});
    client.destroy();
  });

  it('keeps signing with the credentials that the stream began with', async () => {
    let calls = 0;
    const load = async (): Promise<{ accessKeyId: string; secretAccessKey: string; expiration: Date }> => {
      calls += 1;
      // Good for so short a time that every request asks for new ones.
      const expiration = new Date(Date.now() + 1_000);
      return calls === 1 ? { ...AWS_PAIR, expiration } : { ...AWS_PAIR, secretAccessKey: 'another', expiration };
    };
    const { testbed, upstream } = await startedProxies({ load });
    const client = openSdk(testbed, AWS_PAIR);
    const turns = new Turns();
    turns.say('before');
    const { body } = await client.send(new InvokeModelWithBidirectionalStreamCommand({ modelId: MODEL, body: turns }));
    const events = body?.[Symbol.asyncIterator]();
    await events?.next();
    await fetch(`${testbed.url}/foundation-models`);
    expect(calls).toBe(2);
    testbed.upstream.failures.splice(0);
    turns.say('after');
    expect((await events?.next())?.value?.chunk?.bytes).toEqual(Uint8Array.from(Buffer.from('after')));
    turns.end();
    await events?.next();
    expect(await upstream.calls[0]?.over).toBe('ended');
    client.destroy();
  });
});

describe('with a client that shows a bearer key and does not sign', () => {
  it('signs the frames of a client that does not sign, however they are split', async () => {
    const { testbed, upstream } = await startedProxies();
    const { key } = await testbed.mint();
    await using client = openHttp2(testbed.port);
    const frames = ['', 'one', 'two'.repeat(500)].map((text) => eventFrame('chunk', { bytes: text }));
    const bytes = Buffer.concat(frames);
    const stream = client.open(headers({ authorization: `Bearer ${key}` }), { endStream: false });
    const response = readHttp2Response(stream);
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 97) {
      await new Promise((resolve) => stream.write(bytes.subarray(at, at + size), resolve));
    }
    stream.end();
    expect(await response).toMatchObject({ status: 200, isComplete: true });
    expect((await response).headers).toMatchObject({
      'content-type': TYPE,
      'x-amzn-requestid': '00000000-0000-4000-8000-000000000003',
    });
    expect(decodeFrames(Buffer.from((await response).body, 'latin1'))).toHaveLength(3);
    expect(upstream.calls[0]?.inner).toEqual([...frames, Buffer.alloc(0)]);
    expect(JSON.stringify(upstream.calls[0]?.headers)).not.toContain(key);
  });

  it('refuses a stream with a wrong key before anything goes to AWS', async () => {
    const { testbed, upstream } = await startedProxies();
    await testbed.mint();
    await using client = openHttp2(testbed.port);
    const response = await client.ask(headers({ authorization: 'Bearer sk-wrong' }), eventFrame('chunk', {}));
    expect(response).toMatchObject({ status: 401 });
    expect(upstream.calls).toEqual([]);
  });

  it('drops headers of a stream that concern one connection only, and keeps the rest', async () => {
    const { testbed, upstream } = await startedProxies();
    await using client = openHttp2(testbed.port);
    const sent = { te: 'trailers', 'x-amzn-trace-id': 'Root=1', 'x-bedrock-proxy-note': 'a', cookie: 'b', expect: 'c' };
    expect(await client.ask(headers(sent), eventFrame('chunk', {}))).toMatchObject({ status: 200 });
    const names = upstream.calls[0]?.headers.map(([name]) => name);
    expect(names?.toSorted()).toEqual([
      'accept-encoding',
      'authorization',
      'content-type',
      'via',
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amzn-trace-id',
    ]);
  });
});

describe('with a client that signs with a virtual key', () => {
  it.each([
    ['a frame that another key signed', 'sk-another-key', undefined],
    ['frames that are not signed', undefined, eventFrame('chunk', { bytes: 'AA==' })],
    ['nothing that is wrong', 'right', undefined],
  ])('relays nothing of a signed stream with %s', async (_, secret, unsigned) => {
    const { testbed, upstream } = await startedProxies();
    const { key, accessKeyId } = await testbed.mint('signer');
    const { request: signed } = await signWithSdk({
      method: 'POST',
      path: TARGET,
      host: `localhost:${testbed.port}`,
      isHttp2: true,
      headers: { 'content-type': TYPE, 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-EVENTS' },
      accessKeyId,
      secretAccessKey: key,
      atMs: Date.now(),
    });
    const secretAccessKey = secret === 'right' ? key : (secret ?? '');
    const chain = new FrameChain({
      credentials: { secretAccessKey },
      region: 'us-east-1',
      signingName: 'bedrock',
      seedSignature: findSeedSignature(signed.headers),
    });
    await using client = openHttp2(testbed.port);
    const stream = client.open(
      { ':method': 'POST', ':path': TARGET, ...Object.fromEntries(signed.headers) },
      { endStream: false },
    );
    const response = readHttp2Response(stream);
    const nextRecord = testbed.nextRecord();
    const sent = unsigned ?? chain.sign(eventFrame('chunk', { bytes: 'AA==' }), Date.now());
    stream.write(sent);
    if (secret === 'right') {
      stream.end(chain.sign(Buffer.alloc(0), Date.now()));
      expect(await response).toMatchObject({ status: 200, isComplete: true });
      return;
    }
    expect((await response).isComplete && (await response).status === 200).toBe(false);
    expect((await nextRecord).error?.code).toBe('ERR_SIGNATURE');
    expect(upstream.calls[0]?.inner ?? []).toEqual([]);
  });
});

describe('where the stream cannot be carried', () => {
  it('says over HTTP/1.1 that a stream in both directions needs HTTP/2', async () => {
    const { testbed, upstream } = await startedProxies();
    const { status, body } = await askHttp1(testbed.port);
    expect(status).toBe(501);
    expect(JSON.parse(body)).toMatchObject({
      __type: 'UnsupportedOperationException',
      message: expect.stringContaining('HTTP/2'),
    });
    expect(upstream.calls).toEqual([]);
  });

  it('lets a stream end before the proxy does', async () => {
    const { testbed } = await startedProxies();
    await using client = openHttp2(testbed.port);
    const stream = client.open(headers({}), { endStream: false });
    const response = readHttp2Response(stream);
    await new Promise((resolve) => stream.once('response', resolve));
    const drained = testbed.drain(10_000);
    stream.end(eventFrame('chunk', { bytes: 'AA==' }));
    expect(await response).toMatchObject({ isComplete: true });
    expect(await drained).toBe(0);
  });
});

/** A testbed whose AWS is an upstream over HTTP/2. The clean-up demands that every signature was right. */
async function startedProxies(
  options: TestbedOptions = {},
): Promise<{ testbed: Testbed; upstream: BidirectionalUpstream }> {
  const upstream = await startBidirectionalUpstream(AWS_PAIR);
  cleanUps.push(() => upstream[Symbol.asyncDispose]());
  cleanUps.push(() => expect(upstream.failures).toEqual([]));
  const plain = options.load === undefined ? [] : ['bedrock=http://127.0.0.1:9'];
  const endpointUrl = [`bedrock-runtime=${upstream.origin}`, ...plain];
  const testbed = await startProxy({ ...options, flags: { endpointUrl } });
  cleanUps.push(() => testbed[Symbol.asyncDispose]());
  return { testbed, upstream };
}

function openSdk(
  testbed: Testbed,
  credentials: { accessKeyId: string; secretAccessKey: string },
): BedrockRuntimeClient {
  return new BedrockRuntimeClient({ region: 'us-east-1', endpoint: testbed.url, credentials, maxAttempts: 1 });
}

async function* say(parts: readonly Uint8Array[]): AsyncGenerator<{ chunk: { bytes: Uint8Array } }> {
  for (const bytes of parts) yield { chunk: { bytes } };
}

/** Events that are sent when the test says so. */
class Turns implements AsyncIterable<{ chunk: { bytes: Uint8Array } }> {
  readonly #said: (string | undefined)[] = [];
  #wake: () => void = () => {};

  say(text: string): void {
    this.#said.push(text);
    this.#wake();
  }

  end(): void {
    this.#said.push(undefined);
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<{ chunk: { bytes: Uint8Array } }> {
    for (;;) {
      while (this.#said.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      const text = this.#said.shift();
      if (text === undefined) return;
      yield { chunk: { bytes: Buffer.from(text) } };
    }
  }
}

async function readAll(events: AsyncIterable<unknown> | undefined): Promise<void> {
  for await (const event of events ?? []) void event;
}

function headers(more: Record<string, string>): Record<string, string> {
  return { ':method': 'POST', ':path': TARGET, 'content-type': TYPE, ...more };
}

function askHttp1(port: number): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, method: 'POST', path: TARGET, headers: { 'content-type': TYPE } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    asked.on('error', reject).end(eventFrame('chunk', {}));
  });
}
