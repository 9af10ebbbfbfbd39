/**
 * The inspector's page and its real API, over exchanges that are made by hand: many of them, hostile ones, ones that
 * grow. No request goes through the proxy.
 */
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { exportFile } from '../../src/app/export-file.ts';
import { createInspectorHandler } from '../../src/inspector-api/router.ts';
import { ChangeLog } from '../../src/inspector/change-log.ts';
import type {
  Exchange,
  ExchangeChange,
  ExchangePage,
  ExchangeQuery,
  ExchangeSourceState,
  KeptExchanges,
} from '../../src/inspector/exchange.ts';
import { pageOf } from '../../src/inspector/list-exchanges.ts';
import type { CacheView, ExplanationView, InspectorState } from '../../src/inspector/wire.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { startServer } from '../../src/server/server.ts';

/** A source to which a test adds what it likes. State: the exchanges, the newest last. */
export class HandMadeExchanges implements KeptExchanges {
  readonly #byId = new Map<string, Exchange>();
  readonly #changes = new ChangeLog();
  readonly #more: Partial<ExchangeSourceState>;

  constructor(exchanges: readonly Exchange[] = [], more: Partial<ExchangeSourceState> = {}) {
    for (const exchange of exchanges) this.#byId.set(exchange.id, exchange);
    this.#more = more;
  }

  /** Adds it, or puts it in the place of the one that had its id. */
  put(exchange: Exchange): void {
    this.#byId.set(exchange.id, exchange);
    this.#changes.add(exchange.id, 'upsert');
  }

  get cursor(): number {
    return this.#changes.cursor;
  }

  list(query: ExchangeQuery): ExchangePage {
    const { before = Infinity } = query;
    const newestFirst = [...this.#byId.values()].toReversed();
    return pageOf(
      newestFirst.filter(({ sequence }) => sequence < before),
      query,
    );
  }

  find(id: string): Exchange | undefined {
    return this.#byId.get(id);
  }

  mark(id: string, marks: { readonly isPinned?: boolean; readonly note?: string }): Exchange | undefined {
    const found = this.#byId.get(id);
    if (found === undefined) return undefined;
    this.put({ ...found, ...marks });
    return this.#byId.get(id);
  }

  remove(id?: string): number {
    const gone = [...this.#byId.values()].filter((each) => (id === undefined ? !each.isPinned : each.id === id));
    for (const each of gone) {
      this.#byId.delete(each.id);
      this.#changes.add(each.id, 'remove');
    }
    return gone.length;
  }

  changesAfter(cursor: number): readonly ExchangeChange[] | undefined {
    return this.#changes.after(cursor);
  }

  watch(listener: (change: ExchangeChange) => void): () => void {
    return this.#changes.watch(listener);
  }

  state(): ExchangeSourceState {
    return {
      kind: 'memory',
      exchanges: this.#byId.size,
      maxExchanges: 1_000,
      bytes: 41 * 2 ** 20,
      maxBytes: 256 * 2 ** 20,
      maxAgeMs: undefined,
      dropped: {},
      ...this.#more,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface InspectedOptions {
  readonly port?: number;
  readonly token?: string;
  readonly firstCursor?: number;
  readonly upstreams?: InspectorState['upstreams'];
  readonly caches?: ReadonlyMap<string, CacheView>;
  readonly explanations?: ReadonlyMap<string, ExplanationView>;
}

export interface Inspected {
  readonly port: number;
  /** With the token. */
  readonly link: string;
  /** Without it. */
  readonly url: string;
  close(): Promise<void>;
}

export const INSPECT_TOKEN = 'token-of-the-tests-0123456789';

export async function startInspected(source: KeptExchanges, options: InspectedOptions = {}): Promise<Inspected> {
  const { port = 0, token = INSPECT_TOKEN, firstCursor = 0, upstreams = [], caches, explanations } = options;
  const findCache = (id: string): CacheView | undefined => caches?.get(id);
  const handle = createInspectorHandler({
    source,
    token,
    masterKey: undefined,
    failures: createFailureLimit(MACHINE_TICKS),
    nowMs: Date.now,
    isRemote: false,
    firstCursor,
    faults: undefined,
    tellState: () => ({
      version: '0.0.0',
      region: 'us-east-1',
      mode: 'aws',
      url: 'http://localhost:4000/bedrock',
      upstreams,
    }),
    capture: undefined,
    findCache,
    findCacheTexts: (id) => Promise.resolve(findCache(id)),
    explain: ({ id }) => explanations?.get(id),
    replay: undefined,
    exportAs: async (format, exchanges, isSanitized) =>
      exportFile(exchanges, { format, isSanitized, version: '0.0.0', dropped: {}, exportedAtMs: Date.now() }),
  });
  const server = await startServer({
    hosts: ['127.0.0.1'],
    port,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [{ prefix: '/inspect', handle }],
    onRefused: () => {},
  });
  const url = `http://127.0.0.1:${server.port}/inspect/`;
  const close = async (): Promise<void> => {
    await server.destroy();
    await server.drain(0);
  };
  return { port: server.port, url, link: `${url}#t=${token}`, close };
}
