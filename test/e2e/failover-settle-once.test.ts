/**
 * With several upstreams too, a request is settled once, whatever each of them does with it and whenever its client
 * leaves: after batches of requests nothing is reserved or in flight, the ledger has one row for each, and its charges
 * are what the budget has spent.
 */
import * as fc from 'fast-check';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { openSeveralUpstreams, type SeveralUpstreams } from '../helpers/several-upstreams.ts';

const SEED = 20_261_128;
const BATCHES = 25;
const NOVA = 'amazon.nova-lite-v1:0';
const USAGE = { usage: { inputTokens: 100, outputTokens: 10, totalTokens: 110 } };
const TEXT = eventFrame('contentBlockDelta', { delta: { text: 'Hello' }, contentBlockIndex: 0 });
const METADATA = eventFrame('metadata', USAGE);
const THREE = [
  { name: 'a', region: 'us-east-1' },
  { name: 'b', region: 'us-east-2', maxInFlight: 3 },
  { name: 'c', region: 'us-west-2', weight: 0 },
];

const stream =
  (...frames: Buffer[]) =>
  (response: ServerResponse): void => {
    startEventStream(response);
    for (const frame of frames) response.write(frame);
    response.end();
  };
const refuse =
  (status: number, type: string) =>
  (response: ServerResponse): void =>
    sendAwsError(response, { status, type, message: 'no' });

const FATES = {
  whole: (response: ServerResponse): void => sendJson(response, 200, USAGE),
  stream: stream(TEXT, METADATA),
  throttle: refuse(429, 'ThrottlingException'),
  trouble: refuse(500, 'InternalServerException'),
  refusal: refuse(400, 'ValidationException'),
  exception: stream(exceptionFrame('throttlingException', 'no')),
  'late exception': stream(TEXT, exceptionFrame('throttlingException', 'no')),
  'half a frame': stream(exceptionFrame('throttlingException', 'no').subarray(0, 20)),
  reset: cutConnection,
  'reset in a refusal': (response: ServerResponse): void => {
    response.writeHead(503, { 'content-length': 100 });
    response.write('{', () => cutConnection(response));
  },
  'reset in a stream': (response: ServerResponse): void => {
    startEventStream(response);
    response.write(TEXT, () => cutConnection(response));
  },
  slow: (response: ServerResponse): void => void setTimeout(() => sendJson(response, 200, USAGE), 30),
} as const;
type Fate = keyof typeof FATES;

interface Sending {
  /** Of each upstream, if it is asked. */
  readonly fates: readonly Fate[];
  readonly system: number;
  /** The client leaves after so many milliseconds. */
  readonly leavesAfterMs: number | undefined;
}

const sendings: fc.Arbitrary<Sending> = fc.record({
  fates: fc.array(fc.constantFrom(...(Object.keys(FATES) as Fate[])), { minLength: 3, maxLength: 3 }),
  system: fc.nat(20),
  leavesAfterMs: fc.option(fc.nat(25), { nil: undefined, freq: 4 }),
});

async function send(url: string, key: string, { fates, system, leavesAfterMs }: Sending): Promise<void> {
  const body = { fates, system: [{ text: String(system) }], messages: [], inferenceConfig: { maxTokens: 20 } };
  const leaving = new AbortController();
  if (leavesAfterMs !== undefined) void delay(leavesAfterMs).then(() => leaving.abort());
  try {
    const response = await fetch(`${url}/model/${NOVA}/converse-stream`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    await response.arrayBuffer();
  } catch {
    // It left, or its response broke off.
  }
}

async function checkBooks({ testbed }: SeveralUpstreams): Promise<void> {
  const began = testbed.records.filter(({ principal }) => principal !== undefined);
  const readRows = () => testbed.store.readLedger({}, { after: 0, limit: 100_000 });
  const countUntold = async (): Promise<number> => {
    const ids = new Set((await readRows()).map(({ id }) => id));
    return began.filter(({ id, overheadMs }) => overheadMs !== undefined && !ids.has(id)).length;
  };
  await expect.poll(countUntold, { interval: 5 }).toBe(0);
  const rows = await readRows();
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  const charged = rows.reduce((sum, { chargedNanoUsd }) => sum + chargedNanoUsd, 0);
  const spend = async () => {
    const [row] = await testbed.store.listKeys();
    return row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
  };
  await expect.poll(spend, { interval: 5 }).toMatchObject({ totalNanoUsd: charged, reservedNanoUsd: 0 });
  const metrics = await (await fetch(testbed.url.replace('/bedrock', '/metrics'))).text();
  expect((metrics.match(/^bedrock_proxy_\w+_in_flight(?:\{.*\})? .*$/gm) ?? []).map((line) => line.at(-1))).toEqual(
    Array.from({ length: 5 }, () => '0'),
  );
}

it('settles each request once, whatever its upstreams do', { timeout: 60_000 }, async () => {
  const opened = await openSeveralUpstreams(THREE);
  const { testbed, upstreams } = opened;
  const budget = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };
  const { key } = await testbed.mint('limited', { policy: { ...EMPTY_POLICY, budget } });
  for (const [index, upstream] of upstreams.entries()) {
    upstream.respondWith(({ body }, response) => {
      const { fates } = JSON.parse(body.toString()) as { fates: readonly Fate[] };
      FATES[fates[index] ?? 'whole'](response);
    });
  }
  const property = fc.asyncProperty(fc.array(sendings, { minLength: 1, maxLength: 12 }), async (batch) => {
    const before = testbed.records.length;
    await Promise.all(batch.map((sending) => send(testbed.url, key, sending)));
    // A client that left at once was perhaps never heard.
    const certain = batch.filter(({ leavesAfterMs }) => leavesAfterMs === undefined).length;
    await expect.poll(() => testbed.records.length - before, { interval: 2 }).toBeGreaterThanOrEqual(certain);
    await expect
      .poll(async () => /requests_in_flight (\d+)/.exec(await readMetrics(testbed.url))?.[1], { interval: 2 })
      .toBe('0');
    await checkBooks(opened);
  });
  await fc.assert(property, { seed: SEED, numRuns: BATCHES, endOnFailure: true });
  expect(testbed.records.some(({ attempts }) => attempts === 3)).toBe(true);
});

async function readMetrics(url: string): Promise<string> {
  return (await fetch(url.replace('/bedrock', '/metrics'))).text();
}
