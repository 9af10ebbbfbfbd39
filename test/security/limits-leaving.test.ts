/**
 * A client that leaves before AWS says what a response used. A key with a budget pays the same as one that stays: the
 * response is read on without it. What has no usage even then costs all that was reserved.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it as plainIt } from 'vitest';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendJson } from '../helpers/fake-upstream.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { dial } from '../helpers/raw-socket.ts';
import { openProxy, proxyTest } from '../helpers/proxy-test.ts';
import type { Testbed } from '../helpers/testbed.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const SONNET_IN = 3_300;
const SONNET_OUT = 16_500;
const GPT = 'openai.gpt-oss-120b-1:0';
/** More than any test takes. */
const PATIENT = { timeoutMs: 60_000, maxBytes: 64 * 1024 * 1024, stallMs: 10_000 };

const { it, testbed } = proxyTest({ readOn: PATIENT });

async function keyWith(limitUsd: number | undefined, policy: Partial<KeyPolicy> = {}, at: Testbed = testbed) {
  const budget =
    limitUsd === undefined ? undefined : { limitNanoUsd: limitUsd * 1e9, windowMs: undefined, anchorMs: 0 };
  return (await at.mint('thrifty', { policy: { ...EMPTY_POLICY, budget, ...policy } })).key;
}

interface Call {
  readonly path: string;
  readonly body: object;
}

