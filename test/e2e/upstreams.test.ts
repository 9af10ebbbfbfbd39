/**
 * @module-tag slow
 *
 * Which of several ways a request takes, and what is told of it: weights, rests, caps, models of other geographies, the
 * file that is read anew, and mistakes in it. The program runs as its users start it, before a fake AWS.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { FakeAws } from '../helpers/fake-aws.ts';
import { after, serve, throttle } from '../helpers/fake-bedrock.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { launch, openAwsTest } from '../helpers/program.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { bodyOf, NOVA, openUpstreamsTest, type Reply, type UpstreamsTest } from '../helpers/upstreams-test.ts';
import { IS_SERVED, WS_KEY, WS_PATH } from '../helpers/websocket-testbed.ts';

const EAST = 'us-east-1';
const WEST = 'us-west-2';
const EU = 'eu-west-1';
const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';

/** Two ways, with what is given besides. */
const ways =
  (east: object = {}, west: object = {}) =>
  (aws: FakeAws): object[] => [
    { name: 'east', region: EAST, endpointUrl: aws.region(EAST).url, ...east },
    { name: 'west', region: WEST, endpointUrl: aws.region(WEST).url, ...west },
  ];

const open = (...both: Parameters<typeof ways>): Promise<UpstreamsTest> =>
  openUpstreamsTest({ regions: [EAST, WEST, EU], upstreams: ways(...both) });

const wayOf = ({ headers }: Reply): string | null => headers.get('x-bedrock-proxy-upstream');

/** A conversation of this system prompt. */
const ask = (test: UpstreamsTest, system: string): Promise<Reply> =>
  test.converse('Hello', { body: bodyOf('Hello', { system: [{ text: system }] }) });

let conversations = 0;
/** A conversation that nobody has had before: one that has moved stays where it is, as its cache does. */
const askAnew = (test: UpstreamsTest): Promise<Reply> => ask(test, `new ${(conversations += 1)}`);

