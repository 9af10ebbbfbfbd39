/**
 * Opens what a running server counts with: prices, ledger, metrics and, where the environment asks for them, traces.
 * What they have to complain about is told on stderr.
 */
import type { Config } from '../config/config.ts';
import { type ProxyError, toProxyError } from '../lib/errors.ts';
import type { PriceBook } from '../pricing/cost.ts';
import { LazyPrices } from '../pricing/lazy-prices.ts';
import { readPriceFile } from '../pricing/price-file.ts';
import { createLedger, type Ledger } from '../accounting/ledger-writer.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import type { Traces } from '../telemetry/traces.ts';
import type { Store } from '../domain/store.ts';
import { printError, printTalk } from './print.ts';
import { readVersion } from '../lib/version.ts';

/** What a running server counts with. */
export interface Meters {
  readonly prices: PriceBook;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly traces: Traces | undefined;
  /**
   * Loads what takes its time, once, however often it is called; to be called when the port is open, and waited for
   * before a price is asked for. Never rejects.
   */
  load(): Promise<void>;
  /** Writes and sends what is left, for a few seconds at most. The store stays open. */
  close(): Promise<void>;
}

/** Throws ERR_BAD_OPTION where the price file is wrong. */
export async function openMeters(config: Config, store: Store): Promise<Meters> {
  const { pricesFile, ledgerRetentionMs } = config;
  // Its library is loaded later, but a wrong file ends a start.
  if (pricesFile !== undefined) await readPriceFile(pricesFile);
  const traces = await openTracesIfConfigured();
  const prices = new LazyPrices(() => openPrices(config));
  const ledger = createLedger({ store, nowMs: Date.now, onProblem, retentionMs: ledgerRetentionMs });
  return {
    prices,
    ledger,
    metrics: createMetrics(),
    traces,
    load: () => prices.load().catch(tell),
    close: async () => void (await Promise.all([ledger.close(), traces?.close()])),
  };
}

async function openPrices({ pricesFile, databasePath }: Config): Promise<PriceBook> {
  const { loadPrices, refreshedPricesPath } = await import('../pricing/price-book.ts');
  return loadPrices({
    priceFile: pricesFile,
    refreshedFile: refreshedPricesPath(databasePath),
    warn: (message) => printTalk(`warning: ${message}`),
  });
}

async function openTracesIfConfigured(): Promise<Traces | undefined> {
  const { areTracesConfigured, openTraces } = await import('../telemetry/traces.ts');
  if (!areTracesConfigured(process.env)) return undefined;
  return openTraces({ environment: process.env, version: readVersion(), onProblem });
}

function onProblem(error: ProxyError): void {
  printError(error, false);
}

function tell(thrown: unknown): void {
  printError(toProxyError(thrown), true);
}
