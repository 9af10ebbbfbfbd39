/**
 * Exchanges under way and the youngest ones in memory, those that have ended also somewhere else, which keeps them
 * longer: together one source. Sequences of both must be the same for the same exchange, and grow.
 */
import type {
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSourceState,
  KeptExchanges,
} from './exchange.ts';
import { ChangeLog } from './change-log.ts';

/** A source that takes exchanges that have ended. */
export interface ExchangeKeeper extends KeptExchanges {
  add(exchange: Exchange): void;
  /** Whether it has this one, and has not stored it yet. */
  isWaiting(id: string): boolean;
}

/** Gives to `kept` what has ended in `live`. Closing it closes both. */
export class JoinedSource implements KeptExchanges {
  readonly #live: KeptExchanges;
  readonly #kept: ExchangeKeeper;
  readonly #changes: ChangeLog;

  constructor(live: KeptExchanges, kept: ExchangeKeeper) {
    this.#live = live;
    this.#kept = kept;
    this.#changes = new ChangeLog(kept.cursor);
    live.watch((change) => this.#onLive(change));
    // What comes there came from here.
    kept.watch(({ id, kind }) => {
      if (kind === 'remove' && live.find(id) === undefined) this.#changes.add(id, kind);
    });
  }

  get cursor(): number {
    return this.#changes.cursor;
  }

  list(query: ExchangeQuery): ExchangePage {
    const live = this.#live.list(query);
    const kept = this.#kept.list(query);
    const ids = new Set(live.items.map(({ id }) => id));
    // Below it, one of both has not looked yet.
    const bound = Math.max(live.next ?? 0, kept.next ?? 0);
    const items = [...live.items, ...kept.items.filter(({ id }) => !ids.has(id))]
      .filter(({ sequence }) => sequence >= bound)
      .toSorted((one, other) => other.sequence - one.sequence);
    const page = items.slice(0, query.limit);
    const next = items.length > page.length ? page.at(-1)?.sequence : bound || undefined;
    return { items: page, scanned: Math.max(live.scanned, kept.scanned), next };
  }

  find(id: string): Exchange | undefined {
    return this.#live.find(id) ?? this.#kept.find(id);
  }

  mark(id: string, marks: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined {
    const isLive = this.#live.mark(id, marks) !== undefined;
    const kept = this.#kept.mark(id, marks);
    if (kept !== undefined && !isLive) this.#changes.add(id, 'upsert');
    return this.#live.find(id) ?? kept;
  }

  remove(id?: string): number {
    const isOnlyLive = (exchange: Exchange): boolean =>
      (id === undefined ? !exchange.isPinned : exchange.id === id) && this.#kept.find(exchange.id) === undefined;
    const { items } = this.#live.list({ matches: isOnlyLive, before: undefined, limit: Infinity });
    // First: what is gone there, and here, is told as gone.
    const removed = this.#kept.remove(id);
    this.#live.remove(id);
    return removed + items.length;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    return this.#changes.after(cursor);
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    return this.#changes.watch(listener);
  }

  state(): ExchangeSourceState {
    const { dropped, ...kept } = this.#kept.state();
    const open = this.#live.list({ matches: ({ end }) => end === 'open', before: undefined, limit: Infinity });
    const sums = { ...this.#live.state().dropped };
    for (const [why, count] of Object.entries(dropped)) {
      const reason = why as keyof typeof dropped;
      sums[reason] = (sums[reason] ?? 0) + count;
    }
    return { ...kept, exchanges: kept.exchanges + open.items.length, dropped: sums };
  }

  async close(): Promise<void> {
    await this.#live.close();
    await this.#kept.close();
  }

  #onLive({ id, kind }: ExchangeChange): void {
    if (kind === 'remove') {
      // It made room in memory, and is still there.
      if (this.#kept.find(id) === undefined) this.#changes.add(id, kind);
      return;
    }
    const exchange = this.#live.find(id);
    if (exchange !== undefined && exchange.end !== 'open') this.#keep(exchange);
    this.#changes.add(id, kind);
  }

  /** Once, and again if it changes before it is stored. */
  #keep(exchange: Exchange): void {
    if (this.#kept.isWaiting(exchange.id) || this.#kept.find(exchange.id) === undefined) this.#kept.add(exchange);
  }
}
