/**
 * Many streams at once: how long an event is on its way, and what a process's memory does meanwhile; then what a stream
 * costs that is open and silent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { makeCall } from './cases.ts';
import { openHttp1Lanes, openStreams } from './load.ts';
import type { Parties, Party } from './parties.ts';
import { divide, quantile, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

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

interface IdleParty {
  readonly party: Party['name'];
  readonly heapBytesPerStream: Spread;
  readonly rssBytesPerStream: Spread;
}

export interface IdleStreamsReport {
  readonly streams: number;
  readonly parties: readonly IdleParty[];
  readonly rssToBare: Spread;
}

/** 200 streams for so many seconds; each is opened again when it ends. */
async function runBusyStreams(party: Party, key: string, seconds: number): Promise<BusyStreamsReport> {
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

/** What an open and silent stream takes in one fresh process; after garbage collection. */
interface IdleStreams {
  readonly heapBytes: number;
  readonly rssBytes: number;
}

/** Opens streams that say one event and fall silent; memory before and with them. */
async function measureIdleStreams(party: Party, key: string, count: number): Promise<IdleStreams> {
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
    heapBytes: (during.heapBytes - before.heapBytes) / count,
    rssBytes: (during.rssBytes - before.rssBytes) / count,
  };
}

/** Each round in fresh processes: memory that was freed before would hide what streams take. */
export async function runIdleStreams(
  withParties: (work: (parties: Parties) => Promise<void>) => Promise<void>,
  { rounds, count }: { readonly rounds: number; readonly count: number },
): Promise<IdleStreamsReport> {
  const bares: IdleStreams[] = [];
  const proxieds: IdleStreams[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await withParties(async ({ bare, proxied, key }) => {
      bares.push(await measureIdleStreams(bare, key, count));
      proxieds.push(await measureIdleStreams(proxied, key, count));
    });
  }
  const rssOf = (list: readonly IdleStreams[]): number[] => list.map(({ rssBytes }) => rssBytes);
  const describe = (party: Party['name'], list: readonly IdleStreams[]): IdleParty => ({
    party,
    heapBytesPerStream: spreadOf(list.map(({ heapBytes }) => heapBytes)),
    rssBytesPerStream: spreadOf(rssOf(list)),
  });
  return {
    streams: count,
    parties: [describe('bare', bares), describe('proxied', proxieds)],
    rssToBare: spreadOfPairs(rssOf(proxieds), rssOf(bares), divide),
  };
}

/** One party after the other. */
export async function compareBusyStreams(
  { direct, bare, proxied, key }: Parties,
  options: { readonly seconds: number; readonly comparedSeconds: number },
): Promise<BusyStreamsReport[]> {
  return [
    await runBusyStreams(direct, key, options.comparedSeconds),
    await runBusyStreams(bare, key, options.comparedSeconds),
    await runBusyStreams(proxied, key, options.seconds),
  ];
}
