// What became of each row, and how it is told: a table in Markdown, or JSON. Pure. Shows no keys.
import type { LogEntry } from './proxy.ts';
import { type Check, CHECKS, type Row } from './rows.ts';
import type { Outcome, Told } from './run-row.ts';

/** What became of one check; `-` where it does not apply. `detail` says why it is not `ok`. */
interface Cell {
  readonly result: 'ok' | 'FAIL' | 'skipped' | '-';
  readonly detail?: string;
}

type Cells = Record<Check, Cell>;

/** A line of the table. Version and HTTP are empty where they are not known. */
export interface RowResult {
  readonly client: string;
  readonly mode: string;
  readonly version: string;
  /** The versions that the proxy saw. */
  readonly http: string;
  readonly cells: Cells;
}

const TITLES: Readonly<Record<Check, string>> = {
  call: 'call',
  stream: 'stream',
  error: 'error',
  throttle: 'throttle',
  arn: 'ARN',
  agents: 'agents',
};

/**
 * The verdict on one row, or on one that could not be run. `seen` are the lines of the proxy's log that name the row's
 * key: a client that passed without coming by has failed.
 */
export function judge(row: Row, outcome: Outcome | { readonly problem: string }, seen: readonly LogEntry[]): RowResult {
  const head = { client: row.client, mode: row.mode + (row.tls ? ', TLS' : ''), version: '', http: '' };
  if ('problem' in outcome) return { ...head, cells: cellsOf(row, () => skipped(outcome.problem)) };
  const { lines } = outcome;
  const version = lines.find((line) => line.version !== undefined)?.version ?? '';
  const http = [...new Set(seen.map((entry) => entry.http))].toSorted().join(', ');
  const told = new Map(lines.filter((line) => line.check !== undefined).map((line) => [line.check, line]));
  const first = told.get(row.checks[0] ?? '');
  if (row.refusal?.test(first?.detail ?? '') === true && seen.length === 0) {
    return { ...head, version, cells: cellsOf(row, () => skipped('sends a bearer over https only')) };
  }
  const cells = cellsOf(row, (check) => verdictOn(told.get(check), outcome));
  const isHttpWrong = row.http !== undefined && !isExpectedHttp(row.http, seen);
  if (seen.length < row.checks.length) fail(cells, `the proxy saw ${seen.length} requests of this client`);
  else if (isHttpWrong) fail(cells, `the proxy saw HTTP ${http} instead of HTTP/${row.http}`);
  return { ...head, version, http, cells };
}

/** The line of a client that nothing here runs. */
export function nameNotRun({ client, reason }: { readonly client: string; readonly reason: string }): RowResult {
  const cells = Object.fromEntries(CHECKS.map((check) => [check, { result: '-' } as Cell])) as Cells;
  return { client, mode: 'by hand', version: '', http: '', cells: { ...cells, call: skipped(reason) } };
}

/** How many checks passed, failed and were skipped, and the closing line. */
export function sumUp(results: readonly RowResult[]): { readonly failed: number; readonly line: string } {
  const all = results.flatMap(({ cells }) => Object.values(cells));
  const count = (result: Cell['result']): number => all.filter((cell) => cell.result === result).length;
  const failed = count('FAIL');
  return { failed, line: `${count('ok')} passed, ${failed} failed, ${count('skipped')} skipped` };
}

/** The table, and below it the reasons of what failed or was skipped. */
export function renderTable(results: readonly RowResult[]): string {
  const titles = ['client', 'version', 'mode', 'HTTP', ...CHECKS.map((check) => TITLES[check])];
  const table = results.map(({ client, version, mode, http, cells }) => [
    client,
    version,
    mode,
    http,
    ...CHECKS.map((check) => cells[check].result),
  ]);
  const widths = titles.map((title, column) => Math.max(title.length, ...table.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [line(titles), rule, ...table.map(line), '', ...listReasons(results)].join('\n');
}

/** The same for programs. */
export function renderJson(results: readonly RowResult[]): string {
  return JSON.stringify(results, undefined, 2);
}

function listReasons(results: readonly RowResult[]): string[] {
  const reasons = results.flatMap(({ client, mode, cells }) => {
    const byReason = new Map<string, string[]>();
    for (const check of CHECKS) {
      const { result, detail } = cells[check];
      if (result === 'ok' || result === '-') continue;
      const reason = `${result}: ${detail}`;
      byReason.set(reason, [...(byReason.get(reason) ?? []), TITLES[check]]);
    }
    return [...byReason].map(([reason, checks]) => `- ${client}, ${mode} (${checks.join(', ')}) ${reason}`);
  });
  return reasons.length === 0 ? [] : [...reasons, ''];
}

function cellsOf(row: Row, verdict: (check: Check) => Cell): Cells {
  const entries = CHECKS.map((check) => {
    const reason = row.lacks[check];
    return [check, reason === undefined ? verdict(check) : { result: '-', detail: reason }] as const;
  });
  return Object.fromEntries(entries) as Cells;
}

function verdictOn(line: Told | undefined, { complaint, end }: Outcome): Cell {
  if (line === undefined) {
    const lastWords = complaint.split('\n').slice(-3).join(' ');
    return { result: 'FAIL', detail: redact(`not told; ${end}; ${lastWords}`) };
  }
  return line.ok === true ? { result: 'ok' } : { result: 'FAIL', detail: redact(line.detail ?? 'no detail') };
}

function isExpectedHttp(version: string, seen: readonly LogEntry[]): boolean {
  const runtime = seen.filter((entry) => entry.operation === 'ConverseStream');
  return runtime.length > 0 && runtime.every((entry) => entry.http === version);
}

/** A fault of the whole row shows in its first check that passed. */
function fail(cells: Cells, detail: string): void {
  const passed = CHECKS.find((check) => cells[check].result === 'ok');
  if (passed !== undefined) cells[passed] = { result: 'FAIL', detail };
}

function skipped(detail: string): Cell {
  return { result: 'skipped', detail };
}

/** One line, without keys, of bearable length. */
function redact(detail: string): string {
  return detail
    .replaceAll(/sk-[\w-]{8,}/g, 'sk-…')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 600);
}
