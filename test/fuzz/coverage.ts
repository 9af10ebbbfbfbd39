/**
 * Which parts of our code ran, as V8 itself counts them: by blocks, in this thread, without another library and on
 * every Node that we support. (`@jazzer.js/core` 4.0.0 was tried: its binary for Linux wants glibc 2.38, which Debian
 * 12 does not have.) A look costs about a millisecond, so that batches of inputs are looked at; and while V8 counts it
 * does not optimise, so that the code is some ten times as slow.
 */
import { Session } from 'node:inspector';

/** A script of V8's report, as far as it is read. A range counts what is in no range within it. */
interface CoveredScript {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
  }[];
}

/** Follows the code under src/. The caller closes it. */
export class Coverage {
  readonly #session = new Session();
  /** By script: 1 for each character of code that has run. */
  readonly #seen = new Map<string, Uint8Array>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Characters of code that ran at least once. */
  get size(): number {
    return [...this.#seen.values()].reduce((sum, ran) => sum + ran.reduce((count, one) => count + one, 0), 0);
  }

  /** Whether code has run since the last look that had never run before; from now on it has. */
  hasNew(): boolean {
    return this.#look(true);
  }

  /** The same, and it stays new. */
  peek(): boolean {
    return this.#look(false);
  }

  /** Forgets what ran since the last look. */
  skip(): void {
    this.#take();
  }

  /** From here on the code runs at full speed. */
  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #look(isKept: boolean): boolean {
    let isNew = false;
    for (const script of this.#take()) {
      const ran = readScript(script);
      const seen = this.#seen.get(script.url) ?? new Uint8Array(ran.length);
      for (let at = 0; at < ran.length; at += 1) {
        if (ran[at] === 0 || seen[at] === 1) continue;
        isNew = true;
        if (!isKept) return true;
        seen[at] = 1;
      }
      if (isKept) this.#seen.set(script.url, seen);
    }
    return isNew;
  }

  #take(): CoveredScript[] {
    let scripts: CoveredScript[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      scripts = result.filter(({ url }) => url.includes('/src/'));
    });
    return scripts;
  }
}

/** Functions stand behind those that they are in, and ranges behind those that they are in: the later one counts. */
function readScript({ functions }: CoveredScript): Uint8Array {
  const ranges = functions.flatMap((one) => one.ranges);
  const ran = new Uint8Array(ranges.reduce((end, { endOffset }) => Math.max(end, endOffset), 0));
  for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return ran;
}
