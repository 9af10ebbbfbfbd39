/** Money: reserved, booked, given back, lost and found; in windows, over rotations, by two processes. */
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type KeySpend,
  type NewReservation,
  RESERVATION_LEASE_MS,
  type ReserveOutcome,
} from '../../src/domain/budget.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { Budget } from '../../src/domain/key.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import type { Store } from '../../src/domain/store.ts';
import { aBudget, aKeyRow, aLedgerRow, aReservation } from '../helpers/store-rows.ts';
import { describeStores, type StorePlace } from './stores.ts';

let place: StorePlace;
let store: Store;

const HUNDRED = aBudget(100);

/** A moment of October 2026, UTC. */
const ms = (time: string): number => Date.parse(`2026-10-${time}Z`);

async function spendOf(budget: Budget | undefined = HUNDRED, nowMs = 1_000, keyId = 'vk_a'): Promise<KeySpend> {
  const spends = await store.findSpend([{ id: keyId, policy: { ...EMPTY_POLICY, budget } }], nowMs);
  return spends.get(keyId) ?? expect.fail('no spend');
}

async function reserve(
  amountNanoUsd: number,
  fields: Partial<Omit<NewReservation, 'ifLost'>> = {},
  by = store,
): Promise<ReserveOutcome['kind']> {
  return (await by.reserve(aReservation({ amountNanoUsd, budget: HUNDRED, ...fields }))).kind;
}

const idsOf = async (by: Store): Promise<string[]> =>
  (await by.readLedger({}, { after: 0, limit: 9 })).map(({ id }) => id);

async function settle(chargedNanoUsd: number, fields: Partial<LedgerRow> = {}, by = store): Promise<void> {
  await by.settle(aLedgerRow({ chargedNanoUsd, costNanoUsd: chargedNanoUsd, ...fields }));
}

const spent = (totalNanoUsd: number, reservedNanoUsd = 0): KeySpend => ({
  totalNanoUsd,
  windowNanoUsd: totalNanoUsd,
  reservedNanoUsd,
  resetsAtMs: undefined,
});

/** For a reservation that is made at this moment. */
const now = (): { readonly nowMs: number } => ({ nowMs: place.now() });

