/**
 * The keys that are in use, as this process knows them: a request of a known key asks no database. What others change
 * is forgotten here, as soon as a notification tells it and at the latest with the next poll. No I/O, and no timer: who
 * polls, and when, is in `key-watch.ts`.
 *
 * A key is used as it is known as long as the last poll that succeeded began at most MAX_SHARED_KEY_AGE_MS ago. If that
 * is overdue, the caller waits for a poll, shortly. While the database is away, keys are used until they are as old as
 * `staleMs`, and then not at all: whoever asks gets what the database says, or its error.
 */
import type { VirtualKeyRow } from '../../domain/key.ts';
import { MAX_SHARED_KEY_AGE_MS } from '../../domain/store.ts';
import { within } from '../../lib/deadline.ts';
import type { MonotonicClock, WallClock } from '../../lib/clock.ts';

/**
 * If a poll takes longer, the database counts as away, and the next poll takes another connection: this one may hang.
 * In slices, of which an event loop that was blocked uses up one: that is no fault of the database.
 */
const POLL_SLICES = 5;
const POLL_SLICE_MS = 100;
/** So long a key that is not known is waited for while the database is away: it may hang for much longer. */
const MAX_WAIT_MS = 2_000;
/** A fetch that began longer ago is not shared. */
const MAX_SHARED_MS = 250;
const MAX_KEYS = 50_000;

/** What a poll has found: the keys that were changed since the version that it was asked for. */
export interface KeyChangesRead {
  /** Another one if another server has become the database: its numbers may be others. */
  readonly server: string;
  readonly version: number;
  /** Undefined: too many, or nobody knows which. */
  readonly changedIds: readonly string[] | undefined;
}

/** How well the cache knows what it has. */
export interface KeyCacheState {
  /** How long ago the last poll that succeeded began; undefined: there was none. */
  readonly confirmedAgoMs: number | undefined;
  readonly isAway: boolean;
  /** Whether the keys may be used as they are known: they were confirmed lately enough. */
  readonly isUsable: boolean;
  readonly keys: number;
}

/** How a cache is made. */
export interface KeyCacheOptions {
  readonly tickMs: MonotonicClock;
  /** Ticks may stand still while the machine sleeps; how long it slept, this clock tells. */
  readonly nowMs: WallClock;
  /** How long keys are used while the database is away; 0: not at all. */
  readonly staleMs: number;
  /** Must ask the database anew. */
  readonly readChanges: (sinceVersion: number) => Promise<KeyChangesRead>;
  /** The error for whoever has waited too long. */
  readonly tooLong: () => Error;
}

type Find = () => Promise<VirtualKeyRow | undefined>;
type NameOfKey = 'keySha256' | 'accessKeyId';

/** On both clocks. */
interface Moment {
  readonly tick: number;
  readonly ms: number;
}

interface Fetch {
  readonly beganAtTick: number;
  readonly found: Promise<VirtualKeyRow | undefined>;
}

/** State: the keys, and how far they are confirmed. */
export class KeyCache {
  readonly #options: KeyCacheOptions;
  readonly #byId = new Map<string, VirtualKeyRow>();
  readonly #byName = { keySha256: new Map<string, VirtualKeyRow>(), accessKeyId: new Map<string, VirtualKeyRow>() };
  /** Reads under way, by what is looked for: a hundred requests with a new key are one statement. */
  readonly #fetches = new Map<string, Fetch>();
  /** Moves with everything that is forgotten: what began to be read before is not kept. */
  #forgotten = 0;
  #anyKey: boolean | undefined;
  #server: string | undefined;
  #version = 0;
  #confirmedAt: Moment = { tick: Number.NEGATIVE_INFINITY, ms: Number.NEGATIVE_INFINITY };
  #isAway = false;
  #polling: Promise<void> | undefined;

  constructor(options: KeyCacheOptions) {
    this.#options = options;
  }

