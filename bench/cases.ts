/**
 * The cases under load. Every round visits the parties one after the other, so that what disturbs the machine disturbs
 * them alike, and numbers are compared within a round only.
 */
import { type Call, type Lane, type LoadResult, openHttp1Lanes, openHttp2Lanes, runLoad } from './load.ts';
import type { Parties, Party } from './parties.ts';
import { quantile, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

/** How much of everything: the full run, or the quick one. */
export interface Effort {
  readonly rounds: number;
  /** Of one party in one round. */
  readonly slotMs: number;
  readonly warmUpMs: number;
}

interface Case {
  readonly name: string;
  readonly http: 1 | 2;
  readonly lanes: number;
  /** The model in the path; `upstream.ts` says how it responds to each. */
  readonly model: string;
  readonly operation: 'converse' | 'converse-stream';
  readonly bodyBytes: number;
  readonly metrics: readonly Metric[];
}

interface Metric {
  readonly name: string;
  readonly unit: 'ms' | 'requests/s' | 'µs';
  readonly read: (result: Measured) => number;
}

interface Measured extends LoadResult {
  /** Processor time of the party's process in this slot. */
  readonly cpuMicros: number;
}

/** One line of the report. `ratios` and `added` compare parties round by round. */
export interface CaseReport {
  readonly case: string;
  readonly metric: string;
  readonly unit: Metric['unit'];
  readonly direct: Spread;
  readonly bare: Spread | undefined;
  readonly proxied: Spread;
  readonly proxiedToDirect: Spread;
  readonly proxiedToBare: Spread | undefined;
  /** Proxied less direct, in the metric's unit. */
  readonly added: Spread;
}

const MEDIAN: Metric = { name: 'median', unit: 'ms', read: ({ totalMs }) => quantile(totalMs, 0.5) };
const P99: Metric = { name: 'p99', unit: 'ms', read: ({ totalMs }) => quantile(totalMs, 0.99) };
const THROUGHPUT: Metric = {
  name: 'throughput',
  unit: 'requests/s',
  read: ({ totalMs, elapsedMs }) => (totalMs.length * 1000) / elapsedMs,
};
const CPU: Metric = {
  name: 'processor time',
  unit: 'µs',
  read: ({ cpuMicros, totalMs }) => cpuMicros / totalMs.length,
};
const FIRST_EVENT: Metric = {
  name: 'first event',
  unit: 'ms',
  read: ({ firstByteMs }) => quantile(firstByteMs, 0.5),
};
const FIRST_EVENT_P99: Metric = {
  name: 'first event, p99',
  unit: 'ms',
  read: ({ firstByteMs }) => quantile(firstByteMs, 0.99),
};

const SMALL = { http: 1, model: 'small', operation: 'converse', bodyBytes: 300 } as const;
const CASES: readonly Case[] = [
  { ...SMALL, name: 'Converse, 1 connection', lanes: 1, metrics: [MEDIAN, P99] },
  { ...SMALL, name: 'Converse, 16 connections', lanes: 16, metrics: [THROUGHPUT, MEDIAN, P99, CPU] },
  { ...SMALL, http: 2, name: 'Converse, HTTP/2, 16 streams', lanes: 16, metrics: [THROUGHPUT, MEDIAN, CPU] },
  {
    ...SMALL,
    name: 'ConverseStream, 1 connection',
    lanes: 1,
    model: 'paced-4-1',
    operation: 'converse-stream',
    metrics: [FIRST_EVENT, FIRST_EVENT_P99],
  },
  { ...SMALL, name: 'Converse, body of 20 MB', lanes: 1, bodyBytes: 20_000_000, metrics: [MEDIAN, CPU] },
];

/** Runs the cases whose names hold `filter`. */
export async function runCases(
  parties: Parties,
  effort: Effort,
  filter: string,
  say: (line: string) => void,
): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  for (const benchCase of CASES.filter(({ name }) => name.includes(filter))) {
    say(benchCase.name);
    reports.push(...(await runCase(benchCase, parties, effort)));
  }
  return reports;
}

async function runCase(benchCase: Case, parties: Parties, effort: Effort): Promise<CaseReport[]> {
  const takesPart = ({ http2Origin }: Party): boolean => benchCase.http === 1 || http2Origin !== undefined;
  const open = benchCase.http === 1 ? openHttp1Lanes : openHttp2Lanes;
  const entrants = [parties.direct, parties.bare, parties.proxied].filter(takesPart).map((party) => ({
    party,
    lanes: open(party, benchCase.lanes),
    call: makeCall(party, parties.key, benchCase),
    slots: [] as Measured[],
  }));
  for (const { lanes, call } of entrants) await runLoad(lanes, call, effort.warmUpMs);
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const { party, lanes, call, slots } of entrants) {
      slots.push(await measureSlot(party, lanes, call, effort.slotMs));
    }
  }
  await Promise.all(entrants.flatMap(({ lanes }) => lanes.map((lane) => lane.close())));
  const slotsOf = (name: Party['name']): Measured[] | undefined =>
    entrants.find(({ party }) => party.name === name)?.slots;
  return benchCase.metrics.map((metric) => compare(benchCase.name, metric, slotsOf));
}

async function measureSlot(party: Party, lanes: readonly Lane[], call: Call, slotMs: number): Promise<Measured> {
  const before = await party.usage({ afterGc: false });
  const result = await runLoad(lanes, call, slotMs);
  const after = await party.usage({ afterGc: false });
  return { ...result, cpuMicros: after.cpuMicros - before.cpuMicros };
}

function compare(
  name: string,
  metric: Metric,
  slotsOf: (name: Party['name']) => readonly Measured[] | undefined,
): CaseReport {
  const valuesOf = (party: Party['name']): number[] | undefined => slotsOf(party)?.map(metric.read);
  const direct = valuesOf('direct') ?? [];
  const bare = valuesOf('bare');
  const proxied = valuesOf('proxied') ?? [];
  return {
    case: name,
    metric: metric.name,
    unit: metric.unit,
    direct: spreadOf(direct),
    bare: bare && spreadOf(bare),
    proxied: spreadOf(proxied),
    proxiedToDirect: spreadOfPairs(proxied, direct, divide),
    proxiedToBare: bare && spreadOfPairs(proxied, bare, divide),
    added: spreadOfPairs(proxied, direct, (left, right) => left - right),
  };
}

function divide(left: number, right: number): number {
  return left / right;
}

/** The same request for every party but for the mount: what a Bedrock client with a virtual key sends. */
export function makeCall(
  party: Party,
  key: string,
  { model, operation, bodyBytes }: Pick<Case, 'model' | 'operation' | 'bodyBytes'>,
): Call {
  const text = 'x'.repeat(Math.max(0, bodyBytes - 60));
  return {
    path: `${party.mountPath}/model/bench.${model}/${operation}`,
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: operation === 'converse' ? 'application/json' : 'application/vnd.amazon.eventstream',
      'user-agent': 'aws-sdk-js/3.1000.0 ua/2.1 os/linux lang/js md/nodejs#24 api/bedrock-runtime#3.1000.0',
      'amz-sdk-invocation-id': '6ba7b810-9dad-41d1-80b4-00c04fd430c8',
      'amz-sdk-request': 'attempt=1; max=3',
    },
    body: Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }] })),
  };
}
