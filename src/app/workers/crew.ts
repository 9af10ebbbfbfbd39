/**
 * The workers of one server: starts them, starts another one for each that dies, passes on what they say, ends them.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { LocalRateLimits } from '../../admission/rates.ts';
import { openRateDesk, type RateDesk } from '../../admission/remote-rates.ts';
import { type MonotonicClock } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import type { AuthRefresh } from '../../upstream/aws/auth-refresh.ts';
import type { BudgetAlert } from '../budget-watch.ts';
import { type PrimaryMessage, WORKER_VARIABLE, type WorkerMessage, type WorkerRole } from './messages.ts';
import { type ReadableWorker, WorkerReadings } from './readings.ts';
import { relayLines } from './relay-lines.ts';

/** The first pause before another worker takes the place of one, doubled each time, and the longest. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
/** A worker that has lived for so long did not die of its start. */
const SOUND_AFTER_MS = 60_000;
/** What the end of a worker may take besides the grace time: cut off what is left, write the ledger. */
const CLOSE_MS = 10_000;
const END_NOW_MS = 2_000;
/** How long a worker may take to close its port. */
const PORT_CLOSED_MS = 300;
/** What a worker has written may still be on its way to us. */
const LAST_LINES_MS = 1_000;

/** What the crew is made of. */
export interface CrewOptions {
  readonly count: number;
  /** As configured; 0 takes a free one. */
  readonly port: number;
  readonly rates: LocalRateLimits;
  readonly tickMs: MonotonicClock;
  readonly warn: (message: string) => void;
  readonly onBudget: (alert: BudgetAlert) => void;
  /** Of the primary's hot keys, to be said below the banner. */
  readonly line?: string | undefined;
  readonly inspectToken: string;
  /** Undefined without `--aws-auth-refresh`. */
  readonly refreshAuth: AuthRefresh | undefined;
}

/** How the first worker ended that did not get as far as to listen. */
export class FirstWorkerFailed extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('The first worker ended before it was listening.');
    this.exitCode = exitCode;
  }
}

interface Member extends ReadableWorker {
  readonly worker: Worker;
  readonly desk: RateDesk;
  readonly startedAtTick: number;
  readonly closed: Promise<unknown>;
  isListening: boolean;
  /** Closes the connection that was handed to it last, if it did not take that. */
  closeUntaken(): void;
}

