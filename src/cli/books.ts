/**
 * Opens what a running server counts with: prices, ledger, metrics and, where the environment asks for them, traces. What they
 * have to complain about is told on stderr.
 */
import type { Config } from '../config.ts';
import { type ProxyError, toProxyError } from '../errors.ts';
import type { PriceBook } from '../metering/cost.ts';
import { LatePrices } from '../metering/late-prices.ts';
import { readPriceFile } from '../metering/price-file.ts';
import { createLedger, type Ledger } from '../observe/ledger.ts';
import { createMetrics, type Metrics } from '../observe/metrics.ts';
import type { Traces } from '../observe/traces.ts';
import type { Store } from '../store/store.ts';
import { printError, printTalk } from './print.ts';
import { readVersion } from './version.ts';

export interface Books {
  readonly prices: PriceBook;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly traces: Traces | undefined;
  /**
   * Loads what takes its time, once, however often it is called; to be called when the port is open, and waited for before
   * a price is asked for. Never rejects.
   */
  load(): Promise<void>;
  /** Writes and sends what is left, for a few seconds at most. The store stays open. */
  close(): Promise<void>;
}

/** Throws ERR_BAD_OPTION where the price file is wrong. */
export async function openBooks(config: Config, store: Store): Promise<Books> {
  const { pricesFile, ledgerRetentionMs } = config;
  // Its library is loaded later, but a wrong file ends a start.
  if (pricesFile !== undefined) await readPriceFile(pricesFile);
  const traces = await openTracesWhereWanted();
  const prices = new LatePrices(() => openPrices(config));
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
  const { loadPrices, refreshedPricesPath } = await import('../metering/prices.ts');
  return loadPrices({
    priceFile: pricesFile,
    refreshedFile: refreshedPricesPath(databasePath),
    warn: (message) => printTalk(`warning: ${message}`),
  });
}

async function openTracesWhereWanted(): Promise<Traces | undefined> {
  const { wantsTraces, openTraces } = await import('../observe/traces.ts');
  if (!wantsTraces(process.env)) return undefined;
  return openTraces({ environment: process.env, version: readVersion(), onProblem });
}

function onProblem(error: ProxyError): void {
  printError(error, false);
}

function tell(thrown: unknown): void {
  printError(toProxyError(thrown), true);
}