describeStores(({ create, keyAgeMs }) => {
  beforeEach(async () => {
    place = await create();
    store = await place.open();
  });

  describe('a reservation', () => {
    it('reserves an amount until it is settled, then spends what was charged and frees the rest', async () => {
      expect(await spendOf()).toEqual(spent(0));
      expect(await reserve(60, { id: 'one' })).toBe('reserved');
      expect(await spendOf()).toEqual(spent(0, 60));
      await settle(10, { id: 'one' });
      expect(await spendOf()).toEqual(spent(10));
      expect((await store.readLedger({}, { after: 0, limit: 9 })).map(({ id }) => id)).toEqual(['one']);
    });

    it.each([
      { name: 'fits to the last nano-dollar', settled: 40, held: 30, amount: 30, kind: 'reserved' },
      { name: 'is one too much beside what is reserved', settled: 40, held: 30, amount: 31, kind: 'held' },
      { name: 'would just fit if nothing were reserved', settled: 40, held: 30, amount: 60, kind: 'held' },
      { name: 'is one too much whatever is reserved', settled: 40, held: 30, amount: 61, kind: 'exhausted' },
      { name: 'is too much for the whole budget', settled: 0, held: 0, amount: 101, kind: 'exhausted' },
      { name: 'costs nothing, with everything spent', settled: 100, held: 0, amount: 0, kind: 'reserved' },
      { name: 'costs nothing, with too much spent', settled: 101, held: 0, amount: 0, kind: 'exhausted' },
    ])('decides on a reservation that $name: $kind', async ({ settled, held, amount, kind }) => {
      await settle(settled);
      expect(await reserve(held > 0 ? held : 0, { budget: aBudget(1_000) })).toBe('reserved');
      const outcome = await store.reserve(aReservation({ amountNanoUsd: amount, budget: HUNDRED }));
      expect(outcome).toEqual(kind === 'reserved' ? { kind } : { kind, spend: spent(settled, held) });
      expect(await spendOf()).toEqual(spent(settled, kind === 'reserved' ? held + amount : held));
    });

    it('counts what the key had spent before it had a budget', async () => {
      await settle(90);
      expect(await reserve(11)).toBe('exhausted');
      expect(await reserve(10)).toBe('reserved');
    });

    it('measures a reservation against the limit of its moment', async () => {
      expect(await reserve(80)).toBe('reserved');
      expect(await reserve(1, { budget: aBudget(80) })).toBe('held');
      expect(await reserve(1, { budget: aBudget(81) })).toBe('reserved');
    });

    it('leaves other keys alone in a reservation of one key', async () => {
      expect(await reserve(100)).toBe('reserved');
      expect(await reserve(100, { keyId: 'vk_b' })).toBe('reserved');
      await settle(7, { keyId: 'vk_b' });
      expect(await spendOf()).toEqual(spent(0, 100));
    });

    it('books what was charged though the reservation was too small', async () => {
      await reserve(60, { id: 'one' });
      await settle(150, { id: 'one' });
      expect(await spendOf()).toEqual(spent(150));
      expect(await reserve(1)).toBe('exhausted');
    });
  });

  describe('a settlement', () => {
    it('settles without a reservation for every key, and for nobody else', async () => {
      await settle(5);
      await settle(6, { keyId: undefined, principal: 'master' });
      expect(await spendOf(undefined)).toEqual(spent(5));
      expect(await store.readLedger({}, { after: 0, limit: 9 })).toHaveLength(2);
    });

    it('has written a settlement when the call resolves, and shows it itself before', async () => {
      const other = await place.open();
      const settling = store.settle(aLedgerRow({ id: 'now' }));
      expect(await idsOf(store)).toEqual(['now']);
      await settling;
      expect(await idsOf(other)).toEqual(['now']);
    });

    it('lets a request have what another one has just left of the budget', async () => {
      for (let index = 0; index < 20; index += 1) {
        expect(await reserve(90, { id: `r${index}` })).toBe('reserved');
        void store.settle(aLedgerRow({ id: `r${index}`, chargedNanoUsd: 0 }));
      }
    });

    it('replaces the row of the same exchange and corrects the charge', async () => {
      await reserve(60, { id: 'one' });
      await settle(50, { id: 'one' });
      const [before] = await store.readLedger({}, { after: 0, limit: 9 });
      await settle(20, { id: 'one', status: 201 });
      const rows = await store.readLedger({}, { after: 0, limit: 9 });
      expect(rows).toMatchObject([{ id: 'one', status: 201, chargedNanoUsd: 20 }]);
      expect(rows[0]?.sequence).toBeGreaterThan(before?.sequence ?? 0);
      expect(await spendOf()).toEqual(spent(20));
    });

    it('leaves nothing behind if the row cannot be written', async () => {
      await reserve(60, { id: 'one' });
      const broken = aLedgerRow({ id: 'one', chargedNanoUsd: 5, requestBytes: 1.5 });
      await expect(store.settle(broken)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      expect(await spendOf()).toEqual(spent(0, 60));
      expect(await store.readLedger({}, { after: 0, limit: 9 })).toEqual([]);
    });
  });

  describe('windows', () => {
    const daily = aBudget(100, { windowMs: 1_000, anchorMs: 300 });
    const at = (nowMs: number): { readonly nowMs: number; readonly budget: Budget } => ({ nowMs, budget: daily });

    it('begins budget windows anew at their time, to the millisecond', async () => {
      await reserve(90, { id: 'one', ...at(1_300) });
      await settle(90, { id: 'one' });
      expect(await spendOf(daily, 2_299)).toMatchObject({ totalNanoUsd: 90, windowNanoUsd: 90, resetsAtMs: 2_300 });
      expect(await reserve(11, at(2_299))).toBe('exhausted');
      expect(await spendOf(daily, 2_300)).toMatchObject({ totalNanoUsd: 90, windowNanoUsd: 0, resetsAtMs: 3_300 });
      expect(await reserve(100, at(2_300))).toBe('reserved');
    });

    it('takes reservations of requests under way into the next window, and their charges', async () => {
      await reserve(70, { id: 'long', ...at(1_300) });
      expect(await reserve(31, at(2_300))).toBe('held');
      expect(await reserve(30, { id: 'short', ...at(2_300) })).toBe('reserved');
      await settle(70, { id: 'long' });
      expect(await spendOf(daily, 2_300)).toMatchObject({ windowNanoUsd: 70, reservedNanoUsd: 30 });
    });

    it('counts a window from the first reservation under it, not what was spent before', async () => {
      await settle(90);
      expect(await spendOf(daily, 1_300)).toMatchObject({ totalNanoUsd: 90, windowNanoUsd: 0 });
      expect(await reserve(100, at(1_300))).toBe('reserved');
    });

    it('does not refill a window by a clock that is set back, nor by windows that become longer', async () => {
      await reserve(90, { id: 'one', ...at(5_300) });
      await settle(90, { id: 'one' });
      expect(await reserve(11, at(1_300))).toBe('exhausted');
      expect(await reserve(11, at(5_400))).toBe('exhausted');
      const weekly = aBudget(100, { windowMs: 7_000 });
      expect(await reserve(11, { nowMs: 5_500, budget: weekly })).toBe('exhausted');
      expect(await reserve(100, { nowMs: 7_000, budget: weekly })).toBe('reserved');
    });

    it('knows the windows of times before their anchor', async () => {
      expect(await spendOf(daily, 299)).toMatchObject({ windowNanoUsd: 0, resetsAtMs: 300 });
      expect(await reserve(100, at(0))).toBe('reserved');
      expect(await reserve(1, at(299))).toBe('held');
    });

    describe('by the calendar', () => {
      /** Clocks in Berlin go back in the night to the 25th: that day begins at 22:00 UTC and ends at 23:00. */
      const inBerlin = aBudget(100, { calendar: { unit: 'day', timeZone: 'Europe/Berlin' }, anchorMs: ms('20T09:00') });
      const on = (time: string): { readonly nowMs: number; readonly budget: Budget } => ({
        nowMs: ms(time),
        budget: inBerlin,
      });

      it('begins a window with each day, however long it is', async () => {
        await reserve(90, { id: 'one', ...on('24T22:00') });
        await settle(90, { id: 'one' });
        const resetsAtMs = ms('25T23:00');
        expect(await spendOf(inBerlin, ms('24T22:00'))).toMatchObject({ windowNanoUsd: 90, resetsAtMs });
        expect(await reserve(11, on('25T22:59:59.999'))).toBe('exhausted');
        expect(await spendOf(inBerlin, resetsAtMs)).toMatchObject({ windowNanoUsd: 0, resetsAtMs: ms('26T23:00') });
        expect(await reserve(100, on('25T23:00'))).toBe('reserved');
      });

      it('begins a window when the budget is given, in the middle of a day', async () => {
        const again = { ...inBerlin, anchorMs: ms('20T12:00') };
        await reserve(90, { id: 'one', ...on('20T09:00') });
        await settle(90, { id: 'one' });
        expect(await reserve(11, on('20T11:59'))).toBe('exhausted');
        expect(await reserve(100, { nowMs: ms('20T12:00'), budget: again })).toBe('reserved');
        expect(await spendOf(again, ms('20T12:00'))).toMatchObject({ windowNanoUsd: 0, resetsAtMs: ms('20T22:00') });
      });

      it('opens no window twice by a clock that is set back over midnight, and says when the next one begins', async () => {
        await reserve(90, { id: 'one', ...on('24T22:00') });
        await settle(90, { id: 'one' });
        for (const time of ['24T21:59', '23T12:00', '24T22:00']) {
          expect(await reserve(11, on(time))).toBe('exhausted');
          expect(await spendOf(inBerlin, ms(time))).toMatchObject({ windowNanoUsd: 90, resetsAtMs: ms('25T23:00') });
        }
      });

      it('is the same window for all proxies on one database', async () => {
        const other = await place.open();
        await reserve(60, { id: 'one', ...on('25T22:59:50') });
        expect(await reserve(41, on('25T22:59:51'), other)).toBe('held');
        expect(await reserve(40, { id: 'two', ...on('25T22:59:51') }, other)).toBe('reserved');
        await settle(60, { id: 'one' });
        await settle(40, { id: 'two' }, other);
        expect(await reserve(1, on('25T22:59:59'))).toBe('exhausted');
        expect(await reserve(100, on('25T23:00'), other)).toBe('reserved');
        expect(await reserve(1, on('25T23:00'))).toBe('held');
      });
    });

    it('does not give what a correction in an old window saves into the next one', async () => {
      await reserve(90, { id: 'one', ...at(1_300) });
      await settle(90, { id: 'one' });
      await reserve(50, { id: 'two', ...at(2_300) });
      await settle(50, { id: 'two' });
      await settle(10, { id: 'one' });
      expect(await spendOf(daily, 2_300)).toMatchObject({ totalNanoUsd: 60, windowNanoUsd: 50 });
      await settle(0, { id: 'one' });
      expect(await spendOf(daily, 2_300)).toMatchObject({ totalNanoUsd: 50, windowNanoUsd: 50 });
    });
  });

  describe('a reservation whose process is gone', () => {
    /** Of a reservation that is made now, a good while before its end and just after it. */
    const almostOverMs = RESERVATION_LEASE_MS - 10_000;
    const restMs = 10_000;

    it('charges a reservation in full that nobody has renewed for the length of its lease', async () => {
      const { nowMs } = now();
      await reserve(60, { id: 'lost', nowMs });
      await place.advance(almostOverMs);
      expect(await store.settleLost(place.now())).toBe(0);
      expect(await spendOf()).toEqual(spent(0, 60));
      const other = await place.open();
      await place.advance(restMs);
      expect(await other.settleLost(place.now())).toBe(1);
      expect(await other.settleLost(place.now())).toBe(0);
      expect(await spendOf()).toEqual(spent(60));
      const [row, ...more] = await store.readLedger({}, { after: 0, limit: 9 });
      expect(more).toEqual([]);
      expect(row).toMatchObject({ id: 'lost', keyId: 'vk_a', startedAtMs: nowMs, model: 'amazon.nova-lite-v1:0' });
      expect(row).toMatchObject({ chargedNanoUsd: 60, costNanoUsd: undefined, pricing: 'unpriced', partial: true });
      expect(row?.status).toBeUndefined();
    });

    it('keeps a reservation while its process renews it, but none of another process', async () => {
      const other = await place.open();
      await reserve(30, { id: 'mine', ...now() });
      await reserve(40, { id: 'theirs', ...now() }, other);
      await place.advance(almostOverMs);
      await store.renewLeases(place.now());
      await place.advance(restMs);
      expect(await other.settleLost(place.now())).toBe(1);
      expect(await spendOf()).toEqual(spent(40, 30));
      await place.advance(RESERVATION_LEASE_MS);
      expect(await store.settleLost(place.now())).toBe(1);
      expect(await spendOf()).toEqual(spent(70));
    });

    it('settles a lost reservation before it gets in the way of another', async () => {
      const ifCharged = aBudget(130);
      await reserve(60, { id: 'lost', ...now() });
      await place.advance(almostOverMs);
      expect(await reserve(80, { budget: ifCharged, ...now() })).toBe('held');
      await place.advance(restMs);
      expect(await reserve(80, { budget: ifCharged, ...now() })).toBe('exhausted');
      expect(await spendOf()).toEqual(spent(60));
      expect(await reserve(70, { budget: ifCharged, ...now() })).toBe('reserved');
    });

    it('puts a late settlement in the place of the row of a lost reservation', async () => {
      const { nowMs } = now();
      await reserve(60, { id: 'late', nowMs });
      await place.advance(RESERVATION_LEASE_MS);
      expect(await store.settleLost(place.now())).toBe(1);
      await settle(25, { id: 'late', startedAtMs: nowMs });
      expect(await spendOf()).toEqual(spent(25));
      const rows = await store.readLedger({}, { after: 0, limit: 9 });
      expect(rows).toMatchObject([{ id: 'late', chargedNanoUsd: 25, pricing: 'priced', partial: false }]);
    });

    it('settles all lost reservations, however many they are', async () => {
      const budget = aBudget(1_000);
      for (let count = 0; count < 250; count += 1) await reserve(1, { budget, ...now() });
      await place.advance(RESERVATION_LEASE_MS);
      expect(await store.settleLost(place.now())).toBe(250);
      expect(await spendOf()).toEqual(spent(250));
    });
  });

  describe('a rotated key', () => {
    it('lets a rotated key and its successors spend from one budget, in the grace time too', async () => {
      const [first, second, third] = [aKeyRow(), aKeyRow(), aKeyRow()];
      await store.insertKey(first);
      await settle(20, { keyId: first.id });
      await reserve(30, { id: 'running', keyId: first.id });
      await store.rotateKey(first.id, second, 9_000);
      await store.rotateKey(second.id, third, 9_000);
      for (const { id } of [first, second, third]) expect(await spendOf(HUNDRED, 1_000, id)).toEqual(spent(20, 30));
      expect(await reserve(51, { keyId: third.id })).toBe('held');
      expect(await reserve(40, { id: 'new', keyId: second.id })).toBe('reserved');
      await settle(30, { id: 'running', keyId: first.id });
      await settle(40, { id: 'new', keyId: second.id });
      expect(await reserve(11, { keyId: first.id })).toBe('exhausted');
      expect(await reserve(11, { keyId: third.id })).toBe('exhausted');
      expect(await spendOf(HUNDRED, 1_000, third.id)).toEqual(spent(90));
    });

    it('keeps the budget of a rotated key apart from that of a new key', async () => {
      const [old, other] = [aKeyRow(), aKeyRow()];
      await store.insertKey(old);
      await settle(90, { keyId: old.id });
      await store.insertKey(other);
      expect(await spendOf(HUNDRED, 1_000, other.id)).toEqual(spent(0));
    });

    it('leaves the budget of a deleted rotated key to its successor', async () => {
      const [old, successor] = [aKeyRow(), aKeyRow()];
      await store.insertKey(old);
      await settle(90, { keyId: old.id });
      await store.rotateKey(old.id, successor, undefined);
      await store.deleteKey(old.id, 5);
      expect(await spendOf(HUNDRED, 1_000, successor.id)).toEqual(spent(90));
    });
  });

  // A command on a shared database asks for a key once, and keeps none.
  if (keyAgeMs === 0) return;

  describe('the cache of keys', () => {
    it('caches keys over bookings of its own process, but not over what others write', async () => {
      const key = aKeyRow();
      await store.insertKey(key);
      await vi.waitFor(async () => {
        const cached = await store.findKeyBySha256(key.keySha256);
        const { id } = aLedgerRow();
        await reserve(5, { id, keyId: key.id });
        await settle(5, { id, keyId: key.id });
        await store.renewLeases(5_000);
        expect(await store.findKeyBySha256(key.keySha256)).toBe(cached);
      }, 10_000);
      await (await place.open()).updateKey(key.id, { policy: { ...EMPTY_POLICY, budget: HUNDRED } }, 5);
      await delay(keyAgeMs);
      expect((await store.findKeyBySha256(key.keySha256))?.policy.budget).toEqual(HUNDRED);
    });
  });
});
