/** Hints below the lines of requests: told once, again after a while, and of clients that try in vain. */
import { describe, expect, it } from 'vitest';
import { createErrorHints } from '../../src/app/error-hints.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { aFinishedRecord } from '../helpers/finished-record.ts';

const FAILED = { status: 400, upstreamStatus: 400, upstreamErrorType: 'ValidationException' };
const invalidBeta = () => aFinishedRecord({ ...FAILED, upstreamErrorMessage: 'invalid beta flag' });

describe('the hint of a request that failed', () => {
  it('is told once, and again after ten minutes', () => {
    let nowMs = 0;
    const hints = createErrorHints(monotonicClock(() => nowMs));
    expect(hints.hintFor(invalidBeta())).toContain('anthropic-beta');
    expect(hints.hintFor(invalidBeta())).toBeUndefined();
    nowMs = 10 * 60_000;
    expect(hints.hintFor(invalidBeta())).toContain('anthropic-beta');
  });

  it('says after six refusals for good that the client tries in vain, and says it once', () => {
    const hints = createErrorHints(monotonicClock(() => 0));
    const told = Array.from({ length: 9 }, () => hints.hintFor(invalidBeta()));
    expect(told.findIndex((hint) => hint?.includes('in vain'))).toBe(5);
    expect(told.filter((hint) => hint?.includes('in vain'))).toHaveLength(1);
  });

  it('explains an exception in a stream that began with 200', () => {
    const record = aFinishedRecord({
      status: 200,
      upstreamStatus: 200,
      upstreamErrorType: 'modelStreamErrorException',
    });
    expect(createErrorHints(monotonicClock(() => 0)).hintFor(record)).toContain('The model itself failed');
  });

  it('says nothing of a request that went well, or of an error that nobody knows', () => {
    const hints = createErrorHints(monotonicClock(() => 0));
    expect(hints.hintFor(aFinishedRecord())).toBeUndefined();
    expect(hints.hintFor(aFinishedRecord({ ...FAILED, upstreamErrorMessage: 'Never seen.' }))).toBeUndefined();
  });
});