describe('the choice of a way', () => {
  it('follows the weights, and is the same for the same beginning', async () => {
    const test = await open({ weight: 3 }, { weight: 1 });
    const first = new Map<string, string | null>();
    for (let number = 0; number < 120; number += 1) first.set(`${number}`, wayOf(await ask(test, `${number}`)));
    const inWest = [...first.values()].filter((way) => way === 'west').length;
    // 30 of 120; five standard deviations.
    expect(inWest).toBeGreaterThan(6);
    expect(inWest).toBeLessThan(54);
    for (const [system, way] of first) expect(wayOf(await ask(test, system))).toBe(way);
  });

  it('leaves alone a way that throttles until its retry-after is over, and asks with one request then', async () => {
    const test = await open({}, { weight: 0 });
    const east = test.aws.region(EAST);
    east.always(throttle(2));
    expect(wayOf(await askAnew(test))).toBe('west');
    for (let count = 0; count < 10; count += 1) expect(wayOf(await askAnew(test))).toBe('west');
    expect(east.trail).toHaveLength(1);
    await delay(2_200);
    // Of many at once one tries; nobody waits for it.
    east.always(after(300, throttle(30)));
    const replies = await Promise.all(Array.from({ length: 10 }, () => askAnew(test)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(east.trail).toHaveLength(2);
  });

  it('goes back to a way that serves again', async () => {
    const test = await open({}, { weight: 0 });
    test.aws.region(EAST).next(throttle(1));
    expect(wayOf(await askAnew(test))).toBe('west');
    await expect.poll(async () => wayOf(await askAnew(test)), { timeout: 5_000, interval: 200 }).toBe('east');
  });

  it('leaves a conversation where it moved to, if the first way serves again', async () => {
    const test = await open();
    const home = wayOf(await ask(test, 'one'));
    const region = test.aws.region(home === 'east' ? EAST : WEST);
    region.next(throttle(1));
    const there = wayOf(await ask(test, 'one'));
    expect(there).not.toBe(home);
    // Others do begin there again.
    const seen = async (): Promise<boolean> => wayOf(await askAnew(test)) === home;
    await expect.poll(seen, { timeout: 5_000, interval: 200 }).toBe(true);
    expect(wayOf(await ask(test, 'one'))).toBe(there);
  });

  it('sends no more at a time to a way than maxInFlight', async () => {
    const test = await open({ maxInFlight: 2 }, { weight: 0 });
    for (const region of [EAST, WEST]) test.aws.region(region).always(after(300, serve));
    const replies = await Promise.all(Array.from({ length: 6 }, () => test.converse()));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(replies.filter((reply) => wayOf(reply) === 'east')).toHaveLength(2);
    expect(new Set(replies.map(({ headers }) => headers.get('x-bedrock-proxy-attempts')))).toEqual(new Set(['1']));
  });

  it('sends a model to another geography under its name there, and nowhere without one', async () => {
    const map = { [`us.${HAIKU}`]: `eu.${HAIKU}` };
    const test = await openUpstreamsTest({
      regions: [EAST, WEST, EU],
      upstreams: (aws) => [
        ...ways({}, { weight: 0, models: ['us.amazon.*'] })(aws),
        { name: 'eu', region: EU, endpointUrl: aws.region(EU).url, weight: 0, models: map },
      ],
    });
    test.aws.region(EAST).always(throttle());
    const there = await test.send(`/model/us.${HAIKU}/converse`);
    expect([there.status, wayOf(there)]).toEqual([200, 'eu']);
    expect(test.aws.region(EU).trail.map(({ model }) => model)).toEqual([`eu.${HAIKU}`]);
    expect((await test.ledger(1))[0]).toMatchObject({ region: EU, model: `eu.${HAIKU}`, upstream: 'eu' });
    // Nobody else has this one.
    expect((await test.send(`/model/us.amazon.nova-pro-v1:0/converse`)).status).toBe(200);
    const nowhere = await test.send(`/model/us.meta.llama3-3-70b-instruct-v1:0/converse`);
    expect(nowhere.status).toBe(429);
    expect(test.aws.region(EU).trail).toHaveLength(1);
    expect(test.aws.failures).toEqual([]);
  });
});

describe('what is told', () => {
  it('has price and region of the attempt that responded, and reserves the dearest', async () => {
    const test = await openUpstreamsTest({
      regions: [EAST, WEST, EU],
      upstreams: ways({}, { weight: 0 }),
      environment: { BEDROCK_PROXY_PRICES: await writePrices() },
      keyArgs: ['--budget', '0.5'],
    });
    // A million output tokens cost $0.24 in the east, and $2.40 in the west, which is more than the budget.
    const body = JSON.stringify({ ...JSON.parse(bodyOf('Hello')), inferenceConfig: { maxTokens: 1_000_000 } });
    const refused = await test.converse('Hello', { body });
    expect([refused.status, refused.headers.get('x-bedrock-proxy-error')]).toEqual([
      402,
      expect.stringMatching(/^ERR_/),
    ]);
    test.aws.region(EAST).next(throttle(0), throttle(0));
    expect((await test.converse()).status).toBe(200);
    const [bill] = test.aws.bills;
    const line = (await test.ledger(2)).at(-1);
    expect(line).toMatchObject({ region: WEST, cost_nano_usd: 10 * (60 * (bill?.inputTokens ?? 0) + 240 * 10) });
  });

  it('is in usage, logs, metrics and status', async () => {
    const test = await open({}, { weight: 0 });
    test.aws.region(EAST).next(throttle());
    await test.converse();
    await test.ledger(1);
    const usage = JSON.parse(await test.cli('usage', '--by', 'upstream', '--json')) as object;
    expect(JSON.stringify(usage)).toContain('"west"');
    const metrics = await (await fetch(`http://127.0.0.1:${test.server.port}/metrics`)).text();
    expect(metrics).toMatch(/upstream="east"/);
    expect(metrics).toMatch(/upstream="west"/);
    const ready = await fetch(`http://127.0.0.1:${test.server.port}/health/readiness`);
    expect(ready.status).toBe(200);
    expect(await ready.text()).toMatch(/east[^]*west/);
    expect(await test.cli('status')).toMatch(
      /upstream +east \(us-east-1\): some models rest for another \d+ s\n +upstream +west \(us-west-2\): ready/,
    );
    expect(JSON.parse(await test.cli('status', '--json'))).toMatchObject([
      {
        upstreams: [
          { name: 'east', state: 'some models rest' },
          { name: 'west', retry_in_seconds: null },
        ],
      },
    ]);
  });
});

describe('the way of a stream both ways', () => {
  it('is never sent elsewhere: WebSocket', { skip: !IS_SERVED }, async () => {
    const test = await open({}, { weight: 0 });
    test.aws.region(EAST).always((_, response) => void response.writeHead(503).end());
    await using raw = await dial(test.server.port);
    const upgrade = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${WS_KEY}`,
      'Sec-WebSocket-Version: 13',
    ];
    const headers = [`Host: localhost:${test.server.port}`, `Authorization: Bearer ${test.key}`, ...upgrade];
    await raw.send(requestText(`GET /bedrock${WS_PATH} HTTP/1.1`, headers));
    expect((await raw.readResponse()).status).toBeGreaterThanOrEqual(400);
    expect(test.aws.region(WEST).upstream.connectionCount).toBe(0);
  });

  it('is never sent elsewhere: event streams', async () => {
    const test = await open({}, { weight: 0 });
    // No HTTP/2 is spoken there: the connection fails.
    await using client = openHttp2(test.server.port);
    const response = await client.ask({
      ':method': 'POST',
      ':path': '/bedrock/model/amazon.nova-2-sonic-v1:0/invoke-with-bidirectional-stream',
      authorization: `Bearer ${test.key}`,
      'content-type': 'application/vnd.amazon.eventstream',
    });
    expect(response.status).not.toBe(200);
    expect(test.aws.region(WEST).upstream.connectionCount).toBe(0);
  });
});

describe('callers that sign', () => {
  it('are verified once, and signed for each way', async () => {
    const test = await open({}, { profile: 'second', weight: 0 });
    test.aws.region(EAST).next(throttle());
    const body = bodyOf('Hello, '.repeat(400_000));
    const path = `/bedrock/model/${NOVA}/converse`;
    const lines = await signLines(
      { accessKeyId: test.accessKeyId, key: test.key },
      { method: 'POST', path, body, host: `localhost:${test.server.port}` },
    );
    await using raw = await dial(test.server.port);
    await raw.send(
      requestText(`POST ${path} HTTP/1.1`, [...lines, `Content-Length: ${Buffer.byteLength(body)}`], body),
    );
    const response = await raw.readResponse();
    expect([response.status, response.header('x-bedrock-proxy-upstream')]).toEqual([200, 'west']);
    expect(test.aws.trail.map(({ account, region }) => [account, region])).toEqual([
      ['111111111111', EAST],
      ['222222222222', WEST],
    ]);
  });
});

describe('the file of --upstreams', () => {
  it('is read anew when it changes, and stays as it was if it has a mistake', { timeout: 30_000 }, async () => {
    const test = await open({}, { weight: 0 });
    expect(wayOf(await askAnew(test))).toBe('east');
    await test.write(ways({ weight: 0 }, { weight: 1, name: 'pacific' })(test.aws));
    await expect.poll(async () => wayOf(await askAnew(test)), { timeout: 10_000, interval: 200 }).toBe('pacific');
    await writeFile(join(test.folder, 'upstreams.json'), '{"upstreams": [{"name": "a", "regoin": "us-east-1"}]}');
    await test.server.untilStderr('regoin');
    expect(wayOf(await askAnew(test))).toBe('pacific');
  });

  it.each([
    { text: 'no JSON', words: /JSON/ },
    { text: '{"upstreams": []}', words: /upstreams/ },
    { text: '{"upstreams": [{"region": "us-east-1"}]}', words: /upstreams\[0\]\.name/ },
    { text: '{"upstreams": [{"name": "a", "regoin": "us-east-1"}]}', words: /upstreams\[0\]\.regoin/ },
    { text: '{"upstreams": [{"name": "a", "region": "virginia"}]}', words: /upstreams\[0\]\.region.*region/ },
    { text: '{"upstreams": [{"name": "a"}, {"name": "a"}]}', words: /upstreams\[1\]\.name/ },
    { text: '{"upstreams": [{"name": "a", "weight": -1}]}', words: /upstreams\[0\]\.weight/ },
    { text: '{"upstreams": [{"name": "a", "maxInFlight": 0}]}', words: /upstreams\[0\]\.maxInFlight/ },
    { text: '{"upstreams": [{"name": "a", "roleArn": "bedrock"}]}', words: /upstreams\[0\]\.roleArn.*ARN/ },
    { text: '{"upstreams": [{"name": "a", "endpointUrl": "here"}]}', words: /upstreams\[0\]\.endpointUrl.*URL/ },
    { text: '{"upstreams": [{"name": "a", "models": {"x": 1}}]}', words: /upstreams\[0\]\.models/ },
  ])('is refused with one line that names the place: $text', async ({ text, words }) => {
    const test = await openAwsTest({ regions: [EAST] });
    const file = join(test.folder, 'upstreams.json');
    await writeFile(file, text);
    await using program = launch(['start', '--port', '0', '--upstreams', file], test.environment);
    const { code, stderr } = await program.ended;
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
    expect(stderr.match(/^error:/gm)).toHaveLength(1);
  });

  it('is refused beside --fallback', async () => {
    const test = await openAwsTest({ regions: [EAST] });
    const args = ['start', '--port', '0', '--upstreams', 'x.json', '--fallback', 'region=us-west-2'];
    await using program = launch(args, test.environment);
    const { code, stderr } = await program.ended;
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--upstreams.*--fallback|--fallback.*--upstreams/)]);
  });
});

describe('--fallback', () => {
  it.each([
    {
      args: ['--fallback', 'region=us-west-2'],
      seen: [
        ['111111111111', EAST],
        ['111111111111', WEST],
      ],
    },
    {
      args: ['--fallback', 'profile=second'],
      seen: [
        ['111111111111', EAST],
        ['222222222222', EAST],
      ],
    },
    {
      args: ['--fallback', 'profile=second,region=us-west-2'],
      seen: [
        ['111111111111', EAST],
        ['222222222222', WEST],
      ],
    },
  ])('takes what the first way throttles: $args', async ({ args, seen }) => {
    const test = await openUpstreamsTest({ regions: [EAST, WEST], args });
    test.aws.region(EAST).next(throttle());
    expect((await test.converse()).status).toBe(200);
    expect(test.aws.trail.map(({ account, region }) => [account, region])).toEqual(seen);
  });

  it('changes nothing while the first way serves, but for what is told', async () => {
    const test = await openUpstreamsTest({ regions: [EAST, WEST], args: ['--fallback', 'region=us-west-2'] });
    for (let count = 0; count < 5; count += 1)
      expect((await test.converse()).headers.get('x-bedrock-proxy-attempts')).toBe('1');
    expect(test.aws.region(WEST).trail).toEqual([]);
  });

  it('is not there without the option: one way, one attempt', async () => {
    const test = await openUpstreamsTest({ regions: [EAST, WEST] });
    test.aws.region(EAST).always(throttle(3));
    const reply = await test.converse();
    expect(reply.status).toBe(429);
    expect(reply.headers.get('retry-after')).toBe('3');
    expect([...reply.headers.keys()].filter((name) => /upstream|attempts/.test(name))).toEqual([]);
    expect(test.aws.trail).toHaveLength(1);
    expect((await test.ledger(1))[0]).toMatchObject({ upstream: null, attempts: null });
  });
});

async function writePrices(): Promise<string> {
  const file = join(await makeTemporaryFolder(), 'prices.json');
  const nova = { input_mtok: 0.06, output_mtok: 0.24, regions: { [WEST]: { input_mtok: 0.6, output_mtok: 2.4 } } };
  await writeFile(file, JSON.stringify({ models: { [NOVA]: nova } }));
  return file;
}
