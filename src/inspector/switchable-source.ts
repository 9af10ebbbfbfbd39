/**
 * The ledger's rows until somebody wants content to be kept; from then on also what is kept in memory, above the rows
 * that were there before.
 */
import type {
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSource,
  KeptExchanges,
} from './exchange.ts';
import type { LedgerSource } from './ledger-source.ts';

/** What keeps content, since when: its sequences are above `after`, the last of the ledger then. */
interface Kept {
  readonly exchanges: KeptExchanges;
  readonly after: number;
  /** Of the ledger, then: cursors go on from there. */
  readonly cursor: number;
}

/** State: what keeps content, if anything does yet, and who watches. */
export class SwitchableSource implements ExchangeSource {
  readonly #ledger: LedgerSource;
  readonly #listeners = new Set<(change: ExchangeChange) => void>();
  #kept: Kept | undefined;
  #unwatch: (() => void) | undefined;

  constructor(ledger: LedgerSource) {
    this.#ledger = ledger;
  }

  /** From now on changes are those of `exchanges`, whose sequences must be above `after`. To be called once. */
  keepIn(exchanges: KeptExchanges, after: number): void {
    this.#kept = { exchanges, after, cursor: this.#ledger.cursor + 1 };
    if (this.#unwatch === undefined) return;
    this.#unwatch();
    this.#unwatch = this.#watchCurrent();
  }

  get cursor(): number {
    return this.#kept === undefined ? this.#ledger.cursor : this.#kept.cursor + this.#kept.exchanges.cursor;
  }

  async list(query: ExchangeQuery): Promise<ExchangePage> {
    const kept = this.#kept;
    if (kept === undefined) return this.#ledger.list(query);
    const { cursor } = this;
    const first = kept.exchanges.list(query);
    if (first.next !== undefined || first.items.length >= query.limit)
      return { ...first, next: first.next ?? kept.after + 1 };
    const before = Math.min(query.before ?? Infinity, kept.after + 1);
    const older = await this.#ledger.list({ ...query, before, limit: query.limit - first.items.length });
    return {
      items: [...first.items, ...older.items],
      scanned: first.scanned + older.scanned,
      next: older.next,
      cursor,
    };
  }

  find(id: string): Exchange | undefined | Promise<Exchange | undefined> {
    return this.#kept?.exchanges.find(id) ?? this.#ledger.find(id);
  }

  mark(id: string, marks: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined {
    return this.#kept?.exchanges.mark(id, marks);
  }

  remove(id?: string): number {
    return this.#kept?.exchanges.remove(id) ?? 0;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    const kept = this.#kept;
    if (kept === undefined) return this.#ledger.changesAfter(cursor);
    const changes = cursor < kept.cursor ? undefined : kept.exchanges.changesAfter(cursor - kept.cursor);
    return changes?.map((change) => ({ ...change, cursor: kept.cursor + change.cursor }));
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    this.#listeners.add(listener);
    this.#unwatch ??= this.#watchCurrent();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#unwatch?.();
      this.#unwatch = undefined;
    };
  }

  state(): ReturnType<ExchangeSource['state']> {
    return (this.#kept?.exchanges ?? this.#ledger).state();
  }

  async close(): Promise<void> {
    this.#unwatch?.();
    await this.#kept?.exchanges.close();
    await this.#ledger.close();
  }

  #watchCurrent(): () => void {
    const kept = this.#kept;
    const tell = (change: ExchangeChange): void => {
      for (const listener of this.#listeners) listener(change);
    };
    if (kept === undefined) return this.#ledger.watch(tell);
    return kept.exchanges.watch((change) => tell({ ...change, cursor: kept.cursor + change.cursor }));
  }
}
