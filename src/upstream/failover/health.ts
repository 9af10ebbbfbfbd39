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
/** Names of models come from clients: no more are remembered. */
const MAX_MODELS = 200;

/** State: what is under way, the rest of the upstream as a whole, and those of single models. */
export class UpstreamHealth {
  readonly #tickMs: MonotonicClock;
  readonly #whole: Rest;
  readonly #models = new Map<string, Rest>();
  #inFlight = 0;

  constructor(tickMs: MonotonicClock) {
    this.#tickMs = tickMs;
    this.#whole = new Rest();
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** For requests to this model. */
  readinessOf(model: string): Readiness {
    const now = this.#tickMs();
    const states = this.#restsOf(model).map((rest) => rest.readiness(now));
    return states.find((state) => state === 'resting') ?? states.find((state) => state === 'due') ?? 'ready';
  }

  /** When it may be tried again, in ticks; in the past if it may be. */
  restsUntilTick(model: string): number {
    return Math.max(...this.#restsOf(model).map(({ untilTick }) => untilTick));
  }

  /** The whole upstream's, and how many models rest besides. */
  describe(): { readonly readiness: Readiness; readonly restingModels: number; readonly restMs: number } {
    const now = this.#tickMs();
    const readiness = this.#whole.readiness(now);
    const models = [...this.#models.values()].filter((rest) => rest.readiness(now) !== 'ready');
    const untilTick = Math.max(this.#whole.untilTick, ...models.map((rest) => rest.untilTick));
    return { readiness, restingModels: models.length, restMs: Math.max(0, untilTick - now) };
  }

  /** An attempt begins. If the upstream is due, this is the one that tries it. */
  begin(model: string): AttemptTicket {
    const beganTick = this.#tickMs();
    const rests = this.#restsOf(model);
    const tried = rests.filter((rest) => rest.readiness(beganTick) === 'due');
    for (const rest of tried) rest.isTried = true;
    this.#inFlight += 1;
    const endTrial = (): void => tried.splice(0).forEach((rest) => (rest.isTried = false));
    return {
      succeed: () => {
        endTrial();
        for (const rest of rests) rest.endBy(beganTick);
        if (this.#models.get(model)?.isOver === true) this.#models.delete(model);
      },
      fail: (trouble, retryAfterMs) => {
        endTrial();
        const rest = trouble === 'upstream' ? this.#whole : this.#openModel(model);
        rest.begin({ beganTick, now: this.#tickMs(), retryAfterMs });
      },
      end: () => {
        endTrial();
        this.#inFlight -= 1;
      },
    };
  }

  #restsOf(model: string): readonly Rest[] {
    const own = this.#models.get(model);
    return own === undefined ? [this.#whole] : [this.#whole, own];
  }

  #openModel(model: string): Rest {
    const known = this.#models.get(model) ?? new Rest();
    this.#models.delete(model);
    this.#models.set(model, known);
    const [oldest] = this.#models.keys();
    if (this.#models.size > MAX_MODELS && oldest !== undefined) this.#models.delete(oldest);
    return known;
  }
}

/** State: how often it failed in a row, since when it rests, until when, and whether a request tries it. */
class Rest {
  isTried = false;
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
    return now < this.#untilTick || this.isTried ? 'resting' : 'due';
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
