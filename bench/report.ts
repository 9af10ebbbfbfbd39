/**
 * A run as text for people. The JSON form is the same object, as it is. Pure.
 */
import type { CaseReport } from './cases.ts';
import type { StageReport } from './in-process.ts';
import type { LedgerReport } from './ledger.ts';
import type { StartUpReport } from './start-up.ts';
import type { Spread } from './statistics.ts';
import type { BusyStreamsReport, IdleStreamsReport } from './streams.ts';

/** Everything of one run; parts that were not asked for are undefined. */
export interface RunReport {
  readonly node: string;
  readonly platform: string;
  readonly processors: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly cases: readonly CaseReport[];
  readonly busyStreams: readonly BusyStreamsReport[];
  readonly idleStreams: readonly IdleStreamsReport[];
  readonly startUp: StartUpReport | undefined;
  readonly stages: readonly StageReport[];
  readonly ledger: LedgerReport | undefined;
}

export function formatReport(report: RunReport): string {
  const { node, platform, processors, rounds, seconds } = report;
  return [
    `Node ${node}, ${platform}, ${processors} processors for all processes; ${rounds} rounds, ${seconds} s in all.`,
    'Numbers are medians of the rounds. Ratios and differences are made within a round: median (lowest to highest).',
    '',
    ...section('Under load', formatCases(report.cases)),
    ...section('Streams of 20 events a second', formatBusy(report.busyStreams)),
    ...section('Streams that are open and silent', formatIdle(report.idleStreams)),
    ...section('Start-up', formatStartUp(report.startUp)),
    ...section('Single stages, without sockets', formatStages(report.stages)),
    ...section(titleOfLedger(report.ledger), formatLedger(report.ledger)),
  ].join('\n');
}

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  if (rows.length < 2) return [];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [title, ...lines.map((line) => `  ${line}`), ''];
}

function formatCases(cases: readonly CaseReport[]): string[][] {
  const head = ['case', 'metric', 'direct', 'bare', 'proxied', 'added', 'proxied : direct', 'proxied : bare'];
  const rows = cases.map((line) => [
    line.case,
    `${line.metric}, ${line.unit}`,
    short(line.direct.median),
    short(line.bare?.median),
    short(line.proxied.median),
    spread(line.added),
    spread(line.proxiedToDirect),
    spread(line.proxiedToBare),
  ]);
  return [head, ...rows];
}

function formatBusy(reports: readonly BusyStreamsReport[]): string[][] {
  const head = ['party', 'streams', 'for', 'events/s', 'delay of an event', 'p99', 'processor', 'heap', 'RSS', 'peak'];
  const rows = reports.map((line) => [
    line.party,
    String(line.streams),
    `${line.seconds} s`,
    String(line.eventsPerSecond),
    `${short(line.eventMedianMs)} ms`,
    `${short(line.eventP99Ms)} ms`,
    `${Math.round(line.cpu * 100)} %`,
    line.heapBytes.map(megabytes).join(' > '),
    line.rssBytes.map(megabytes).join(' > '),
    megabytes(line.rssPeakBytes),
  ]);
  return [head, ...rows];
}

function formatIdle(reports: readonly IdleStreamsReport[]): string[][] {
  const rows = reports.map((line) => [
    line.party,
    String(line.streams),
    `${short(line.heapBytesPerStream / 1000)} kB`,
    `${short(line.rssBytesPerStream / 1000)} kB`,
  ]);
  return [['party', 'streams', 'heap per stream', 'RSS per stream'], ...rows];
}

function formatStartUp(startUp: StartUpReport | undefined): string[][] {
  if (startUp === undefined) return [];
  return [
    ['until', 'ms'],
    ['a Node that does nothing has ended', spread(startUp.emptyNodeMs)],
    ['`bedrock-proxy --version` has ended', spread(startUp.versionMs)],
    ['the port of `bedrock-proxy start` responds', spread(startUp.portOpenMs)],
  ];
}

function formatStages(stages: readonly StageReport[]): string[][] {
  return [['stage', 'µs per call'], ...stages.map(({ stage, micros }) => [stage, short(micros)])];
}

function titleOfLedger(ledger: LedgerReport | undefined): string {
  if (ledger === undefined) return '';
  const [keys, rows] = [ledger.keys, ledger.rows].map((count) => count.toLocaleString('en-US'));
  return `Keys and ledger, without sockets: ${keys} keys, ${rows} rows, ${megabytes(ledger.fileBytes)}`;
}

function formatLedger(ledger: LedgerReport | undefined): string[][] {
  if (ledger === undefined) return [];
  const rows = ledger.timings.map(({ name, unit, median, p99, max }) => [
    name,
    ...[median, p99, max].map((value) => `${short(value)} ${unit}`),
  ]);
  const stall = ['longest stall of the event loop by a usage report', '', '', `${short(ledger.longestStallMs)} ms`];
  return [['work', 'median', 'p99', 'max'], ...rows, stall];
}

function spread(value: Spread | undefined): string {
  if (value === undefined) return '-';
  return `${short(value.median)} (${short(value.min)} to ${short(value.max)})`;
}

function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-';
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
