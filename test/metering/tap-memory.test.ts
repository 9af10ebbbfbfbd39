/** A tap holds a bounded part of a response, however large: what is held is measured, not believed. */
import { setImmediate } from 'node:timers/promises';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { createTap } from '../../src/metering/tap.ts';
import { eventFrame } from '../helpers/event-frames.ts';

const RESPONSE_BYTES = 50 * 1024 * 1024;
const MAX_GROWTH_BYTES = 4 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Heap and buffers that are still in use. Buffers are given back some turns after their owner is gone. */
async function bufferedBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn += 1) {
    collectGarbage();
    await setImmediate();
  }
  return getHeapStatistics().used_heap_size + process.memoryUsage().arrayBuffers;
}

interface LargeResponse {
  readonly name: string;
  readonly operation: string;
  readonly contentType: string;
  readonly start: Buffer;
  /** Comes again and again. */
  readonly middle: Buffer;
  readonly end: Buffer;
}

const RESPONSE_USAGE = { input_tokens: 5, output_tokens: 7 };
const chunkOf = (json: unknown): Buffer =>
  eventFrame('chunk', { bytes: Buffer.from(JSON.stringify(json)).toString('base64') });

const LARGE_RESPONSES: readonly LargeResponse[] = [
  {
    name: 'one string of a Converse answer',
    operation: 'Converse',
    contentType: 'application/json',
    start: Buffer.from('{"output":{"message":{"content":[{"text":"'),
    middle: Buffer.from('token usage \\" '.repeat(4096)),
    end: Buffer.from('"}]}},"usage":{"inputTokens":5,"outputTokens":7}}'),
  },
  {
    name: 'images',
    operation: 'InvokeModel',
    contentType: 'application/json',
    start: Buffer.from('{"usage":{"input_tokens":5,"output_tokens":7},"artifacts":["'),
    middle: Buffer.from('iVBORw0KGgo'.repeat(6000)),
    end: Buffer.from('"]}'),
  },
  {
    name: 'a ConverseStream',
    operation: 'ConverseStream',
    contentType: 'application/vnd.amazon.eventstream',
    start: eventFrame('messageStart', { role: 'assistant' }),
    middle: eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'token '.repeat(10_000) } }),
    end: eventFrame('metadata', { usage: { inputTokens: 5, outputTokens: 7 } }),
  },
  {
    name: 'chunks of a model',
    operation: 'InvokeModelWithResponseStream',
    contentType: 'application/vnd.amazon.eventstream',
    start: chunkOf({ type: 'message_start', message: { usage: { input_tokens: 5 } } }),
    middle: chunkOf({ type: 'content_block_delta', delta: { text: 'token '.repeat(10_000) } }),
    end: chunkOf({ type: 'message_delta', usage: { output_tokens: 7 } }),
  },
  {
    name: 'server-sent events',
    operation: 'ChatCompletions',
    contentType: 'text/event-stream',
    start: Buffer.from(': hello\n\n'),
    middle: Buffer.from(`data: {"choices":[{"delta":{"content":"${'token '.repeat(10_000)}"}}],"usage":null}\n\n`),
    end: Buffer.from('data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n'),
  },
  {
    name: 'one server-sent event',
    operation: 'CreateResponse',
    contentType: 'text/event-stream',
    start: Buffer.from('event: response.completed\ndata: {"response":{"instructions":"'),
    middle: Buffer.from('token '.repeat(10_000)),
    end: Buffer.from(`","usage":${JSON.stringify(RESPONSE_USAGE)}}}\n\n`),
  },
  {
    name: 'a comment of a server-sent event',
    operation: 'CreateResponse',
    contentType: 'text/event-stream',
    start: Buffer.from('event: response.completed\n: '),
    middle: Buffer.from('token '.repeat(10_000)),
    end: Buffer.from(`\ndata: {"response":{"usage":${JSON.stringify(RESPONSE_USAGE)}}}\n\n`),
  },
];

it.each(LARGE_RESPONSES)(
  'holds no more memory for 50 MB with the usage at the end: $name',
  async ({ operation, contentType, start, middle, end }) => {
    const tap = createTap({ service: 'bedrock-runtime', operation });
    tap.onStart(200, [['content-type', contentType]]);
    tap.onBytes(start);
    tap.onBytes(middle);
    const before = await bufferedBytes();
    let most = 0;
    for (let sent = middle.length, round = 0; sent < RESPONSE_BYTES; sent += middle.length, round += 1) {
      // Within a frame or an event something has to be held: that is when it is measured.
      // Copies, so that a tap that keeps its chunks is found out.
      tap.onBytes(Buffer.from(middle.subarray(0, 1000)));
      if (round % 200 === 0) most = Math.max(most, await bufferedBytes());
      tap.onBytes(Buffer.from(middle.subarray(1000)));
    }
    tap.onBytes(end);
    expect(tap.finish(true)).toMatchObject({ usage: { inputTokens: 5, outputTokens: 7 }, complete: true });
    expect(most - before).toBeLessThan(MAX_GROWTH_BYTES);
  },
);
