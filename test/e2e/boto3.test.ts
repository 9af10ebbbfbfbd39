/**
 * boto3 as people use it. Needs Python with boto3: the one in `.venv/` of the checkout, else the machine's own; where
 * there is neither, every test here is skipped by name. `python3 -m venv .venv && .venv/bin/pip install boto3` makes
 * one.
 */
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { type Boto3, PYTHON_WITH_BOTO3, startBoto3 } from '../helpers/boto3.ts';
import { eventFrame, exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { cutConnection, sendAwsError, sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest();
let key: MintedKey;
let python: Boto3 | undefined;

// One Python for all tests: it takes longest to start.
beforeAll(async () => {
  if (PYTHON_WITH_BOTO3 !== undefined) python = await startBoto3(PYTHON_WITH_BOTO3);
});

afterAll(() => python?.[Symbol.asyncDispose]());

beforeEach(async () => {
  key = await testbed.mint('python');
});

const TARGET = `/model/${encodeURIComponent('us.anthropic.claude-sonnet-4-5-20250929-v1:0')}`;
const RESPONSE = { output: { message: { role: 'assistant', content: [{ text: 'Hallo' }] } }, stopReason: 'end_turn' };

/** Runs one case of the script. */
async function boto3(name: string, shown = `${key.accessKeyId},${key.key}`): Promise<unknown> {
  return python?.run(name, testbed.url, shown);
}

function streamBytes(...pieces: string[]): void {
  testbed.upstream.respondWith((_, response) => {
    startEventStream(response);
    for (const piece of pieces) response.write(eventFrame('chunk', { bytes: Buffer.from(piece).toString('base64') }));
    response.end();
  });
}

describe.skipIf(PYTHON_WITH_BOTO3 === undefined)('boto3 (skipped where no Python has it)', () => {
  it('converses with boto3', async () => {
    testbed.upstream.respondWith((_, response) => sendJson(response, 200, RESPONSE));
    expect(await boto3('converse')).toEqual({ result: 'Hallo' });
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe(`${TARGET}/converse`);
    expect(JSON.stringify(request.headers)).not.toContain(key.key);
    expect(testbed.records.at(-1)).toMatchObject({ httpVersion: '1.1', principal: { label: 'python' } });
  });

  it('streams a conversation to boto3', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      for (const text of ['Hal', 'lo'])
        response.write(eventFrame('contentBlockDelta', { delta: { text }, contentBlockIndex: 0 }));
      response.end(eventFrame('messageStop', { stopReason: 'end_turn' }));
    });
    expect(await boto3('converse_stream')).toEqual({ result: 'Hallo' });
  });

  it('invokes a model for boto3, without a content type if it sends none', async () => {
    testbed.upstream.respondWith((request, response) => void response.end(request.body));
    expect(await boto3('invoke_model')).toEqual({ result: '{"a": "\\u00fc"}' });
    expect((await testbed.upstream.nextRequest()).header('content-type')).toBeUndefined();
  });

  it('invokes a model with a streamed response to boto3', async () => {
    streamBytes('one ', 'two');
    expect(await boto3('invoke_stream')).toEqual({ result: 'one two' });
  });

  it('invokes an agent for boto3 with dummy AWS keys and the key in a before-send hook', async () => {
    streamBytes('Hel', 'lo');
    expect(await boto3('invoke_agent')).toEqual({ result: 'Hello' });
    const request = await testbed.upstream.nextRequest();
    expect(request.rawTarget).toBe('/agents/AGENT12345/agentAliases/ALIAS12345/sessions/s1/text');
    expect(JSON.stringify(request.headers)).not.toMatch(/litellm|dummy/);
    expect(testbed.records.at(-1)).toMatchObject({ route: { service: 'bedrock-agent-runtime' } });
  });

  it('lists models for boto3', async () => {
    testbed.upstream.respondWith((_, response) =>
      sendJson(response, 200, { modelSummaries: [{ modelId: 'a', modelArn: 'b' }] }),
    );
    expect(await boto3('list_models')).toEqual({ result: 'a' });
    expect((await testbed.upstream.nextRequest()).rawTarget).toBe('/foundation-models?byProvider=Amazon');
  });

  it.each(['signed_with_pair', 'slot'])('takes the signature of boto3 with its credentials as in %s', async (name) => {
    testbed.upstream.respondWith((_, response) => sendJson(response, 200, RESPONSE));
    const shown = name === 'slot' ? key.key : `${key.accessKeyId},${key.key}`;
    expect(await boto3(name, shown)).toEqual({ result: 'Hallo' });
  });

  it.each([
    { status: 429, type: 'ThrottlingException' },
    { status: 424, type: 'ModelErrorException' },
    { status: 400, type: 'ValidationException' },
  ])("makes boto3 raise AWS's $type as its own class", async ({ status, type }) => {
    testbed.upstream.respondWith((_, response) => sendAwsError(response, { status, type, message: 'from AWS' }));
    expect(await boto3('converse')).toEqual({ type, code: type, message: 'from AWS', status });
  });

  it("makes boto3 raise AWS's exception in the middle of a stream", async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      response.end(exceptionFrame('throttlingException', 'slow down'));
    });
    expect(await boto3('converse_stream')).toMatchObject({ type: 'EventStreamError', code: 'throttlingException' });
  });

  it('never lets boto3 take a stream that AWS broke off for a whole one', async () => {
    testbed.upstream.respondWith((_, response) => {
      startEventStream(response);
      const frame = eventFrame('contentBlockDelta', { delta: { text: 'Hal' }, contentBlockIndex: 0 });
      response.write(frame, () => cutConnection(response));
    });
    expect(await boto3('converse_stream')).toMatchObject({ type: expect.stringMatching(/Error$/) });
  });

  it('makes boto3 raise our refusal with what to do about it', async () => {
    expect(await boto3('converse', `${key.accessKeyId},sk-wrong`)).toMatchObject({
      type: 'ClientError',
      code: 'SignatureDoesNotMatch',
      message: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
      status: 401,
    });
  });
});
