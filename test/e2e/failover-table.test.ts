/**
 * @module-tag slow
 *
 * When a request is sent a second time, elsewhere: the table of (operation, failure, when) -> attempts, status, cost,
 * budget. Two ways to a fake AWS that verifies every signature: `east` of the main account, and `west` of the second
 * one, which takes only what east does not. The program runs as its users start it.
 */
import { describe, expect, it } from 'vitest';
import { decodeFrames } from '../helpers/event-frames.ts';
import type { FakeAws } from '../helpers/fake-aws.ts';
import {
  after,
  cutAfterHead,
  cutAfterText,
  cutBefore,
  exceptionAfterText,
  exceptionFirst,
  hangUp,
  type Outcome,
  REFUSALS,
  refuse,
  serve,
  staySilent,
  throttle,
} from '../helpers/fake-bedrock.ts';
import {
  bodyOf,
  NOVA,
  novaCost,
  openUpstreamsTest,
  type SendOptions,
  type UpstreamsTest,
} from '../helpers/upstreams-test.ts';

const EAST = 'us-east-1';
const WEST = 'us-west-2';
const REGIONS = [EAST, WEST];
const CLAUDE = 'anthropic.claude-haiku-4-5-20251001-v1:0';

const twoWays = (aws: FakeAws): object[] => [
  { name: 'east', region: EAST, endpointUrl: aws.region(EAST).url },
  { name: 'west', region: WEST, endpointUrl: aws.region(WEST).url, profile: 'second', weight: 0 },
];

const open = (args: readonly string[] = []): Promise<UpstreamsTest> =>
  openUpstreamsTest({ regions: REGIONS, upstreams: twoWays, args });

/** Ways to call a model. */
const CALLS: Readonly<Record<string, readonly [path: string, more?: SendOptions]>> = {
  Converse: [`/model/${NOVA}/converse`],
  ConverseStream: [`/model/${NOVA}/converse-stream`],
  InvokeModel: [`/model/${CLAUDE}/invoke`],
  InvokeModelWithResponseStream: [`/model/${CLAUDE}/invoke-with-response-stream`],
  'chat completions': ['/openai/v1/chat/completions', { body: bodyOf('Hello', { model: 'openai.gpt-oss-20b-1:0' }) }],
  messages: ['/anthropic/v1/messages', { body: bodyOf('Hello', { model: CLAUDE }) }],
  CountTokens: [`/model/${CLAUDE}/count-tokens`],
};

interface Row {
  readonly operation: keyof typeof CALLS;
  readonly name: string;
  readonly east: Outcome | 'down';
  readonly west?: Outcome | 'down';
}

/** Sends it, and checks what has to be true of every request. */
async function send({ operation, east, west = serve }: Row) {
  const test = await open();
  for (const [region, outcome] of [
    [EAST, east],
    [WEST, west],
  ] as const) {
    if (outcome === 'down') await test.aws.region(region).upstream.goDown();
    else test.aws.region(region).always(outcome);
  }
  const reply = await test.send(...(CALLS[operation] ?? ['']));
  const [line] = await test.ledger(1);
  const spend = await test.spend();
  const seen = [EAST, WEST].map((region) => test.aws.region(region).trail.length);
  // Whatever happened: nothing stays reserved, the budget lost what the ledger has, and header and ledger agree.
  expect(spend.reserved_usd).toBe('0');
  expect(Math.round(Number(spend.total_usd) * 1e9)).toBe(line?.charged_nano_usd);
  expect(line?.status).toBe(reply.status);
  const told = [reply.headers.get('x-bedrock-proxy-upstream'), Number(reply.headers.get('x-bedrock-proxy-attempts'))];
  if (reply.headers.get('x-bedrock-proxy-error') === null) expect(told).toEqual([line?.upstream, line?.attempts]);
  return { test, reply, line, seen, bills: test.aws.bills };
}

