/** Streams in both directions as they are kept and shown: a real WebSocket, and the AWS SDK's event streams. */
import { BedrockRuntimeClient, InvokeModelWithBidirectionalStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'undici';
import type { ExchangeList, FramesView } from '../../../src/inspector/wire.ts';
import { startBidirectionalUpstream } from '../../helpers/bidirectional-upstream.ts';
import { AWS_PAIR, startProxy, type Testbed } from '../../helpers/testbed.ts';
import { IS_SERVED, openWebSocketProxy, WS_PATH } from '../../helpers/websocket-testbed.ts';

const config = { inspect: true };

/** The frames of the newest exchange, as soon as it has so many. */
async function framesOf({ port, inspectToken }: Testbed, count: number): Promise<FramesView> {
  const look = async (path: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${inspectToken}` };
    return (await fetch(`http://127.0.0.1:${port}/inspect/api/v1/${path}`, { headers })).json();
  };
  // The types are those that the API writes.
  const { items } = (await look('exchanges?limit=1')) as ExchangeList;
  return vi.waitFor(async () => {
    const frames = (await look(`exchanges/${items[0]?.id}/frames`)) as FramesView;
    expect(frames.items.length).toBeGreaterThanOrEqual(count);
    return frames;
  });
}

describe.runIf(IS_SERVED)('a WebSocket', () => {
  it('is shown in both directions while it is open, and after it', async () => {
    const { testbed, key } = await openWebSocketProxy({ config });
    const headers = { authorization: `Bearer ${key}` };
    const socket = new WebSocket(`ws://127.0.0.1:${testbed.port}/bedrock${WS_PATH}`, { headers });
    await once(socket, 'open');
    const answered = once(socket, 'message');
    socket.send('{"say":"Grüß dich"}');
    await answered;
    const open = await framesOf(testbed, 2);
    expect(open).toMatchObject({ protocol: 'websocket', end: 'open', problem: null });
    expect(open.items.map(({ direction, type, payload }) => [direction, type, payload])).toEqual([
      ['out', 'text', { json: { say: 'Grüß dich' } }],
      ['in', 'text', { json: { say: 'Grüß dich' } }],
    ]);
    const record = testbed.nextRecord();
    socket.close(1000, 'bye');
    await record;
    const over = await framesOf(testbed, 4);
    expect(over.items.slice(2).map(({ type, payload }) => [type, payload])).toContainEqual([
      'close',
      { text: '1000 bye' },
    ]);
    expect(over.problem).toBeNull();
  });
});

describe('an event stream in both directions', () => {
  it("is shown with the client's frames out of their signatures", async () => {
    const upstream = await startBidirectionalUpstream(AWS_PAIR);
    onTestFinished(() => upstream[Symbol.asyncDispose]());
    const flags = { endpointUrl: [`bedrock-runtime=${upstream.origin}`, 'bedrock=http://127.0.0.1:9'] };
    const testbed = await startProxy({ flags, config });
    onTestFinished(() => testbed[Symbol.asyncDispose]());
    const { key, accessKeyId } = await testbed.mint('sonic');
    const credentials = { accessKeyId, secretAccessKey: key };
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: testbed.url,
      credentials,
      maxAttempts: 1,
    });
    onTestFinished(() => client.destroy());
    const record = testbed.nextRecord();
    const events = ['{"event":{"sessionStart":{}}}', '{"event":{"sessionEnd":{}}}'];
    const { body } = await client.send(
      new InvokeModelWithBidirectionalStreamCommand({
        modelId: 'amazon.nova-sonic-v1:0',
        body: (async function* say() {
          for (const event of events) yield { chunk: { bytes: Buffer.from(event) } };
        })(),
      }),
    );
    for await (const _ of body ?? []);
    await record;
    const { protocol, items, problem } = await framesOf(testbed, 5);
    expect([protocol, problem]).toEqual(['aws-event-stream', null]);
    expect(items.every(({ crc }) => crc === 'ok')).toBe(true);
    const shown = (direction: string): unknown[] =>
      items.filter((frame) => frame.direction === direction).map(({ type, payload }) => [type, payload]);
    expect(shown('out')).toEqual([
      ['chunk', { json: { bytes: { event: { sessionStart: {} } } } }],
      ['chunk', { json: { bytes: { event: { sessionEnd: {} } } } }],
      ['end', { text: '' }],
    ]);
    expect(shown('in')).toHaveLength(2);
  });
});
