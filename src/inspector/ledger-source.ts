/**
 * The ledger as a source of exchanges: rows without content, for a proxy that keeps none. Rows may be written by other
 * processes too, workers of the same proxy among them: as long as somebody watches, the ledger is asked what is new.
 */
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { Exchange, ExchangeChange, ExchangePage, ExchangeQuery, ExchangeSource } from './exchange.ts';

/** What is read of the ledger; as `LedgerStore` has it. */
export interface LedgerRows {
  readLedger(filter: LedgerFilter, page: { readonly after: number; readonly limit: number }): Promise<LedgerEntry[]>;
  readLedgerBackwards(
    filter: LedgerFilter,
    page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]>;
}

/** Rows that are read at a time, and looked at for one page. */
const PAGE_ROWS = 500;
const MAX_SCANNED = 20_000;
const POLL_MS = 300;

/** State: who watches, and the last row that was seen. */
export class LedgerSource implements ExchangeSource {
  readonly #ledger: LedgerRows;
  readonly #listeners = new Set<(change: ExchangeChange) => void>();
  #timer: NodeJS.Timeout | undefined;
  #isPolling = false;
  /** The sequence of the last row that those who watch were told; undefined: not known yet. */
  #told: number | undefined;

  constructor(ledger: LedgerRows) {
    this.#ledger = ledger;
  }

  get cursor(): number {
    return this.#told ?? 0;
  }

  async list({ matches, before, limit }: ExchangeQuery): Promise<ExchangePage> {
    const items: Exchange[] = [];
    let scanned = 0;
    let next = before;
    let newest: number | undefined;
    while (items.length < limit && scanned < MAX_SCANNED) {
      const rows = await this.#ledger.readLedgerBackwards({}, { before: next, limit: PAGE_ROWS });
      if (next === undefined) newest = this.#note(rows[0]?.sequence ?? 0);
      for (const row of rows) {
        scanned += 1;
        next = row.sequence;
        const exchange = describeRow(row);
        if (matches === undefined || matches(exchange)) items.push(exchange);
        if (items.length === limit) break;
      }
      if (rows.length < PAGE_ROWS && items.length < limit) return { items, scanned, next: undefined, cursor: newest };
    }
    return { items, scanned, next, cursor: newest };
  }

  async find(id: string): Promise<Exchange | undefined> {
    const [row] = await this.#ledger.readLedgerBackwards({ id }, { limit: 1 });
    return row === undefined ? undefined : describeRow(row);
  }

  mark(): undefined {
    return undefined;
  }

  remove(): number {
    return 0;
  }

  /** Who has seen at least what the others were told goes on; what he has seen beyond that, he is told again. */
  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    return cursor >= this.cursor ? [] : undefined;
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => void this.#poll(), POLL_MS).unref();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  state(): ReturnType<ExchangeSource['state']> {
    const none = { maxExchanges: undefined, maxBytes: undefined, maxAgeMs: undefined, dropped: {} };
    return { kind: 'ledger', exchanges: 0, bytes: 0, ...none };
  }

  close(): Promise<void> {
    this.#listeners.clear();
    this.#stop();
    return Promise.resolve();
  }

  /** The newest row of a list: who watches from there on has missed nothing. */
  #note(newest: number): number {
    if (this.#listeners.size === 0) this.#told = newest;
    return newest;
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A store that is busy is asked again. */
  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      if (this.#told === undefined) {
        const [last] = await this.#ledger.readLedgerBackwards({}, { limit: 1 });
        this.#told ??= last?.sequence ?? 0;
      }
      const rows = await this.#ledger.readLedger({}, { after: this.#told, limit: PAGE_ROWS });
      for (const { id, sequence } of rows) {
        this.#told = sequence;
        for (const listener of this.#listeners) listener({ cursor: sequence, id, kind: 'upsert' });
      }
    } catch {
      // Told by whoever needs it.
    } finally {
      this.#isPolling = false;
    }
  }
}

function describeRow({ sequence, ...row }: LedgerEntry): Exchange {
  const isOwn = row.errorCode?.startsWith('ERR_') === true;
  return {
    id: row.id,
    sequence,
    row: { ...row, isStreamed: /Stream/.test(row.operation ?? '') },
    end:
      row.errorCode === 'ERR_CLIENT_GONE' ? 'client-gone' : isOwn && row.responseBytes === 0 ? 'refused' : 'complete',
    times: { firstByteMs: row.firstByteMs, endedMs: row.totalMs },
    layers: {},
    clientStream: undefined,
    signing: undefined,
    conversation: undefined,
    attempt: undefined,
    failedAttempts: [],
    omitted: 'off',
    parent: undefined,
    isEdited: false,
    isPinned: false,
    note: undefined,
  };
}
