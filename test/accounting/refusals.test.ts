import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Refusals } from '../../src/accounting/refusals.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';

let written: LedgerRow[];
let refusals: Refusals;

beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  refusals = new Refusals((row) => written.push(row));
});

afterEach(() => {
  refusals.flush();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const refused = (more: Partial<LedgerRow> = {}): LedgerRow =>
  aLedgerRow({ status: 429, errorCode: 'ERR_REQUEST_RATE', pricing: 'free', costNanoUsd: 0, requestBytes: 1, ...more });

function addMany(times: number, more: Partial<LedgerRow> = {}): (LedgerRow | undefined)[] {
  return Array.from({ length: times }, () => refusals.add(refused(more)));
}

it('gives the first five requests of a caller a row each', () => {
  const rows = addMany(7);
  expect(rows.map((row) => row?.requests)).toEqual([1, 1, 1, 1, 1, undefined, undefined]);
  expect(addMany(1, { keyId: 'vk_b' })[0]?.requests).toBe(1);
  expect(addMany(1, { keyId: undefined, principal: 'master' })[0]?.requests).toBe(1);
});

it('adds the others up by caller and error, and writes them ten seconds later', async () => {
  addMany(5);
  addMany(1_000, { id: 'first' });
  addMany(3, { errorCode: 'ERR_SCOPE', status: 403 });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(written).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(written.map(({ requests, errorCode, requestBytes }) => [requests, errorCode, requestBytes])).toEqual([
    [1_000, 'ERR_REQUEST_RATE', 1_000],
    [3, 'ERR_SCOPE', 3],
  ]);
  expect(written[0]?.id).toBe('first');
  // The minute is not over.
  expect(addMany(1)).toEqual([undefined]);
  await vi.advanceTimersByTimeAsync(50_000);
  expect(written[2]).toMatchObject({ requests: 1, errorCode: 'ERR_REQUEST_RATE' });
  expect(addMany(1)[0]?.requests).toBe(1);
});

it('says nothing of what differs between the requests of a row', () => {
  addMany(5);
  addMany(1, { model: 'a', operation: 'Converse', region: 'us-east-1' });
  addMany(1, { model: 'b', operation: 'Converse', region: undefined });
  addMany(1, { model: 'a', operation: 'Converse', region: 'us-east-1' });
  refusals.flush();
  expect(written[0]).toMatchObject({ requests: 3, model: undefined, operation: 'Converse', region: undefined });
});

it('keeps 256 characters of a model', () => {
  expect(addMany(1, { model: 'x'.repeat(2_000) })[0]?.model).toHaveLength(256);
});

it('says of several refused requests only the session and the tags that all of them had', () => {
  addMany(5);
  const team = { team: 'red' };
  addMany(1, { session: 's', agent: 'a', tags: { ...team, repo: 'x' } });
  addMany(1, { session: 's', agent: 'b', tags: { ...team, repo: 'y' } });
  refusals.flush();
  expect(written[0]).toMatchObject({ requests: 2, session: 's', agent: undefined, tags: team });
});
