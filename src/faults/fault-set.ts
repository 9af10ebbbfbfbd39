/**
 * The rules in force: which of them befalls a request. Repeatable: the draw of a rule's nth match depends on the seed,
 * the rule and n alone, and not on what other rules do, nor on the time.
 */
import { createHash } from 'node:crypto';
import type { FilterSubject } from '../filter/record-filter.ts';
import type { FaultRule } from './grammar.ts';

/** A fault that befalls a request. `mark`: for header, log and ledger; kind, and how often its rule has struck. */
export interface DrawnFault {
  readonly effect: FaultRule['effect'];
  readonly mark: string;
  /** From 0 to 1, of its own: for what it does by chance. */
  readonly draw: (index: number) => number;
}

/** How often a rule matched and struck. */
export interface FaultCounts {
  readonly fault: string;
  readonly matched: number;
  readonly injected: number;
}

/** State: the counters of its rules. */
export class FaultSet {
  readonly seed: number;
  readonly #rules: readonly { readonly rule: FaultRule; readonly place: number; matched: number; injected: number }[];

  constructor(rules: readonly FaultRule[], seed: number) {
    this.seed = seed;
    this.#rules = rules.map((rule, place) => ({ rule, place, matched: 0, injected: 0 }));
  }

  get size(): number {
    return this.#rules.length;
  }

  /** The first rule of this phase that strikes; `describe` is asked at most once. */
  take(phase: FaultRule['phase'], describe: () => FilterSubject): DrawnFault | undefined {
    let subject: FilterSubject | undefined;
    for (const state of this.#rules) {
      const { rule, place } = state;
      if (rule.phase !== phase || !rule.filter.matches((subject ??= describe()))) continue;
      state.matched += 1;
      const draw = drawsOf(this.seed, `${place} ${rule.text} ${state.matched}`);
      if (!strikes(rule, state, draw(0))) continue;
      state.injected += 1;
      const mark = `${rule.kind}#${state.injected}`;
      return { effect: rule.effect, mark, draw: (index) => draw(index + 1) };
    }
    return undefined;
  }

  readCounts(): readonly FaultCounts[] {
    return this.#rules.map(({ rule, matched, injected }) => ({ fault: rule.text, matched, injected }));
  }
}

/** The fault that a request asks for itself. */
export function drawOwn({ effect, kind }: FaultRule, seed: number): DrawnFault {
  return { effect, mark: kind, draw: drawsOf(seed, kind) };
}

function strikes(
  { p, count, every, after }: FaultRule,
  { matched, injected }: { readonly matched: number; readonly injected: number },
  drawn: number,
): boolean {
  const beyond = matched - after;
  return beyond > 0 && beyond % every === 0 && (count === undefined || injected < count) && drawn < p;
}

function drawsOf(seed: number, name: string): (index: number) => number {
  return (index) => createHash('sha256').update(`${seed} ${name} ${index}`).digest().readUInt32BE(0) / 2 ** 32;
}
