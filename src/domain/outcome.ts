/**
 * The outcome of a request: ledger, log line, metrics and traces agree because they take it from here. Pure.
 */
import { printable } from '../lib/printable.ts';
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

/** What of a message is looked at, and what is kept. */
const MAX_READ_LENGTH = 4096;
const MAX_MESSAGE_LENGTH = 500;

/**
 * What a message of AWS may repeat and nobody else is to read: the canonical request of a wrong signature has the
 * session's token in it. API keys, bearer tokens, and whatever is long enough to be one.
 */
const SECRETS =
  /(?<=x-amz-security-token[:=] ?)\S+|(?<=\bbearer )\S+|bedrock-api-key-\S+|\bABSK\S{20,}|[\w+/=%-]{100,}/gi;

/**
 * What the error said to the client: the proxy's own message, else AWS's. Printable, at most 500 characters, keys and
 * tokens masked. Undefined if nothing failed, or nothing was said.
 */
export function findErrorMessage({ error, upstreamErrorMessage }: RequestRecord): string | undefined {
  const text = error?.message ?? upstreamErrorMessage;
  if (text === undefined) return undefined;
  const plain = text.slice(0, MAX_READ_LENGTH).replaceAll(/\s+/g, ' ').trim();
  return printable(hideKeys(plain).replaceAll(SECRETS, '…'), MAX_MESSAGE_LENGTH);
}

/** Whether it went wrong, at whosever fault, or got no response. */
export function hasFailed(record: RequestRecord): boolean {
  return findErrorCode(record) !== undefined || (record.status ?? 500) >= 400;
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
