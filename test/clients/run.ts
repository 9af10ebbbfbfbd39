// Real clients against the built proxy on its offline Bedrock: `npm run test:clients`. Every client in every mode it
// has, as a process of its own with a home of its own; what they need is installed into .clients/ and kept. Prints a
// table, and ends non-zero where something failed. A client that cannot be had is skipped, with the reason, and never
// counts as passed. `--only boto3,go` runs some, `--json` prints JSON, `--tls` adds every mode over https: without it,
// only the clients that insist on https have it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createInstaller } from './installs.ts';
import { startProxy } from './proxy.ts';
import { judge, nameNotRun, type RowResult, renderJson, renderTable, sumUp } from './report.ts';
import { listRows, NOT_RUN, type Row } from './rows.ts';
import { createTurnstile, runRow } from './run-row.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** As many clients at once as a small machine has cores. */
const AT_ONCE = 2;

interface Setting {
  /** For homes and the proxy's database; removed in the end. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      tls: { type: 'boolean', default: false },
    },
  });
  const rows = listRows({ only: values.only.split(',').filter(Boolean), tls: values.tls });
  const folder = mkdtempSync(join(tmpdir(), 'clients-'));
  const signal = endBySignal();
  try {
    const notRun = values.only === '' ? NOT_RUN.map(nameNotRun) : [];
    const results = [...(await runAll(rows, { folder, signal })), ...notRun];
    const sum = sumUp(results);
    process.stdout.write(values.json ? `${renderJson(results)}\n` : `${renderTable(results)}\n${sum.line}\n`);
    if (values.json) say(sum.line);
    return sum.failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Runs the rows and gives what became of each, in their order. What the proxy saw is looked at when it has ended, so
 * that nothing it saw is missing.
 */
async function runAll(rows: readonly Row[], { folder, signal }: Setting): Promise<RowResult[]> {
  const proxy = await startProxy({ root: ROOT, folder, signal });
  const install = createInstaller({ root: ROOT, signal, say });
  const enter = createTurnstile(AT_ONCE);
  const outcomes = await Promise.all(
    rows.map(async (row, index) => {
      const installed = row.toolchain === undefined ? { folder: ROOT } : await install(row.toolchain);
      if ('problem' in installed) return installed;
      return enter(async () => {
        const home = join(folder, `home-${index}`);
        mkdirSync(home);
        const key = await proxy.makeKey(row.alias);
        const outcome = await runRow(row, { root: ROOT, installed: installed.folder, home, key, proxy, signal });
        say(`${row.client}, ${row.mode}: ${outcome.lines.length} lines, ${(outcome.elapsedMs / 1000).toFixed(1)} s`);
        return outcome;
      });
    }),
  );
  const seen = await proxy.end();
  signal.throwIfAborted();
  return rows.map((row, index) => judge(row, outcomes[index] ?? { problem: 'not run' }, seen.get(row.alias) ?? []));
}

/** Aborted where somebody ends this run: what it started then ends too. */
function endBySignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort(new Error(`stopped by ${name}`)));
  }
  return controller.signal;
}

function say(line: string): void {
  process.stderr.write(`clients: ${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
