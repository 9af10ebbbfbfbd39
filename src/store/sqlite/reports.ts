/**
 * What a running server reads of the ledger, by a thread (`report-worker.ts`) with a connection of its own: a report
 * over a million rows takes nothing from requests. One report at a time: the others wait for it. Whatever the thread
 * cannot do, its caller does on the event loop, where errors have their words.
 */
import { Worker } from 'node:worker_threads';
import type { LedgerFilter, UsageGroup, UsageQuery, UsageSums, UsageTotals } from '../../domain/ledger.ts';
import type { ConnectionTarget } from './identity.ts';
import type { KnownRange } from './connection.ts';
import { type PackedGroups, unpackGroups } from './tallies.ts';

/** What the thread is asked. `more`: the next groups of the sums that it has given. */
export type ReportQuestion =
  | { readonly kind: 'sums'; readonly query: UsageQuery }
  | { readonly kind: 'more' }
  | { readonly kind: 'range'; readonly filter: LedgerFilter };

/** A question, and the number under which it is answered. */
export interface ReportMessage {
  readonly id: number;
  readonly question: ReportQuestion;
}

/** Sums with the first of their groups: a hundred thousand at once would hold up the event loop that takes them. */
export interface FirstSums {
  readonly total: UsageTotals;
  readonly groups: PackedGroups;
  readonly groupCount: number;
}

/** What it says to each question, in whatever order; undefined: it cannot say. */
export interface ReportAnswer {
  readonly id: number;
  readonly result: FirstSums | PackedGroups | KnownRange | undefined;
}

/** The reports over one open database. The caller closes them, before the database. */
export class Reports {
  readonly #target: ConnectionTarget;
  #worker: Worker | undefined;
  #isOver = false;
  #lastId = 0;
  readonly #waiting = new Map<number, (result: ReportAnswer['result']) => void>();
  /** The end of the report under way. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(target: ConnectionTarget) {
    this.#target = target;
  }

  /** As `findSequences`, which looks at all rows of a time. Undefined if the thread cannot. */
  async findRange(filter: LedgerFilter): Promise<KnownRange | undefined> {
    return (await this.#ask({ kind: 'range', filter })) as KnownRange | undefined;
  }

  /** Undefined if the thread cannot. */
  sumUsage(query: UsageQuery): Promise<UsageSums | undefined> {
    const sums = this.#turn.then(() => this.#sumNow(query));
    this.#turn = sums;
    return sums;
  }

  /** Ends the thread and its connection, and with them what it has under way. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#worker?.terminate();
  }

  async #sumNow(query: UsageQuery): Promise<UsageSums | undefined> {
    const first = (await this.#ask({ kind: 'sums', query })) as FirstSums | undefined;
    if (first === undefined) return undefined;
    const { total, groupCount } = first;
    const groups: UsageGroup[] = [];
    for (let packed: PackedGroups | undefined = first.groups; ;) {
      unpackGroups(packed, groups);
      if (groups.length >= groupCount) return { total, groups };
      packed = (await this.#ask({ kind: 'more' })) as PackedGroups | undefined;
      if (packed === undefined) return undefined;
    }
  }

  #ask(question: ReportQuestion): Promise<ReportAnswer['result']> {
    return new Promise((resolve) => {
      if (this.#isOver) return resolve(undefined);
      const worker = (this.#worker ??= this.#start());
      this.#waiting.set((this.#lastId += 1), resolve);
      worker.ref();
      const message: ReportMessage = { id: this.#lastId, question };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread; origins are a browser's.
      worker.postMessage(message);
    });
  }

  #start(): Worker {
    // As for checkpoints: neither the environment, which has secrets, nor Node's options.
    const script = new URL(import.meta.url.replace(/reports(?=\.\w+$)/, 'report-worker'));
    const worker = new Worker(script, {
      workerData: this.#target,
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      name: 'reports',
    });
    worker.on('message', ({ id, result }: ReportAnswer) => {
      const resolve = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
      resolve?.(result);
    });
    worker.on('error', () => {});
    worker.on('exit', () => {
      // The next report starts another one.
      this.#worker = undefined;
      for (const resolve of this.#waiting.values()) resolve(undefined);
      this.#waiting.clear();
    });
    return worker;
  }
}
