/**
 * Exchanges in the memory of this process, the newest ones, as far as they fit: by number, by bytes and by age. Pinned
 * ones stay, but take half of it at most. Gives the changes to whoever watches, and keeps the last of them for those
 * who come back.
 */
import type {
  DropReason,
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSourceState,
  KeptExchanges,
  Omission,
} from './exchange.ts';
import type { KeptRoom } from './kept-bytes.ts';

/** What is kept at most. */
export interface ExchangeCaps {
  readonly maxExchanges: number;
  readonly maxBytes: number;
  /** Undefined: of any age. */
  readonly maxAgeMs: number | undefined;
}

/** What `--inspect` keeps unless told otherwise. */
export const MEMORY_CAPS: ExchangeCaps = { maxExchanges: 1_000, maxBytes: 256 * 1024 * 1024, maxAgeMs: undefined };
/** What an exchange takes besides its bodies and headers: row and times. */
export const EXCHANGE_BYTES = 4 * 1024;
/** Changes that are kept for those who come back. */
const MAX_CHANGES = 10_000;
/** How soon, and how late at most, it looks again for what is too old. */
const MIN_LOOK_MS = 1_000;
const MAX_LOOK_MS = 3_600_000;

/** An exchange of which the ring may let go. */
export interface RingExchange extends Exchange {
  /** Gives back what it holds: its row stays. */
  drop(why: Omission): void;
  pin(isPinned: boolean): void;
  /** What it has taken of the ring. */
  readonly heldBytes: number;
  annotate(note: string): void;
}

/** State: the exchanges, what they hold, and the last changes. */
export class ExchangeRing implements KeptExchanges, KeptRoom {
  readonly #caps: ExchangeCaps;
  readonly #nowMs: () => number;
  /** By id, the oldest first. */
  readonly #exchanges = new Map<string, RingExchange>();
  readonly #changes: ExchangeChange[] = [];
  readonly #listeners = new Set<(change: ExchangeChange) => void>();
  readonly #dropped: { [Why in DropReason]?: number } = {};
  #bytes = 0;
  #pinnedCount = 0;
  cursor = 0;
  /** When somebody asked last. */
  #askedCursor = 0;
  /** Until the next one is too old: what nobody asks for goes too. */
  #expiry: NodeJS.Timeout | undefined;

  constructor(caps: ExchangeCaps, nowMs: () => number) {
    this.#caps = caps;
    this.#nowMs = nowMs;
  }

  /** Takes it in; older ones make room. */
  add(exchange: RingExchange): void {
    this.#exchanges.set(exchange.id, exchange);
    this.#bytes += EXCHANGE_BYTES;
    this.#evict();
    this.touch(exchange.id);
  }

  /** It has changed: whoever watches is told. */
  touch(id: string): void {
    this.#tell({ cursor: (this.cursor += 1), id, kind: 'upsert' });
  }

  /** Content was not kept, or a whole exchange. */
  countDropped(why: DropReason): void {
    this.#dropped[why] = (this.#dropped[why] ?? 0) + 1;
  }

