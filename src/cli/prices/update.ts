/**
 * `prices update`: fetches the published prices the way requests to AWS take (forward proxy, certificate authorities),
 * and keeps Bedrock's beside the key database. A server reads them at its start. What cannot be used replaces nothing.
 */
import { findCode } from '../../lib/errno.ts';
import { readConfig } from '../../config/config.ts';
import { replaceFile } from '../../lib/atomic-file.ts';
import { ProxyError, toProxyError } from '../../lib/errors.ts';
import type { ModelPrice } from '../../pricing/cost.ts';
import type { FactFile } from '../../pricing/fact-file.ts';
import { readGenaiDocument } from '../../pricing/genai-prices.ts';
import { formatRefreshed, GENAI_PRICES_URL } from '../../pricing/price-refresh.ts';
import { loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';
import type { Flags } from '../../config/options.ts';
import { createForwarder, type SignedRequest } from '../../upstream/aws/forward.ts';
import type { NetworkOptions } from '../../upstream/aws/tunnel.ts';
import { readNetworkOptions } from '../../app/network.ts';
import { RATES, rateToJson } from './price-format.ts';
import { printData, printJson, printTalk } from '../../app/print.ts';

/** Ten times what it is today. */
const MAX_DOCUMENT_BYTES = 20_000_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** For all of it. */
const DOWNLOAD_TIMEOUT_MS = 60_000;

interface UpdatePricesInput extends Flags {
  readonly url: string | undefined;
  readonly json: boolean;
}

/**
 * Throws ERR_UPSTREAM_UNREACHABLE where no usable prices could be fetched, ERR_STORE_UNAVAILABLE where they cannot be
 * kept.
 */
export async function updatePrices(input: UpdatePricesInput): Promise<void> {
  const config = readConfig(input, process.env);
  const url = parseUrl(input.url ?? GENAI_PRICES_URL);
  const file = refreshedPricesPath(config.databasePath);
  const network = readNetworkOptions(config.network);
  const text = await download(url, { network, timeoutMs: DOWNLOAD_TIMEOUT_MS, maxBytes: MAX_DOCUMENT_BYTES });
  const nowMs = Date.now();
  const facts = readDocument(text, url, nowMs);
  const before = await listInForce(file, nowMs);
  keep(file, formatRefreshed({ fetches: [{ url: url.href, etag: undefined, fetchedAtMs: nowMs, file: facts }] }));
  const after = await listInForce(file, nowMs);
  const changes = findChanges(before, after);
  if (input.json) {
    return printJson({
      file,
      fetched_at: new Date(nowMs).toISOString(),
      models: facts.models.length,
      priced: after.size,
      changes,
    });
  }
  for (const { model, price, before: old, after: now } of changes)
    printData(`${model}  ${price}  ${show(old)} -> ${show(now)}`);
  const words = changes.length === 0 ? 'no price changed' : `${changes.length} prices changed (USD per million tokens)`;
  printTalk(
    `${facts.models.length} models of Bedrock from ${url.host}: ${words}. Kept in ${file}; a running server ` +
      `takes them at its next start.`,
  );
}

/** How a document is fetched, and when to give up. */
export interface DownloadOptions {
  readonly network: NetworkOptions | undefined;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

/**
 * The text at a URL. Throws ERR_UPSTREAM_UNREACHABLE for anything but a whole response with status 200 and of that size
 * at most.
 */
export async function download(url: URL, { network, timeoutMs, maxBytes }: DownloadOptions): Promise<string> {
  const forwarder = createForwarder({ connectTimeoutMs: CONNECT_TIMEOUT_MS, idleTimeoutMs: 2 * timeoutMs, network });
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const { status, body } = await forwarder.fetchWhole(requestFor(url), { maxBytes, signal });
    if (status !== 200) throw new ProxyError('ERR_UPSTREAM_RESET', `it answered ${status}`);
    return body.toString('utf8');
  } catch (thrown) {
    const { detail, message } = toProxyError(thrown);
    throw unusable(url, signal.aborted ? `it took more than ${timeoutMs / 1000} s` : (detail ?? message), thrown);
  } finally {
    await forwarder.close();
  }
}

function requestFor(url: URL): Omit<SignedRequest, 'body'> {
  return {
    method: 'GET',
    origin: url.origin,
    target: `${url.pathname}${url.search}`,
    headers: [
      ['host', url.host],
      ['accept', 'application/json'],
      ['accept-encoding', 'identity'],
    ],
  };
}

function readDocument(text: string, url: URL, nowMs: number): FactFile {
  try {
    return readGenaiDocument(text, new Date(nowMs).toISOString().slice(0, 10));
  } catch (error) {
    throw unusable(url, error instanceof Error ? error.message : 'unreadable', error);
  }
}

function unusable(url: URL, reason: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `No prices could be fetched from ${url.host}: ${reason}.`, {
    hint: 'The prices of before stay in force.',
    cause,
  });
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw new ProxyError('ERR_BAD_OPTION', '--url must be an http:// or https:// URL.');
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

/** What a server without a price file would use. A file that is damaged is about to be replaced: nothing to warn of. */
async function listInForce(file: string, nowMs: number): Promise<ReadonlyMap<string, ModelPrice>> {
  const book = await loadPrices({ priceFile: undefined, refreshedFile: file, warn: () => {} });
  return new Map(
    book
      .list({ atMs: nowMs, region: 'us-east-1', serviceTier: undefined, latency: undefined })
      .map(({ name, price }) => [name, price]),
  );
}

interface Change {
  readonly model: string;
  /** `input_mtok`, … */
  readonly price: string;
  /** As `rateToJson` has it; null where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

function findChanges(before: ReadonlyMap<string, ModelPrice>, after: ReadonlyMap<string, ModelPrice>): Change[] {
  const models = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return models.flatMap((model) => {
    const old = before.get(model) ?? {};
    const now = after.get(model) ?? {};
    return RATES.map(({ name, field }) => ({
      model,
      price: name,
      before: old[field] === undefined ? null : rateToJson(old[field]),
      after: now[field] === undefined ? null : rateToJson(now[field]),
    })).filter((change) => show(change.before) !== show(change.after));
  });
}

/** A rate on one line. */
function show(rate: unknown): string {
  return rate === null ? '-' : JSON.stringify(rate);
}
