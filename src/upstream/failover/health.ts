/**
 * How one upstream is: how many requests are under way, and whether it rests because it throttled or could not be
 * reached. After a rest one request tries it; if that goes well, all may. Decides nothing about a request.
 */
import type { MonotonicClock } from '../../lib/clock.ts';
import type { Trouble } from './verdict.ts';

/** `due`: its rest is over, and the next request is the one that tries it. */
export type Readiness = 'ready' | 'due' | 'resting';

/** One attempt. Each of the first two counts once; `end` always comes last. */
export interface AttemptTicket {
  /** The upstream did its work. */
  succeed(): void;
  /** `retryAfterMs`: how long it wants to be left alone, if it says so. */
  fail(trouble: Trouble, retryAfterMs: number | undefined): void;
  end(): void;
}

/** The first rest, if the upstream names none; each further one is twice as long. */
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/** So long the others wait for the request that tries an upstream; it may take an hour until its response begins. */
const TRIAL_MS = 10_000;
/** Names of models, and parts of hosts, come from clients: no more are remembered. */
const MAX_PARTS = 200;

/** What a request asks of an upstream: of it as a whole, if nothing is known of either. */
export interface Asked {
  /** Another one does not feel that this one cannot be reached. */
  readonly origin?: string | undefined;
  readonly model: string;
  readonly owner?: string | undefined;
}

/** State: what is under way, and the rests of the upstream, its hosts, and single models, for all or one caller. */
export class UpstreamHealth {
  readonly #tickMs: MonotonicClock;
  readonly #whole: Rest;
  readonly #hosts = new Map<string, Rest>();
  readonly #models = new Map<string, Rest>();
  readonly #callers = new Map<string, Rest>();
  #inFlight = 0;

  constructor(tickMs: MonotonicClock) {
    this.#tickMs = tickMs;
    this.#whole = new Rest();
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** For such requests. */
  readinessOf(asked: Asked): Readiness {
    const now = this.#tickMs();
    const states = this.#restsOf(asked).map((rest) => rest.readiness(now));
    return worstOf(states);
  }

  /** When it may be tried again, in ticks; in the past if it may be. */
  restsUntilTick(asked: Asked): number {
    return Math.max(...this.#restsOf(asked).map(({ untilTick }) => untilTick));
  }

  /** The upstream's, or that of a host of it, and how many models rest besides. */
  describe(): { readonly readiness: Readiness; readonly restingModels: number; readonly restMs: number } {
    const now = this.#tickMs();
    const places = [this.#whole, ...this.#hosts.values()];
    const models = [...this.#models.values()].filter((rest) => rest.readiness(now) !== 'ready');
    const untilTick = Math.max(...[...places, ...models].map((rest) => rest.untilTick));
    const restMs = Math.max(0, untilTick - now);
    return { readiness: worstOf(places.map((rest) => rest.readiness(now))), restingModels: models.length, restMs };
  }

  /** An attempt begins. If the upstream is due, this is the one that tries it. */
  begin(asked: Asked): AttemptTicket {
    const beganTick = this.#tickMs();
    const rests = this.#restsOf(asked);
    const tried = rests.filter((rest) => rest.readiness(beganTick) === 'due');
    for (const rest of tried) rest.triedUntilTick = beganTick + TRIAL_MS;
    this.#inFlight += 1;
    const endTrial = (): void => tried.splice(0).forEach((rest) => (rest.triedUntilTick = beganTick));
    return {
      succeed: () => {
        endTrial();
        for (const rest of rests) rest.endBy(beganTick);
        forgetOver(this.#hosts, hostOf(asked));
        forgetOver(this.#models, modelOf(asked));
        forgetOver(this.#callers, callerOf(asked));
      },
      fail: (trouble, retryAfterMs) => {
        endTrial();
        this.#open(trouble, asked).begin({ beganTick, now: this.#tickMs(), retryAfterMs });
      },
      end: () => {
        endTrial();
        this.#inFlight -= 1;
      },
    };
  }

  #restsOf(asked: Asked): readonly Rest[] {
    const ofModel = [this.#models.get(modelOf(asked)), this.#callers.get(callerOf(asked))];
    const known = [this.#hosts.get(hostOf(asked)), ...ofModel];
    return [this.#whole, ...known.filter((rest) => rest !== undefined)];
  }

  #open(trouble: Trouble, asked: Asked): Rest {
    if (trouble === 'upstream') return this.#whole;
    if (trouble === 'host') return openRest(this.#hosts, hostOf(asked));
    return trouble === 'model' ? openRest(this.#models, modelOf(asked)) : openRest(this.#callers, callerOf(asked));
  }
}

function hostOf({ origin = '' }: Asked): string {
  return origin;
}

function modelOf({ origin = '', model }: Asked): string {
  return `${origin}\n${model}`;
}

function callerOf(asked: Asked): string {
  return `${modelOf(asked)}\n${asked.owner ?? ''}`;
}

function worstOf(states: readonly Readiness[]): Readiness {
  return states.find((state) => state === 'resting') ?? states.find((state) => state === 'due') ?? 'ready';
}

function openRest(rests: Map<string, Rest>, name: string): Rest {
  const known = rests.get(name) ?? new Rest();
  rests.delete(name);
  rests.set(name, known);
  const [oldest] = rests.keys();
  if (rests.size > MAX_PARTS && oldest !== undefined) rests.delete(oldest);
  return known;
}

function forgetOver(rests: Map<string, Rest>, name: string): void {
  if (rests.get(name)?.isOver === true) rests.delete(name);
}

/** State: how often it failed in a row, since when it rests, until when, and until when a request tries it. */
class Rest {
  triedUntilTick = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #beganTick = 0;
  #untilTick = Number.NEGATIVE_INFINITY;

  get untilTick(): number {
    return this.#untilTick;
  }

  get isOver(): boolean {
    return this.#failures === 0;
  }

  readiness(now: number): Readiness {
    if (this.#failures === 0) return 'ready';
    return now < Math.max(this.#untilTick, this.triedUntilTick) ? 'resting' : 'due';
  }

  /** Of many requests under way that fail together, the first counts. */
  begin({
    beganTick,
    now,
    retryAfterMs,
  }: {
    readonly beganTick: number;
    readonly now: number;
    readonly retryAfterMs: number | undefined;
  }): void {
    const isNews = this.#failures === 0 || beganTick >= this.#beganTick;
    if (isNews) this.#failures += 1;
    else if (retryAfterMs === undefined) return;
    const restMs = retryAfterMs ?? Math.min(FIRST_REST_MS * 2 ** (this.#failures - 1), LONGEST_REST_MS);
    if (isNews) this.#beganTick = now;
    this.#untilTick = Math.max(this.#untilTick, now + restMs);
  }

  /** What began before the rest says nothing about its end. */
  endBy(beganTick: number): void {
    if (this.#failures === 0 || beganTick < this.#beganTick) return;
    this.#failures = 0;
    this.#untilTick = Number.NEGATIVE_INFINITY;
  }
}
