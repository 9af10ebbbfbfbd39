/**
 * Rapid reset (CVE-2023-44487) by a client that opens session after session, each with an allowance of its own: streams
 * that are reset are counted by the address of the connection too. Sessions of many clients may come from one address,
 * of a tunnel on this machine for example: each keeps what no honest client uses up, and none is cut off.
 */
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { networkOf } from '../auth/failure-limit.ts';
import type { MonotonicClock } from '../lib/clock.ts';
import { LeakyBuckets } from '../lib/leaky-buckets.ts';

/** All that two sessions may reset at once, and the same rate as of one: 33 a second. */
const ADDRESS_BURST = 1024;
const LEAK_MS = 30;
/** Addresses remembered at a time. */
const MAX_ADDRESSES = 10_000;
/** Of an address over its limit, a session may reset so many: a connection for 16 brings no more than HTTP/1.1. */
const SESSION_MINIMUM = 16;

/** Counts what clients reset. */
export interface ResetLimit {
  /**
   * To be called for each stream, in its `stream` event. False if its session is over the limit: it is ending, without
   * harm to the streams that it has, and takes no new ones.
   */
  admit(stream: ServerHttp2Stream, session: Http2Session): boolean;
}

/** Counts from nothing. */
export function createResetLimit(tickMs: MonotonicClock): ResetLimit {
  const addresses = new LeakyBuckets(tickMs, { leakMs: LEAK_MS, maxNames: MAX_ADDRESSES });
  const sessions = new WeakMap<Http2Session, number>();
  const isOver = (session: Http2Session, address: string): boolean =>
    (sessions.get(session) ?? 0) > SESSION_MINIMUM && addresses.level(address) > ADDRESS_BURST;
  const note = (session: Http2Session, address: string): void => {
    sessions.set(session, (sessions.get(session) ?? 0) + 1);
    addresses.count(address);
    if (isOver(session, address) && !session.closed) session.close();
  };
  return {
    admit: (stream, session) => {
      if (session.destroyed) return true;
      const address = networkOf(session.socket.remoteAddress ?? '');
      // By now already, or later; then one that we break off is destroyed, and so is one of a session that ends.
      if (stream.closed) note(session, address);
      else stream.on('aborted', () => stream.destroyed || session.destroyed || note(session, address));
      return !(session.closed && isOver(session, address));
    },
  };
}