/** State: who is alive, on which port, and whether all are to end. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #readings = new WorkerReadings();
  readonly #alive = new Map<number, Member>();
  /** How often each has died of its start, in a row. */
  readonly #failures = new Map<number, number>();
  readonly #listening = Promise.withResolvers<number>();
  readonly #allGone = Promise.withResolvers<void>();
  #port: number | undefined;
  /** What is asked for: with port 0 all that ask for 0 share one, as long as one of them lives. */
  #askedPort: number;
  #isOnlyErrors = false;
  #isEnding = false;
  #cutOff = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#askedPort = options.port;
  }

  /** Starts one, which makes what is missing (database, certificate), and then the others. Gives the port. */
  async start(): Promise<number> {
    const isTerminal = process.stdout.isTTY === true;
    cluster.setupPrimary({
      args: process.argv.slice(2),
      stdio: ['ignore', isTerminal ? 'inherit' : 'pipe', 'inherit', 'ipc'],
      windowsHide: true,
    });
    this.#fork(1);
    const port = await this.#listening.promise;
    for (let number = 2; number <= this.#options.count && !this.#isEnding; number += 1) this.#fork(number);
    return port;
  }

  /** Tells all, those too that are started later. */
  showOnlyErrors(isOn: boolean): void {
    this.#isOnlyErrors = isOn;
    for (const member of this.#alive.values()) member.send({ kind: 'show only errors', isOn });
  }

  /**
   * Resolves when all have ended, at the latest some seconds after the grace time, with how many requests were cut.
   * `delayMs`: for so long they take requests before that.
   */
  async drain(graceMs: number, delayMs = 0): Promise<number> {
    this.#isEnding = true;
    const members = [...this.#alive.values()];
    if (members.length === 0) return this.#cutOff;
    for (const member of members) member.send({ kind: 'drain' });
    // By now all have closed the port.
    setTimeout(() => members.forEach((member) => member.closeUntaken()), delayMs + PORT_CLOSED_MS);
    await within(delayMs + graceMs + CLOSE_MS, this.#allGone.promise);
    await this.#kill(members);
    return this.#cutOff;
  }

  /** Resolves when all have cut off what they do. */
  async endNow(exitCode: number): Promise<void> {
    this.#isEnding = true;
    const members = [...this.#alive.values()];
    for (const member of members) member.send({ kind: 'end', exitCode });
    if (members.length > 0) await within(END_NOW_MS, this.#allGone.promise);
    await this.#kill(members);
  }

  async #kill(members: readonly Member[]): Promise<void> {
    for (const { worker } of this.#alive.values()) worker.process.kill('SIGKILL');
    await within(LAST_LINES_MS, Promise.all(members.map(({ closed }) => closed)));
  }

  #fork(number: number): void {
    const { tickMs, rates } = this.#options;
    if (this.#port !== undefined && this.#alive.size === 0) this.#askedPort = this.#port;
    const greets = this.#port === undefined;
    const { count, line, inspectToken } = this.#options;
    const role: WorkerRole = { greets, port: this.#askedPort, leader: process.pid, count, line, inspectToken };
    const worker = cluster.fork({ [WORKER_VARIABLE]: JSON.stringify(role) });
    const { stdout } = worker.process;
    if (stdout !== null) relayLines(stdout, process.stdout);
    const member: Member = {
      number,
      worker,
      desk: openRateDesk(rates),
      startedAtTick: tickMs(),
      closed: once(worker.process, 'close'),
      isListening: false,
      closeUntaken: watchHandedOver(worker),
      // That it is gone is told by its end.
      send: (message) => void worker.process.send?.(message, undefined, undefined, () => {}),
    };
    this.#alive.set(number, member);
    worker.on('exit', () => member.closeUntaken());
    worker.on('error', () => {});
    worker.on('message', (message: WorkerMessage) => this.#onMessage(member, message));
    worker.on('exit', (code, signal) => this.#onExit(member, signal ?? `exit code ${code}`, code));
  }

  #onMessage(member: Member, message: WorkerMessage): void {
    switch (message.kind) {
      case 'listening':
        return this.#onListening(member, message.port);
      case 'rates': {
        const answers = message.orders.flatMap((order) => member.desk.take(order) ?? []);
        if (answers.length > 0) member.send({ kind: 'rates', answers });
        return;
      }
      case 'failure':
        for (const other of this.#alive.values()) if (other !== member) other.send(message);
        return;
      case 'ask':
        return void this.#answer(member, message.question, message.withMetrics);
      case 'reading':
        return this.#readings.note(member.number, message.reading, message.round);
      case 'refresh':
        return void this.#options.refreshAuth?.().then((failure) => member.send({ kind: 'refreshed', failure }));
      case 'budget':
        return this.#options.onBudget(message.alert);
      case 'drained':
        this.#cutOff += message.cutOff;
        return;
      default:
        // Messages of others than ours: a probe of the bench has some.
        return;
    }
  }

  async #answer(member: Member, question: number, withMetrics: boolean): Promise<void> {
    const serving = [...this.#alive.values()].filter(({ isListening }) => isListening);
    const reading = await this.#readings.read(serving, withMetrics);
    member.send({ kind: 'answer', question, reading } satisfies PrimaryMessage);
  }

  #onListening(member: Member, port: number): void {
    this.#port ??= port;
    // All others died while it started, and the port that they shared with them.
    if (port !== this.#port) return void member.worker.process.kill('SIGKILL');
    member.isListening = true;
    if (this.#isOnlyErrors) member.send({ kind: 'show only errors', isOn: true });
    this.#listening.resolve(port);
  }

  #onExit(member: Member, how: string, code: number | null): void {
    const { number, worker, startedAtTick, desk } = member;
    this.#alive.delete(number);
    desk.close();
    this.#readings.end(number);
    if (this.#port === undefined) this.#listening.reject(new FirstWorkerFailed(code ?? 1));
    if (this.#isEnding && this.#alive.size === 0) this.#allGone.resolve();
    if (this.#isEnding || this.#port === undefined) return;
    const { tickMs, warn } = this.#options;
    const isSound = tickMs() - startedAtTick >= SOUND_AFTER_MS;
    const failures = isSound ? 0 : (this.#failures.get(number) ?? 0);
    this.#failures.set(number, failures + 1);
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
    const seconds = pauseMs / 1000;
    warn(`worker ${number} (process ${worker.process.pid}) ended: ${how}; another one starts in ${seconds} s.`);
    this.#readings.noteRestart();
    void this.#replace(number, pauseMs);
  }

  async #replace(number: number, pauseMs: number): Promise<void> {
    await delay(pauseMs);
    if (!this.#isEnding) this.#fork(number);
  }
}

/**
 * Node forgets a connection that it hands to a worker which dies at that moment, or to the last one that closes the
 * port: its client would wait for ever. Gives a function that closes it; one that the worker took is closed already.
 */
function watchHandedOver({ process: child }: Worker): () => void {
  let last: { close?(): void } | undefined;
  const send = child.send.bind(child) as (...all: unknown[]) => boolean;
  child.send = (...all: unknown[]): boolean => {
    if (typeof all[1] === 'object' && all[1] !== null) last = all[1];
    return send(...all);
  };
  return () => last?.close?.();
}
