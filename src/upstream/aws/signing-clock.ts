/**
 * The time that signatures bear, and nothing else. AWS takes what is within five minutes of its own clock; a machine
 * whose clock is wrong (after the sleep of a virtual machine) would be refused for ever, and its clients cannot correct
 * it, because the proxy signs. As the SDKs do, the difference is learned from the `Date` of a refusal.
 */
import { findHeader, type HeaderPair } from '../../http/message.ts';

/** A clock that learns from AWS's refusals. */
export interface SigningClock {
  /** Epoch milliseconds, for signatures. */
  nowMs(): number;
  /**
   * Learns from a response of AWS: the difference, if that is a refusal of a signature whose `Date` is far from
   * `signedAtMs`; that none is needed, if it is none. True if the same request, signed now, may be taken.
   */
  learn(status: number, headers: readonly HeaderPair[], signedAtMs: number): boolean;
}

/** Below it AWS takes the signature, and the clock is not what is wrong. */
const TOLERANCE_MS = 4 * 60_000;
/** A clock that is off by more than this is for its owner to set: nobody else makes us sign for another year. */
const MAX_OFFSET_MS = 7 * 86_400_000;
const REFUSED_FOR_TIME = /^(?:RequestTimeTooSkewed|RequestExpired|RequestInTheFuture|InvalidSignature)/;

/** `warn` is told once that the clock is wrong, and again if it was right in between. */
export function createSigningClock(wallMs: () => number, warn: (message: string) => void): SigningClock {
  let offsetMs = 0;
  const nowMs = (): number => wallMs() + offsetMs;
  return {
    nowMs,
    learn: (status, headers, signedAtMs) => {
      // The usual case, and on the way of every request.
      if (status < 400 && offsetMs === 0) return false;
      const awsMs = Date.parse(findHeader(headers, 'date') ?? '');
      if (Number.isNaN(awsMs)) return false;
      const foundMs = awsMs - wallMs();
      const isNeeded = Math.abs(foundMs) > TOLERANCE_MS;
      if (!isNeeded) offsetMs = 0;
      if (!isRefusedForTime(status, headers) || Math.abs(foundMs) > MAX_OFFSET_MS) return false;
      if (isNeeded && Math.abs(awsMs - nowMs()) > TOLERANCE_MS) {
        if (offsetMs === 0) warn(describe(foundMs));
        offsetMs = foundMs;
      }
      return Math.abs(awsMs - signedAtMs) > TOLERANCE_MS;
    },
  };
}

function isRefusedForTime(status: number, headers: readonly HeaderPair[]): boolean {
  if (status !== 400 && status !== 401 && status !== 403) return false;
  return REFUSED_FOR_TIME.test(findHeader(headers, 'x-amzn-errortype') ?? '');
}

function describe(foundMs: number): string {
  const minutes = Math.round(Math.abs(foundMs) / 60_000);
  const side = foundMs > 0 ? 'behind' : 'ahead of';
  return `The clock of this machine is ${minutes} minutes ${side} AWS's. Signatures bear AWS's time; set the clock.`;
}
