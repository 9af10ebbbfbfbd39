/**
 * Two proxies behind nginx, HAProxy and Envoy, each with its file of docs/load-balancers/: signatures, event streams,
 * large bodies, WebSockets, HTTP/2 and bidirectional streams come through as they are, and a proxy that ends is left
 * in time.
 * @module-tag slow
 */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelWithBidirectionalStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { startFakeWebSocketServer } from '../helpers/fake-websocket.ts';
import { LOAD_BALANCERS, type LoadBalancer, startLoadBalancer } from '../helpers/load-balancer.ts';
import { launchServer, openProgramTest, run, type RunningServer } from '../helpers/program.ts';
import { AWS_PAIR } from '../helpers/testbed.ts';
import { IS_SERVED, WS_PATH } from '../helpers/websocket-testbed.ts';

const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const PROFILE_ARN = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3';
const MESSAGES = [{ role: 'user' as const, content: [{ text: 'Grüß dich' }] }];
const MB = 1_000_000;

interface Key {
  readonly key: string;
  readonly accessKeyId: string;
}

interface Behind {
  readonly port: number;
  readonly proxies: readonly RunningServer[];
  readonly upstream: FakeUpstream;
  readonly key: Key;
  /** Signed with the key, by HTTP/1.1 or the HTTP/2 that the SDK speaks if it is left to itself. */
  sdk(version: '1.1' | '2'): BedrockRuntimeClient;
}

/** `endpoints`: other upstreams than the fake one. */
async function open(balancer: LoadBalancer, endpoints: string[] = [], flags: readonly string[] = []): Promise<Behind> {
  const { upstream, environment } = await openProgramTest();
  const own = {
    ...environment,
    BEDROCK_PROXY_ENDPOINT_URL: [environment['BEDROCK_PROXY_ENDPOINT_URL'], ...endpoints].join(','),
  };
  const { stdout } = await run(['key', 'generate', '--json'], own);
  const { key, access_key_id: accessKeyId } = JSON.parse(stdout) as { key: string; access_key_id: string };
  const proxies = await Promise.all([1, 2].map(() => launchServer(flags, own)));
  onTestFinished(async () => {
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  });
  const port = await startLoadBalancer(
    balancer,
    proxies.map((proxy) => proxy.port),
  );
  const sdk = (version: '1.1' | '2'): BedrockRuntimeClient => {
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: `http://localhost:${port}/bedrock`,
      maxAttempts: 1,
      credentials: { accessKeyId, secretAccessKey: key },
      ...(version === '1.1' && { requestHandler: new NodeHttpHandler() }),
    });
    onTestFinished(() => client.destroy());
    return client;
  };
  return { port, proxies, upstream, key: { key, accessKeyId }, sdk };
}

