/**
 * @module-tag slow
 *
 * A thousand conversations over three ways to AWS, one of which throttles half of the time: no client sees an error
 * that one region alone would not have given, the conversations stay where their prompt caches are, and what AWS bills
 * is charged once. The fake AWS has a prompt cache for each region, as AWS has, and says of each request what it read.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../helpers/random.ts';
import { decodeFrames } from '../helpers/event-frames.ts';
import { exceptionFirst, type Outcome, REFUSALS, serve, throttle } from '../helpers/fake-bedrock.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { bodyOf, openUpstreamsTest, type UpstreamsTest } from '../helpers/upstreams-test.ts';

const REGIONS = ['us-east-1', 'us-east-2', 'us-west-2'];
const [THROTTLING = ''] = REGIONS;
const CONVERSATIONS = 1_000;
const TURNS = 6;
/** Conversations under way at a time. */
const PARALLEL = 40;
const MODEL = 'anthropic.claude-haiku-4-5-20251001-v1:0';
/** Nano-dollars a token. */
const PRICE = { inputTokens: 1_000, outputTokens: 5_000, cacheReadInputTokens: 100, cacheWriteInputTokens: 1_250 };
const PRICE_FILE = {
  models: { [MODEL]: { input_mtok: 1, output_mtok: 5, cache_read_mtok: 0.1, cache_write_mtok: 1.25 } },
};

/** Half of the requests, by a generator of its own. */
function throttleHalf(): Outcome {
  const random = createRandom(20_261_128);
  return (call, response) => (random() < 0.5 ? throttle() : serve)(call, response);
}

const TROUBLES: readonly Outcome[] = [
  throttle(1),
  exceptionFirst('throttlingException'),
  exceptionFirst('serviceUnavailableException'),
  REFUSALS.ServiceUnavailableException,
  REFUSALS.overloaded,
  REFUSALS.ModelNotReadyException,
];

/** Nothing for half a second, in one way or another, then everything for half a second. */
function failInTurns(): Outcome {
  const random = createRandom(20_261_129);
  return (call, response) => {
    const trouble = TROUBLES[Math.floor(random() * TROUBLES.length)] ?? serve;
    return (Date.now() % 1_000 < 500 ? trouble : serve)(call, response);
  };
}

/** What a response says that the cache served. */
function readCached(body: Buffer, form: Form): number {
  const text = form === 'converse' ? body.toString() : Buffer.from(decodeFrames(body).at(-1)?.body ?? []).toString();
  return (JSON.parse(text) as { usage: { cacheReadInputTokens: number } }).usage.cacheReadInputTokens;
}

type Form = 'converse' | 'converse-stream';

interface Told {
  readonly statuses: Map<number, number>;
  readonly upstreams: string[][];
  cacheReads: number;
}

/** One conversation: each turn has all that was said before, behind a system prompt of its own that is cached. */
async function talk(test: UpstreamsTest, form: Form, number: number, told: Told): Promise<void> {
  const name = createHash('sha256').update(String(number)).digest('hex');
  const system = [{ text: `You are ${name}. ${'Be kind. '.repeat(50)}` }, { cachePoint: { type: 'default' } }];
  const messages: object[] = [];
  const upstreams: string[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    messages.push({ role: 'user', content: [{ text: `Question ${turn}` }] });
    const body = bodyOf('', { system, messages });
    const { status, headers, body: bytes } = await test.send(`/model/${MODEL}/${form}`, { body });
    told.statuses.set(status, (told.statuses.get(status) ?? 0) + 1);
    upstreams.push(headers.get('x-bedrock-proxy-upstream') ?? '');
    if (status !== 200) continue;
    if (turn > 0 && readCached(bytes, form) > 0) told.cacheReads += 1;
    messages.push({ role: 'assistant', content: [{ text: `Answer ${turn}` }] });
  }
  told.upstreams.push(upstreams);
}

/** All of them, so many at a time. */
async function talkAll(test: UpstreamsTest, form: Form): Promise<Told> {
  const told: Told = { statuses: new Map(), upstreams: [], cacheReads: 0 };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let number = (next += 1); number <= CONVERSATIONS; number = next += 1) await talk(test, form, number, told);
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return told;
}

describe('a thousand conversations over three ways', { timeout: 180_000 }, () => {
  it.each([
    { form: 'converse', name: 'of every two requests one is throttled', outcome: throttleHalf() },
    { form: 'converse-stream', name: 'all goes wrong for half of each second', outcome: failInTurns() },
  ] as const)(
    'see no error, find their caches, and are charged once if at one of them $name: $form',
    async ({ form, outcome }) => {
      const prices = join(await makeTemporaryFolder(), 'prices.json');
      await writeFile(prices, JSON.stringify(PRICE_FILE));
      const test = await openUpstreamsTest({
        regions: REGIONS,
        upstreams: (aws) => REGIONS.map((region) => ({ name: region, region, endpointUrl: aws.region(region).url })),
        args: ['--prices', prices],
        keyArgs: ['--budget', '1000'],
      });
      test.aws.region(THROTTLING).always(outcome);
      const told = await talkAll(test, form);

      expect(Object.fromEntries(told.statuses)).toEqual({ 200: CONVERSATIONS * TURNS });
      const followUps = CONVERSATIONS * (TURNS - 1);
      expect(told.cacheReads / followUps).toBeGreaterThan(0.95);
      // It is used, if less than the others.
      const began = (region: string): number => told.upstreams.filter(([first]) => first === region).length;
      for (const region of REGIONS) expect(began(region)).toBeGreaterThan(0);

      const lines = await test.ledger(CONVERSATIONS * TURNS);
      expect(lines.every(({ status, partial }) => status === 200 && !partial)).toBe(true);
      const billed = test.aws.bills.reduce(
        (sum, bill) =>
          sum + Object.entries(PRICE).reduce((all, [name, price]) => all + bill[name as keyof typeof PRICE] * price, 0),
        0,
      );
      expect(test.aws.bills).toHaveLength(CONVERSATIONS * TURNS);
      expect(lines.reduce((sum, { charged_nano_usd: charged }) => sum + (charged ?? 0), 0)).toBe(billed);
      const { total_usd: total, reserved_usd: reserved } = await test.spend();
      expect([Math.round(Number(total) * 1e9), reserved]).toEqual([billed, '0']);
      for (const { upstream, region } of lines) expect(upstream).toBe(region);
      // Every attempt is told: what the ledger has is what AWS saw.
      expect(lines.reduce((sum, { attempts }) => sum + (attempts ?? 0), 0)).toBe(test.aws.trail.length);
    },
  );
});