const RETRIED: readonly Row[] = [
  ...Object.keys(CALLS).map((operation) => ({ operation, name: '429 ThrottlingException', east: throttle() })),
  { operation: 'Converse', name: '503', east: REFUSALS.ServiceUnavailableException },
  { operation: 'Converse', name: '529', east: REFUSALS.overloaded },
  { operation: 'Converse', name: '500 InternalServerException', east: REFUSALS.InternalServerException },
  { operation: 'InvokeModel', name: '429 ModelNotReadyException', east: REFUSALS.ModelNotReadyException },
  { operation: 'Converse', name: 'nobody who listens', east: 'down' },
  { operation: 'ConverseStream', name: 'nobody who listens', east: 'down' },
  ...['throttlingException', 'serviceUnavailableException', 'internalServerException'].map((type) => ({
    operation: 'ConverseStream',
    name: `${type} as the first frame of a stream`,
    east: exceptionFirst(type),
  })),
  {
    operation: 'InvokeModelWithResponseStream',
    name: 'throttlingException as the first frame of a stream',
    east: exceptionFirst('throttlingException'),
  },
];

describe('before the first byte', () => {
  it.each(RETRIED)('sends $operation to the other way after $name', async (row) => {
    const { reply, line, seen, bills } = await send(row);
    expect(reply).toMatchObject({ status: 200, isWhole: true });
    const [bill] = bills;
    // The text is in base64 in the frames of InvokeModel.
    const isReadable = row.operation !== 'CountTokens' && row.operation !== 'InvokeModelWithResponseStream';
    if (isReadable) expect(reply.body.toString()).toContain(`Hello from ${WEST} of 222222222222`);
    expect(line).toMatchObject({
      attempts: 2,
      upstream: 'west',
      region: WEST,
      status: 200,
      error: null,
      partial: false,
    });
    expect(seen).toEqual([row.east === 'down' ? 0 : 1, 1]);
    // It costs what the second attempt cost, once.
    expect(line?.charged_nano_usd).toBe(line?.cost_nano_usd);
    expect(bills.map(({ region, account }) => [region, account])).toEqual(
      row.operation === 'CountTokens' ? [] : [[WEST, '222222222222']],
    );
    if (bill?.model === NOVA) expect(line?.cost_nano_usd).toBe(novaCost(bill));
  });

  it.each([
    { operation: 'Converse', name: 'a reset before a response', east: cutBefore() },
    { operation: 'Converse', name: 'a reset that AWS bills', east: cutBefore({ bills: true }) },
    { operation: 'Converse', name: 'an orderly end before a response', east: hangUp },
    { operation: 'ConverseStream', name: 'a reset after the head and before the first frame', east: cutAfterHead },
    { operation: 'InvokeModelWithResponseStream', name: 'a reset after the head', east: cutAfterHead },
  ])('sends $operation to the other way after $name, and tells that both may cost', async (row) => {
    const { reply, line, seen, bills } = await send(row);
    expect(reply).toMatchObject({ status: 200, isWhole: true });
    expect(line).toMatchObject({ attempts: 2, upstream: 'west', region: WEST, status: 200, partial: true });
    expect(seen).toEqual([1, 1]);
    // Its cost is what is known; the budget is charged an estimate besides of what else may be billed.
    const served = bills.find(({ region }) => region === WEST);
    if (served?.model === NOVA) expect(line?.cost_nano_usd).toBe(novaCost(served));
    expect(line?.charged_nano_usd).toBeGreaterThan(line?.cost_nano_usd ?? 0);
  });
});

const NOT_RETRIED: readonly Row[] = [
  ...(
    [
      'ValidationException',
      'AccessDeniedException',
      'ResourceNotFoundException',
      'ServiceQuotaExceededException',
      'ModelTimeoutException',
      'ModelErrorException',
    ] as const
  ).map((type) => ({ operation: 'Converse', name: type, east: REFUSALS[type] })),
  { operation: 'ConverseStream', name: 'validationException first', east: exceptionFirst('validationException') },
  { operation: 'ConverseStream', name: 'an exception after text', east: exceptionAfterText('throttlingException') },
  { operation: 'ConverseStream', name: 'a cut in the middle', east: cutAfterText },
  { operation: 'InvokeModelWithResponseStream', name: 'a cut in the middle', east: cutAfterText },
  { operation: 'messages', name: '400', east: refuse(400, 'ValidationException', 'max_tokens is too large') },
];

