/**
 * The ledger as a source of exchanges: rows without content, for a proxy that keeps none.
 */
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { Exchange, ExchangeChange, ExchangePage, ExchangeQuery, ExchangeSource } from './exchange.ts';

/** What is read of the ledger. */
export type ReadLedger = (
  filter: LedgerFilter,
  page: { readonly before?: number | undefined; readonly limit: number },
) => Promise<LedgerEntry[]>;

/** Rows that are read at a time, and looked at for one page. */
const PAGE_ROWS = 500;
const MAX_SCANNED = 20_000;
/** Until a row is in the ledger. */
const SETTLE_MS = 150;
const MAX_CHANGES = 1_000;

/** State: who watches, and the last changes. */
export class LedgerSource implements ExchangeSource {
  readonly #read: ReadLedger;
  readonly #listeners = new Set<(change: ExchangeChange) => void>();
  readonly #changes: ExchangeChange[] = [];
  cursor = 0;

  constructor(read: ReadLedger) {
    this.#read = read;
  }

  /** To be called with the event of the same name. Costs a branch as long as nobody watches. */
  readonly ended = ({ id }: { readonly id: string }): void => {
    if (this.#listeners.size === 0) return;
    setTimeout(() => this.#tell(id), SETTLE_MS).unref();
  };

  async list({ matches, before, limit }: ExchangeQuery): Promise<ExchangePage> {
    const items: Exchange[] = [];
    let scanned = 0;
    let next = before;
    while (items.length < limit && scanned < MAX_SCANNED) {
      const rows = await this.#read({}, { before: next, limit: PAGE_ROWS });
      for (const row of rows) {
        scanned += 1;
        next = row.sequence;
        const exchange = describeRow(row);
        if (matches === undefined || matches(exchange)) items.push(exchange);
        if (items.length === limit) break;
      }
      if (rows.length < PAGE_ROWS && items.length < limit) return { items, scanned, next: undefined };
    }
    return { items, scanned, next };
  }

  async find(id: string): Promise<Exchange | undefined> {
    const [row] = await this.#read({ id }, { limit: 1 });
    return row === undefined ? undefined : describeRow(row);
  }

  mark(): undefined {
    return undefined;
  }

  remove(): number {
    return 0;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    if (cursor > this.cursor || cursor < this.cursor - this.#changes.length) return undefined;
    return cursor === this.cursor ? [] : this.#changes.slice(cursor - this.cursor);
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  state(): ReturnType<ExchangeSource['state']> {
    const none = { maxExchanges: undefined, maxBytes: undefined, maxAgeMs: undefined, dropped: {} };
    return { kind: 'ledger', exchanges: 0, bytes: 0, ...none };
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return Promise.resolve();
  }

  #tell(id: string): void {
    const change: ExchangeChange = { cursor: (this.cursor += 1), id, kind: 'upsert' };
    this.#changes.push(change);
    if (this.#changes.length > MAX_CHANGES) this.#changes.shift();
    for (const listener of this.#listeners) listener(change);
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
