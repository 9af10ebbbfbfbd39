/** Exchanges that were read from somewhere and do not change any more. */
import { ChangeLog } from './change-log.ts';
import type {
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSourceState,
  KeptExchanges,
} from './exchange.ts';
import { pageOf } from './list-exchanges.ts';

/** Where they come from. */
export interface ReadableExchanges {
  /** Newest first, only those below this sequence. */
  list(before: number): Iterable<Exchange>;
  find(id: string): Exchange | undefined;
  measure(): { readonly exchanges: number; readonly bytes: number };
  close(): void;
}

/** A source that can only be read. */
export class OpenedSource implements KeptExchanges {
  readonly #readable: ReadableExchanges;
  readonly #changes = new ChangeLog(1);

  /** Closing it closes what it reads. */
  constructor(readable: ReadableExchanges) {
    this.#readable = readable;
  }

  get cursor(): number {
    return this.#changes.cursor;
  }

  list(query: ExchangeQuery): ExchangePage {
    return pageOf(this.#readable.list(query.before ?? Number.MAX_SAFE_INTEGER), query);
  }

  find(id: string): Exchange | undefined {
    return this.#readable.find(id);
  }

  mark(): undefined {
    return undefined;
  }

  remove(): number {
    return 0;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    return this.#changes.after(cursor);
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    return this.#changes.watch(listener);
  }

  state(): ExchangeSourceState {
    const { exchanges, bytes } = this.#readable.measure();
    return {
      kind: 'opened',
      exchanges,
      bytes,
      maxExchanges: undefined,
      maxBytes: undefined,
      maxAgeMs: undefined,
      dropped: {},
    };
  }

  close(): Promise<void> {
    this.#readable.close();
    return Promise.resolve();
  }
}

/** Exchanges of a list, in its order: the first is the oldest. Their sequences are their places. */
export function readableList(exchanges: readonly Exchange[], bytes: number): ReadableExchanges {
  const numbered = exchanges.map((exchange, index) => ({ ...exchange, sequence: index + 1 }));
  const byId = new Map(numbered.map((exchange) => [exchange.id, exchange]));
  return {
    list: (before) => numbered.slice(0, Math.max(0, before - 1)).toReversed(),
    find: (id) => byId.get(id),
    measure: () => ({ exchanges: numbered.length, bytes }),
    close: () => {},
  };
}
