/**
 * Many streams at once: how long an event is on its way, and what a process's memory does meanwhile; then what a stream
 * costs that is open and silent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { makeCall } from './cases.ts';
import { openHttp1Lanes, openStreams } from './load.ts';
import type { Parties, Party } from './parties.ts';
import { quantile } from './statistics.ts';

const BUSY_STREAMS = 200;
const EVENTS_PER_STREAM = 100;
/** A model's pace: 20 events a second and stream. */
const EVENT_GAP_MS = 50;
/** Memory is compared between here and the end: before, the process still warms up. */
const WARM_AFTER = 0.3;

export interface BusyStreamsReport {
  readonly party: Party['name'];
  readonly streams: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** From the upstream's write to the load generator's read. */
  readonly eventMedianMs: number;
  readonly eventP99Ms: number;
  /** Share of one processor. */
  readonly cpu: number;
  /** After garbage collection, when warm and at the end. */
  readonly heapBytes: readonly [warm: number, end: number];
  readonly rssBytes: readonly [warm: number, end: number];
  /** The highest of one look a second. */
  readonly rssPeakBytes: number;
}

export interface IdleStreamsReport {
  readonly party: Party['name'];
  readonly streams: number;
  readonly heapBytesPerStream: number;
  readonly rssBytesPerStream: number;
}

/** 200 streams for so many seconds; each is opened again when it ends. */
export async function runBusyStreams(party: Party, key: string, seconds: number): Promise<BusyStreamsReport> {
  const lanes = openHttp1Lanes(party, BUSY_STREAMS);
  const model = `paced-${EVENTS_PER_STREAM}-${EVENT_GAP_MS}`;
  const call = makeCall(party, key, { model, operation: 'converse-stream', bodyBytes: 300 });
  const startedAt = performance.now();
  const streams = await openStreams(lanes, call);
  await delay(seconds * 1000 * WARM_AFTER);
  const warm = await party.usage({ afterGc: true });
  let rssPeakBytes = warm.rssBytes;
  // Ages are those of the warm time, without the collection that was just forced.
  await delay(200);
  streams.agesMs.length = 0;
  const agesFrom = performance.now();
  const before = await party.usage({ afterGc: false });
  while (performance.now() - startedAt < seconds * 1000) {
    await delay(1000);
    rssPeakBytes = Math.max(rssPeakBytes, (await party.usage({ afterGc: false })).rssBytes);
  }
  const after = await party.usage({ afterGc: false });
  const elapsedMs = performance.now() - agesFrom;
  const agesMs = [...streams.agesMs];
  const end = await party.usage({ afterGc: true });
  await streams.close();
  return {
    party: party.name,
    streams: BUSY_STREAMS,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    eventsPerSecond: Math.round((agesMs.length * 1000) / elapsedMs),
    eventMedianMs: quantile(agesMs, 0.5),
    eventP99Ms: quantile(agesMs, 0.99),
    cpu: (after.cpuMicros - before.cpuMicros) / 1000 / elapsedMs,
    heapBytes: [warm.heapBytes, end.heapBytes],
    rssBytes: [warm.rssBytes, end.rssBytes],
    rssPeakBytes,
  };
}

/** Opens streams that say one event and fall silent; memory before and with them, after garbage collection. */
export async function runIdleStreams(party: Party, key: string, count: number): Promise<IdleStreamsReport> {
  const call = makeCall(party, key, { model: 'silent', operation: 'converse-stream', bodyBytes: 300 });
  // What is made once for all (pools, code) is made before the first look.
  const [warmUpLane] = openHttp1Lanes(party, 1);
  const warmUp = await openStreams(warmUpLane === undefined ? [] : [warmUpLane], call);
  await warmUp.close();
  const before = await party.usage({ afterGc: true });
  const streams = await openStreams(openHttp1Lanes(party, count), call);
  const during = await party.usage({ afterGc: true });
  await streams.close();
  return {
    party: party.name,
    streams: count,
    heapBytesPerStream: Math.round((during.heapBytes - before.heapBytes) / count),
    rssBytesPerStream: Math.round((during.rssBytes - before.rssBytes) / count),
  };
}

/** Both proxies; direct too for delays. */
export async function runStreams(
  { direct, bare, proxied, key }: Parties,
  options: { readonly seconds: number; readonly comparedSeconds: number; readonly idle: number },
): Promise<{ busy: BusyStreamsReport[]; idle: IdleStreamsReport[] }> {
  const idle = [await runIdleStreams(bare, key, options.idle), await runIdleStreams(proxied, key, options.idle)];
  const busy = [
    await runBusyStreams(direct, key, options.comparedSeconds),
    await runBusyStreams(bare, key, options.comparedSeconds),
    await runBusyStreams(proxied, key, options.seconds),
  ];
  return { busy, idle };
}
