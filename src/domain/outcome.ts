/**
 * The outcome of a request: ledger, log line, metrics and traces agree because they take it from here. Pure.
 */
import type { RequestRecord } from './request-record.ts';

/** `sk-` and what may follow it in a key, percent-encoded or not, at the beginning of a word. */
const KEY_IN_TEXT =
  /(?<=^|[^a-z0-9]|%[0-9a-f]{2})(?:s|%73|%53)(?:k|%6b|%4b)(?:-|%2d)(?:[a-z0-9_~.=-]|%[0-9a-f]{2}){10,}/gi;

/**
 * The model as the request named it, in body or path; undefined if it named none. A key that stands in its place is
 * masked: a client may write its key anywhere, and others must not read it.
 */
export function findModel({ model, route }: RequestRecord): string | undefined {
  const name = model ?? route?.modelId;
  return name === undefined ? undefined : hideKeys(name);
}

/** The proxy's own code, else the type of AWS's error; undefined if nothing failed, or AWS did not say what. */
export function findErrorCode({ error, upstreamErrorType }: RequestRecord): string | undefined {
  return error?.code ?? upstreamErrorType;
}

/** A request that never left the proxy cost nothing; one that left and was not priced may have cost anything. */
export function findPricing({ pricing, phase }: RequestRecord): 'priced' | 'unpriced' | 'free' {
  return pricing ?? (phase === 'received' || phase === 'admitted' ? 'free' : 'unpriced');
}

/** Whole nano-dollars; undefined if the cost is unknown. */
export function findCostNanoUsd(record: RequestRecord): number | undefined {
  const pricing = findPricing(record);
  if (pricing === 'free') return 0;
  return pricing === 'priced' ? record.costNanoUsd : undefined;
}

/** Text of a client's for people and programs to read, keys masked: the admin API has paths that hold one. */
export function hideKeys(text: string): string {
  return text.replaceAll(KEY_IN_TEXT, 'sk-…');
}
