/**
 * What a request came to: ledger, log line, metrics and traces agree because they ask here. Pure.
 */
import type { RequestRecord } from './request-record.ts';

/** `sk-` and what may follow it in a key, percent-encoded or not, where a name could begin. */
const KEY_IN_PATH =
  /(?<=^|[^a-z0-9]|%[0-9a-f]{2})(?:s|%73|%53)(?:k|%6b|%4b)(?:-|%2d)(?:[a-z0-9_~.=-]|%[0-9a-f]{2}){10,}/gi;

/** The model as the request named it, in body or path; undefined where it named none. */
export function findModel({ model, route }: RequestRecord): string | undefined {
  return model ?? route?.modelId;
}

/** The proxy's own code, else the type of AWS's error; undefined where nothing failed, or AWS did not say what. */
export function findErrorCode({ error, status, upstreamErrorType }: RequestRecord): string | undefined {
  if (error !== undefined) return error.code;
  return status !== undefined && status >= 400 ? upstreamErrorType : undefined;
}

/** What never left the proxy cost nothing; what left and was not worked out may have cost anything. */
export function findPricing({ pricing, phase }: RequestRecord): 'priced' | 'unpriced' | 'free' {
  return pricing ?? (phase === 'received' || phase === 'admitted' ? 'free' : 'unpriced');
}

/** Whole nano-dollars; undefined where nobody knows what it cost. */
export function findCostNanoUsd(record: RequestRecord): number | undefined {
  const pricing = findPricing(record);
  if (pricing === 'free') return 0;
  return pricing === 'priced' ? record.costNanoUsd : undefined;
}

/** The path for people and programs to read: the admin API has paths that hold a key, which nobody may read. */
export function hideKeys(path: string): string {
  return path.replaceAll(KEY_IN_PATH, 'sk-…');
}