describe('is not sent elsewhere', () => {
  it.each(NOT_RETRIED)('$operation after $name', async (row) => {
    const { line, seen, reply } = await send(row);
    expect(seen).toEqual([1, 0]);
    expect(line).toMatchObject({ attempts: 1, upstream: 'east', region: EAST });
    if (row.name === 'a cut in the middle') expect(reply.isWhole).toBe(false);
    if (reply.status >= 400) expect(line).toMatchObject({ pricing: 'free', charged_nano_usd: 0 });
  });

  it('Converse after a reset behind the head of its response: AWS has done the work', async () => {
    const test = await open();
    test.aws.region(EAST).always(cutAfterHead);
    await expect(test.converse()).rejects.toThrow('fetch failed');
    const line = (await test.ledger(1))[0];
    expect(line).toMatchObject({ attempts: 1, upstream: 'east', error: 'ERR_UPSTREAM_RESET', partial: true });
    expect(test.aws.region(WEST).trail).toEqual([]);
  });

  it.each([
    { name: 'CreateGuardrail', method: 'POST', path: '/guardrails' },
    { name: 'DeleteGuardrail', method: 'DELETE', path: '/guardrails/gr1234567890' },
    { name: 'CreateModelInvocationJob', method: 'POST', path: '/model-invocation-job' },
    { name: 'StartAsyncInvoke', method: 'POST', path: '/async-invoke' },
    { name: 'InvokeAgent', method: 'POST', path: '/agents/AGENT12345/agentAliases/ALIAS12345/sessions/s/text' },
    { name: 'CreateSession', method: 'PUT', path: '/sessions/' },
    { name: 'a stored response', method: 'POST', path: '/openai/v1/responses' },
    {
      name: 'InvokeAgentRuntime',
      method: 'POST',
      path: '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fa/invocations',
    },
    { name: 'what the proxy does not know', method: 'POST', path: '/bedrock-runtime/nobody/knows' },
  ])('$name after 503, as it creates, starts, deletes or carries a session', async ({ method, path }) => {
    const test = await open();
    const { key } = JSON.parse(await test.cli('key', 'generate', '--scope', 'all', '--json')) as { key: string };
    for (const region of REGIONS) test.aws.region(region).always(REFUSALS.ServiceUnavailableException);
    const body = JSON.stringify({ model: 'openai.gpt-oss-20b-1:0', input: 'Hello', modelId: NOVA });
    const reply = await test.send(path, { method, key, body });
    expect(reply.status).toBe(503);
    expect(reply.headers.get('x-amzn-errortype')).toMatch(/^ServiceUnavailable/);
    expect(test.aws.trail.map(({ region }) => region)).toEqual([EAST]);
    expect((await test.ledger(1))[0]).toMatchObject({ status: 503, attempts: 1 });
  });
});

