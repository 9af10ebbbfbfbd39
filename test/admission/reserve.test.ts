import { expect, it } from 'vitest';
import { reserveBudget } from '../../src/admission/reserve.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import type { NewReservation, ReserveOutcome } from '../../src/domain/budget.ts';
import { failureOf } from '../helpers/failure.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

const reservation = (amountNanoUsd: number, limitNanoUsd = 5_000_000_000): NewReservation => ({
  id: 'exchange-1',
  keyId: 'vk_a',
  amountNanoUsd,
  budget: { limitNanoUsd, windowMs: undefined, anchorMs: 0 },
  nowMs: 0,
  ifLost: aLedgerRow(),
});
const spend = { totalNanoUsd: 9, windowNanoUsd: 4_990_000_000, reservedNanoUsd: 1_000_000, resetsAtMs: undefined };
const responding = (outcome: ReserveOutcome, hasOutputLimit = true) => ({
  store: { reserve: async () => outcome },
  hasOutputLimit,
});

it('accepts a reservation that the store made', async () => {
  await reserveBudget(reservation(1), responding({ kind: 'reserved' }));
});

it('says that an exhausted budget without windows does not begin anew', async () => {
  const failure = await failureOf(() =>
    reserveBudget(reservation(20_000_000), responding({ kind: 'exhausted', spend })),
  );
  expect(failure).toMatchObject({
    code: 'ERR_BUDGET_EXCEEDED',
    message: 'This key has spent $4.99 of its budget of $5.00, and this request may cost up to $0.02.',
    hint: 'A smaller max_tokens may still pass; the owner of the key can give it more.',
  });
});

it('says that a request without a limit counts all that its model may write', async () => {
  const failure = await failureOf(() =>
    reserveBudget(reservation(20_000_000), responding({ kind: 'exhausted', spend }, false)),
  );
  expect(failure.hint).toBe(
    'It sets no max_tokens, so that all counts that its model may write: with one it may still pass; ' +
      'the owner of the key can give it more.',
  );
});

it.each([
  [0, '$0.00'],
  [1, '$0.000000001'],
  [10_000_000, '$0.01'],
  [100_000_000, '$0.10'],
  [1_000_000_000, '$1.00'],
  [1_234_567_890, '$1.23456789'],
  [120_000_000_000, '$120.00'],
])('writes %d nano-dollars of a refused reservation as %s', async (amount, text) => {
  const failure = await failureOf(() => reserveBudget(reservation(amount), responding({ kind: 'held', spend })));
  expect(failure.message).toContain(`may cost up to ${text}.`);
});

it('passes on what the store throws', async () => {
  const error = new ProxyError('ERR_STORE_UNAVAILABLE', 'no');
  const store = { reserve: () => Promise.reject(error) };
  expect(await failureOf(() => reserveBudget(reservation(1), { store, hasOutputLimit: true }))).toBe(error);
});
