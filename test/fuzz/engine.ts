/**
 * The loop of a fuzzer: inputs out of a corpus that grows by what reaches new code, each held against what a target
 * demands of it, until the time or the number of runs is over, or something was found.
 */
import { Coverage } from './coverage.ts';
import { createMutator, type Mutator } from './mutate.ts';

/** A parser under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Throws if the parser does not do what it promises for this input. */
  readonly check: (input: Buffer) => void;
  /** Words of the format. */
  readonly words?: readonly string[];
  /** Makes right what a mutation always breaks (checksums), for about half of the inputs. */
  readonly repair?: (input: Buffer) => Buffer;
  readonly maxBytes?: number;
}

export interface FuzzLimits {
  readonly milliseconds: number;
  /** Undefined: as many as there is time for. */
  readonly runs?: number | undefined;
  /** An input that takes longer, each time it is tried, is a finding. */
  readonly slowMs?: number;
}

export interface FuzzOptions {
  readonly seeds: readonly Buffer[];
  readonly random: () => number;
  readonly limits: FuzzLimits;
  /** Hears of each input before it runs, so that one that never ends can be told. */
  readonly onInput?: (input: Buffer) => void;
}

export interface Finding {
  readonly input: Buffer;
  readonly message: string;
}

export interface FuzzReport {
  readonly runs: number;
  readonly milliseconds: number;
  /** Characters of code under src/ that ran, and inputs that are kept because they reached some first. */
  readonly codeReached: number;
  readonly corpus: number;
  readonly finding: Finding | undefined;
}

const SLOW_MS = 200;
const MAX_BYTES = 4096;
/** Inputs between two looks at the coverage. */
const BATCH = 64;
/** Of the time, or of the runs, for finding what reaches new code; the rest runs at full speed. */
const GUIDED_TIME_SHARE = 0.3;
const GUIDED_RUNS_SHARE = 0.05;
const MAX_CORPUS = 2000;

/** Runs the seeds as they are, then mutations of them: first with an eye on the code that they reach, then fast. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  return new FuzzRun(target, options).run();
}

/** State: the corpus, how much was run, and what was found. */
class FuzzRun {
  readonly #target: FuzzTarget;
  readonly #options: FuzzOptions;
  readonly #mutator: Mutator;
  readonly #corpus: Buffer[];
  readonly #startedAt = performance.now();
  #runs = 0;
  #finding: Finding | undefined;

  constructor(target: FuzzTarget, options: FuzzOptions) {
    const { seeds, random } = options;
    const words = (target.words ?? []).map((word) => Buffer.from(word, 'latin1'));
    this.#target = target;
    this.#options = options;
    this.#corpus = [...seeds];
    this.#mutator = createMutator({ random, words, maxBytes: target.maxBytes ?? MAX_BYTES });
  }

  run(): FuzzReport {
    const coverage = new Coverage();
    this.#options.seeds.every((seed) => this.#runInput(seed));
    coverage.hasNew();
    while (this.#finding === undefined && !this.#isOver(GUIDED_TIME_SHARE, GUIDED_RUNS_SHARE)) {
      const batch = this.#runBatch();
      if (this.#finding === undefined && coverage.peek()) this.#keepNew(batch, coverage);
    }
    const codeReached = coverage.size;
    coverage.close();
    while (this.#finding === undefined && !this.#isOver(1, 1)) this.#runBatch();
    const milliseconds = performance.now() - this.#startedAt;
    return { runs: this.#runs, milliseconds, codeReached, corpus: this.#corpus.length, finding: this.#finding };
  }

  #isOver(timeShare: number, runsShare: number): boolean {
    const { milliseconds, runs = Number.POSITIVE_INFINITY } = this.#options.limits;
    return performance.now() - this.#startedAt >= milliseconds * timeShare || this.#runs >= runs * runsShare;
  }

  /** Until one is a finding. */
  #runBatch(): Buffer[] {
    const batch: Buffer[] = [];
    while (batch.length < BATCH) {
      const input = this.#nextInput();
      batch.push(input);
      if (!this.#runInput(input)) break;
    }
    return batch;
  }

  #nextInput(): Buffer {
    const input = this.#mutator.next(this.#corpus);
    const { repair } = this.#target;
    return repair !== undefined && this.#options.random() < 0.5 ? repair(input) : input;
  }

  #runInput(input: Buffer): boolean {
    this.#options.onInput?.(input);
    this.#runs += 1;
    this.#finding = tryInput(this.#target, input, this.#options.limits.slowMs ?? SLOW_MS);
    return this.#finding === undefined;
  }

  /** Finds the inputs of a batch that reach something new, by halves, and keeps them. */
  #keepNew(batch: readonly Buffer[], coverage: Coverage): void {
    coverage.skip();
    for (const input of batch) this.#runInput(input);
    if (batch.length === 1) {
      if (coverage.hasNew() && this.#corpus.length < MAX_CORPUS)
        this.#corpus.push(...batch.map((one) => Buffer.from(one)));
    } else if (coverage.peek()) {
      const middle = Math.ceil(batch.length / 2);
      this.#keepNew(batch.slice(0, middle), coverage);
      this.#keepNew(batch.slice(middle), coverage);
    }
  }
}

/** What is wrong with how the target takes this input; undefined: nothing. */
export function tryInput(target: FuzzTarget, input: Buffer, slowMs: number): Finding | undefined {
  // The targets may keep views; what they saw must stay as it was.
  const given = Buffer.from(input);
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const startedAt = performance.now();
    try {
      target.check(given);
    } catch (thrown) {
      return { input: Buffer.from(input), message: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown) };
    }
    fastestMs = Math.min(fastestMs, performance.now() - startedAt);
    if (fastestMs <= slowMs) break;
  }
  if (!given.equals(input)) return { input: Buffer.from(input), message: 'the input was changed' };
  if (fastestMs <= slowMs) return undefined;
  return { input: Buffer.from(input), message: `took ${Math.round(fastestMs)} ms, each of three times` };
}
