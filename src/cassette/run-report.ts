/**
 * What became of a run: what was played and missed. Kept for the admin API, and written into the cassette:
 * `misses.ndjson` as they happen, `.last-run.json` at the end. What cannot be written is told once, and stops nothing.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../lib/atomic-file.ts';
import type { WallClock } from '../lib/clock.ts';
import { type Miss, missToJson } from './miss.ts';

/** What the admin API is told of a run. */
export interface CassetteState {
  readonly mode: string;
  readonly played: number;
  readonly recorded: number;
  readonly missed: number;
  /** Names of recordings. */
  readonly unused: readonly string[];
  /** The last of them, as in `misses.ndjson`. */
  readonly misses: readonly Readonly<Record<string, unknown>>[];
}

interface RunReportOptions {
  readonly directory: string;
  readonly mode: string;
  readonly nowMs: WallClock;
  /** Asked at the end, and by the admin API. */
  readonly listUnused: () => readonly string[];
  readonly countRecorded: () => number;
  /** Told why something could not be written. */
  readonly onFault: (thrown: unknown) => void;
}

const MISSES = 'misses.ndjson';
const LAST_RUN = '.last-run.json';
/** Misses kept in memory. */
const MAX_KEPT = 100;
/** Misses written: a loop that misses must not fill the disk. */
const MAX_WRITTEN = 1_000;

/** Counts a run. */
export class RunReport {
  readonly #options: RunReportOptions;
  readonly #misses: Readonly<Record<string, unknown>>[] = [];
  #played = 0;
  #missed = 0;
  #hasFailed = false;

  /** Takes away the misses of the run before. */
  constructor(options: RunReportOptions) {
    this.#options = options;
    this.#write(() => rmSync(join(options.directory, MISSES), { force: true }));
  }

  notePlayed(): void {
    this.#played += 1;
  }

  noteMiss(miss: Miss): void {
    this.#missed += 1;
    const json = missToJson(miss, this.#options.nowMs());
    this.#misses.push(json);
    if (this.#misses.length > MAX_KEPT) this.#misses.shift();
    if (this.#missed <= MAX_WRITTEN) {
      this.#write(() => appendLine(join(this.#options.directory, MISSES), JSON.stringify(json)));
    }
  }

  readState(): CassetteState {
    return {
      mode: this.#options.mode,
      played: this.#played,
      recorded: this.#options.countRecorded(),
      missed: this.#missed,
      unused: this.#options.listUnused(),
      misses: [...this.#misses],
    };
  }

  /** `18 played, 1 missed, 2 unused`. */
  summarize(): string {
    const { played, recorded, missed, unused } = this.readState();
    const { mode } = this.#options;
    const parts = [
      ...(mode === 'record' ? [] : [`${played} played`]),
      ...(mode === 'replay' ? [`${missed} missed`] : [`${recorded} recorded`]),
      `${unused.length} unused`,
    ];
    return parts.join(', ');
  }

  /** Writes `.last-run.json`, of which `cassette check` knows what was not played. */
  finish(): void {
    const { played, recorded, missed, unused } = this.readState();
    const at = new Date(this.#options.nowMs()).toISOString();
    const json = { version: 1, at, played, recorded, missed, unused };
    this.#write(() => replaceFile(join(this.#options.directory, LAST_RUN), `${JSON.stringify(json, undefined, 2)}\n`));
  }

  #write(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!this.#hasFailed) this.#options.onFault(error);
      this.#hasFailed = true;
    }
  }
}

/** Never through a link, which a stranger's cassette may have in its place, and never into a pipe. */
function appendLine(path: string, line: string): void {
  const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    writeFileSync(file, `${line}\n`);
  } finally {
    closeSync(file);
  }
}
