/**
 * Opens what a running server counts with: prices, ledger, metrics and, where the environment asks for them, traces.
 * What they have to complain about is told on stderr.
 */
import type { Config } from '../config/config.ts';
import { type ProxyError, toProxyError } from '../lib/errors.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { lazy } from '../lib/lazy.ts';
import { NO_PRICES, type PriceBook } from '../pricing/cost.ts';
import { readPriceFile } from '../pricing/price-file.ts';
import { createLedger, type Ledger } from '../accounting/ledger-writer.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import type { Traces } from '../telemetry/traces.ts';
import type { Store } from '../domain/store.ts';
import { type LivePrices, openLivePrices } from './live-prices.ts';
import { printError } from './print.ts';
import { readVersion } from '../lib/version.ts';

/** What a running server counts with. */
export interface Meters {
  /**
   * Loads the prices, once, however often it is called. To be called when the port is open: a start need not wait for
   * them. Never rejects: if they cannot be loaded, that is told, and nothing has a price. They are taken anew when
   * their files change.
   */
  readonly loadPrices: () => Promise<PriceBook>;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly traces: Traces | undefined;
  /** Writes and sends what is left, for a few seconds at most. The store stays open. */
  close(): Promise<void>;
}

/**
 * `onProblem` is told what goes wrong later, `talk` what else is worth a sentence. Throws ERR_BAD_OPTION if the price
 * file is wrong.
 */
export async function openMeters(
  config: Config,
  store: Store,
  onProblem: (error: ProxyError) => void,
  talk: (message: string) => void,
): Promise<Meters> {
  const { pricesFile, ledgerRetentionMs } = config;
  // Prices are loaded later, but a wrong file ends a start.
  if (pricesFile !== undefined) await readPriceFile(pricesFile);
  const traces = await openTracesIfConfigured(onProblem);
  let prices: LivePrices | undefined;
  const ledger = createLedger({
    store,
    nowMs: Date.now,
    tickMs: MACHINE_TICKS,
    onProblem,
    retentionMs: ledgerRetentionMs,
    // The room of a database that is shared is for its administrator to say.
    maxStoreBytes: config.database.kind === 'postgres' ? Infinity : undefined,
  });
  return {
    loadPrices: lazy(async () => {
      try {
        return (prices = await openPrices(config, talk));
      } catch (thrown) {
        printError(toProxyError(thrown), true);
        return NO_PRICES;
      }
    }),
    ledger,
    metrics: createMetrics(),
    traces,
    close: async () => {
      prices?.close();
      await Promise.all([ledger.close(), traces?.close()]);
    },
  };
}

async function openPrices({ pricesFile, database }: Config, talk: (message: string) => void): Promise<LivePrices> {
  const { refreshedPricesPath } = await import('../pricing/price-book.ts');
  return openLivePrices({ priceFile: pricesFile, refreshedFile: refreshedPricesPath(database.folder) }, talk);
}

async function openTracesIfConfigured(onProblem: (error: ProxyError) => void): Promise<Traces | undefined> {
  const { areTracesConfigured, openTraces } = await import('../telemetry/traces.ts');
  if (!areTracesConfigured(process.env)) return undefined;
  return openTraces({ environment: process.env, version: readVersion(), onProblem });
}