  /** The key with this name; `find` reads it, and gives one with another name never. */
  async findKey(by: NameOfKey, name: string, find: Find): Promise<VirtualKeyRow | undefined> {
    const known = this.#byName[by];
    if (!this.#isFresh() && known.has(name)) await this.#confirm();
    return (this.#mayUse() ? known.get(name) : undefined) ?? this.#inTime(this.#fetch(`${by} ${name}`, find));
  }

  /** Keys stay: what has had one has one. */
  async hasAny(find: () => Promise<boolean>): Promise<boolean> {
    if (this.#anyKey === true) return true;
    if (this.#anyKey === false) await this.#confirm();
    if (this.#anyKey === false && this.#mayUse()) return false;
    const forgotten = this.#forgotten;
    const found = await find();
    if (found || forgotten === this.#forgotten) this.#anyKey = found;
    return found;
  }

  /** Forgets one key; all of them if the id is empty. */
  forget(id: string): void {
    if (id === '') return this.#forgetAll();
    this.#forgetUnder(id);
    this.#endFetches();
  }

  /**
   * Asks once what was changed; resolves when that is known, or when it takes too long: what comes later counts all the
   * same. Never rejects.
   */
  async poll(): Promise<void> {
    const beganAt = this.#now();
    const reading = this.#options.readChanges(this.#version).then((read) => this.#take(read, beganAt));
    const isInTime = await endsInTime(reading);
    if (isInTime || beganAt.tick >= this.#confirmedAt.tick) this.#isAway = !isInTime;
  }

  readState(): KeyCacheState {
    const agoMs = this.#ageMs();
    const confirmedAgoMs = Number.isFinite(agoMs) ? agoMs : undefined;
    return { confirmedAgoMs, isAway: this.#isAway, isUsable: this.#mayUse(), keys: this.#byId.size };
  }

  #take({ server, version, changedIds }: KeyChangesRead, beganAt: Moment): void {
    // A later one has come before it.
    if (beganAt.tick < this.#confirmedAt.tick) return;
    // Of the same version, what was changed is forgotten already: polls that were asked at once say it twice.
    const isNew = server !== this.#server || version !== this.#version;
    if (isNew) this.#forgetChanged(changedIds, server !== this.#server || version < this.#version);
    this.#server = server;
    this.#version = version;
    this.#confirmedAt = beganAt;
  }

  /** After a fail-over the last numbers may mean other changes, and before the first poll nothing is known. */
  #forgetChanged(ids: readonly string[] | undefined, isOtherDatabase: boolean): void {
    if (ids === undefined || isOtherDatabase) return this.#forgetAll();
    for (const id of ids) this.#forgetUnder(id);
    if (ids.length > 0) this.#endFetches();
  }

  /** Resolves when the keys are confirmed, or the database is away. A poll that is under way may be too old. */
  async #confirm(): Promise<void> {
    while (!this.#isFresh() && !this.#isAway) {
      this.#polling ??= this.poll().finally(() => (this.#polling = undefined));
      await this.#polling;
    }
  }

  #now(): Moment {
    return { tick: this.#options.tickMs(), ms: this.#options.nowMs() };
  }

  /** If the clocks differ, the longer time: a clock that is set forward costs no more than a poll. */
  #ageMs(): number {
    const { tick, ms } = this.#now();
    return Math.max(tick - this.#confirmedAt.tick, ms - this.#confirmedAt.ms);
  }

  #isFresh(): boolean {
    return this.#ageMs() <= MAX_SHARED_KEY_AGE_MS;
  }

  #mayUse(): boolean {
    return this.#ageMs() <= Math.max(MAX_SHARED_KEY_AGE_MS, this.#options.staleMs);
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    if (!this.#isAway) return work;
    const told = work.then((result) => ({ result }));
    const found = await within(MAX_WAIT_MS, told);
    if (found === undefined) throw this.#options.tooLong();
    return found.result;
  }

  async #fetch(what: string, find: Find): Promise<VirtualKeyRow | undefined> {
    const tick = this.#options.tickMs();
    const underWay = this.#fetches.get(what);
    if (underWay !== undefined && tick - underWay.beganAtTick <= MAX_SHARED_MS) return underWay.found;
    const fetch = { beganAtTick: tick, found: this.#fetchAndKeep(find) };
    this.#fetches.set(what, fetch);
    return fetch.found.finally(() => {
      if (this.#fetches.get(what) === fetch) this.#fetches.delete(what);
    });
  }

  async #fetchAndKeep(find: Find): Promise<VirtualKeyRow | undefined> {
    const forgotten = this.#forgotten;
    const row = await find();
    if (row !== undefined && forgotten === this.#forgotten) this.#keep(row);
    return row;
  }

  #keep(row: VirtualKeyRow): void {
    this.#forgetUnder(row.id);
    const [oldest] = this.#byId.keys();
    if (this.#byId.size >= MAX_KEYS && oldest !== undefined) this.#forgetUnder(oldest);
    this.#byId.set(row.id, row);
    this.#byName.keySha256.set(row.keySha256, row);
    this.#byName.accessKeyId.set(row.accessKeyId, row);
  }

  #forgetUnder(id: string): void {
    const row = this.#byId.get(id);
    if (row === undefined) return;
    this.#byId.delete(id);
    this.#byName.keySha256.delete(row.keySha256);
    this.#byName.accessKeyId.delete(row.accessKeyId);
  }

  #endFetches(): void {
    this.#forgotten += 1;
    this.#fetches.clear();
    if (this.#anyKey === false) this.#anyKey = undefined;
  }

  #forgetAll(): void {
    this.#byId.clear();
    this.#byName.keySha256.clear();
    this.#byName.accessKeyId.clear();
    this.#endFetches();
  }
}

/** False if it fails, or takes too long; what becomes of it then, nobody hears. */
async function endsInTime(work: Promise<void>): Promise<boolean> {
  const isDone = work.then(
    () => true,
    () => false,
  );
  for (let slice = 0; slice < POLL_SLICES; slice += 1) {
    const found = await within(POLL_SLICE_MS, isDone);
    if (found !== undefined) return found;
  }
  return false;
}