describe.each(LOAD_BALANCERS)('behind $name', (balancer) => {
  const versions = balancer.hasHttp2 ? (['1.1', '2'] as const) : (['1.1'] as const);
  const isMissing = balancer.program === undefined;
  const itRuns = it.skipIf(isMissing);

  itRuns.each(versions)('a signature over HTTP/%s is right, whatever is in the path', async (version) => {
    const { sdk, upstream } = await open(balancer);
    upstream.respondWith((_, response) => sendJson(response, 200, { output: {}, usage: { inputTokens: 1 } }));
    const client = sdk(version);
    for (const modelId of [MODEL, PROFILE_ARN]) {
      await client.send(new ConverseCommand({ modelId, messages: MESSAGES }));
      const target = `/model/${encodeURIComponent(modelId)}/converse`;
      expect(upstream.requests.map(({ rawTarget }) => rawTarget)).toContain(target);
    }
  });

  itRuns.each(versions)('each event of a stream comes over HTTP/%s when it is sent', async (version) => {
    const { sdk, upstream } = await open(balancer);
    let next = Promise.withResolvers<void>();
    upstream.respondWith(async (_, response) => {
      startEventStream(response);
      for (let index = 0; index < 3; index += 1) {
        response.write(eventFrame('contentBlockDelta', { contentBlockIndex: index, delta: { text: 'x' } }));
        // The next one only when the client has had this one.
        await next.promise;
        next = Promise.withResolvers();
      }
      response.end(eventFrame('messageStop', { stopReason: 'end_turn' }));
    });
    const { stream } = await sdk(version).send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
    let deltas = 0;
    let stop: string | undefined;
    for await (const event of stream ?? []) {
      if (event.contentBlockDelta !== undefined) {
        deltas += 1;
        next.resolve();
      }
      stop = event.messageStop?.stopReason ?? stop;
    }
    expect([deltas, stop]).toEqual([3, 'end_turn']);
  });

  itRuns.each(['content-length', 'chunked'])('a body of 20 MB comes whole: %s', async (way) => {
    const { port, upstream, key } = await open(balancer);
    upstream.respondWith(({ body }, response) => sendJson(response, 200, { sha256: sha256(body) }));
    const piece = Buffer.alloc(MB, 'The quick brown fox. ');
    const body = Buffer.concat(Array.from({ length: 20 }, () => piece));
    const upload = request({
      port,
      method: 'POST',
      path: '/bedrock/model/a/invoke',
      headers: {
        host: `localhost:${port}`,
        authorization: `Bearer ${key.key}`,
        'content-type': 'application/json',
        ...(way === 'content-length' && { 'content-length': body.length }),
      },
    });
    for (let index = 0; index < 20; index += 1) upload.write(piece);
    upload.end();
    const [response] = await once(upload, 'response');
    expect([response.statusCode, JSON.parse(await text(response))]).toEqual([200, { sha256: sha256(body) }]);
  });

  it.skipIf(isMissing || !IS_SERVED)('a WebSocket is carried in both directions', async () => {
    const aws = await startFakeWebSocketServer();
    onTestFinished(async () => {
      await aws[Symbol.asyncDispose]();
      expect(aws.failures).toEqual([]);
    });
    const { port, key } = await open(balancer, [`bedrock-agentcore=http://127.0.0.1:${aws.port}`]);
    const socket = new WebSocket(`ws://localhost:${port}/bedrock${WS_PATH}`, {
      headers: { authorization: `Bearer ${key.key}` },
    });
    await once(socket, 'open');
    for (const message of ['hello', 'x'.repeat(100_000)]) {
      const answered = once(socket, 'message') as Promise<[MessageEvent]>;
      socket.send(message);
      expect((await answered)[0].data).toBe(message);
    }
    socket.close(1000);
    await once(socket, 'close');
  });

  it.skipIf(isMissing || !balancer.hasHttp2)('a bidirectional stream is answered while it goes on', async () => {
    const aws = await startBidirectionalUpstream(AWS_PAIR);
    onTestFinished(() => aws.close());
    const { sdk } = await open(balancer, [`bedrock-runtime=${aws.origin}`]);
    let say = Promise.withResolvers<string>();
    const turns = async function* () {
      for (let turn = 0; turn < 3; turn += 1) {
        yield { chunk: { bytes: Buffer.from(await say.promise) } };
        say = Promise.withResolvers();
      }
    };
    say.resolve('turn 0');
    const { body } = await sdk('2').send(
      new InvokeModelWithBidirectionalStreamCommand({ modelId: 'amazon.nova-sonic-v1:0', body: turns() }),
    );
    const received: string[] = [];
    for await (const { chunk } of body ?? []) {
      received.push(Buffer.from(chunk?.bytes ?? []).toString());
      say.resolve(`turn ${received.length}`);
    }
    expect(received).toEqual(['turn 0', 'turn 1', 'turn 2']);
    expect(aws.failures).toEqual([]);
  });

  itRuns('a proxy that ends is left: its stream goes on, and nobody else notices', async () => {
    const { port, proxies, upstream, key, sdk } = await open(balancer, [], ['--shutdown-delay', '3']);
    const finish = Promise.withResolvers<void>();
    upstream.respondWith(async ({ rawTarget }, response) => {
      if (!rawTarget.endsWith('-stream')) return sendJson(response, 200, {});
      startEventStream(response);
      response.write(eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'x' } }));
      await finish.promise;
      response.end(eventFrame('messageStop', { stopReason: 'end_turn' }));
    });
    const stops: Promise<(string | undefined)[]>[] = [];
    for (const version of ['1.1', '1.1'] as const) {
      const { stream } = await sdk(version).send(new ConverseStreamCommand({ modelId: MODEL, messages: MESSAGES }));
      const events = stream?.[Symbol.asyncIterator]();
      await events?.next();
      stops.push(events === undefined ? Promise.resolve([]) : readStops(events));
    }
    const [leaving] = proxies;
    leaving?.child.kill('SIGTERM');
    const statuses = new Map<number, number>();
    const ask = async (): Promise<void> => {
      const status = await converse(port, key.key);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    await leaving?.untilStderr('not ready any more');
    const closing = { isClosed: false };
    void leaving?.untilStderr('Ending; ').then(() => (closing.isClosed = true));
    while (!closing.isClosed) await ask();
    for (let count = 0; count < 50; count += 1) await ask();
    // nginx may send one into a connection that is closed at that moment: it does not ask whether a proxy ends.
    const failed = [...statuses].filter(([status]) => status !== 200).reduce((sum, [, count]) => sum + count, 0);
    expect(failed).toBeLessThanOrEqual(balancer.asksReadiness ? 0 : 1);
    finish.resolve();
    expect(await Promise.all(stops)).toEqual([['end_turn'], ['end_turn']]);
    expect(await leaving?.ended).toMatchObject({ code: 0 });
  });
});

async function readStops<T extends { readonly messageStop?: { readonly stopReason?: string | undefined } | undefined }>(
  events: AsyncIterator<T>,
): Promise<(string | undefined)[]> {
  const stops: (string | undefined)[] = [];
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    if (next.value.messageStop !== undefined) stops.push(next.value.messageStop.stopReason);
  }
  return stops;
}

async function converse(port: number, key: string): Promise<number> {
  const response = await fetch(`http://localhost:${port}/bedrock/model/a/converse`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: '{"messages":[]}',
  });
  await response.arrayBuffer();
  return response.status;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
