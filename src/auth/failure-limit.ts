/**
 * Slows down clients that show wrong credentials again and again, per address. The clock is handed in. Other machines
 * over the limit are refused before their credential is looked at; if a tunnel on this machine brings them, by the
 * address that it names. The processes of this machine share one address, and so, lest addresses be made up, do all
 * that come through tunnels: there, whoever shows a wrong credential is refused late, and no other, because one
 * misconfigured client must not lock out the rest.
 */
import type { MonotonicClock } from '../lib/clock.ts';
import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClientRequest } from '../http/message.ts';
import { type ErrorCode, ProxyError } from '../lib/errors.ts';
import { LeakyBuckets } from '../lib/leaky-buckets.ts';
import { findClientAddress } from './client-address.ts';

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
  'ERR_INSPECT_TOKEN',
  'ERR_REAL_AWS_CREDENTIALS',
  'ERR_SIGNATURE',
  'ERR_SIGNATURE_EARLY',
  'ERR_SIGNATURE_EXPIRED',
]);

/** So many failing responses wait at a time. Beyond them nobody waits, and nothing is compared with the master key. */
const MAX_WAITING = 64;
/** Addresses remembered that have shown the master key through a tunnel. */
const MAX_OWNERS = 16;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** What is asked of a client: its address, and whether it is still there. */
export type FailureClient = Pick<ClientRequest, 'peerAddress' | 'headers' | 'signal'>;

/** Counts wrong credentials per address, and refuses an address that has shown too many. */
export interface FailureLimit {
  /**
   * Throws ERR_TOO_MANY_FAILURES if this client is on another machine that is over the limit. Call before any look-up.
   */
  check(client: FailureClient): void;
  /**
   * The error to send: the same one, or ERR_TOO_MANY_FAILURES if this wrong credential was one too many. On this
   * machine, and through a tunnel on it, it then comes late: 100 ms at first, 2 s in the end.
   */
  note(error: unknown, client: FailureClient): Promise<unknown>;
  /** Another worker of this proxy has counted a wrong credential. */
  noteElsewhere(origin: FailureOrigin): void;
  /** This client has shown the master key. */
  noteMaster(client: Pick<FailureClient, 'peerAddress' | 'headers'>): void;
  /**
   * Whether so many failures like this client's are waiting that no more guesses may be made; not by an address that
   * has shown the master key before, which makes no more of them than `check` lets it.
   */
  isFull(client: Pick<FailureClient, 'peerAddress' | 'headers'>): boolean;
}

/** The buckets of a client: one of its own, if another machine asks, and one that it shares with all that ask so. */
export interface FailureOrigin {
  readonly own?: string | undefined;
  readonly shared?: 'local' | 'tunnel' | undefined;
}

/**
 * Counts from nothing. `wait` resolves early if the client leaves, and never rejects. `onCounted` is told what was
 * counted here, for `noteElsewhere` of the others. What a trusted proxy brings counts as if through a tunnel.
 */
export function createFailureLimit(
  tickMs: MonotonicClock,
  wait = waitForClient,
  onCounted: (origin: FailureOrigin) => void = () => {},
  isTrustedProxy: (address: string) => boolean = () => false,
): FailureLimit {
  return new CountedFailures({ tickMs, wait, onCounted, isTrustedProxy });
}

interface FailureOptions {
  readonly tickMs: MonotonicClock;
  readonly wait: typeof waitForClient;
  readonly onCounted: (origin: FailureOrigin) => void;
  readonly isTrustedProxy: (address: string) => boolean;
}

/** State: failures by address, how many responses wait, and who has shown the master key. */
class CountedFailures implements FailureLimit {
  readonly #wait: typeof waitForClient;
  readonly #onCounted: (origin: FailureOrigin) => void;
  readonly #isTrustedProxy: (address: string) => boolean;
  readonly #own: LeakyBuckets;
  readonly #shared: LeakyBuckets;
  readonly #owners = new Set<string>();
  #waiting = 0;

  constructor({ tickMs, wait, onCounted, isTrustedProxy }: FailureOptions) {
    const limits = { leakMs: REFILL_MS, maxNames: MAX_ADDRESSES };
    this.#own = new LeakyBuckets(tickMs, limits);
    this.#shared = new LeakyBuckets(tickMs, limits);
    this.#wait = wait;
    this.#onCounted = onCounted;
    this.#isTrustedProxy = isTrustedProxy;
  }

  check(client: FailureClient): void {
    if (this.#own.size === 0) return;
    const { own } = this.#originOf(client);
    if (own === undefined) return;
    const failures = this.#own.level(own);
    if (Math.ceil(failures) >= BURST) throw tooMany(failures);
  }

  async note(error: unknown, client: FailureClient): Promise<unknown> {
    if (!(error instanceof ProxyError) || !FAILURES.has(error.code)) return error;
    const origin = this.#originOf(client);
    const failures = this.#count(origin);
    this.#onCounted(origin);
    if (failures <= BURST) return error;
    if (origin.shared !== undefined && this.#waiting < MAX_WAITING) {
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * Math.ceil(failures - BURST));
      this.#waiting += 1;
      await this.#wait(waitMs, client.signal);
      this.#waiting -= 1;
    }
    return tooMany(failures);
  }

  noteElsewhere(origin: FailureOrigin): void {
    this.#count(origin);
  }

  #originOf(client: Pick<FailureClient, 'peerAddress' | 'headers'>): FailureOrigin {
    const from = findClientAddress(client, this.#isTrustedProxy);
    if (from.kind === 'local') return { own: undefined, shared: 'local' };
    const own = `${from.via} ${networkOf(from.address)}`;
    return { own, shared: from.via === 'tunnel' ? 'tunnel' : undefined };
  }

  #count({ own, shared }: FailureOrigin): number {
    const byAddress = own === undefined ? 0 : this.#own.count(own);
    const together = shared === undefined ? 0 : this.#shared.count(shared);
    return Math.max(byAddress, together);
  }

  noteMaster(client: Pick<FailureClient, 'peerAddress' | 'headers'>): void {
    const { own, shared } = this.#originOf(client);
    if (own === undefined || shared === undefined) return;
    this.#owners.delete(own);
    this.#owners.add(own);
    const [oldest] = this.#owners;
    if (this.#owners.size > MAX_OWNERS && oldest !== undefined) this.#owners.delete(oldest);
  }

  isFull(client: Pick<FailureClient, 'peerAddress' | 'headers'>): boolean {
    if (this.#waiting < MAX_WAITING) return false;
    const { own, shared } = this.#originOf(client);
    if (own !== undefined && this.#owners.has(own)) return false;
    return shared !== undefined && this.#shared.level(shared) >= BURST;
  }
}

async function waitForClient(waitMs: number, signal: AbortSignal): Promise<void> {
  // Who has left does not wait, and is told nothing.
  await delay(waitMs, undefined, { signal, ref: false }).catch(() => {});
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
