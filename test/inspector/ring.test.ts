/**
 * Memory stays under the bound, whatever is poured through it.
 * @module-tag slow
 */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import { monotonicClock } from '../../src/lib/clock.ts';
import { ExchangeRecorder } from '../../src/inspector/recorder.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { EXCHANGE_BYTES, ExchangeRing } from '../../src/inspector/ring.ts';
import { aClientRequest } from '../helpers/client-request.ts';

const MB = 1024 * 1024;
const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };

function open(caps: Partial<ConstructorParameters<typeof ExchangeRing>[0]> = {}) {
  const ring = new ExchangeRing({ maxExchanges: 1_000, maxBytes: 64 * MB, maxAgeMs: undefined, ...caps }, Date.now);
  const recorder = new ExchangeRecorder(
    ring,
    monotonicClock(() => performance.now()),
    { maxPerSecond: 1e6 },
  );
  let count = 0;
  const begin = (startedAtMs = Date.now(), headers: HeaderPair[] = []) => {
    const record = openRecord(`r${(count += 1)}`, startedAtMs, HEAD);
    const watch = recorder.open(record, { ...aClientRequest(), headers });
    if (watch === undefined) throw new Error('It is looked at.');
    const observer = watch;
    watch.onHead(200, [['content-type', 'application/vnd.amazon.eventstream']]);
    const end = (): void => {
      record.hasEnded = true;
      recorder.ended(record);
    };
    return { id: record.id, watch, observer, end };
  };
  return { ring, begin };
}

describe('a ring of 64 MB', () => {
  it('holds no more than that while 10 GB of streams pass, sixteen at a time', { timeout: 120_000 }, () => {
    const { ring, begin } = open();
    const chunk = Buffer.alloc(256 * 1024, 7);
    globalThis.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    let highest = 0;
    for (let poured = 0; poured < 10_240 * MB;) {
      const streams = Array.from({ length: 16 }, () => begin());
      for (let piece = 0; piece < 16; piece += 1) {
        for (const { observer } of streams) observer.onBytes(chunk);
        poured += 16 * chunk.length;
        expect(ring.state().bytes).toBeLessThanOrEqual(64 * MB);
      }
      for (const { end } of streams) end();
      highest = Math.max(highest, process.memoryUsage().arrayBuffers - before);
    }
    // What is let go of is collected when the collector comes to it.
    expect(highest).toBeLessThan(600 * MB);
    expect(ring.state().exchanges).toBeGreaterThan(0);
    ring.remove();
    expect(ring.state().bytes).toBeLessThan(EXCHANGE_BYTES);
  });

  it('counts heads: a client may send headers of 64 KB with each request', () => {
    const { ring, begin } = open({ maxBytes: 2 * MB });
    const large: HeaderPair[] = Array.from({ length: 60 }, (_, at) => [`x-${at}`, 'a'.repeat(1_000)]);
    for (let at = 0; at < 200; at += 1) begin(Date.now(), large).end();
    const { items } = ring.list({ matches: undefined, before: undefined, limit: 1_000 });
    expect(items.length).toBeLessThan(40);
    expect(ring.state().bytes).toBeGreaterThan(items.length * 60_000);
    const many = Array.from({ length: 60 }, () => begin(Date.now(), large));
    expect(ring.state().bytes).toBeLessThanOrEqual(2 * MB + many.length * EXCHANGE_BYTES);
    expect(ring.find(many.at(-1)?.id ?? '')?.layers.clientRequest?.headers).toEqual([]);
    for (const { end } of many) end();
    ring.remove();
    expect(ring.state().bytes).toBe(0);
  });

  it('drops content of what does not fit, keeps its row, and counts it', () => {
    const { ring, begin } = open({ maxBytes: 2 * MB });
    const { id, observer, end } = begin();
    observer.onBytes(Buffer.alloc(3 * MB));
    end();
    expect(ring.find(id)?.layers.upstreamResponse?.body?.hole).toMatchObject({ why: 'memory', sizeBytes: 3 * MB });
    expect(ring.state()).toMatchObject({ exchanges: 1, dropped: { memory: 1 } });
  });
});

