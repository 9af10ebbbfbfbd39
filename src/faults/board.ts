/**
 * Where the faults in force stand: those of the command line, and from then on those of the admin API. Light on
 * purpose: the grammar is loaded by the first fault.
 */
import type { HeaderPair } from '../http/message.ts';
import { findHeader } from '../http/message.ts';
import { ProxyError } from '../lib/errors.ts';
import type { DrawnFault, FaultCounts, FaultSet } from './fault-set.ts';
import type { FaultRule } from './grammar.ts';

/** What a board is made of. */
export interface FaultBoardOptions {
  /** Rules as written; none: there are no faults at first. */
  readonly rules: readonly string[];
  /** What chance goes by; undefined: a seed is drawn. */
  readonly seed: number | undefined;
  /** Why there may be none at all, as a sentence: who listens to a network, say. Undefined: there may be. */
  readonly obstacle: string | undefined;
  /** Requests may ask for faults of their own although no rule stands. */
  readonly takesOwn: boolean;
  /** A seed. */
  readonly drawSeed: () => number;
}

/** What is in force. */
export interface FaultsInForce {
  readonly seed: number;
  readonly faults: readonly FaultCounts[];
}

/** As in a message. */
interface Wrong {
  readonly problem: string;
  readonly hint?: string | undefined;
}

/** State: the rules in force and how often each has struck. */
export class FaultBoard {
  readonly #options: FaultBoardOptions;
  readonly #seed: number;
  #set: FaultSet | undefined;

  private constructor(options: FaultBoardOptions) {
    this.#options = options;
    this.#seed = options.seed ?? options.drawSeed();
  }

  /** Opens one. Throws ERR_BAD_OPTION for a rule that cannot be read, or if there may be none. */
  static async open(options: FaultBoardOptions): Promise<FaultBoard> {
    const board = new FaultBoard(options);
    const wrong = options.rules.length === 0 ? undefined : await board.replace(options.rules);
    if (wrong === undefined) return board;
    throw new ProxyError('ERR_BAD_OPTION', `--fault: ${wrong.problem}`, { hint: wrong.hint });
  }

  /** Rules that stand from now on, in the place of all before, counted from 0. Nothing changes if one is wrong. */
  async replace(rules: readonly string[], seed = this.#seed): Promise<Wrong | undefined> {
    const { obstacle } = this.#options;
    if (obstacle !== undefined && rules.length > 0) return { problem: obstacle };
    const { parseFaultRule } = await import('./grammar.ts');
    const parsed = rules.map(parseFaultRule);
    const good: FaultRule[] = [];
    for (const rule of parsed) {
      if ('problem' in rule) return rule;
      good.push(rule);
    }
    const { FaultSet: Set } = await import('./fault-set.ts');
    this.#set = new Set(good, seed);
  }

  /** No rule stands from now on. */
  clear(): void {
    this.#set = undefined;
  }

  read(): FaultsInForce {
    return { seed: this.#set?.seed ?? this.#seed, faults: this.#set?.readCounts() ?? [] };
  }

  /** Whether a fault may befall a request with these headers. */
  concerns(headers: readonly HeaderPair[]): boolean {
    return (this.#set?.size ?? 0) > 0 || findHeader(headers, 'x-bedrock-proxy-fault') !== undefined;
  }

  /** The rules in force. */
  get set(): FaultSet | undefined {
    return this.#set;
  }

  /**
   * The fault that a request asks for itself; undefined if it asks for none. Throws ERR_BAD_REQUEST if it cannot be
   * read, or may not be asked for here.
   */
  async findOwn(headers: readonly HeaderPair[]): Promise<DrawnFault | undefined> {
    const text = findHeader(headers, 'x-bedrock-proxy-fault');
    if (text === undefined) return undefined;
    const { obstacle, takesOwn } = this.#options;
    const isOpen = obstacle === undefined && (takesOwn || (this.#set?.size ?? 0) > 0);
    if (!isOpen) {
      throw new ProxyError('ERR_BAD_REQUEST', obstacle ?? 'This proxy takes no faults from requests.', {
        hint: 'It does offline, and if it was started with --fault, on this machine.',
      });
    }
    const { parseOwnFault } = await import('./grammar.ts');
    const rule = parseOwnFault(text);
    if ('problem' in rule) {
      throw new ProxyError('ERR_BAD_REQUEST', `x-bedrock-proxy-fault: ${rule.problem}`, { hint: rule.hint });
    }
    return (await import('./fault-set.ts')).drawOwn(rule, this.read().seed);
  }
}
