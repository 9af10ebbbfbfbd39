/**
 * The requests that are under way, by key: when a key is revoked, blocked, deleted or ends, they are cut, and those of
 * open mode when the first key is made. Looks twice a second at each key that has any, and not at all if no request is
 * under way. A look at a key that did not change costs two or three microseconds: the store has it cached.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ErrorCode, ProxyError } from '../lib/errors.ts';
import { Roster } from '../lib/roster.ts';
import { refuseEndedKey } from './key-refusal.ts';
import { type AdmittedCaller, revalidate, type RevalidationOptions } from './revalidate.ts';

const LOOK_INTERVAL_MS = 500;
/** So many keys are looked at in one turn of the event loop. */
const KEYS_PER_TURN = 100;
const OPEN_MODE = 'open mode';

/** A key that ends with one of these is over; a store that does not respond says nothing of a key. */
const ENDS: ReadonlySet<ErrorCode> = new Set([
  'ERR_KEY_UNKNOWN',
  'ERR_KEY_REVOKED',
  'ERR_KEY_EXPIRED',
  'ERR_KEY_BLOCKED',
  'ERR_KEY_MISSING',
]);

/** Cuts requests whose caller no longer counts. */
export interface LiveRequests {
  /**
   * Watches a request until the function that is returned is called. `cut` is called at most once, with the error that
   * a new request of this caller would get.
   */
  watch(caller: AdmittedCaller, cut: (error: ProxyError) => void): () => void;
}

/** Lets every request go on to its end, whatever becomes of its key. */
export const UNWATCHED: LiveRequests = { watch: () => () => {} };

/** Watches nothing yet. Its timer keeps no process alive. */
export function createLiveRequests(options: RevalidationOptions): LiveRequests {
  return new WatchedRequests(options);
}

interface Watched extends AdmittedCaller {
  readonly cuts: Roster<(error: ProxyError) => void>;
}

/** State: the requests under way by key, and a timer as long as there are any. */
class WatchedRequests implements LiveRequests {
  readonly #options: RevalidationOptions;
  readonly #watched = new Map<string, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RevalidationOptions) {
    this.#options = options;
  }

  watch({ principal, row }: AdmittedCaller, cut: (error: ProxyError) => void): () => void {
    // It is fixed while the process runs.
    if (principal.kind === 'master') return () => {};
    const name = row?.keySha256 ?? OPEN_MODE;
    const watched = this.#watched.get(name) ?? { principal, row, cuts: new Roster() };
    this.#watched.set(name, watched);
    const place = watched.cuts.enter(cut);
    this.#schedule();
    return () => {
      watched.cuts.leave(place);
      if (watched.cuts.size === 0 && this.#watched.get(name) === watched) this.#watched.delete(name);
    };
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#look(), LOOK_INTERVAL_MS).unref();
  }

  async #look(): Promise<void> {
    const all = [...this.#watched];
    for (let from = 0; from < all.length; from += KEYS_PER_TURN) {
      if (from > 0) await nextTurn();
      // Together: a key that the store has to ask for holds up no other one.
      await Promise.all(all.slice(from, from + KEYS_PER_TURN).map(([name, watched]) => this.#lookAt(name, watched)));
    }
    this.#timer = undefined;
    if (this.#watched.size > 0) this.#schedule();
  }

  async #lookAt(name: string, watched: Watched): Promise<void> {
    const ending = await this.#findEnding(watched);
    if (ending === undefined) return;
    if (this.#watched.get(name) === watched) this.#watched.delete(name);
    for (const cut of watched.cuts) cut(ending);
  }

  async #findEnding(watched: Watched): Promise<ProxyError | undefined> {
    try {
      await revalidate(watched, this.#options).catch((error: unknown) => {
        // Without the store the clock alone says whether a key has ended.
        if (watched.row === undefined || isEnding(error)) throw error;
        refuseEndedKey(watched.row, this.#options.nowMs());
      });
      return undefined;
    } catch (error) {
      return isEnding(error) ? error : undefined;
    }
  }
}

function isEnding(error: unknown): error is ProxyError {
  return error instanceof ProxyError && ENDS.has(error.code);
}
