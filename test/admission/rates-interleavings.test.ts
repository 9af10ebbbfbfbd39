/**
 * Any order of asking, ending and waiting: what was let through is written down here, and held against the limits by
 * somebody who knows nothing of buckets.
 */
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { RateGrant } from '../../src/admission/rates.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { stopSharedPostgres } from '../helpers/postgres.ts';
import { stopSharedRedis } from '../helpers/redis.ts';
import { RATES } from './rate-places.ts';
import { take as takeBoth } from './take-rates.ts';

afterAll(stopSharedRedis);
afterAll(stopSharedPostgres);

interface Passed {
  readonly second: number;
  readonly grant: RateGrant;
  readonly estimate: number;
  isUnderWay: boolean;
  wentOut: boolean;
  /** What counts of it, and from when. */
  readonly tokens: { second: number; amount: number }[];
}

const STEP = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('take' as const), tokens: fc.nat({ max: 60 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('settle' as const, 'undo' as const),
      which: fc.nat(),
      used: fc.option(fc.nat({ max: 90 }), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }) },
);

const LIMITS = fc.record({
  requestsPerMinute: fc.integer({ min: 1, max: 6 }),
  tokensPerMinute: fc.integer({ min: 1, max: 150 }),
  maxParallel: fc.integer({ min: 1, max: 4 }),
});

describe.for(RATES)('rates counted by $name', ({ isMissing, runs, create }) => {
  it.skipIf(isMissing)(
    'never admit more than the limits in any interleaving, and refuse nothing that fits',
    async () => {
      const { rates, advance, renew } = await create();
      let run = 0;
      let nowMs = 1_700_000_000_000;
      const second = (): number => Math.floor(nowMs / 1000);
      const inWindow = (at: number): boolean => at > second() - 60;
      await fc.assert(
        fc.asyncProperty(LIMITS, fc.array(STEP, { maxLength: 80 }), async (limits, steps) => {
          const keyId = `vk_${(run += 1)}`;
          const passed: Passed[] = [];
          const count = () => ({
            underWay: passed.filter(({ isUnderWay }) => isUnderWay).length,
            requests: passed.filter((entry) => entry.wentOut && inWindow(entry.second)).length,
            tokens: passed
              .flatMap((entry) => entry.tokens)
              .filter((entry) => inWindow(entry.second))
              .reduce((sum, { amount }) => sum + amount, 0),
          });
          for (const step of steps) {
            if (step.kind === 'wait') {
              nowMs += step.ms;
              await advance(step.ms);
              await renew();
            } else if (step.kind === 'take') {
              const before = count();
              const fits =
                before.underWay < limits.maxParallel &&
                before.requests < limits.requestsPerMinute &&
                (step.tokens === 0 || before.tokens === 0 || before.tokens + step.tokens <= limits.tokensPerMinute);
              const grant = await attempt(() => takeBoth(rates, keyId, limits, step.tokens));
              expect(grant !== undefined).toBe(fits);
              if (grant === undefined) continue;
              const tokens = [{ second: second(), amount: step.tokens }];
              passed.push({ second: second(), grant, estimate: step.tokens, isUnderWay: true, wentOut: true, tokens });
            } else {
              const entry = passed[step.which % Math.max(1, passed.length)];
              if (entry === undefined) continue;
              // Ended ones are ended again, both ways: nothing may come back twice.
              if (step.kind === 'undo') entry.grant.undo();
              else entry.grant.finish(step.used);
              if (!entry.isUnderWay) continue;
              entry.isUnderWay = false;
              if (step.kind === 'undo') {
                entry.wentOut = false;
                entry.tokens.length = 0;
              } else if (step.used !== undefined) {
                const first = entry.tokens[0];
                if (first !== undefined) first.amount = Math.min(first.amount, step.used);
                entry.tokens.push({ second: second(), amount: Math.max(0, step.used - entry.estimate) });
              }
            }
          }
        }),
        { numRuns: runs },
      );
    },
  );
});

async function attempt(take: () => Promise<RateGrant>): Promise<RateGrant | undefined> {
  try {
    return await take();
  } catch (thrown) {
    if (thrown instanceof ProxyError && thrown.status === 429 && (thrown.retryAfterSeconds ?? 0) >= 1) return undefined;
    throw thrown;
  }
}
