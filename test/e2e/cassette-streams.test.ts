/**
 * Streams in a cassette: both ways over HTTP/2, WebSockets, those that break off, and those whose client left. Recorded
 * from an upstream that verifies signatures, played from nothing.
 */
import { BedrockRuntimeClient, InvokeModelWithBidirectionalStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'undici';
import type { Recording } from '../../src/cassette/recording.ts';
import { startBidirectionalUpstream } from '../helpers/bidirectional-upstream.ts';
import { eventFrame, startEventStream } from '../helpers/event-frames.ts';
import { acceptKey, startFakeWebSocketServer } from '../helpers/fake-websocket.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { AWS_PAIR, type Testbed } from '../helpers/testbed.ts';
import { IS_SERVED, WS_PATH } from '../helpers/websocket-testbed.ts';

const STREAM = '/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream';

function readRecordings(folder: string): Recording[] {
  const files = readdirSync(folder).filter((name) => /^\d/.test(name));
  return files.map((name): Recording => JSON.parse(readFileSync(join(folder, name), 'utf8')));
}

const record = (cassette: string, endpointUrl: readonly string[]): Promise<Testbed> =>
  openProxy({ flags: { cassette, cassetteMode: 'record', endpointUrl } });
const replay = (cassette: string): Promise<Testbed> =>
  openProxy({ flags: { cassette, replaySpeed: '1', endpointUrl: [] } });

const ask = (testbed: Testbed, bearer: string, more: RequestInit = {}): Promise<Response> =>
  fetch(testbed.url + STREAM, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}` },
    body: '{}',
    ...more,
  });

it('plays a stream that goes both ways, by its times', async () => {
  const folder = await makeTemporaryFolder();
  const upstream = await startBidirectionalUpstream(AWS_PAIR);
  onTestFinished(() => upstream[Symbol.asyncDispose]());
  const live = await record(folder, [`bedrock-runtime=${upstream.origin}`]);
  const heard = await converse(live);
  await live.cassette?.close();
  expect(heard).toEqual(['{"word":"one"}', '{"word":"two"}']);
  const [recording] = readRecordings(folder);
  expect(recording?.response.frames).toHaveLength(2);
  expect(recording?.response.sentFrames?.length).toBeGreaterThan(1);
  const played = await replay(folder);
  expect(await converse(played)).toEqual(heard);
});

it.runIf(IS_SERVED)('plays a WebSocket, by its times', async () => {
  const folder = await makeTemporaryFolder();
  const aws = await startFakeWebSocketServer();
  onTestFinished(() => aws[Symbol.asyncDispose]());
  const live = await record(folder, [`http://127.0.0.1:${aws.port}`]);
  expect(await greet(live)).toBe('hello');
  await live.cassette?.close();
  const [recording] = readRecordings(folder);
  expect(recording?.response).toMatchObject({ status: 101, end: 'complete' });
  expect(recording?.response.sentChunks?.length).toBeGreaterThan(0);
  const played = await replay(folder);
  expect(await greet(played)).toBe('hello');
  expect(acceptKey('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

it('plays a stream that breaks off within a frame, and leaves out one whose client left', async () => {
  const folder = await makeTemporaryFolder();
  const live = await openProxy({ flags: { cassette: folder, cassetteMode: 'record' } });
  const { key } = await live.mint();
  const frame = eventFrame('messageStart', { role: 'assistant' });
  live.upstream.respondWith((_request, response) => {
    startEventStream(response);
    response.write(Buffer.concat([frame, frame.subarray(0, 30)]));
    setTimeout(() => response.destroy(), 50);
  });
  await expect((await ask(live, key)).arrayBuffer()).rejects.toThrow();
  live.upstream.respondWith((_request, response) => {
    startEventStream(response);
    response.write(frame);
  });
  const leaving = new AbortController();
  const left = live.nextRecord();
  const response = await ask(live, key, { signal: leaving.signal, body: '{"other":1}' });
  await response.body?.getReader().read();
  leaving.abort();
  await left;
  await live.cassette?.close();
  const recordings = readRecordings(folder);
  expect(recordings).toHaveLength(1);
  expect(recordings[0]?.response.end).toMatch(/cut|reset/);
  expect(recordings[0]?.response.bytes).toBe(frame.length + 30);

  const played = await replay(folder);
  const again = await ask(played, (await played.mint()).key);
  const reader = again.body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? [])).toEqual(Buffer.concat([frame, frame.subarray(0, 30)]));
  await expect(reader?.read()).rejects.toThrow();
});

async function* say() {
  for (const word of ['one', 'two']) yield { chunk: { bytes: Buffer.from(JSON.stringify({ word })) } };
}

async function converse(testbed: Testbed): Promise<string[]> {
  const { key, accessKeyId } = await testbed.mint();
  const credentials = { accessKeyId, secretAccessKey: key };
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: testbed.url,
    credentials,
    maxAttempts: 1,
  });
  onTestFinished(() => client.destroy());
  const command = new InvokeModelWithBidirectionalStreamCommand({ modelId: 'amazon.nova-sonic-v1:0', body: say() });
  const heard: string[] = [];
  for await (const { chunk } of (await client.send(command)).body ?? []) {
    heard.push(Buffer.from(chunk?.bytes ?? []).toString());
  }
  return heard;
}

async function greet(testbed: Testbed): Promise<unknown> {
  const { key } = await testbed.mint();
  const headers = { authorization: `Bearer ${key}` };
  const socket = new WebSocket(`ws://127.0.0.1:${testbed.port}/bedrock${WS_PATH}`, { headers });
  await once(socket, 'open');
  const heard = once(socket, 'message') as Promise<[MessageEvent]>;
  socket.send('hello');
  const [{ data }] = await heard;
  const ended = testbed.nextRecord();
  socket.close(1000);
  await once(socket, 'close');
  await ended;
  return data;
}