function call(
  key: string,
  { path, body }: Call,
  { at = testbed, signal }: { at?: Testbed; signal?: AbortSignal } = {},
) {
  return fetch(`${at.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Reads until the text has come, and leaves. */
async function leaveAfter(response: Response, text: string): Promise<void> {
  const reader = response.body?.getReader();
  let seen = '';
  while (!seen.includes(text)) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (done) throw new Error(`the response ended before ${text}`);
    seen += Buffer.from(value ?? []).toString('latin1');
  }
  await reader?.cancel();
}

/** The proxy has seen by then that a connection was closed before. */
async function untilNoticed(at: Testbed = testbed): Promise<void> {
  for (let round = 0; round < 3; round += 1) await (await fetch(at.url.replace('/bedrock', '/health'))).arrayBuffer();
}

/** A stream whose end waits for `finish`. */
function holdStream(start: (response: ServerResponse) => void, end: (response: ServerResponse) => void, at = testbed) {
  const { promise: released, resolve: finish } = Promise.withResolvers<void>();
  at.upstream.respondWith(async (_request, response) => {
    start(response);
    await released;
    end(response);
  });
  return { finish };
}

const USAGE = { inputTokens: 200_000, outputTokens: 10, totalTokens: 200_010 };
const converse = {
  start: (response: ServerResponse) => {
    startEventStream(response);
    response.write(eventFrame('contentBlockDelta', { delta: { text: 'All of it.' }, contentBlockIndex: 0 }));
    response.write(eventFrame('messageStop', { stopReason: 'end_turn' }));
  },
  end: (response: ServerResponse) => void response.end(eventFrame('metadata', { usage: USAGE, metrics: {} })),
  last: 'messageStop',
};
const responses = {
  start: (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: response.output_text.delta\ndata: {"delta":"All of it."}\n\n');
    response.write('event: response.output_text.done\ndata: {"text":"All of it."}\n\n');
  },
  end: (response: ServerResponse) => {
    const usage = { input_tokens: 200_000, output_tokens: 10 };
    response.end(`event: response.completed\ndata: ${JSON.stringify({ response: { usage } })}\n\n`);
  },
  last: 'output_text.done',
};

const TEXT = 'Once upon a time. '.repeat(39_000);
const ask = (content: object): Call => ({
  path: `/model/${SONNET}/converse-stream`,
  body: { messages: [{ role: 'user', content: [content] }], inferenceConfig: { maxTokens: 100 } },
});
const bytes = Buffer.from(TEXT).toString('base64');
const TABLE = [
  { name: 'plain text', call: ask({ text: TEXT }), by: converse, cost: 200_000 * SONNET_IN + 10 * SONNET_OUT },
  {
    name: 'the same text as a base64 txt document',
    call: ask({ document: { format: 'txt', name: 'book', source: { bytes } } }),
    by: converse,
    cost: 200_000 * SONNET_IN + 10 * SONNET_OUT,
  },
  {
    name: 'a document in S3',
    call: ask({ document: { format: 'txt', name: 'book', source: { s3Location: { uri: 's3://b/book.txt' } } } }),
    by: converse,
    cost: 200_000 * SONNET_IN + 10 * SONNET_OUT,
  },
  {
    name: 'an earlier response',
    call: {
      path: '/openai/v1/responses',
      body: { model: GPT, input: 'Again', previous_response_id: 'r_1', stream: true, max_output_tokens: 100 },
    },
    by: responses,
    cost: 200_000 * 150 + 10 * 600,
  },
];

describe('a client that leaves before the usage', () => {
  it.each(TABLE)('is charged what the one is charged that stays: $name', async ({ call: asked, by, cost }) => {
    const key = await keyWith(10);
    const { finish } = holdStream(by.start, by.end);
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, asked), by.last);
    await untilNoticed();
    finish();
    expect(await over).toMatchObject({
      error: { code: 'ERR_CLIENT_GONE' },
      status: 200,
      partial: false,
      pricing: 'priced',
      costNanoUsd: cost,
      chargedNanoUsd: cost,
    });
  });

  it.each(TABLE)(
    'is charged all that was reserved if the usage never comes: $name',
    async ({ call: asked, by, cost }) => {
      const hasty = await openProxy({ readOn: { ...PATIENT, timeoutMs: 20 } });
      const key = await keyWith(10, {}, hasty);
      holdStream(by.start, by.end, hasty);
      const over = hasty.nextRecord();
      await leaveAfter(await call(key, asked, { at: hasty }), by.last);
      expect(await (await hasty.upstream.nextRequest()).closed).toBe('broken');
      const { partial, costNanoUsd, chargedNanoUsd } = await over;
      expect({ partial, costNanoUsd }).toEqual({ partial: true, costNanoUsd: undefined });
      // A window of 128,000 tokens holds fewer than the fake upstream reports.
      expect(chargedNanoUsd).toBeGreaterThan(cost / 2);
    },
  );

  it('cannot do it again and again', async () => {
    const key = await keyWith(2);
    const asked = TABLE[2]?.call ?? ask({});
    let served = 0;
    for (;;) {
      const { finish } = holdStream(converse.start, converse.end);
      const over = testbed.nextRecord();
      const response = await call(key, asked);
      if (response.status === 402) break;
      served += 1;
      await leaveAfter(response, converse.last);
      await untilNoticed();
      finish();
      await over;
    }
    // Each costs $0.66, and reserves a context window of $1.32.
    expect(served).toBe(2);
  });

  it('is read on over HTTP/2', async () => {
    const key = await keyWith(10);
    const { finish } = holdStream(converse.start, converse.end);
    await using client = openHttp2(testbed.port);
    const over = testbed.nextRecord();
    const stream = client.open(
      { ':method': 'POST', ':path': `/bedrock/model/${SONNET}/converse-stream`, authorization: `Bearer ${key}` },
      { endStream: false },
    );
    stream.end(JSON.stringify({ messages: [] }));
    await once(stream, 'data');
    stream.close(8);
    await untilNoticed();
    finish();
    expect(await over).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' }, chargedNanoUsd: TABLE[0]?.cost });
  });

  it('is read on if it leaves before there is a response', async () => {
    const key = await keyWith(10);
    const { promise: released, resolve: finish } = Promise.withResolvers<void>();
    testbed.upstream.respondWith(async (_request, response) => {
      await released;
      sendJson(response, 200, { output: {}, usage: USAGE });
    });
    const leaving = new AbortController();
    const over = testbed.nextRecord();
    const sent = call(key, { path: `/model/${SONNET}/converse`, body: {} }, { signal: leaving.signal });
    sent.catch(() => {});
    await testbed.upstream.nextRequest();
    leaving.abort();
    await untilNoticed();
    finish();
    // No status was sent to anybody.
    expect(await over).toMatchObject({
      error: { code: 'ERR_CLIENT_GONE' },
      status: undefined,
      upstreamStatus: 200,
      partial: false,
      chargedNanoUsd: TABLE[0]?.cost,
    });
  });

  it('costs nothing if AWS refuses after it left', async () => {
    const key = await keyWith(10);
    const { promise: released, resolve: finish } = Promise.withResolvers<void>();
    testbed.upstream.respondWith(async (_request, response) => {
      await released;
      sendJson(response, 429, { message: 'Slow down.' });
    });
    const leaving = new AbortController();
    const over = testbed.nextRecord();
    call(key, { path: `/model/${SONNET}/converse`, body: {} }, { signal: leaving.signal }).catch(() => {});
    await testbed.upstream.nextRequest();
    leaving.abort();
    await untilNoticed();
    finish();
    expect(await over).toMatchObject({ pricing: 'free', chargedNanoUsd: 0 });
  });

  it('keeps its slot until its response has been read', async () => {
    const key = await keyWith(10, { maxParallel: 1 });
    const { finish } = holdStream(converse.start, converse.end);
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, ask({ text: 'Hello' })), converse.last);
    await untilNoticed();
    const refused = await call(key, ask({ text: 'Hello' }));
    expect([refused.status, refused.headers.get('x-bedrock-proxy-error')]).toEqual([429, 'ERR_TOO_MANY_PARALLEL']);
    finish();
    await over;
    // The refusal had ended before.
    const { finish: finishNext } = holdStream(converse.start, converse.end);
    finishNext();
    expect((await call(key, ask({ text: 'Hello' }))).status).toBe(200);
  });

  plainIt('has left if it takes nothing until AWS gives up', async () => {
    const strict = await openProxy({ readOn: { ...PATIENT, stallMs: 0 } });
    const key = await keyWith(10, {}, strict);
    const { finish } = holdStream(
      (response) => {
        startEventStream(response);
        const delta = eventFrame('contentBlockDelta', { delta: { text: 'x' }, p: 'x'.repeat(1_000_000) });
        for (let count = 0; count < 32; count += 1) response.write(delta);
      },
      (response) => cutConnection(response),
      strict,
    );
    const over = strict.nextRecord();
    await using raw = await dial(strict.port);
    const body = JSON.stringify(ask({ text: 'Hello' }).body);
    const head = [`Host: localhost:${strict.port}`, `Authorization: Bearer ${key}`, `Content-Length: ${body.length}`];
    const path = `/bedrock/model/${SONNET}/converse-stream`;
    raw.socket.pause();
    await raw.send(`POST ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`);
    await strict.upstream.nextRequest();
    await untilNoticed(strict);
    finish();
    await untilNoticed(strict);
    raw.socket.resume();
    const { error, partial, chargedNanoUsd } = await over;
    expect({ code: error?.code, partial }).toEqual({ code: 'ERR_CLIENT_GONE', partial: true });
    expect(chargedNanoUsd).toBeGreaterThanOrEqual(100 * SONNET_OUT);
  });

  it('is not read on without a budget', async () => {
    const key = await keyWith(undefined);
    holdStream(converse.start, converse.end);
    await leaveAfter(await call(key, ask({ text: 'Hello' })), converse.last);
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
  });
});

describe('the limits of reading on', () => {
  plainIt('ends it after so many bytes', async () => {
    const narrow = await openProxy({ readOn: { ...PATIENT, maxBytes: 100_000 } });
    const key = await keyWith(10, {}, narrow);
    narrow.upstream.respondWith((_request, response) => {
      startEventStream(response);
      const delta = eventFrame('contentBlockDelta', { delta: { text: 'x'.repeat(10_000) } });
      const write = (): void => void (response.destroyed || (response.write(delta), setImmediate(write)));
      write();
    });
    const over = narrow.nextRecord();
    await leaveAfter(await call(key, ask({ text: 'Hello' }), { at: narrow }), 'contentBlockDelta');
    expect(await (await narrow.upstream.nextRequest()).closed).toBe('broken');
    expect(await over).toMatchObject({ partial: true });
  });

  it('ends it when the proxy ends', async () => {
    const key = await keyWith(10);
    holdStream(converse.start, converse.end);
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, ask({ text: 'Hello' })), converse.last);
    await untilNoticed();
    expect(await testbed.drain(10)).toBe(1);
    expect(await over).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' }, partial: true });
  });

  it('ends it when the key ends', async () => {
    const { id, key } = await testbed.mint('thrifty', {
      policy: { ...EMPTY_POLICY, budget: { limitNanoUsd: 10e9, windowMs: undefined, anchorMs: 0 } },
    });
    testbed.upstream.respondWith((_request, response) => {
      converse.start(response);
      const delta = eventFrame('contentBlockDelta', { delta: { text: 'More.' } });
      const timer = setInterval(() => response.write(delta), 5);
      response.on('close', () => clearInterval(timer));
    });
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, ask({ text: 'Hello' })), converse.last);
    await untilNoticed();
    await testbed.store.revokeKey(id, Date.now());
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
    expect(await over).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' }, partial: true });
  });

  it('ends it when the key ends, even if AWS is silent', async () => {
    const { id, key } = await testbed.mint('thrifty', {
      policy: { ...EMPTY_POLICY, budget: { limitNanoUsd: 10e9, windowMs: undefined, anchorMs: 0 } },
    });
    holdStream(converse.start, converse.end);
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, ask({ text: 'Hello' })), converse.last);
    await untilNoticed();
    await testbed.store.revokeKey(id, Date.now());
    expect(await (await testbed.upstream.nextRequest()).closed).toBe('broken');
    expect(await over).toMatchObject({ error: { code: 'ERR_CLIENT_GONE' }, partial: true });
  });

  it('begins none for a client that the end of the proxy cuts off', async () => {
    const key = await keyWith(10);
    holdStream(converse.start, converse.end);
    const response = await call(key, ask({ text: 'Hello' }));
    const rest = response.arrayBuffer().catch(() => 'broken');
    expect(await testbed.drain(10)).toBe(1);
    expect(await rest).toBe('broken');
  });
});

/** `sse`: chat completions as they stream. */
async function chargeOf(asked: Call, respond: (response: ServerResponse) => void): Promise<RequestRecord> {
  const key = await keyWith(10);
  testbed.upstream.respondWith((_request, response) => respond(response));
  const over = testbed.nextRecord();
  await (await call(key, asked)).arrayBuffer().catch(() => {});
  return over;
}

const chat = (more: object): Call => ({
  path: '/openai/v1/chat/completions',
  body: { model: GPT, messages: [], stream: true, max_tokens: 1_000, ...more },
});

const sse = (response: ServerResponse, usage: object[]): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const data of [{ choices: [{ delta: { content: 'Hi' } }] }, ...usage]) {
    response.write(`data: ${JSON.stringify(data)}\n\n`);
  }
  response.end('data: [DONE]\n\n');
};

describe('chat completions that stream', () => {
  it('cost what was seen and what the time allows, if they do not ask for their usage', async () => {
    const { chargedNanoUsd, error, partial, costNanoUsd } = await chargeOf(chat({}), (response) => sse(response, []));
    expect({ error, partial, costNanoUsd }).toEqual({ error: undefined, partial: true, costNanoUsd: undefined });
    expect(chargedNanoUsd).toBeGreaterThanOrEqual(2 * 600);
    expect(chargedNanoUsd).toBeLessThan(1_000 * 600);
  });

  it('cost all that was reserved if nothing of them was seen', async () => {
    const { chargedNanoUsd } = await chargeOf(chat({}), (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: [DONE]\n\n');
    });
    expect(chargedNanoUsd).toBeGreaterThanOrEqual(1_000 * 600);
  });

  it('cost what they report if they do', async () => {
    const usage = { choices: [], usage: { prompt_tokens: 10, completion_tokens: 5 } };
    const asked = chat({ stream_options: { include_usage: true } });
    expect(await chargeOf(asked, (response) => sse(response, [usage]))).toMatchObject({
      chargedNanoUsd: 10 * 150 + 5 * 600,
    });
  });
});

const chunk = (event: object): Buffer =>
  eventFrame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') });

describe('a stream of Claude that ends early', () => {
  const asked: Call = {
    path: `/model/${SONNET}/invoke-with-response-stream`,
    body: { anthropic_version: 'bedrock-2023-05-31', max_tokens: 20_000, messages: [] },
  };
  const start = chunk({ type: 'message_start', message: { usage: { input_tokens: 1_000, output_tokens: 1 } } });
  const deltas = (delta: object): Buffer =>
    Buffer.concat(Array.from({ length: 800 }, () => chunk({ type: 'content_block_delta', index: 0, delta })));
  const text = deltas({ type: 'text_delta', text: 'eight tokens or so are in this.' });
  const last = [
    chunk({ type: 'message_delta', usage: { output_tokens: 6_400 } }),
    chunk({
      type: 'message_stop',
      'amazon-bedrock-invocationMetrics': { inputTokenCount: 1_000, outputTokenCount: 6_400 },
    }),
  ];
  const whole = 1_000 * SONNET_IN + 6_400 * SONNET_OUT;

  it('costs what it used if the client leaves after 800 deltas', async () => {
    const key = await keyWith(10);
    const { finish } = holdStream(
      (response) => {
        startEventStream(response);
        response.write(Buffer.concat([start, text, eventFrame('mark', {})]));
      },
      (response) => void response.end(Buffer.concat(last)),
    );
    const over = testbed.nextRecord();
    await leaveAfter(await call(key, asked), 'mark');
    await untilNoticed();
    finish();
    expect(await over).toMatchObject({ partial: false, chargedNanoUsd: whole });
  });

  it.each([
    { name: 'text', content: text, bytesOfDelta: 31 },
    {
      name: 'tool calls only',
      content: deltas({ type: 'input_json_delta', partial_json: '{\\"path\\": \\"a/b/c\\"}' }),
      bytesOfDelta: 27,
    },
  ])('costs what passed, and is partial, if AWS breaks it off: $name', async ({ content, bytesOfDelta }) => {
    const record = await chargeOf(asked, (response) => {
      startEventStream(response);
      response.write(Buffer.concat([start, content]), () => setImmediate(() => cutConnection(response)));
    });
    expect(record).toMatchObject({ error: { code: 'ERR_UPSTREAM_RESET' }, partial: true });
    const { chargedNanoUsd } = record;
    // All that passed, or what of it had come when the connection broke; never what was reserved for 20,000 tokens.
    const seen = 1_000 * SONNET_IN + ((800 * bytesOfDelta) / 3) * SONNET_OUT;
    expect(chargedNanoUsd).toBeGreaterThanOrEqual(1_000 * SONNET_IN + SONNET_OUT);
    expect(chargedNanoUsd).toBeLessThan(seen * 1.2);
  });

  it('costs what passed if it ends with an exception', async () => {
    const record = await chargeOf(asked, (response) => {
      startEventStream(response);
      response.end(Buffer.concat([start, text, exceptionFrame('modelStreamErrorException', 'It broke.')]));
    });
    expect(record).toMatchObject({ error: undefined, upstreamErrorType: 'ModelStreamErrorException', partial: true });
    const seen = 1_000 * SONNET_IN + Math.ceil((800 * 31) / 3) * SONNET_OUT;
    expect(record.chargedNanoUsd).toBe(seen);
  });
});
