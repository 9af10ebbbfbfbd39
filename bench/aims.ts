/**
 * What is aimed at, beside what a run has measured. Pure.
 */
import { type Case, type CaseReport, HTTP2, LARGE_BODY, ONE_CONNECTION, SIXTEEN_CONNECTIONS, STREAM } from './cases.ts';
import type { LedgerReport } from './ledger.ts';
import type { RunReport } from './run-report.ts';
import type { Spread } from './statistics.ts';

/** One row of the table. Numbers without a unit are ratios. */
export interface Aim {
  readonly figure: string;
  readonly measured: Spread;
  readonly unit: '' | ' ms' | ' µs';
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Of the median; of the highest if the figure is a longest time. Undefined: a smaller ledger than the aim's. */
  readonly isMet: boolean | undefined;
}

/** What the aim's ledger has. */
const KEYS = 100_000;
const ROWS = 1_000_000;

type Row = Omit<Aim, 'measured' | 'isMet'> & {
  readonly measured: Spread | undefined;
  readonly ofHighest?: true;
  readonly isSmaller?: boolean;
};

/** Those rows whose parts were measured. */
export function readAims(report: RunReport): Aim[] {
  const rows = [
    ...aimsUnderLoad(report),
    ...aimsOfInspector(report),
    ...aimsOfLedger(report.ledger),
    ...aimsOfStartUp(report),
  ];
  return rows.flatMap(({ measured, ofHighest, isSmaller, ...row }) => {
    if (measured === undefined) return [];
    const value = ofHighest ? measured.max : measured.median;
    const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = row;
    const isMet = value <= atMost && value >= atLeast;
    return [{ ...row, measured, isMet: isSmaller ? undefined : isMet }];
  });
}

function aimsUnderLoad({ cases, idleStreams }: RunReport): Row[] {
  const find = ({ name }: Case, metric: string): CaseReport | undefined =>
    cases.find((line) => line.case === name && line.metric === metric);
  return [
    {
      figure: 'added median to direct, 1 connection',
      measured: find(ONE_CONNECTION, 'median')?.added,
      unit: ' ms',
      atMost: 0.22,
    },
    {
      figure: 'requests/s, 16 connections, to bare',
      measured: find(SIXTEEN_CONNECTIONS, 'throughput')?.proxiedToBare,
      unit: '',
      atLeast: 0.35,
    },
    {
      figure: 'requests/s, HTTP/2, 16 streams, to direct',
      measured: find(HTTP2, 'throughput')?.proxiedToDirect,
      unit: '',
      atLeast: 0.35,
    },
    {
      figure: 'time to the first event of a stream, to bare',
      measured: find(STREAM, 'first event')?.proxiedToBare,
      unit: '',
      atMost: 1.3,
    },
    {
      figure: 'body of 20 MB, to (bare + one SHA-256 of it)',
      measured: find(LARGE_BODY, 'median')?.proxiedToBareAndHash,
      unit: '',
      atMost: 1.3,
    },
    { figure: 'RSS of an idle open stream, to bare', measured: idleStreams?.rssToBare, unit: '', atMost: 1.3 },
    {
      figure: 'p99, 1 connection, to bare',
      measured: find(ONE_CONNECTION, 'p99')?.proxiedToBare,
      unit: '',
      atMost: 1.5,
    },
  ];
}

function aimsOfLedger(ledger: LedgerReport | undefined): Row[] {
  if (ledger === undefined) return [];
  const { keys, rows, timings, live, names } = ledger;
  const isSmaller = keys < KEYS || rows < ROWS;
  const size = `${keys.toLocaleString('en-US')} keys, ${rows.toLocaleString('en-US')} rows`;
  const spreadNamed = (name: string): Spread | undefined => timings.find((line) => line.name === name)?.spread;
  return [
    {
      figure: `admission with every limit, ${size}`,
      measured: spreadNamed(names.admissionWithLimits),
      unit: ' µs',
      atMost: 30,
      isSmaller,
    },
    {
      figure: `usage --by key, ${size}`,
      measured: spreadNamed(names.usageByKey),
      unit: ' ms',
      atMost: 250,
      isSmaller,
    },
    ...live
      .filter(({ by, rowsPerSecond }) => by !== undefined && rowsPerSecond > 0)
      .map((line): Row => ({
        figure: `longest stall of the event loop meanwhile: --by ${line.by}, ${line.ledger}`,
        measured: line.longestStallMs,
        unit: ' ms',
        atMost: 20,
        ofHighest: true,
        isSmaller,
      })),
  ];
}

function aimsOfInspector({ inspected }: RunReport): Row[] {
  return [
    { figure: 'median added by --inspect, 1 connection', measured: inspected?.addedMedian, unit: ' ms', atMost: 0.03 },
    {
      figure: 'requests/s, 16 connections, with --inspect to without',
      measured: inspected?.throughputRatio,
      unit: '',
      atLeast: 0.95,
    },
  ];
}

function aimsOfStartUp({ startUp }: RunReport): Row[] {
  return [
    { figure: '`--version`', measured: startUp?.versionMs, unit: ' ms', atMost: 50 },
    { figure: 'port open', measured: startUp?.portOpenMs, unit: ' ms', atMost: 180 },
    { figure: "`exec` to its child's first line", measured: startUp?.execMs, unit: ' ms', atMost: 400 },
  ];
}
