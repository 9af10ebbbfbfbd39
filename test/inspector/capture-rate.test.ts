/** More exchanges a second than anybody can look at are not kept, and counted. */
import { describe, expect, it } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { ExchangeRecorder } from '../../src/inspector/recorder.ts';
import { ExchangeRing } from '../../src/inspector/ring.ts';
import { aClientRequest } from '../helpers/client-request.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };

function openAt(maxPerSecond: number) {
  const clock = { ms: 1_000 };
  const tickMs = monotonicClock(() => clock.ms);
  const ring = new ExchangeRing({ maxExchanges: 10_000, maxBytes: 2 ** 26, maxAgeMs: undefined }, () => clock.ms);
  const recorder = new ExchangeRecorder(ring, tickMs, { maxPerSecond });
  let last = 0;
  const send = (count: number, replay?: { readonly onRecord: (id: string) => void }): number => {
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const request = { ...aClientRequest(), ...(replay && { replay: { parent: 'a', isEdited: false, ...replay } }) };
      const record = openRecord(`r${(last += 1)}`, clock.ms, HEAD);
      if (recorder.open(record, request as never) !== undefined) kept += 1;
    }
    return kept;
  };
  return { clock, ring, send };
}

describe('the rate of what is kept', () => {
  it('keeps all that come at a desk', () => {
    const { clock, ring, send } = openAt(100);
    let kept = 0;
    for (let second = 0; second < 20; second += 1) {
      kept += send(100);
      clock.ms += 1_000;
    }
    expect(kept).toBe(2_000);
    expect(ring.state().dropped).toEqual({});
  });

  it('keeps a tenth of it a second in a load test, until that has been over for five seconds', () => {
    const { clock, ring, send } = openAt(100);
    expect(send(1_000)).toBe(100);
    expect(ring.state().dropped).toEqual({ rate: 900 });
    let kept = 0;
    for (let ms = 0; ms < 10_000; ms += 1) {
      clock.ms += 1;
      kept += send(8);
    }
    expect(kept).toBeGreaterThanOrEqual(90);
    expect(kept).toBeLessThanOrEqual(110);
    clock.ms += 4_000;
    expect(send(50)).toBe(10);
    clock.ms += 1_001;
    expect(send(100)).toBe(100);
  });

  it('keeps every replay', () => {
    const { send } = openAt(1);
    expect(send(10)).toBe(1);
    const told: string[] = [];
    expect(send(3, { onRecord: (id) => told.push(id) })).toBe(3);
    expect(told).toHaveLength(3);
  });
});
