/**
 * Which documents `prices update` fetches: AWS's offers of the regions in use, then the data of genai-prices; or what
 * `--from` names.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { OFFERS, offerUrl } from '../../pricing/aws-offer.ts';
import type { FactFile } from '../../pricing/fact-file.ts';
import { type DocumentContext, readPriceDocument } from '../../pricing/price-document.ts';
import { GENAI_PRICES_URL, type PriceFetch } from '../../pricing/price-refresh.ts';
import { download, type DownloadOptions, unusable } from './fetch.ts';

/** Documents that count together: all of them replace what was there, or none does. */
export interface DocumentGroup {
  /** For people. */
  readonly name: string;
  /** In each set at least one document has to be there: AWS sells an offer in some regions only. */
  readonly sets: readonly (readonly URL[])[];
}

/** AWS's offers, a set for each region. `origin` replaces AWS's own, for a mirror. */
export function awsOffers(regions: readonly string[], origin?: URL): DocumentGroup {
  const addressOf = (offer: (typeof OFFERS)[number], region: string): URL => {
    const url = new URL(offerUrl(offer, region));
    return origin === undefined ? url : new URL(url.pathname, origin);
  };
  const sets = regions.map((region) => OFFERS.map((offer) => addressOf(offer, region)));
  return { name: 'AWS Price List', sets };
}

/** The data of genai-prices, or the document that `--from` names. */
export function oneDocument(from: string = GENAI_PRICES_URL): DocumentGroup {
  const url = /^[a-z]+:\/\//i.test(from) ? new URL(from) : pathToFileURL(resolve(from));
  if (/^(?:https?|file):$/.test(url.protocol)) {
    const name = from === GENAI_PRICES_URL ? 'genai-prices' : url.protocol === 'file:' ? from : url.host;
    return { name, sets: [[url]] };
  }
  throw new ProxyError('ERR_BAD_OPTION', '--from must be a file, or an http:// or https:// URL.');
}

/** What is needed to fetch documents and to read them. */
export interface FetchContext extends DocumentContext {
  readonly download: Omit<DownloadOptions, 'etag'>;
  readonly nowMs: number;
  /** What was fetched before. */
  readonly before: readonly PriceFetch[];
}

/** A group, fetched. */
export interface FetchedGroup {
  readonly name: string;
  readonly fetches: readonly PriceFetch[];
  /** Documents that were there unchanged since the last fetch. */
  readonly unchanged: number;
  readonly skipped: number;
}

interface FetchedDocument {
  readonly fetch: PriceFetch;
  readonly isUnchanged: boolean;
  readonly skipped: number;
}

/** Throws ERR_UPSTREAM_UNREACHABLE if a document of the group cannot be had or is not what it should be. */
export async function fetchGroup({ name, sets }: DocumentGroup, context: FetchContext): Promise<FetchedGroup> {
  const fetched: FetchedDocument[] = [];
  for (const urls of sets) {
    const found = await Promise.all(urls.map(async (url) => fetchDocument(url, context)));
    const there = found.filter((one) => typeof one === 'object');
    const [status] = found.filter((one) => typeof one === 'number');
    if (there.length === 0) throw unusable(urls[0]?.host ?? name, `it answered ${status} for ${urls[0]?.pathname}`);
    fetched.push(...there);
  }
  return {
    name,
    fetches: fetched.map(({ fetch }) => fetch),
    unchanged: fetched.filter(({ isUnchanged }) => isUnchanged).length,
    skipped: fetched.reduce((sum, { skipped }) => sum + skipped, 0),
  };
}

/** The status if there is no such document. */
async function fetchDocument(url: URL, context: FetchContext): Promise<FetchedDocument | number> {
  const { nowMs: fetchedAtMs, asOf } = context;
  const known = context.before.find((fetch) => fetch.url === url.href);
  if (url.protocol === 'file:') {
    return { ...read(await readLocal(url), url, context, { etag: undefined }), isUnchanged: false };
  }
  const response = await download(url, { ...context.download, etag: known?.etag });
  if (response.kind === 'missing') return response.status;
  if (response.kind === 'fetched') return { ...read(response.text, url, context, response), isUnchanged: false };
  if (known === undefined) throw unusable(url.host, 'it answered 304');
  return { fetch: { ...known, fetchedAtMs, file: { ...known.file, asOf } }, isUnchanged: true, skipped: 0 };
}

function read(
  text: string,
  url: URL,
  context: FetchContext,
  { etag }: { readonly etag: string | undefined },
): Pick<FetchedDocument, 'fetch' | 'skipped'> {
  const { file, skipped } = readOr(() => readPriceDocument(text, context), url);
  return { fetch: { url: url.href, etag, fetchedAtMs: context.nowMs, file }, skipped };
}

function readOr<T extends { readonly file: FactFile }>(work: () => T, url: URL): T {
  try {
    return work();
  } catch (error) {
    throw unusable(placeOf(url), error instanceof Error ? error.message : 'unreadable', error);
  }
}

async function readLocal(url: URL): Promise<string> {
  try {
    return await readFile(url, 'utf8');
  } catch (cause) {
    throw new ProxyError('ERR_BAD_OPTION', `The file of --from cannot be read (${findCode(cause) ?? 'unknown'}).`, {
      detail: url.pathname,
      cause,
    });
  }
}

function placeOf(url: URL): string {
  return url.protocol === 'file:' ? url.pathname : `${url.host}${url.pathname}`;
}
