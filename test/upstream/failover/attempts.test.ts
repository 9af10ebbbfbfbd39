import { describe, expect, it } from 'vitest';
import { monotonicClock } from '../../../src/lib/clock.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { makeAttempts } from '../../../src/upstream/failover/attempts.ts';
import { UpstreamHealth } from '../../../src/upstream/failover/health.ts';
import type { Attempt, HeldResponse, ResponseObserver } from '../../../src/upstream/upstream.ts';
import { IDLE_OBSERVER, PASS_ON } from '../../helpers/idle-observer.ts';

type Outcome = 'serves' | 'throttles' | 'breaks' | 'refuses';

const broken = new ProxyError('ERR_UPSTREAM_RESET', 'It broke.');
const refused = new ProxyError('ERR_BAD_TARGET', 'No.');

function open(outcomes: readonly Outcome[], { maxInFlight }: { maxInFlight?: number } = {}) {
  let now = 0;
  const tickMs = monotonicClock(() => now);
  const calls: string[] = [];
  const leaving = new AbortController();
  const observer: ResponseObserver = {
    ...IDLE_OBSERVER,
    onAttempt: ({ upstream }, failed) => void calls.push(`${upstream} after ${failed?.upstream} ${failed?.kind}`),
    onReturn: ({ upstream }, failed) => void calls.push(`back to ${upstream} after ${failed?.upstream}`),
    onUnsent: () => void calls.push('unsent'),
  };
  const candidates = outcomes.map((outcome, index) => {
    const name = 'abc'[index] ?? '';
    const held: HeldResponse = {
      status: 429,
      headers: [],
      errorType: 'ThrottlingException',
      release: async () => void calls.push(`release ${name}`),
    };
    const send = async (_attempt: Attempt, watched: ResponseObserver): Promise<HeldResponse | undefined> => {
      watched.onSent();
      now += 10;
      if (outcome === 'throttles') return held;
      if (outcome === 'breaks') throw broken;
      if (outcome === 'refuses') throw refused;
      watched.onHead(200, []);
      return undefined;
    };
    const way = { upstream: name, route: {} } as unknown as Attempt['ways'][number];
    return { name, weight: 1, maxInFlight, way, upstream: { send }, health: new UpstreamHealth(tickMs) };
  });
  const attempt = {
    prepared: {},
    conversation: { owner: 'k' },
    clientRequest: { signal: leaving.signal },
    clientResponse: { headersSent: false },
  } as unknown as Attempt;
  const run = (deadlineMs = 1_000): Promise<void> =>
    makeAttempts(attempt, candidates, {
      observer,
      policy: PASS_ON,
      model: 'm',
      deadlineMs,
      tickMs,
      nowMs: Date.now,
      onServed: ({ name }) => void calls.push(`served by ${name}`),
    });
  return { run, calls, candidates, leaving };
}

describe('attempts', () => {
  it('go on until one serves, and tell what became of each', async () => {
    const { run, calls } = open(['throttles', 'breaks', 'serves']);
    await run();
    expect(calls).toEqual([
      'a after undefined undefined',
      'unsent',
      'b after a refused',
      'c after b lost',
      'served by c',
    ]);
  });

  it('end with the last that AWS said', async () => {
    const { run, calls } = open(['throttles', 'throttles', 'breaks']);
    await run();
    expect(calls.slice(-2)).toEqual(['back to b after c', 'release b']);
  });

  it('end with the error of the proxy if AWS said nothing', async () => {
    await expect(open(['breaks', 'breaks']).run()).rejects.toBe(broken);
  });

  it('end at once with what another upstream would not cure', async () => {
    const { run, calls } = open(['refuses', 'serves']);
    await expect(run()).rejects.toBe(refused);
    expect(calls).toEqual(['a after undefined undefined']);
  });

  it('end so too after AWS has said something, which the client gets', async () => {
    const { run, calls } = open(['throttles', 'refuses', 'serves']);
    await run();
    expect(calls.slice(-2)).toEqual(['back to a after b', 'release a']);
  });

  it('end when their time is over', async () => {
    const { run, calls } = open(['throttles', 'serves']);
    await run(10);
    expect(calls.slice(-1)).toEqual(['release a']);
  });

  it('end when the client leaves, who has cost nothing then', async () => {
    const { run, calls, leaving } = open(['throttles', 'serves']);
    leaving.abort();
    await expect(run()).rejects.toMatchObject({ code: 'ERR_CLIENT_GONE' });
    expect(calls).toEqual(['a after undefined undefined', 'unsent']);
  });

  it('ask what rests last', async () => {
    const { run, calls, candidates } = open(['serves', 'serves']);
    const ticket = candidates[0]?.health.begin({ model: 'm' });
    ticket?.fail('model', undefined);
    ticket?.end();
    await run();
    expect(calls.at(-1)).toBe('served by b');
  });

  it('are none if all are full', async () => {
    const { run, calls, candidates } = open(['serves', 'serves'], { maxInFlight: 1 });
    for (const { health } of candidates) health.begin({ model: 'm' });
    await expect(run()).rejects.toMatchObject({ code: 'ERR_UPSTREAMS_FULL', retryAfterSeconds: 1 });
    expect(calls).toEqual([]);
  });

  it('leave nothing in flight', async () => {
    for (const outcomes of [['throttles', 'breaks'], ['refuses'], ['serves']] as const) {
      const { run, candidates } = open(outcomes);
      await run().catch(() => {});
      expect(candidates.map(({ health }) => health.inFlight)).toEqual(outcomes.map(() => 0));
    }
  });
});
