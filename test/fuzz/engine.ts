/**
 * The loop of a fuzzer: inputs out of a corpus that grows by what reaches new code, each held against what a target
 * demands of it, until the time or the number of runs is over, or something was found.
 */
import { Coverage } from './coverage.ts';
import { createMutator, type Mutator } from './mutate.ts';

/** A parser under test. */
export interface FuzzTarget {
  readonly name: string;
  /** Throws, or rejects, if the parser does not do what it promises for this input. */
  readonly check: (input: Buffer) => void | Promise<void>;
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
export function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
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

  async run(): Promise<FuzzReport> {
    const coverage = new Coverage();
    for (const seed of this.#options.seeds) {
      const outcome = this.#runInput(seed);
      if (!(typeof outcome === 'boolean' ? outcome : await outcome)) break;
    }
    coverage.hasNew();
    while (this.#finding === undefined && !this.#isOver(GUIDED_TIME_SHARE, GUIDED_RUNS_SHARE)) {
      const batch = await this.#runBatch();
      if (this.#finding === undefined && coverage.peek()) await this.#keepNew(batch, coverage);
    }
    const codeReached = coverage.size;
    coverage.close();
    while (this.#finding === undefined && !this.#isOver(1, 1)) await this.#runBatch();
    const milliseconds = performance.now() - this.#startedAt;
    return { runs: this.#runs, milliseconds, codeReached, corpus: this.#corpus.length, finding: this.#finding };
  }

  #isOver(timeShare: number, runsShare: number): boolean {
    const { milliseconds, runs = Number.POSITIVE_INFINITY } = this.#options.limits;
    return performance.now() - this.#startedAt >= milliseconds * timeShare || this.#runs >= runs * runsShare;
  }

  /** Until one is a finding. */
  async #runBatch(): Promise<Buffer[]> {
    const batch: Buffer[] = [];
    while (batch.length < BATCH) {
      const input = this.#nextInput();
      batch.push(input);
      const outcome = this.#runInput(input);
      // A turn of the queue for each input would take half of the time.
      if (!(typeof outcome === 'boolean' ? outcome : await outcome)) break;
    }
    return batch;
  }

  #nextInput(): Buffer {
    const input = this.#mutator.next(this.#corpus);
    const { repair } = this.#target;
    return repair !== undefined && this.#options.random() < 0.5 ? repair(input) : input;
  }

  #runInput(input: Buffer): boolean | Promise<boolean> {
    this.#options.onInput?.(input);
    this.#runs += 1;
    const found = tryInput(this.#target, input, this.#options.limits.slowMs ?? SLOW_MS);
    const isFine = (finding: Finding | undefined): boolean => {
      this.#finding = finding;
      return finding === undefined;
    };
    return found instanceof Promise ? found.then(isFine) : isFine(found);
  }

  /** Finds the inputs of a batch that reach something new, by halves, and keeps them. */
  async #keepNew(batch: readonly Buffer[], coverage: Coverage): Promise<void> {
    coverage.skip();
    for (const input of batch) await this.#runInput(input);
    if (batch.length === 1) {
      if (coverage.hasNew() && this.#corpus.length < MAX_CORPUS)
        this.#corpus.push(...batch.map((one) => Buffer.from(one)));
    } else if (coverage.peek()) {
      const middle = Math.ceil(batch.length / 2);
      await this.#keepNew(batch.slice(0, middle), coverage);
      await this.#keepNew(batch.slice(middle), coverage);
    }
  }
}

/** What is wrong with how the target takes this input; undefined: nothing. At once, if the target says so at once. */
export function tryInput(
  target: FuzzTarget,
  input: Buffer,
  slowMs: number,
): Finding | undefined | Promise<Finding | undefined> {
  const steps = trySteps(target, input, slowMs);
  const first = steps.next();
  return first.done === true ? first.value : finishLater(steps, first.value);
}

type Steps = Generator<Promise<void>, Finding | undefined, void>;

async function finishLater(steps: Steps, first: Promise<void>): Promise<Finding | undefined> {
  let waiting = first;
  for (;;) {
    const step = await waiting.then(
      () => steps.next(),
      (thrown: unknown) => steps.throw(thrown),
    );
    if (step.done === true) return step.value;
    waiting = step.value;
  }
}

/** Gives the promises that a target wants to be waited for. */
function* trySteps(target: FuzzTarget, input: Buffer, slowMs: number): Steps {
  // The targets may keep views; what they saw must stay as it was.
  const given = Buffer.from(input);
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const startedAt = performance.now();
    try {
      const later = target.check(given);
      if (later instanceof Promise) yield later;
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
