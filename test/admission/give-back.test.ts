/**
 * Whatever the order in which requests come, are refused by the budget, meet a broken store and end: in the end
 * everything that was taken is back, and what counts is exactly what went out.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Admission } from '../../src/admission/admit.ts';
import type { ReserveOutcome } from '../../src/domain/budget.ts';
import { failureOf } from '../helpers/failure.ts';
import { openAdmitting } from './admitting.ts';

const SPEND = { totalNanoUsd: 0, windowNanoUsd: 0, reservedNanoUsd: 0, resetsAtMs: undefined };
const OUTCOMES = ['reserved', 'held', 'exhausted', 'broken'] as const;
const PLACES = 5;

it('gives everything back that an admission took, once', async () => {
  const outcomes = fc.array(fc.constantFrom(...OUTCOMES), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(outcomes, fc.scheduler(), async (planned, scheduler) => {
      const queue = [...planned];
      const store = {
        reserve: async (): Promise<ReserveOutcome> => {
          const outcome = queue.shift() ?? 'reserved';
          await scheduler.schedule(Promise.resolve());
          if (outcome === 'broken') throw new Error('broken');
          return outcome === 'reserved' ? { kind: outcome } : { kind: outcome, spend: SPEND };
        },
      };
      const { ask } = await openAdmitting({ store });
      const budget = { limitNanoUsd: 1, windowMs: undefined, anchorMs: 0 };
      const policy = { budget, maxParallel: PLACES, requestsPerMinute: 1_000, tokensPerMinute: 1_000_000_000 };
      const admitted: Admission[] = [];
      const asked = planned.map(async (_, index) => {
        const admission = await ask({ policy });
        admitted.push(admission);
        await scheduler.schedule(Promise.resolve());
        admission.release({ tokens: index });
        admission.release({ tokens: 7 });
      });
      await scheduler.waitFor(Promise.allSettled(asked));
      const free = { method: 'GET', path: '/async-invoke' };
      const again = await Promise.all(
        Array.from({ length: PLACES }, () => ask({ ...free, policy: { maxParallel: PLACES } })),
      );
      const full = await failureOf(() => ask({ ...free, policy: { maxParallel: PLACES } }));
      expect(full.code).toBe('ERR_TOO_MANY_PARALLEL');
      const sent = admitted.length + again.length;
      await ask({ ...free, policy: { requestsPerMinute: sent + 1 } });
      const over = await failureOf(() => ask({ ...free, policy: { requestsPerMinute: sent + 1 } }));
      expect(over.message).toContain(`sent ${sent + 1} `);
    }),
    { numRuns: 60 },
  );
});
