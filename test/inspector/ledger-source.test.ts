import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LedgerEntry } from '../../src/domain/ledger.ts';
import type { ExchangeChange } from '../../src/inspector/exchange.ts';
import { type LedgerRows, LedgerSource } from '../../src/inspector/ledger-source.ts';
import { keptExchange } from '../helpers/kept-exchange.ts';

/** A ledger in which rows are written by whomever. */
class Rows implements LedgerRows {
  readonly #rows: LedgerEntry[] = [];
  reads = 0;

  write(count = 1): void {
    // Of a row of the ledger all is known.
    const row = keptExchange().row as Omit<LedgerEntry, 'sequence'>;
    for (let more = 0; more < count; more += 1) {
      const sequence = this.#rows.length + 1;
      this.#rows.push({ ...row, id: `id-${sequence}`, sequence });
    }
  }

  readLedger: LedgerRows['readLedger'] = async (_, { after, limit }) => {
    this.reads += 1;
    return this.#rows.filter(({ sequence }) => sequence > after).slice(0, limit);
  };

  readLedgerBackwards: LedgerRows['readLedgerBackwards'] = async ({ id }, { before = Infinity, limit }) =>
    this.#rows
      .filter((row) => row.sequence < before && (id === undefined || row.id === id))
      .toReversed()
      .slice(0, limit);
}

function open(): { rows: Rows; source: LedgerSource } {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const rows = new Rows();
  const source = new LedgerSource(rows);
  onTestFinished(() => source.close());
  return { rows, source };
}

const ALL = { matches: undefined, before: undefined, limit: 1_000 };

describe('the ledger as a source', () => {
  it('lists rows without content, page by page, each once', async () => {
    const { rows, source } = open();
    rows.write(1_203);
    const seen: string[] = [];
    for (let before: number | undefined; ;) {
      const { items, next } = await source.list({ ...ALL, before, limit: 500 });
      seen.push(...items.map(({ id }) => id));
      expect(items.every(({ omitted, layers }) => omitted === 'off' && Object.keys(layers).length === 0)).toBe(true);
      if (next === undefined) break;
      before = next;
    }
    expect([seen.length, new Set(seen).size, seen[0], seen.at(-1)]).toEqual([1_203, 1_203, 'id-1203', 'id-1']);
  });

  it('asks the ledger for nothing as long as nobody watches', async () => {
    const { rows, source } = open();
    rows.write(3);
    await source.list(ALL);
    await vi.advanceTimersByTimeAsync(10_000);
    const stop = source.watch(() => {});
    stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(rows.reads).toBe(0);
  });

  it('tells of every row after a list, whoever wrote it, though others list meanwhile', async () => {
    const { rows, source } = open();
    rows.write(5);
    const { cursor = 0 } = await source.list(ALL);
    rows.write(2);
    expect(source.changesAfter(cursor)).toEqual([]);
    const told: ExchangeChange[] = [];
    source.watch((change) => told.push(change));
    const other = await source.list(ALL);
    expect(other.cursor).toBe(7);
    expect(source.changesAfter(7)).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    rows.write();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told.map(({ id }) => id)).toEqual(['id-6', 'id-7', 'id-8']);
    expect(source.cursor).toBe(8);
    expect(source.changesAfter(5)).toBeUndefined();
  });

  it('begins with what comes if nothing was listed', async () => {
    const { rows, source } = open();
    rows.write(5_000);
    const told: string[] = [];
    source.watch(({ id }) => told.push(id));
    await vi.advanceTimersByTimeAsync(1_000);
    rows.write();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toEqual(['id-5001']);
  });
});
