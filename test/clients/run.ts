// Real clients against the built proxy on its offline Bedrock: `npm run test:clients`. Every client in every mode it
// has, as a process of its own with a home of its own; what they need is installed into .clients/ and kept. Prints a
// table, and ends non-zero where something failed. A client that cannot be had is skipped, with the reason, and never
// counts as passed. `--only boto3,go` runs some, `--json` prints JSON, `--tls` adds every mode over https: without it,
// only the clients that insist on https have it. `--replay` records what the offline Bedrock answers, and then runs
// every client once more against the recordings alone: what passes then was replayed.
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
  /** Of `start`: where the responses come from. */
  readonly source: readonly string[];
  readonly signal: AbortSignal;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      tls: { type: 'boolean', default: false },
      replay: { type: 'boolean', default: false },
    },
  });
  const { replay } = values;
  const rows = listRows({ only: values.only.split(',').filter(Boolean), tls: values.tls, replay });
  const folder = mkdtempSync(join(tmpdir(), 'clients-'));
  const signal = endBySignal();
  try {
    const notRun = values.only === '' ? NOT_RUN.map(nameNotRun) : [];
    const run = replay ? runTwice(rows, { folder, signal }) : runAll(rows, { folder, signal, source: ['--offline'] });
    const results = [...(await run), ...notRun];
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
async function runAll(rows: readonly Row[], { folder, source, signal }: Setting): Promise<RowResult[]> {
  const proxy = await startProxy({ root: ROOT, folder, source, signal });
  const install = createInstaller({ root: ROOT, signal, say });
  const enter = createTurnstile(AT_ONCE);
  const outcomes = await Promise.all(
    rows.map(async (row, index) => {
      const installed = row.toolchain === undefined ? { folder: ROOT } : await install(row.toolchain);
      if ('problem' in installed) return installed;
      return enter(async () => {
        const home = join(folder, `home-${index}`);
        mkdirSync(home, { recursive: true });
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

/** Records with the first run what the second one plays; in that one there is no Bedrock but the recordings. */
async function runTwice(rows: readonly Row[], { folder, signal }: Omit<Setting, 'source'>): Promise<RowResult[]> {
  const cassette = ['--cassette', join(folder, 'cassette'), '--region', 'us-east-1', '--cassette-mode'];
  const recording = ['--offline', ...cassette, 'record'];
  const recorded = await runAll(rows, { folder: join(folder, 'recorded'), signal, source: recording });
  say(`recorded: ${sumUp(recorded).line}`);
  return runAll(rows, { folder: join(folder, 'replayed'), signal, source: [...cassette, 'replay'] });
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
