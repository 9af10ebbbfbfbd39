/**
 * Fetches a published document the way requests to AWS take (forward proxy, certificate authorities): a plain GET
 * without credentials, conditional if it was fetched before, limited in size and time.
 */
import { ProxyError, toProxyError } from '../../lib/errors.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { createForwarder } from '../../upstream/aws/forward.ts';
import type { NetworkOptions } from '../../upstream/aws/tunnel.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** How a document is fetched, and when to give up. */
export interface DownloadOptions {
  readonly network: NetworkOptions | undefined;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Of what is there already: nothing is sent if it is the same. */
  readonly etag?: string | undefined;
}

/** What a server answered. `missing`: it has no such document (403 and 404, as S3 answers). */
export type Download =
  | { readonly kind: 'fetched'; readonly text: string; readonly etag: string | undefined }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'missing'; readonly status: number };

const MISSING: ReadonlySet<number> = new Set([403, 404]);

/**
 * The text at a URL. Throws ERR_UPSTREAM_UNREACHABLE for anything but a whole response of that size at most with status
 * 200, or with 304, 403 or 404.
 */
export async function download(url: URL, options: DownloadOptions): Promise<Download> {
  const { network, timeoutMs, maxBytes, etag } = options;
  const forwarder = createForwarder({ connectTimeoutMs: CONNECT_TIMEOUT_MS, idleTimeoutMs: 2 * timeoutMs, network });
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const request = { method: 'GET', origin: url.origin, target: `${url.pathname}${url.search}` };
    const headers = headersFor(url, etag);
    const response = await forwarder.fetchWhole({ ...request, headers }, { maxBytes, signal });
    if (response.status === 304 && etag !== undefined) return { kind: 'unchanged' };
    if (MISSING.has(response.status)) return { kind: 'missing', status: response.status };
    if (response.status !== 200) throw new ProxyError('ERR_UPSTREAM_RESET', `it answered ${response.status}`);
    return { kind: 'fetched', text: response.body.toString('utf8'), etag: findHeader(response.headers, 'etag') };
  } catch (thrown) {
    const { detail, message } = toProxyError(thrown);
    throw unusable(url.host, signal.aborted ? `it took more than ${timeoutMs / 1000} s` : (detail ?? message), thrown);
  } finally {
    await forwarder.close();
  }
}

function headersFor({ host }: URL, etag: string | undefined): HeaderPair[] {
  return [
    ['host', host],
    ['accept', 'application/json'],
    ['accept-encoding', 'identity'],
    ...(etag === undefined ? [] : [['if-none-match', etag] as const]),
  ];
}

/** The error for a document that cannot be used. */
export function unusable(from: string, reason: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `No prices could be fetched from ${from}: ${reason}.`, {
    hint: 'The prices of before stay in force.',
    cause,
  });
}
