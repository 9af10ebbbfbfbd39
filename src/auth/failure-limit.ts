/**
 * Slows down clients that show wrong credentials again and again, per address. Pure but for its table; the clock is
 * handed in. Other machines over the limit are refused before their credential is looked at. The processes of this
 * machine share one address, so only those with a wrong credential are refused: one misconfigured client must not lock
 * out the others.
 */
import { isIPv6 } from 'node:net';
import { type ErrorCode, ProxyError } from '../lib/errors.ts';
import { isLoopbackAddress } from '../lib/loopback.ts';

/** Failures that are free at once; after them one more every `REFILL_MS`. Claude Code alone tries some thirty times. */
const BURST = 60;
const REFILL_MS = 2_000;
/** Addresses remembered at a time; the one that failed longest ago goes first. */
const MAX_ADDRESSES = 10_000;

const FAILURES: ReadonlySet<ErrorCode> = new Set([
  'ERR_KEY_MISSING',
  'ERR_KEY_UNKNOWN',
  'ERR_KEY_REVOKED',
  'ERR_KEYS_DIFFER',
  'ERR_MASTER_KEY',
  'ERR_REAL_AWS_CREDENTIALS',
  'ERR_SIGNATURE',
  'ERR_SIGNATURE_EARLY',
  'ERR_SIGNATURE_EXPIRED',
]);

/** Counts wrong credentials per address, and refuses an address that has shown too many. */
export interface FailureLimit {
  /** Throws ERR_TOO_MANY_FAILURES if this address is another machine's and over the limit. Call before any look-up. */
  check(peerAddress: string): void;
  /** The error to send: the same one, or ERR_TOO_MANY_FAILURES if this wrong credential was one too many. */
  note(error: unknown, peerAddress: string): unknown;
}

interface Bucket {
  failures: number;
  atMs: number;
}

/** Counts from nothing. The clock gives epoch milliseconds. */
export function createFailureLimit(nowMs: () => number): FailureLimit {
  const buckets = new Map<string, Bucket>();
  const current = (address: string): Bucket => {
    const bucket = buckets.get(address) ?? { failures: 0, atMs: nowMs() };
    const healed = (nowMs() - bucket.atMs) / REFILL_MS;
    return { failures: Math.max(0, bucket.failures - healed), atMs: nowMs() };
  };
  return {
    check: (peerAddress) => {
      if (isLoopbackAddress(peerAddress)) return;
      const { failures } = current(networkOf(peerAddress));
      if (Math.ceil(failures) >= BURST) throw tooMany(failures);
    },
    note: (error, peerAddress) => {
      if (!(error instanceof ProxyError) || !FAILURES.has(error.code)) return error;
      const address = networkOf(peerAddress);
      const bucket = current(address);
      bucket.failures += 1;
      buckets.delete(address);
      buckets.set(address, bucket);
      const [oldest] = buckets.keys();
      if (buckets.size > MAX_ADDRESSES && oldest !== undefined) buckets.delete(oldest);
      return bucket.failures > BURST ? tooMany(bucket.failures) : error;
    },
  };
}

/** The address as it counts: one host has a whole /64 of IPv6 addresses to itself. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

function tooMany(failures: number): ProxyError {
  const retryAfterSeconds = Math.ceil(((failures - BURST + 1) * REFILL_MS) / 1000);
  return new ProxyError('ERR_TOO_MANY_FAILURES', 'Too many requests from this address showed wrong credentials.', {
    hint: 'Correct the key first.',
    retryAfterSeconds,
  });
}
