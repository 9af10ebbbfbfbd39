import { describe, expect, it } from 'vitest';
import { untilEntered } from '../../src/admission/enter.ts';
import { createRateLimits, type LocalRateLimits, type RateGrant, type RatePolicy } from '../../src/admission/rates.ts';
import { createRemoteRates, openRateDesk, type RateOrder, type RemoteRates } from '../../src/admission/remote-rates.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { failureOf } from '../helpers/failure.ts';

const NONE: RatePolicy = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxParallel: undefined };

interface TestWorker {
  readonly rates: RemoteRates;
  readonly sent: RateOrder[];
  /** As if the process were killed. */
  die(): void;
}

/** A worker whose messages take a turn of the event loop each way, as JSON. */
function openWorker(counted: LocalRateLimits): TestWorker {
  const desk = openRateDesk(counted);
  const sent: RateOrder[] = [];
  const rates: RemoteRates = createRemoteRates((order) => {
    sent.push(order);
    setImmediate(() => {
      const answer = desk.take(JSON.parse(JSON.stringify(order)) as RateOrder);
      if (answer !== undefined) setImmediate(() => rates.onAnswer(JSON.parse(JSON.stringify(answer)) as typeof answer));
    });
  });
  return { rates, sent, die: () => desk.close() };
}

function openTwo(): { counted: LocalRateLimits; workers: [TestWorker, TestWorker]; clock: { nowMs: number } } {
  const clock = { nowMs: 1_700_000_000_000 };
  const counted = createRateLimits({ tickMs: monotonicClock(() => clock.nowMs) });
  return { counted, workers: [openWorker(counted), openWorker(counted)], clock };
}

const untilSent = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

async function enterAll(workers: readonly TestWorker[], policy: RatePolicy, times: number): Promise<unknown[]> {
  const entering = Array.from({ length: times }, async (_, index) => workers[index % 2]?.rates.enter('vk_a', policy));
  return (await Promise.allSettled(entering)).map((one) => (one.status === 'fulfilled' ? one.value : one.reason));
}

const refusals = (results: readonly unknown[]): unknown[] => results.filter((one) => one instanceof ProxyError);

describe('two workers', () => {
  it('let exactly the limit of requests per minute pass together, and refuse as a process alone does', async () => {
    const { workers, clock } = openTwo();
    const refused = refusals(await enterAll(workers, { ...NONE, requestsPerMinute: 5 }, 20));
    expect(refused).toHaveLength(15);
    expect(refused[0]).toMatchObject({
      code: 'ERR_REQUEST_RATE',
      status: 429,
      retryAfterSeconds: 60,
      message: "This key's limit of requests per minute is 5, and it sent 5 in the last one.",
    });
    clock.nowMs += 60_000;
    expect(refusals(await enterAll(workers, { ...NONE, requestsPerMinute: 5 }, 5))).toEqual([]);
  });

  it('have slots at a time together, which a request that ends gives back to either', async () => {
    const { workers } = openTwo();
    const policy = { ...NONE, maxParallel: 2 };
    const grants = (await enterAll(workers, policy, 4)) as RateGrant[];
    expect(refusals(grants)).toHaveLength(2);
    grants[0]?.finish(0);
    await workers[1].rates.enter('vk_a', policy);
    expect(await failureOf(async () => workers[0].rates.enter('vk_a', policy))).toMatchObject({
      code: 'ERR_TOO_MANY_PARALLEL',
    });
  });

  it('count tokens together, and what a request used in place of its estimate', async () => {
    const { workers } = openTwo();
    const policy = { ...NONE, tokensPerMinute: 100 };
    const [first, second] = await Promise.all(workers.map(({ rates }) => rates.enter('vk_a', policy)));
    await first?.addTokens(policy, 80);
    const refused = await failureOf(async () => second?.addTokens(policy, 50));
    expect(refused).toMatchObject({ code: 'ERR_TOKEN_RATE', hint: expect.stringContaining('max_tokens') });
    first?.finish(10);
    await untilSent();
    await second?.addTokens(policy, 50);
  });
});

describe('a worker', () => {
  it('says nothing of a key without limits, and waits for nothing', () => {
    const [{ rates, sent }] = openTwo().workers;
    const grant = rates.enter('vk_a', NONE) as RateGrant;
    expect(grant).not.toBeInstanceOf(Promise);
    expect(grant.addTokens(NONE, 5)).toBeUndefined();
    grant.finish(5);
    expect(sent).toEqual([]);
  });

  it('waits for what may be refused alone', async () => {
    const [{ rates }] = openTwo().workers;
    const tokens = { ...NONE, tokensPerMinute: 100 };
    const grant = rates.enter('vk_a', tokens) as RateGrant;
    expect(grant).not.toBeInstanceOf(Promise);
    expect(grant.addTokens(tokens, 5)).toBeInstanceOf(Promise);
    const requests = { ...NONE, requestsPerMinute: 100 };
    const entered = rates.enter('vk_b', requests);
    expect(entered).toBeInstanceOf(Promise);
    expect((await entered).addTokens(requests, 5)).toBeUndefined();
  });

  it('gives back what it was not yet granted', async () => {
    const { counted, workers } = openTwo();
    const [{ rates }] = workers;
    const policy = { ...NONE, requestsPerMinute: 1 };
    (await rates.enter('vk_a', policy)).undo();
    (await rates.enter('vk_a', policy)).undo();
    await untilSent();
    expect(() => counted.enter('vk_a', policy)).not.toThrow();
  });

  it('ends a grant that comes when its client has left', async () => {
    const { counted, workers } = openTwo();
    const policy = { ...NONE, maxParallel: 1 };
    const leaving = new AbortController();
    const entering = untilEntered(Promise.resolve(workers[0].rates.enter('vk_a', policy)), leaving.signal);
    leaving.abort(new ProxyError('ERR_CLIENT_GONE', 'left'));
    expect(await failureOf(() => entering)).toMatchObject({ code: 'ERR_CLIENT_GONE' });
    await untilSent();
    await untilSent();
    expect(() => counted.enter('vk_a', policy)).not.toThrow();
  });

  it('ends a grant once', async () => {
    const [{ rates, sent }] = openTwo().workers;
    const grant = await rates.enter('vk_a', { ...NONE, maxParallel: 1 });
    grant.finish(Number.NaN);
    grant.finish(1);
    grant.undo();
    expect(sent.map(({ kind }) => kind)).toEqual(['enter', 'finish']);
    expect(sent[1]).toMatchObject({ tokens: undefined });
  });

  it('that dies leaves its slots to the others; what it has sent counts', async () => {
    const { workers } = openTwo();
    const [dying, other] = workers;
    const policy = { ...NONE, maxParallel: 1, requestsPerMinute: 2 };
    await dying.rates.enter('vk_a', policy);
    dying.die();
    await other.rates.enter('vk_a', { ...policy, maxParallel: 2 });
    expect(await failureOf(async () => other.rates.enter('vk_a', { ...policy, maxParallel: 3 }))).toMatchObject({
      code: 'ERR_REQUEST_RATE',
    });
  });

  it('refuses if nobody counts any more', async () => {
    const rates = createRemoteRates(() => {});
    const policy = { ...NONE, maxParallel: 1 };
    const entering = rates.enter('vk_a', policy);
    const gone = new ProxyError('ERR_SHUTTING_DOWN', 'gone');
    rates.close(gone);
    expect(await failureOf(async () => entering)).toBe(gone);
    expect(await failureOf(async () => rates.enter('vk_a', policy))).toBe(gone);
  });
});
