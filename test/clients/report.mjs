// What became of each row, and how it is told: a table in Markdown, or JSON. Pure. Shows no keys.
import { CHECKS } from './rows.mjs';

const TITLES = { call: 'call', stream: 'stream', error: 'error', throttle: 'throttle', arn: 'ARN', agents: 'agents' };

/**
 * The verdict on one row: for each check `ok`, `FAIL`, `skipped` or `-` (does not apply), with a detail where there is one.
 * `seen` are the lines of the proxy's log that name the row's key: a client that passed without coming by has failed.
 */
export function judge(row, outcome, seen) {
  const head = { client: row.client, mode: row.mode + (row.tls ? ', TLS' : ''), version: '', http: '' };
  if (outcome.problem !== undefined) return { ...head, cells: cellsOf(row, () => skipped(outcome.problem)) };
  const { lines } = outcome;
  const version = lines.find((line) => line.version !== undefined)?.version ?? '';
  const http = [...new Set(seen.map((entry) => entry.http))].sort().join(', ');
  const told = new Map(lines.filter((line) => line.check !== undefined).map((line) => [line.check, line]));
  const first = told.get(row.checks[0]);
  if (row.refusal?.test(first?.detail ?? '') && seen.length === 0) {
    return { ...head, version, cells: cellsOf(row, () => skipped(row.refusalReason)) };
  }
  const cells = cellsOf(row, (check) => verdictOn(told.get(check), outcome));
  const isHttpWrong = row.http !== undefined && !isExpectedHttp(row.http, seen);
  if (seen.length < row.checks.length) fail(cells, `the proxy saw ${seen.length} requests of this client`);
  else if (isHttpWrong) fail(cells, `the proxy saw HTTP ${http} instead of HTTP/${row.http}`);
  return { ...head, version, http, cells };
}

/** How many checks passed, failed and were skipped, and the closing line. */
export function sumUp(results) {
  const all = results.flatMap(({ cells }) => Object.values(cells));
  const count = (result) => all.filter((cell) => cell.result === result).length;
  const [passed, failed, skippedCount] = [count('ok'), count('FAIL'), count('skipped')];
  return { failed, line: `${passed} passed, ${failed} failed, ${skippedCount} skipped` };
}

/** The table, and below it the reasons of what failed or was skipped. */
export function renderTable(results) {
  const titles = ['client', 'version', 'mode', 'HTTP', ...CHECKS.map((check) => TITLES[check])];
  const table = results.map(({ client, version, mode, http, cells }) => [
    client,
    version,
    mode,
    http,
    ...CHECKS.map((check) => cells[check].result),
  ]);
  const widths = titles.map((title, column) => Math.max(title.length, ...table.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [line(titles), rule, ...table.map(line), '', ...listReasons(results)].join('\n');
}

/** The same for programs. */
export function renderJson(results) {
  return JSON.stringify(results, undefined, 2);
}

function listReasons(results) {
  const reasons = results.flatMap(({ client, mode, cells }) => {
    const byReason = new Map();
    for (const [check, { result, detail }] of Object.entries(cells)) {
      if (result === 'ok' || result === '-') continue;
      const reason = `${result}: ${detail}`;
      byReason.set(reason, [...(byReason.get(reason) ?? []), TITLES[check]]);
    }
    return [...byReason].map(([reason, checks]) => `- ${client}, ${mode} (${checks.join(', ')}) ${reason}`);
  });
  return reasons.length === 0 ? [] : [...reasons, ''];
}

function cellsOf(row, verdict) {
  return Object.fromEntries(
    CHECKS.map((check) => [
      check,
      row.lacks[check] === undefined ? verdict(check) : { result: '-', detail: row.lacks[check] },
    ]),
  );
}

function verdictOn(line, { complaint, end }) {
  if (line === undefined) {
    const lastWords = complaint.split('\n').slice(-3).join(' ');
    return { result: 'FAIL', detail: redact(`not told; ${end}; ${lastWords}`) };
  }
  return line.ok === true ? { result: 'ok' } : { result: 'FAIL', detail: redact(line.detail ?? 'no detail') };
}

function isExpectedHttp(version, seen) {
  const runtime = seen.filter((entry) => entry.operation === 'ConverseStream');
  return runtime.length > 0 && runtime.every((entry) => entry.http === version);
}

/** A fault of the whole row shows in its first check that passed. */
function fail(cells, detail) {
  const passed = Object.values(cells).find((cell) => cell.result === 'ok');
  if (passed !== undefined) Object.assign(passed, { result: 'FAIL', detail });
}

function skipped(detail) {
  return { result: 'skipped', detail };
}

/** One line, without keys, of bearable length. */
function redact(detail) {
  return detail.replaceAll(/sk-[\w-]{8,}/g, 'sk-…').replaceAll(/\s+/g, ' ').slice(0, 600);
}