describe('if no way succeeds', () => {
  it('gives the last error of AWS as it came', async () => {
    const last = refuse(429, 'ThrottlingException', 'Too many tokens per day.', {
      'retry-after': '9',
      'x-amzn-note': 'n',
    });
    const { reply, line, seen } = await send({
      operation: 'Converse',
      name: '',
      east: REFUSALS.ServiceUnavailableException,
      west: last,
    });
    expect(reply.status).toBe(429);
    expect(reply.body.toString()).toBe('{"message":"Too many tokens per day."}');
    expect(Object.fromEntries(reply.headers)).toMatchObject({ 'retry-after': '9', 'x-amzn-note': 'n' });
    expect(reply.headers.get('x-amzn-errortype')).toMatch(/^ThrottlingException:/);
    expect(seen).toEqual([1, 1]);
    expect(line).toMatchObject({ attempts: 2, upstream: 'west', error: 'ThrottlingException', charged_nano_usd: 0 });
  });

  it('gives the bytes of the exception that came first in a stream', async () => {
    const { reply, line } = await send({
      operation: 'ConverseStream',
      name: '',
      east: throttle(),
      west: exceptionFirst('serviceUnavailableException', 'Not now.'),
    });
    expect(reply.status).toBe(200);
    const [frame, ...more] = decodeFrames(reply.body);
    expect(frame?.headers[':exception-type']?.value).toBe('serviceUnavailableException');
    expect(more).toEqual([]);
    expect(line).toMatchObject({ attempts: 2, upstream: 'west', error: 'ServiceUnavailableException' });
  });

  it('prefers what AWS said to a connection that failed after it', async () => {
    const { reply, line } = await send({ operation: 'Converse', name: '', east: throttle(5), west: 'down' });
    expect(reply.status).toBe(429);
    expect(reply.headers.get('retry-after')).toBe('5');
    expect(reply.headers.get('x-bedrock-proxy-error')).toBeNull();
    expect(line).toMatchObject({ status: 429, error: 'ThrottlingException' });
  });

  it('says that AWS cannot be reached if no way is there', async () => {
    const { reply, line, bills } = await send({ operation: 'Converse', name: '', east: 'down', west: 'down' });
    expect(reply.status).toBe(502);
    expect(reply.headers.get('x-bedrock-proxy-error')).toBe('ERR_UPSTREAM_UNREACHABLE');
    expect(line).toMatchObject({ attempts: 2, charged_nano_usd: 0 });
    expect(bills).toEqual([]);
  });
});

describe('attempts', () => {
  it('begin no later than --failover-deadline after the first', async () => {
    const test = await open(['--failover-deadline', '1']);
    test.aws.region(EAST).always(after(1_500, REFUSALS.ServiceUnavailableException));
    const reply = await test.converse();
    expect(reply.status).toBe(503);
    expect(test.aws.region(WEST).trail).toEqual([]);
    expect((await test.ledger(1))[0]).toMatchObject({ attempts: 1, upstream: 'east' });
  });

  it('are not made after a silence, in which AWS may be at work', async () => {
    const test = await open(['--idle-timeout', '1']);
    test.aws.region(EAST).always(staySilent);
    const reply = await test.converse();
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([504, 'ERR_UPSTREAM_TIMEOUT']);
    expect(test.aws.region(WEST).trail).toEqual([]);
    expect((await test.ledger(1))[0]).toMatchObject({ attempts: 1, upstream: 'east', partial: true });
  });

  it('are as many as there are ways at most', async () => {
    const regions = [...REGIONS, 'us-east-2', 'ca-central-1'];
    const test = await openUpstreamsTest({
      regions,
      upstreams: (aws) => regions.map((region) => ({ name: region, region, endpointUrl: aws.region(region).url })),
    });
    for (const region of regions) test.aws.region(region).always(throttle());
    expect((await test.converse()).status).toBe(429);
    expect(test.aws.trail.map(({ region }) => region).toSorted()).toEqual(regions.toSorted());
    expect((await test.ledger(1))[0]).toMatchObject({ attempts: 4, charged_nano_usd: 0 });
  });

  it('send the same bytes, of large bodies too', async () => {
    const test = await open();
    test.aws.region(EAST).always(throttle());
    const body = bodyOf('Hello, '.repeat(700_000));
    const reply = await test.send(`/model/${NOVA}/converse`, { body });
    expect(reply.status).toBe(200);
    const [first, second] = test.aws.trail;
    expect(first?.request.body.equals(Buffer.from(body))).toBe(true);
    expect(second?.request.body.equals(Buffer.from(body))).toBe(true);
  });

  it('have no header of the client and no name of the other account', async () => {
    const test = await open();
    test.aws.region(EAST).always(throttle());
    await test.converse('Hello', { headers: { 'x-bedrock-proxy-session': 's', 'x-custom': 'kept' } });
    for (const { request } of test.aws.trail) {
      expect(request.headers.filter(([name]) => /^x-bedrock-proxy-/i.test(name))).toEqual([]);
      expect(request.header('x-custom')).toBe('kept');
      expect(request.headers.filter(([name]) => name.toLowerCase() === 'authorization')).toHaveLength(1);
    }
    expect(test.aws.trail.map(({ account }) => account)).toEqual(['111111111111', '222222222222']);
  });
});