describe('what is counted', () => {
  it('is each body once, when its exchange has ended', () => {
    const { ring, begin } = open({ maxBytes: 2 * MB });
    const { watch, observer, end } = begin();
    watch.onBody({ chunks: [Buffer.alloc(3 * MB)], sizeBytes: 3 * MB, sha256: 'abc', spool: undefined });
    observer.onClientBytes(Buffer.alloc(3 * MB));
    end();
    expect(ring.state().dropped).toEqual({ memory: 2 });
  });

  it('are headers, too, which are left out where there is no room', () => {
    const { ring, begin } = open({ maxBytes: MB });
    const open32 = Array.from({ length: 32 }, () => begin(Date.now(), [['x-long', 'y'.repeat(64 * 1024)]]));
    // Rows of those under way are kept in any case.
    expect(ring.state().bytes).toBeLessThanOrEqual(MB + 32 * EXCHANGE_BYTES);
    const last = ring.find(open32.at(-1)?.id ?? '');
    expect(last?.layers.clientRequest?.headers).toEqual([]);
    for (const { end } of open32) end();
    ring.remove();
    expect(ring.state().bytes).toBe(0);
  });
});

describe('what stays', () => {
  it('is the newest ones, and those that are pinned', () => {
    const { ring, begin } = open({ maxExchanges: 10 });
    const pinned = begin();
    pinned.end();
    ring.mark(pinned.id, { isPinned: true, note: 'look' });
    for (let at = 0; at < 50; at += 1) begin().end();
    const { items } = ring.list({ matches: undefined, before: undefined, limit: 100 });
    expect(items).toHaveLength(10);
    expect(items.at(-1)).toMatchObject({ id: pinned.id, isPinned: true, note: 'look' });
    expect(items.slice(0, 9).map(({ sequence }) => sequence)).toEqual([51, 50, 49, 48, 47, 46, 45, 44, 43]);
  });

  it('is no more pinned ones than half of it', () => {
    const { ring, begin } = open({ maxExchanges: 10 });
    const ids = Array.from({ length: 10 }, () => {
      const { id, end } = begin();
      end();
      return id;
    });
    for (const id of ids) ring.mark(id, { isPinned: true });
    const { items } = ring.list({ matches: ({ isPinned }) => isPinned, before: undefined, limit: 100 });
    expect(items).toHaveLength(5);
  });

  it('is no more pinned bytes than half of them, so that new ones are kept', () => {
    const { ring, begin } = open({ maxBytes: 4 * MB });
    const ids = [0, 1, 2].map(() => {
      const { id, observer, end } = begin();
      observer.onBytes(Buffer.alloc(MB));
      end();
      return id;
    });
    expect(ids.map((id) => ring.mark(id, { isPinned: true })?.isPinned)).toEqual([true, false, false]);
    const { id, observer, end } = begin();
    observer.onBytes(Buffer.alloc(2 * MB));
    end();
    expect(ring.find(id)?.layers.upstreamResponse?.body?.hole).toBeUndefined();
  });

  it('is nothing that is older than it may be', () => {
    const { ring, begin } = open({ maxAgeMs: 60_000 });
    begin(Date.now() - 120_000).end();
    const { id, end } = begin();
    end();
    expect(ring.list({ matches: undefined, before: undefined, limit: 10 }).items.map((each) => each.id)).toEqual([id]);
  });
});

describe('what is too old', () => {
  it('goes although nobody asks, but for what is pinned', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { ring, begin } = open({ maxAgeMs: 60_000 });
    const gone: string[] = [];
    ring.watch(({ id, kind }) => void (kind === 'remove' && gone.push(id)));
    const [pinned, first] = [begin(), begin()];
    for (const { end } of [pinned, first]) end();
    ring.mark(pinned.id, { isPinned: true });
    vi.advanceTimersByTime(30_000);
    const second = begin();
    const late = begin();
    second.end();
    vi.advanceTimersByTime(31_000);
    expect(gone).toEqual([first.id]);
    vi.advanceTimersByTime(31_000);
    expect(gone).toEqual([first.id, second.id]);
    late.end();
    vi.advanceTimersByTime(2_000);
    expect(gone).toEqual([first.id, second.id, late.id]);
    expect(ring.state().exchanges).toBe(1);
    vi.advanceTimersByTime(10_000);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('changes', () => {
  it('are told once for each exchange after a cursor, and not at all after one that is too old', () => {
    const { ring, begin } = open();
    begin().end();
    const { cursor } = ring;
    const { id, end } = begin();
    end();
    expect(ring.changesAfter(cursor)?.map((change) => [change.id, change.kind])).toEqual([[id, 'upsert']]);
    expect(ring.changesAfter(ring.cursor)).toEqual([]);
    expect(ring.changesAfter(ring.cursor + 1)).toBeUndefined();
    for (let at = 0; at < 6_000; at += 1) begin().end();
    expect(ring.changesAfter(cursor)).toBeUndefined();
  });
});
