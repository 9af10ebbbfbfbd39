/**
 * Tells that a key has spent much of its budget, or all of it: in the terminal of `start`, or as an event in its JSON
 * log, and to the command of `--on-budget`. Of several workers, the primary tells.
 */
import { MACHINE_TICKS } from '../lib/clock.ts';
import { spawn } from 'node:child_process';
import { type Config, withoutSecrets } from '../config/config.ts';
import { within } from '../lib/deadline.ts';
import { formatTime, isoTime } from '../lib/format.ts';
import { escapeUnprintable, printable } from '../lib/printable.ts';
import { exactUsd, fullUsd } from '../lib/usd.ts';
import type { BudgetAlert } from './budget-watch.ts';
import { colorsFor, printData, printTalk } from './print.ts';

const MAX_RUNNING = 4;
const MAX_WAITING = 100;
const COMMAND_TIMEOUT_MS = 30_000;
/** How long the end of the proxy waits for commands. */
const CLOSE_TIMEOUT_MS = 5_000;
const MAX_STDERR = 4_000;
const MAX_SHOWN = 200;
/** Beyond it, the oldest are forgotten. */
const MAX_TOLD = 10_000;

/** Tells each alert once, whichever worker it comes from. */
export interface BudgetNotices {
  readonly tell: (alert: BudgetAlert) => void;
  /** Waits for commands under way, some seconds at most. */
  close(): Promise<void>;
}

/** What tells alerts in the way that this configuration asks for. */
export function createBudgetNotices({ logFormat, quiet, onBudget }: Config): BudgetNotices {
  const told = new Set<string>();
  const commands = onBudget === undefined ? undefined : new BudgetCommands(onBudget);
  return {
    tell: (alert) => {
      const { keyId, threshold, limitNanoUsd, resetsAtMs } = alert;
      const name = [keyId, threshold, limitNanoUsd, resetsAtMs].join(' ');
      if (told.has(name)) return;
      told.add(name);
      const [oldest] = told;
      if (told.size > MAX_TOLD && oldest !== undefined) told.delete(oldest);
      if (!quiet && logFormat === 'json') printData(formatAlertEvent(alert, Date.now()));
      if (!quiet && logFormat === 'pretty') {
        const paint = colorsFor(process.stderr);
        printTalk((threshold === 100 ? paint.red : paint.yellow)(describeAlert(alert)));
      }
      commands?.add(alert);
    },
    close: async () => commands?.close(),
  };
}

/** Whole percent, rounded down: what is not used up is never told as 100. */
function percentOf({ spentNanoUsd, limitNanoUsd }: BudgetAlert): number {
  return limitNanoUsd === 0 ? 100 : Math.floor((spentNanoUsd / limitNanoUsd) * 100);
}

/** An alert in a sentence. */
export function describeAlert(alert: BudgetAlert): string {
  const { keyLabel, threshold, spentNanoUsd, limitNanoUsd, resetsAtMs } = alert;
  const name = printable(keyLabel, MAX_SHOWN);
  const spent = `${fullUsd(spentNanoUsd)} of ${fullUsd(limitNanoUsd)} (${percentOf(alert)} %)`;
  const fresh = resetsAtMs === undefined ? undefined : formatTime(resetsAtMs);
  if (threshold === 80) {
    return `budget: ${name} has spent ${spent}${fresh === undefined ? '.' : `; a new budget starts at ${fresh}.`}`;
  }
  const until = fresh === undefined ? 'it gets more (`bedrock-proxy key update`)' : fresh;
  return `budget: ${name} has used up its budget, ${spent}: what costs more than is left is refused until ${until}.`;
}

/** The same as a line of the JSON log. */
export function formatAlertEvent(alert: BudgetAlert, nowMs: number): string {
  return escapeUnprintable(
    JSON.stringify({
      event: 'budget',
      time: isoTime(nowMs),
      key_id: alert.keyId,
      key: alert.keyLabel,
      threshold: alert.threshold,
      percent: percentOf(alert),
      spent_usd: exactUsd(alert.spentNanoUsd),
      limit_usd: exactUsd(alert.limitNanoUsd),
      resets_at: isoTime(alert.resetsAtMs),
    }),
  );
}

