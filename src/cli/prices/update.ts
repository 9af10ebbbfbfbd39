/**
 * `prices update`: fetches what is published, and keeps it beside the key database: AWS's offers of the regions in use,
 * then the data of genai-prices. A running server takes it at once. What cannot be used replaces nothing.
 */
import { readFile } from 'node:fs/promises';
import { findCode } from '../../lib/errno.ts';
import { replaceFile } from '../../lib/atomic-file.ts';
import { ProxyError, toProxyError } from '../../lib/errors.ts';
import { type Config, readConfig } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { type ExplainedBook, loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';
import { offerModelsOf } from '../../pricing/price-document.ts';
import { formatRefreshed, mergeFetches, parseRefreshed, type PriceFetch } from '../../pricing/price-refresh.ts';
import { readSnapshot } from '../../pricing/snapshot.ts';
import { findPartition } from '../../protocol/region.ts';
import { readNetworkOptions } from '../../app/network.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { printData, printError, printJson, printTalk } from '../../app/print.ts';
import { findRegion } from '../../app/start.ts';
import { findChanges, listInForce, type PriceChange } from './changes.ts';
import {
  awsOffers,
  type DocumentGroup,
  type FetchContext,
  fetchGroup,
  type FetchedGroup,
  oneDocument,
} from './documents.ts';
import { DEFAULT_PRICE_REGION } from './price-format.ts';

/** An offer of one region has a few megabytes. */
const MAX_DOCUMENT_BYTES = 50_000_000;
/** For one document. */
const DOWNLOAD_TIMEOUT_MS = 60_000;
/** Of regions in use, these have most requests. */
const MAX_REGIONS = 20;

interface UpdatePricesInput extends Flags {
  readonly from: string | undefined;
  readonly regions: readonly string[] | undefined;
  /** In place of AWS's address, for a mirror of it. */
  readonly priceList: string | undefined;
  readonly json: boolean;
}

/**
 * Throws ERR_UPSTREAM_UNREACHABLE if a source could not be fetched (what another one had is kept), ERR_BAD_OPTION, and
 * ERR_STORE_UNAVAILABLE if prices cannot be kept.
 */
export async function updatePrices(input: UpdatePricesInput): Promise<void> {
  const config = readConfig(input, process.env);
  const file = refreshedPricesPath(config.database.folder);
  const regions = await findRegions(input.regions, config);
  const groups = chooseGroups(input, regions);
  const nowMs = Date.now();
  const before = await readKept(file);
  const { fetched, failures } = await fetchAll(groups, {
    asOf: new Date(nowMs).toISOString().slice(0, 10),
    models: offerModelsOf(readSnapshot()),
    download: {
      network: readNetworkOptions(config.network),
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      maxBytes: MAX_DOCUMENT_BYTES,
    },
    nowMs,
    before,
  });
  const fetches = fetched.flatMap((group) => group.fetches);
  const old = await openBook(file);
  if (fetches.length > 0) keep(file, formatRefreshed(mergeFetches({ fetches: before }, fetches)));
  const book = await openBook(file);
  const changes = regions.flatMap((region) =>
    findChanges(region, listInForce(old, region, nowMs), listInForce(book, region, nowMs)),
  );
  tell({ file, nowMs, regions, fetched, changes }, input.json);
  const [first, ...others] = failures;
  for (const error of others) printError(error, false);
  if (first !== undefined) throw first;
}

function chooseGroups({ from, priceList }: UpdatePricesInput, regions: readonly string[]): readonly DocumentGroup[] {
  const origin = priceList === undefined ? undefined : parseOrigin(priceList);
  if (from === undefined) return [awsOffers(regions, origin), oneDocument()];
  if (from === 'aws') return [awsOffers(regions, origin)];
  return [from === 'genai-prices' ? oneDocument() : oneDocument(from)];
}

function parseOrigin(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw new ProxyError('ERR_BAD_OPTION', '--price-list must be an http:// or https:// URL.');
}

/** Those that are asked for, or those of the ledger and the one of the configuration. */
async function findRegions(asked: readonly string[] | undefined, config: Config): Promise<readonly string[]> {
  const unknown = asked?.find((region) => findPartition(region) === undefined);
  if (unknown !== undefined) {
    throw new ProxyError('ERR_BAD_OPTION', `--regions: ${unknown} is not an AWS region; one looks like us-east-1.`);
  }
  if (asked !== undefined && asked.length > 0) return [...new Set(asked)];
  const sums = await withExistingStore(config.database, (store) =>
    store.sumUsage({ filter: {}, by: ['region'], limit: MAX_REGIONS }),
  );
  const used = (sums?.groups ?? []).flatMap(({ names }) => names[0] ?? []);
  const own = (await findRegion(config))?.name ?? DEFAULT_PRICE_REGION;
  return [...new Set([own, ...used])].filter((region) => findPartition(region) !== undefined);
}

interface Fetched {
  readonly fetched: readonly FetchedGroup[];
  readonly failures: readonly ProxyError[];
}

/** One source after the other: what one has does not wait for another one's fault to be cured. */
async function fetchAll(groups: readonly DocumentGroup[], context: FetchContext): Promise<Fetched> {
  const fetched: FetchedGroup[] = [];
  const failures: ProxyError[] = [];
  for (const group of groups) {
    try {
      fetched.push(await fetchGroup(group, context));
    } catch (thrown) {
      failures.push(toProxyError(thrown));
    }
  }
  return { fetched, failures };
}

/** What was fetched before; nothing if it is damaged: it is about to be replaced. */
async function readKept(file: string): Promise<readonly PriceFetch[]> {
  try {
    return parseRefreshed(await readFile(file, 'utf8')).fetches;
  } catch {
    return [];
  }
}

function keep(file: string, text: string): void {
  try {
    replaceFile(file, text);
  } catch (cause) {
    const code = findCode(cause) ?? 'unknown';
    const message = `The prices cannot be kept beside the key database (${code}).`;
    throw new ProxyError('ERR_STORE_UNAVAILABLE', message, { detail: file, cause });
  }
}

/** What a server without a price file would use. A damaged file is about to be replaced: nothing to warn of. */
function openBook(file: string): Promise<ExplainedBook> {
  return loadPrices({ priceFile: undefined, refreshedFile: file, warn: () => {} });
}

interface Outcome {
  readonly file: string;
  readonly nowMs: number;
  readonly regions: readonly string[];
  readonly fetched: readonly FetchedGroup[];
  readonly changes: readonly PriceChange[];
}

function tell({ file, nowMs, regions, fetched, changes }: Outcome, asJson: boolean): void {
  if (asJson) {
    return printJson({
      file,
      fetched_at: new Date(nowMs).toISOString(),
      regions,
      sources: fetched.map(({ name, fetches, unchanged, skipped }) => ({
        name,
        documents: fetches.length,
        unchanged,
        models: countModels(fetches),
        skipped_rows: skipped,
      })),
      changes,
    });
  }
  for (const { region, model, tier, price, before, after } of changes) {
    const served = tier === 'standard' ? '' : `  ${tier}`;
    printData(`${region}  ${model}${served}  ${price}  ${show(before)} -> ${show(after)}`);
  }
  for (const { name, fetches, unchanged } of fetched) {
    const count = `${fetches.length} ${fetches.length === 1 ? 'document' : 'documents'}`;
    printTalk(`${name}: ${count}, ${unchanged} unchanged, with prices of ${countModels(fetches)} models`);
  }
  if (fetched.length === 0) return;
  const words = changes.length === 0 ? 'No price changed' : `${changes.length} prices changed (USD per million tokens)`;
  printTalk(`${words} in ${regions.join(', ')}. Kept in ${file}; a running server takes them within seconds.`);
}

function countModels(fetches: readonly PriceFetch[]): number {
  return new Set(fetches.flatMap(({ file }) => file.models)).size;
}

/** A price on one line. */
function show(price: unknown): string {
  return price === null ? '-' : JSON.stringify(price);
}
