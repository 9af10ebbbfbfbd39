/**
 * Failures behind a status of 200: an operation that AWS does not know, exceptions in a stream, error events. Their
 * bytes pass as they came, and ledger, log, metrics and budget take them for what they are.
 */
import { describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { describeForPeople, formatJsonLine } from '../../src/telemetry/access-log.ts';
import { layoutFor } from '../../src/telemetry/line-layout.ts';
import { formatRow } from '../../src/telemetry/record-line.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const { it, testbed } = proxyTest();

const mark = (text: string): string => text;
const paint = { dim: mark, good: () => 'GOOD', warn: mark, bad: () => 'BAD', strong: mark };

async function post(path: string, key: string): Promise<{ status: number; bytes: Buffer; headers: Headers }> {
  const response = await fetch(`${testbed.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: SONNET, stream: true, max_tokens: 30_000, messages: [] }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, bytes, headers: response.headers };
}

async function mintKey() {
  const budget = { limitNanoUsd: 10e9, windowMs: undefined, anchorMs: 0 };
  return testbed.mint('thrifty', { policy: { ...EMPTY_POLICY, budget, allowUnpriced: true } });
}

async function readSpend(): Promise<{ windowNanoUsd: number; reservedNanoUsd: number }> {
  const [row] = await testbed.store.listKeys();
  const spend = row && (await testbed.store.findSpend([row], Date.now())).get(row.id);
  return { windowNanoUsd: spend?.windowNanoUsd ?? NaN, reservedNanoUsd: spend?.reservedNanoUsd ?? NaN };
}

const errorsTotal = async (): Promise<string[]> => {
  const text = await (await fetch(testbed.url.replace('/bedrock', '/metrics'))).text();
  return text.split('\n').filter((line) => line.startsWith('bedrock_proxy_errors_total'));
};

describe('an operation that AWS does not know', () => {
  const BODY = '{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}';

  it.each([`/model/${SONNET}/invoke`, `/model/${SONNET}/converse-stream`, '/openai/v1/chat/completions'])(
    'costs nothing, and is booked as refused by AWS: %s',
    async (path) => {
      const { key } = await mintKey();
      testbed.upstream.respondWith((_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(BODY);
      });
      const over = testbed.nextRecord();
      const { status, bytes } = await post(path, key);
      expect([status, bytes.toString()]).toEqual([200, BODY]);
      const record = await over;
      expect(record).toMatchObject({ pricing: 'free', costNanoUsd: 0, chargedNanoUsd: 0, partial: false });
      expect(await readSpend()).toEqual({ windowNanoUsd: 0, reservedNanoUsd: 0 });
      const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
      expect(row).toMatchObject({ status: 200, errorCode: 'UnknownOperationException' });
      expect(JSON.parse(formatJsonLine(record))).toMatchObject({
        error: 'UnknownOperationException',
        upstream_error: 'UnknownOperationException',
      });
      const line = formatRow(describeForPeople(record), { paint, layout: layoutFor(undefined) });
      expect(line).toContain('BAD');
      expect(line).toContain('UnknownOperationException  AWS knows no such path: it did nothing.');
    },
  );
});

describe('a stream that fails', () => {
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  const start = { type: 'message_start', message: { usage: { input_tokens: 1_000, output_tokens: 1 } } };
  it.each([
    {
      name: 'an exception in an event stream',
      path: `/model/${SONNET}/converse-stream`,
      type: 'application/vnd.amazon.eventstream',
      errorType: 'ThrottlingException',
      bytes: Buffer.concat([
        eventFrame('contentBlockDelta', { delta: { text: 'One, two' }, contentBlockIndex: 0 }),
        exceptionFrame('throttlingException', 'Too many tokens.'),
      ]),
    },
    {
      name: 'an error event of Claude',
      path: '/anthropic/v1/messages',
      type: 'text/event-stream',
      errorType: 'overloaded_error',
      bytes: Buffer.from(
        `event: message_start\ndata: ${JSON.stringify(start)}\n\nevent: error\ndata: ${JSON.stringify(error)}\n\n`,
      ),
    },
    {
      name: 'an error of chat completions',
      path: '/openai/v1/chat/completions',
      type: 'text/event-stream',
      errorType: 'server_error',
      bytes: Buffer.from('data: {"error":{"type":"server_error","message":"It broke."}}\n\n'),
    },
  ])('is booked as a failure of AWS: $name', async ({ path, type, errorType, bytes }) => {
    const { key } = await mintKey();
    testbed.upstream.respondWith((_request, response) => {
      if (type === 'text/event-stream') response.writeHead(200, { 'content-type': type });
      else startEventStream(response);
      response.end(bytes);
    });
    const over = testbed.nextRecord();
    const answered = await post(path, key);
    expect(answered.bytes.equals(bytes)).toBe(true);
    const record = await over;
    expect(record).toMatchObject({ status: 200, error: undefined, upstreamErrorType: errorType, partial: true });
    // Nothing near what was reserved for 30,000 tokens.
    expect(record.chargedNanoUsd).toBeLessThan(10_000_000);
    const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
    expect(row).toMatchObject({ status: 200, errorCode: errorType });
    expect(formatRow(describeForPeople(record), { paint, layout: layoutFor(undefined) })).toContain('BAD');
    expect(await errorsTotal()).toEqual([`bedrock_proxy_errors_total{code="${errorType}",fault="aws"} 1`]);
  });
});