/**
 * State: what runs, and what waits for its turn. What an alert says reaches the shell in variables alone, never in the
 * line that it parses.
 */
class BudgetCommands {
  readonly #line: string;
  readonly #waiting: BudgetAlert[] = [];
  readonly #running = new Set<Promise<void>>();
  #isClosed = false;

  constructor(line: string) {
    this.#line = line;
  }

  add(alert: BudgetAlert): void {
    if (this.#waiting.length >= MAX_WAITING) return tellFailure(alert, 'too many are waiting already');
    this.#waiting.push(alert);
    this.#runNext();
  }

  async close(): Promise<void> {
    const end = MACHINE_TICKS() + CLOSE_TIMEOUT_MS;
    while (this.#running.size > 0 && MACHINE_TICKS() < end) {
      await within(end - MACHINE_TICKS(), Promise.race(this.#running));
    }
    this.#isClosed = true;
    for (const alert of this.#waiting) tellFailure(alert, 'the proxy ended before its turn');
  }

  #runNext(): void {
    while (this.#running.size < MAX_RUNNING && !this.#isClosed) {
      const alert = this.#waiting.shift();
      if (alert === undefined) return;
      const run: Promise<void> = this.#run(alert).finally(() => {
        this.#running.delete(run);
        this.#runNext();
      });
      this.#running.add(run);
    }
  }

  async #run(alert: BudgetAlert): Promise<void> {
    const failure = await runForAlert(this.#line, alert);
    if (failure !== undefined) tellFailure(alert, failure);
  }
}

function tellFailure({ keyLabel }: BudgetAlert, why: string): void {
  printTalk(`warning: --on-budget for ${printable(keyLabel, MAX_SHOWN)}: ${why}.`);
}

/** Gives why it failed; undefined if it did not. Never rejects. */
function runForAlert(line: string, alert: BudgetAlert): Promise<string | undefined> {
  const isWindows = process.platform === 'win32';
  return new Promise((resolve) => {
    const child = spawn(line, {
      shell: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environmentFor(alert),
      // A group of its own: Ctrl-C is not for it, and all of it can be ended.
      detached: !isWindows,
      windowsHide: true,
    });
    let stderr = '';
    let isLate = false;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-MAX_STDERR)));
    const timer = setTimeout(() => {
      isLate = true;
      if (isWindows || child.pid === undefined) child.kill('SIGKILL');
      else killGroup(child.pid);
    }, COMMAND_TIMEOUT_MS).unref();
    child.once('error', (error) => resolve(`it did not start: ${printable(error.message, MAX_SHOWN)}`));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      child.stderr.destroy();
      if (code === 0) return resolve(undefined);
      const end = signal === null ? `it ended with exit code ${code}` : `${signal} ended it`;
      const said = stderr.trim().split('\n').at(-1) ?? '';
      const how = isLate ? `it was ended after ${COMMAND_TIMEOUT_MS / 1000} s` : end;
      resolve(said === '' ? how : `${how}: ${printable(said, MAX_SHOWN)}`);
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended at this moment.
  }
}

/** Without what opens every door of the proxy. */
function environmentFor(alert: BudgetAlert): NodeJS.ProcessEnv {
  return {
    ...withoutSecrets(process.env),
    BEDROCK_PROXY_KEY_ID: alert.keyId,
    BEDROCK_PROXY_KEY_ALIAS: alert.keyLabel,
    BEDROCK_PROXY_BUDGET_THRESHOLD: String(alert.threshold),
    BEDROCK_PROXY_BUDGET_PERCENT: String(percentOf(alert)),
    BEDROCK_PROXY_BUDGET_SPENT_USD: exactUsd(alert.spentNanoUsd),
    BEDROCK_PROXY_BUDGET_LIMIT_USD: exactUsd(alert.limitNanoUsd),
    BEDROCK_PROXY_BUDGET_RESETS_AT: isoTime(alert.resetsAtMs) ?? '',
  };
}
