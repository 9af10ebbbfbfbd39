/**
 * Ids of requests, as RFC 9562 describes UUIDs of version 7: 48 bits of time, then 74 random ones. Rows that come one
 * after the other stand together in an index over such ids, where random ones change a page each.
 */
import { randomUUID } from 'node:crypto';
import type { WallClock } from './clock.ts';

/** A UUID of version 7 for this moment. */
export function timeOrderedId(nowMs: WallClock): string {
  const time = Math.floor(nowMs()).toString(16).padStart(12, '0').slice(-12);
  // The rest is that of version 4: its 13th digit is the version.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
