/**
 * @module-tag slow
 *
 * Several ways to a fake AWS, and what could go wrong between two attempts: a client that leaves, a refusal that breaks
 * off, an exception that comes in pieces, a connection that was stale, a file that changes meanwhile; and callers that
 * try to get where they may not.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { type FakeAws, SECOND_ACCOUNT } from '../helpers/fake-aws.ts';
import { after, hangUp, type Outcome, REFUSALS, serve, throttle } from '../helpers/fake-bedrock.ts';
import { cutConnection } from '../helpers/fake-upstream.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { bodyOf, NOVA, openUpstreamsTest, type Reply, type UpstreamsTest } from '../helpers/upstreams-test.ts';

const EAST = 'us-east-1';
const WEST = 'us-west-2';
const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';

const twoWays =
  (west: object = { profile: 'second' }, east: object = {}) =>
  (aws: FakeAws): object[] => [
    { name: 'east', region: EAST, endpointUrl: aws.region(EAST).url, ...east },
    { name: 'west', region: WEST, endpointUrl: aws.region(WEST).url, weight: 0, ...west },
  ];

const open = (
  ways: ReturnType<typeof twoWays> = twoWays(),
  more: Partial<Parameters<typeof openUpstreamsTest>[0]> = {},
): Promise<UpstreamsTest> => openUpstreamsTest({ regions: [EAST, WEST], upstreams: ways, ...more });

const wayOf = ({ headers }: Reply): string | null => headers.get('x-bedrock-proxy-upstream');

describe('between two attempts', () => {
  it('ends if the client has left: nothing more is sent, and nothing stays reserved', async () => {
    const test = await open();
    test.aws.region(EAST).always(after(400, throttle()));
    await using raw = await dial(test.server.port);
    const body = bodyOf('Hello');
    const headers = ['Host: localhost', `Authorization: Bearer ${test.key}`, `Content-Length: ${body.length}`];
    await raw.send(requestText(`POST /bedrock/model/${NOVA}/converse HTTP/1.1`, headers, body));
    await test.aws.region(EAST).upstream.nextRequest();
    raw.socket.destroy();
    expect((await test.ledger(1))[0]).toMatchObject({ error: 'ERR_CLIENT_GONE', attempts: 1 });
    await delay(600);
    expect(test.aws.region(WEST).trail).toEqual([]);
    expect((await test.spend()).reserved_usd).toBe('0');
  });

  it('lets another way serve if a refusal breaks off in its middle', async () => {
    const test = await open();
    test.aws.region(EAST).always((_, response) => {
      response.writeHead(429, { 'x-amzn-errortype': 'ThrottlingException', 'content-length': '100' });
      response.write('{"message":"To', () => void setTimeout(() => cutConnection(response), 20));
    });
    const reply = await test.converse();
    expect([reply.status, wayOf(reply)]).toEqual([200, 'west']);
    expect((await test.ledger(1))[0]).toMatchObject({ attempts: 2, status: 200 });
  });

  it.each([1, 7, 64])('sees an exception that comes first in pieces of %i bytes', async (size) => {
    const test = await open();
    test.aws.region(EAST).always(async (_, response) => {
      startEventStream(response);
      const bytes = exceptionFrame('throttlingException', 'slow');
      for (let at = 0; at < bytes.length; at += size) {
        response.write(bytes.subarray(at, at + size));
        await delay(1);
      }
      response.end();
    });
    const reply = await test.send(`/model/${NOVA}/converse-stream`);
    expect([reply.status, wayOf(reply), reply.isWhole]).toEqual([200, 'west', true]);
  });

  it.each<{ readonly name: string; readonly outcome: Outcome }>([
    {
      name: 'bytes that are no frame',
      outcome: (_, response) => {
        startEventStream(response);
        response.end('no frame at all, but long enough to be taken for the head of one');
      },
    },
    {
      name: 'nothing',
      outcome: (_, response) => {
        startEventStream(response);
        response.end();
      },
    },
  ])('passes a stream of $name as it is', async ({ outcome }) => {
    const test = await open();
    test.aws.region(EAST).always(outcome);
    const reply = await test.send(`/model/${NOVA}/converse-stream`);
    expect([reply.status, wayOf(reply)]).toEqual([200, 'east']);
    expect(test.aws.region(WEST).trail).toEqual([]);
  });

  it('counts a kept connection that had ended as no attempt', async () => {
    const test = await open();
    const east = test.aws.region(EAST);
    east.next(serve, hangUp, serve);
    expect(wayOf(await test.converse())).toBe('east');
    const reply = await test.converse();
    expect([reply.status, wayOf(reply), reply.headers.get('x-bedrock-proxy-attempts')]).toEqual([200, 'east', '1']);
    expect(east.trail).toHaveLength(3);
    expect((await test.ledger(2)).map(({ partial }) => partial)).toEqual([false, false]);
  });

  it(
    'lets a stream end where it began, if its way is taken out of the file meanwhile',
    { timeout: 30_000 },
    async () => {
      const test = await open();
      const [, west] = twoWays()(test.aws);
      test.aws.region(EAST).always(after(6_000, serve));
      const slow = test.send(`/model/${NOVA}/converse-stream`);
      await test.aws.region(EAST).upstream.nextRequest();
      await test.write([{ ...west, weight: 1 }]);
      const anew = async (): Promise<string | null> =>
        wayOf(await test.converse('x', { body: bodyOf('Hello', { system: [{ text: `${Math.random()}` }] }) }));
      test.aws.region(EAST).always(serve);
      await expect.poll(anew, { timeout: 10_000, interval: 300 }).toBe('west');
      const reply = await slow;
      expect([reply.status, wayOf(reply), reply.isWhole]).toEqual([200, 'east', true]);
      // And without the file everything stays as it was.
      await rm(join(test.folder, 'upstreams.json'));
      await delay(3_000);
      expect(await anew()).toBe('west');
    },
  );
});

describe('a budget', () => {
  it('is not overspent by requests at once that are all sent twice', async () => {
    // A hundred tokens of output cost $0.000024, and so much is reserved and a little more.
    const test = await open(twoWays(), { keyArgs: ['--budget', '0.0002'] });
    test.aws.region(EAST).always(throttle());
    const replies = await Promise.all(Array.from({ length: 40 }, () => test.converse()));
    const statuses = new Set(replies.map(({ status }) => status));
    expect([...statuses].filter((status) => ![200, 402, 429].includes(status))).toEqual([]);
    expect(statuses).toContain(200);
    const spend = await test.spend();
    expect(Number(spend.total_usd)).toBeLessThanOrEqual(0.0002);
    expect(spend.reserved_usd).toBe('0');
    const billed = test.aws.bills.reduce((sum, bill) => sum + 60 * bill.inputTokens + 240 * bill.outputTokens, 0);
    expect(Math.round(Number(spend.total_usd) * 1e9)).toBe(billed);
  });
});

describe('credentials of a way', () => {
  it('are an API key, which goes to that way alone and is shown nowhere', async () => {
    const secret = SECOND_ACCOUNT.apiKey ?? '';
    const test = await open(twoWays({ apiKeyVariable: 'SECOND_BEDROCK_KEY' }), {
      environment: { SECOND_BEDROCK_KEY: secret },
    });
    test.aws.region(EAST).next(throttle());
    const reply = await test.converse();
    expect([reply.status, wayOf(reply)]).toEqual([200, 'west']);
    const [first, second] = test.aws.trail;
    expect(first?.request.header('authorization')).toMatch(/^AWS4-HMAC-SHA256 /);
    expect(second?.request.header('authorization')).toBe(`Bearer ${secret}`);
    expect(second?.request.headers.filter(([name]) => /^x-amz-(?:date|security-token)$/i.test(name))).toEqual([]);
    const ready = await (await fetch(`http://127.0.0.1:${test.server.port}/health/readiness`)).text();
    const metrics = await (await fetch(`http://127.0.0.1:${test.server.port}/metrics`)).text();
    const logs = await test.cli('logs', '--json', '--since', 'all');
    test.server.child.kill('SIGTERM');
    const { stdout, stderr } = await test.server.ended;
    for (const text of [stdout, stderr, logs, ready, metrics, JSON.stringify([...reply.headers])])
      expect(text).not.toContain(secret);
  });

  it('cannot be had: the other way serves, and the client sees none of it', async () => {
    const config = join(await makeTemporaryFolder(), 'aws-config');
    await writeFile(config, '[profile broken]\ncredential_process = false\n');
    const test = await open(twoWays({}, { profile: 'broken' }), { environment: { AWS_CONFIG_FILE: config } });
    const reply = await test.converse();
    expect([reply.status, wayOf(reply)]).toEqual([200, 'west']);
    expect(test.aws.region(EAST).trail).toEqual([]);
  });

  it('are sessions that tell callers apart on each way', async () => {
    const role = 'arn:aws:iam::222222222222:role/bedrock';
    const test = await open(twoWays({ roleArn: role }), { roles: [{ arn: role }] });
    test.aws.region(EAST).always(throttle());
    const names = ['alice', 'bob'];
    for (const name of names) {
      const { key } = JSON.parse(await test.cli('key', 'generate', '--alias', name, '--json')) as { key: string };
      expect((await test.converse('Hello', { key })).status).toBe(200);
    }
    expect(test.aws.region(WEST).trail.map(({ session }) => session)).toEqual(names);
  });
});

describe('callers', () => {
  it.each<{ readonly name: string; readonly path: string; readonly model?: string; readonly region?: string }>([
    { name: 'a header with a region', path: `/model/${NOVA}/converse`, region: EAST },
    { name: 'an ARN', path: `/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2F${NOVA}/converse` },
    { name: 'a model of no upstream in the path', path: `/model/${HAIKU}/converse` },
    { name: 'the explicit form', path: `/bedrock-runtime/model/${HAIKU}/converse` },
    { name: 'a global profile', path: `/model/global.${HAIKU}/invoke` },
    { name: 'a model in the body of chat completions', path: '/openai/v1/chat/completions', model: `global.${HAIKU}` },
    { name: 'a model in the body of messages', path: '/anthropic/v1/messages', model: `us.${HAIKU}` },
  ])('do not leave the ways that serve their model: $name', async ({ path, model, region }) => {
    const test = await openUpstreamsTest({
      regions: ['eu-west-1', 'eu-central-1', EAST],
      upstreams: (aws) =>
        ['eu-west-1', 'eu-central-1'].map((name) => ({
          name,
          region: name,
          endpointUrl: aws.region(name).url,
          models: ['eu.*'],
        })),
    });
    const headers = region === undefined ? {} : { 'x-bedrock-proxy-region': region };
    const reply = await test.send(path, { headers, body: bodyOf('Hello', { model }) });
    expect([reply.status, reply.headers.get('x-bedrock-proxy-error')]).toEqual([400, 'ERR_NO_UPSTREAM']);
    expect(test.aws.trail).toEqual([]);
    await expect.poll(() => test.spend(), { interval: 20 }).toMatchObject({ total_usd: '0', reserved_usd: '0' });
  });

  it('are signed for the region of the way, whatever region they have signed for', async () => {
    const test = await open();
    const body = bodyOf('Hello');
    const path = `/bedrock/model/${NOVA}/converse`;
    const host = `localhost:${test.server.port}`;
    const pair = { accessKeyId: test.accessKeyId, key: test.key };
    const lines = await signLines(pair, { method: 'POST', path, body, host, region: 'ap-northeast-1' });
    await using raw = await dial(test.server.port);
    await raw.send(requestText(`POST ${path} HTTP/1.1`, [...lines, `Content-Length: ${body.length}`], body));
    expect((await raw.readResponse()).status).toBe(200);
    expect(test.aws.trail.map(({ region }) => region)).toEqual([EAST]);
  });

  it.each([
    { name: 'a header with a region', headers: { 'x-bedrock-proxy-region': EAST } },
    { name: 'a header with the name of a way', headers: { 'x-bedrock-proxy-upstream': 'east' } },
  ])('with a key that is bound to a way do not get to another one: $name', async ({ headers }) => {
    const test = await open();
    const made = await test.cli('key', 'generate', '--alias', 'bound', '--upstream', 'west', '--json');
    const { key } = JSON.parse(made) as { key: string };
    await test.converse('Hello', { key, headers });
    test.aws.region(WEST).always(REFUSALS.ServiceUnavailableException);
    await test.converse('Hello', { key, headers });
    expect(test.aws.region(EAST).trail).toEqual([]);
  });
});

describe('several workers', () => {
  it('each go on to the other way', async () => {
    const test = await open(twoWays(), { args: ['--workers', '2'] });
    test.aws.region(EAST).always(throttle());
    const replies = await Promise.all(Array.from({ length: 20 }, () => test.converse()));
    expect(new Set(replies.map((reply) => `${reply.status} ${wayOf(reply)}`))).toEqual(new Set(['200 west']));
    expect((await test.ledger(20)).every(({ upstream }) => upstream === 'west')).toBe(true);
  });
});
