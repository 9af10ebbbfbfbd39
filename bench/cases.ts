/**
 * The cases under load: what is sent, over how many connections, and which numbers are read.
 */
import { hash } from 'node:crypto';
import { type Call, type Lane, openHttp1Lanes, openHttp2Lanes } from './load.ts';
import type { Parties, Party } from './parties.ts';
import {
  CPU,
  type Effort,
  type Entrant,
  type Measured,
  MEDIAN,
  type Metric,
  P99,
  runRounds,
  THROUGHPUT,
} from './rounds.ts';
import { divide, quantile, type Spread, spreadOf, spreadOfPairs } from './statistics.ts';

/** What is sent, and how. */
export interface Case {
  readonly name: string;
  readonly http: 1 | 2;
  readonly lanes: number;
  /** The model in the path; `upstream.ts` says how it responds to each. */
  readonly model: string;
  readonly operation: 'converse' | 'converse-stream';
  readonly bodyBytes: number;
  readonly metrics: readonly Metric[];
  /** Whether the SHA-256 of the body alone is an entrant: a signature cannot do without it. */
  readonly besideHash?: true;
}

/** One line of the report. Ratios and `added` compare entrants round by round. */
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
  /** One SHA-256 of the body, in the process of the bench. */
  readonly hash: Spread | undefined;
  readonly proxiedToBareAndHash: Spread | undefined;
}

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
/** The small request one at a time: what the proxy adds to a latency. */
export const ONE_CONNECTION: Case = { ...SMALL, name: 'Converse, 1 connection', lanes: 1, metrics: [MEDIAN, P99] };
/** The small request under pressure. */
export const SIXTEEN_CONNECTIONS: Case = {
  ...SMALL,
  name: 'Converse, 16 connections',
  lanes: 16,
  metrics: [THROUGHPUT, MEDIAN, P99, CPU],
};
/** The same over HTTP/2. */
export const HTTP2: Case = {
  ...SMALL,
  http: 2,
  name: 'Converse, HTTP/2, 16 streams',
  lanes: 16,
  metrics: [THROUGHPUT, MEDIAN, CPU],
};
/** A short stream. */
export const STREAM: Case = {
  ...SMALL,
  name: 'ConverseStream, 1 connection',
  lanes: 1,
  model: 'paced-4-1',
  operation: 'converse-stream',
  metrics: [FIRST_EVENT, FIRST_EVENT_P99],
};
/** A document or a picture. */
export const LARGE_BODY: Case = {
  ...SMALL,
  name: 'Converse, body of 20 MB',
  lanes: 1,
  bodyBytes: 20_000_000,
  metrics: [MEDIAN, CPU],
  besideHash: true,
};

/** In the order of the report. */
export const CASES: readonly Case[] = [ONE_CONNECTION, SIXTEEN_CONNECTIONS, HTTP2, STREAM, LARGE_BODY];

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
  const entrants = [parties.direct, parties.bare, parties.proxied]
    .filter(takesPart)
    .map((party) => openEntrant(party, parties.key, benchCase));
  const [first] = entrants;
  if (benchCase.besideHash && first !== undefined) entrants.push(hashAlone(first.call));
  const slots = await runRounds(entrants, effort);
  return benchCase.metrics.map((metric) => compare(benchCase.name, metric, slots));
}

/** Opens the connections of a party for a case. */
export function openEntrant(party: Party, key: string, benchCase: Case): Entrant {
  const open = benchCase.http === 1 ? openHttp1Lanes : openHttp2Lanes;
  return {
    name: party.name,
    lanes: open(party, benchCase.lanes),
    call: makeCall(party, key, benchCase),
    usage: party.usage,
  };
}

/** No server: only the hash that each signature has to make of the body. */
function hashAlone(call: Call): Entrant {
  const lane: Lane = {
    send: ({ body }, sink) => {
      hash('sha256', body);
      setImmediate(() => sink.onEnd());
    },
    close: async () => {},
  };
  return { name: 'hash', lanes: [lane], call, usage: undefined };
}

function compare(name: string, metric: Metric, slots: ReadonlyMap<string, readonly Measured[]>): CaseReport {
  const valuesOf = (entrant: string): number[] | undefined => slots.get(entrant)?.map(metric.read);
  const direct = valuesOf('direct') ?? [];
  const bare = valuesOf('bare');
  const proxied = valuesOf('proxied') ?? [];
  const hashed = metric.unit === 'ms' ? valuesOf('hash') : undefined;
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
    hash: hashed && spreadOf(hashed),
    proxiedToBareAndHash:
      bare &&
      hashed &&
      spreadOfPairs(
        proxied,
        bare.map((value, round) => value + (hashed[round] ?? Number.NaN)),
        divide,
      ),
  };
}

/** The same request for every party but for the mount: what a Bedrock client with a virtual key sends. */
export function makeCall(
  party: Pick<Party, 'mountPath'>,
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
