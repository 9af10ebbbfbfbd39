/**
 * A run as text for people. The JSON form is the same object, as it is. Pure.
 */
import { type Aim, readAims } from './aims.ts';
import type { CaseReport } from './cases.ts';
import type { StageReport } from './in-process.ts';
import type { InspectedReport } from './inspected.ts';
import type { LedgerReport } from './ledger.ts';
import type { PostgresReport } from './postgres.ts';
import type { RunReport } from './run-report.ts';
import type { Spread } from './statistics.ts';
import type { StartUpReport } from './start-up.ts';
import type { BusyStreamsReport, IdleStreamsReport } from './streams.ts';
import { megabytes, section, short, spread } from './table.ts';
import type { WorkersReport } from './workers.ts';

/** All tables of a run. */
export function formatReport(report: RunReport): string {
  const { node, platform, processors, rounds, seconds } = report;
  return [
    `Node ${node}, ${platform}, ${processors} processors for all processes; ${rounds} rounds, ${seconds} s in all.`,
    'Numbers are medians of the rounds. Ratios and differences are made within a round: median (lowest to highest).',
    '',
    ...section('Aims (of a longest stall the highest counts, of all else the median)', formatAims(readAims(report))),
    ...section('Under load', formatCases(report.cases)),
    ...section('Streams of 20 events a second', formatBusy(report.busyStreams)),
    ...section('Streams that are open and silent', formatIdle(report.idleStreams)),
    ...section('Start-up', formatStartUp(report.startUp)),
    ...section('Single stages, without sockets', formatStages(report.stages)),
    ...section(titleOfWorkers(report), formatWorkers(report.workers)),
    ...section('The small request with `--inspect`', formatInspected(report.inspected)),
    ...section('Keys and ledger in PostgreSQL: median of the small request, ms', formatAdmissions(report.postgres)),
    ...section(titleOfProxies(report.postgres), formatThroughputs(report.postgres)),
    ...section(titleOfLedger(report.ledger), formatLedger(report.ledger)),
    ...section(
      'The event loop while a running server makes a report, rows settled meanwhile and not',
      formatLive(report.ledger),
    ),
  ].join('\n');
}

function formatAims(aims: readonly Aim[]): string[][] {
  return [
    ['figure', 'measured', 'aim', 'met'],
    ...aims.map(({ figure, measured, unit, atMost, atLeast, isMet }) => [
      figure,
      `${spread(measured)}${unit}`,
      atLeast === undefined ? `<= ${atMost}${unit}` : `>= ${atLeast}${unit}`,
      isMet === undefined ? 'too few rows' : isMet ? 'yes' : 'no',
    ]),
  ];
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

function formatIdle(report: IdleStreamsReport | undefined): string[][] {
  if (report === undefined) return [];
  const rows = report.parties.map((line) => [
    line.party,
    String(report.streams),
    kilobytes(line.heapBytesPerStream),
    kilobytes(line.rssBytesPerStream),
  ]);
  const ratio = ['proxied : bare', '', '', spread(report.rssToBare)];
  return [['party', 'streams', 'heap per stream', 'RSS per stream'], ...rows, ratio];
}

function kilobytes({ median, min, max }: Spread): string {
  return `${spread({ median: median / 1000, min: min / 1000, max: max / 1000 })} kB`;
}

function formatStartUp(startUp: StartUpReport | undefined): string[][] {
  if (startUp === undefined) return [];
  return [
    ['until', 'ms'],
    ['a Node that does nothing has ended', spread(startUp.emptyNodeMs)],
    ['`bedrock-proxy --version` has ended', spread(startUp.versionMs)],
    ['the port of `bedrock-proxy start` responds', spread(startUp.portOpenMs)],
    ['the command of `bedrock-proxy exec` has printed a line', spread(startUp.execMs)],
  ];
}

function formatStages(stages: readonly StageReport[]): string[][] {
  return [['stage', 'µs per call'], ...stages.map(({ stage, micros }) => [stage, short(micros)])];
}

function titleOfWorkers({ workers, processors }: RunReport): string {
  if (workers === undefined) return '';
  const title = `Requests a second over ${workers.connections} connections, one process and ${workers.workers} workers`;
  return workers.hasSpare ? title : `${title}. It shows nothing: ${processors} processors are busy with one process`;
}

function formatWorkers(report: WorkersReport | undefined): string[][] {
  if (report === undefined) return [];
  const rows = report.lines.map(({ key, alone, together, togetherToAlone }) => [
    key,
    spread(alone),
    spread(together),
    spread(togetherToAlone),
  ]);
  return [['key', 'one process', `${report.workers} workers`, 'workers : one process'], ...rows];
}

function formatInspected(report: InspectedReport | undefined): string[][] {
  if (report === undefined) return [];
  const { medianWithout, medianWith, addedMedian, throughputWithout, throughputWith, throughputRatio } = report;
  return [
    ['metric', 'without', 'with', 'with less without', 'with : without'],
    ['median, 1 connection, ms', spread(medianWithout), spread(medianWith), spread(addedMedian), ''],
    ['requests/s, 16 connections', spread(throughputWithout), spread(throughputWith), '', spread(throughputRatio)],
  ];
}

function formatAdmissions(report: PostgresReport | undefined): string[][] {
  if (report === undefined) return [];
  const rows = report.admissions.map(({ key, sqlite, postgres, added }) => [
    key,
    spread(sqlite),
    spread(postgres),
    spread(added),
  ]);
  return [['key', 'SQLite', 'PostgreSQL', 'added'], ...rows];
}

function titleOfProxies(report: PostgresReport | undefined): string {
  if (report === undefined) return '';
  const title = `Requests a second over ${report.connections} connections to proxies that share a PostgreSQL`;
  const { spareProxies } = report;
  return spareProxies >= 4 ? title : `${title}. This machine has processors for ${spareProxies} beside all else`;
}

function formatThroughputs(report: PostgresReport | undefined): string[][] {
  if (report === undefined) return [];
  const rows = report.throughputs.map(({ key, proxies, throughput, toOne }) => [
    key,
    String(proxies),
    spread(throughput),
    spread(toOne),
  ]);
  return [['key', 'proxies', 'requests/s', 'to one proxy'], ...rows];
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
  return [['work', 'median', 'p99', 'max'], ...rows];
}

function formatLive(ledger: LedgerReport | undefined): string[][] {
  return [
    ['report', 'rows settled/s', 'ms', 'longest stall, ms'],
    ...(ledger?.live ?? []).map((line) => [
      `${line.by === undefined ? 'no report' : `usage --by ${line.by}`}, ${line.ledger}`,
      String(line.rowsPerSecond),
      spread(line.ms),
      spread(line.longestStallMs),
    ]),
  ];
}