  take(sizeBytes: number): boolean {
    while (this.#bytes + sizeBytes > this.#caps.maxBytes) if (!this.#evictOldest()) return false;
    this.#bytes += sizeBytes;
    return true;
  }

  give(sizeBytes: number): void {
    this.#bytes -= sizeBytes;
  }

  list({ matches, before = Infinity, limit }: ExchangeQuery): ExchangePage {
    this.#askedCursor = this.cursor;
    this.#evict();
    const items: Exchange[] = [];
    let scanned = 0;
    let next: number | undefined;
    for (const exchange of [...this.#exchanges.values()].toReversed()) {
      if (exchange.sequence >= before) continue;
      if (items.length === limit) {
        next = items.at(-1)?.sequence;
        break;
      }
      scanned += 1;
      if (matches === undefined || matches(exchange)) items.push(exchange);
    }
    return { items, scanned, next };
  }

  find(id: string): Exchange | undefined {
    return this.#exchanges.get(id);
  }

  mark(id: string, { isPinned, note }: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined {
    const exchange = this.#exchanges.get(id);
    if (exchange === undefined) return undefined;
    if (isPinned !== undefined && isPinned !== exchange.isPinned) {
      if (isPinned && !this.#mayPin(exchange)) return exchange;
      this.#pinnedCount += isPinned ? 1 : -1;
      exchange.pin(isPinned);
    }
    if (note !== undefined) exchange.annotate(note);
    this.touch(id);
    return exchange;
  }

  remove(id?: string): number {
    const gone = [...this.#exchanges.values()].filter((exchange) =>
      id === undefined ? !exchange.isPinned : exchange.id === id,
    );
    for (const exchange of gone) this.#remove(exchange, 'evicted');
    return gone.length;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    this.#askedCursor = this.cursor;
    if (cursor > this.cursor || cursor < this.cursor - this.#changes.length) return undefined;
    const after = this.#changes.slice(this.#changes.length - (this.cursor - cursor));
    return [...new Map(after.map((change) => [change.id, change])).values()];
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    this.#listeners.add(listener);
    this.#askedCursor = this.cursor;
    return () => void this.#listeners.delete(listener);
  }

  state(): ExchangeSourceState {
    return {
      kind: 'memory',
      exchanges: this.#exchanges.size,
      bytes: this.#bytes,
      ...this.#caps,
      dropped: { ...this.#dropped },
    };
  }

  close(): Promise<void> {
    this.#listeners.clear();
    clearTimeout(this.#expiry);
    return Promise.resolve();
  }

  /** Pinned ones take half of it at most, by number and by bytes. */
  #mayPin({ heldBytes }: RingExchange): boolean {
    const { maxExchanges, maxBytes } = this.#caps;
    if (this.#pinnedCount >= maxExchanges / 2) return false;
    const pinned = [...this.#exchanges.values()].filter(({ isPinned }) => isPinned);
    return (
      pinned.reduce((sum, each) => sum + each.heldBytes + EXCHANGE_BYTES, heldBytes + EXCHANGE_BYTES) <= maxBytes / 2
    );
  }

  #evict(): void {
    const { maxExchanges, maxAgeMs } = this.#caps;
    while (this.#exchanges.size > maxExchanges || this.#bytes > this.#caps.maxBytes) {
      if (!this.#evictOldest()) break;
    }
    if (maxAgeMs === undefined) return;
    const oldestMs = this.#nowMs() - maxAgeMs;
    for (const exchange of this.#exchanges.values()) {
      if (exchange.row.startedAtMs >= oldestMs) break;
      if (!exchange.isPinned && exchange.end !== 'open') this.#remove(exchange, 'evicted');
    }
    this.#expiry ??= this.#expireLater(maxAgeMs);
  }

  #expireLater(maxAgeMs: number): NodeJS.Timeout | undefined {
    const next = [...this.#exchanges.values()].find(({ isPinned }) => !isPinned);
    if (next === undefined) return undefined;
    const inMs = next.row.startedAtMs + maxAgeMs - this.#nowMs();
    const look = (): void => {
      this.#expiry = undefined;
      this.#evict();
    };
    return setTimeout(look, Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, inMs))).unref();
  }

  /** False: all that is left is pinned, or under way. */
  #evictOldest(): boolean {
    for (const exchange of this.#exchanges.values()) {
      if (exchange.isPinned || exchange.end === 'open') continue;
      this.#remove(exchange, 'evicted');
      return true;
    }
    return false;
  }

  #remove(exchange: RingExchange, why: Omission): void {
    if (!this.#exchanges.delete(exchange.id)) return;
    if (exchange.isPinned) this.#pinnedCount -= 1;
    exchange.drop(why);
    this.#bytes -= EXCHANGE_BYTES;
    this.#tell({ cursor: (this.cursor += 1), id: exchange.id, kind: 'remove' });
  }

  #tell(change: ExchangeChange): void {
    if (this.#listeners.size === 0 && this.cursor - this.#askedCursor > MAX_CHANGES) {
      // Nobody looks: who comes begins with a list.
      this.#changes.length = 0;
      return;
    }
    this.#changes.push(change);
    if (this.#changes.length > MAX_CHANGES * 1.1) this.#changes.splice(0, this.#changes.length - MAX_CHANGES);
    for (const listener of this.#listeners) listener(change);
  }
}
