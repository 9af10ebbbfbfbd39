/**
 * Keeps the cache of keys true: listens to what is notified, and polls besides, since a pooler may eat that and a
 * connection may break. Learns on the way how far the clocks differ, and whether this program is too old by now.
 */
import { MACHINE_TICKS, type MonotonicClock, type WallClock } from '../../lib/clock.ts';
import type { ProxyError } from '../../lib/errors.ts';
import type { Database } from './database.ts';
import { KeyCache, type KeyChangesRead } from './key-cache.ts';
import { type ChangesRecord, findChangedIds, KEY_STATEMENTS } from './key-statements.ts';
import { refuseNewer } from './migrations.ts';
import { toPostgresTrouble } from './trouble.ts';

const POLL_INTERVAL_MS = 250;
/** Clocks that differ by less count as one; a reading that took longer says nothing. */
const MIN_CLOCK_OFFSET_MS = 500;
const CHANNEL = 'bedrock_proxy_keys';

/** How a server has its keys. */
export interface KeyWatchOptions {
  /** For how long keys are used as they were known while the database is away; 0: not at all. */
  readonly staleMs: number;
  readonly nowMs: WallClock;
  readonly tickMs?: MonotonicClock | undefined;
}

/** What watches: connections that are never busy with anything else. Whoever opened them closes them. */
export interface KeysWatching {
  readonly database: Database;
  readonly options: KeyWatchOptions;
}

/** State: the cache, a timer, and a listener, until it is closed. */
export class KeyWatch {
  readonly cache: KeyCache;
  readonly #database: Database;
  /** Of everything else. */
  readonly #main: Database;
  readonly #nowMs: WallClock;
  readonly #stopListening: () => void;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isAskingMain = false;
  /** This program is too old for the schema as it is by now. */
  #refusal: ProxyError | undefined;

  constructor({ database, options }: KeysWatching, main: Database) {
    const { staleMs, nowMs, tickMs = MACHINE_TICKS } = options;
    this.#database = database;
    this.#main = main;
    this.#nowMs = nowMs;
    this.cache = new KeyCache({
      tickMs,
      nowMs,
      staleMs,
      readChanges: (since) => this.#readChanges(since),
      tooLong: () => toPostgresTrouble(database.shownUrl, new NoResponseError()),
    });
    this.#stopListening = database.listen(CHANNEL, {
      onNotification: (id) => this.cache.forget(id),
      // What was notified before is lost.
      onListening: () => void this.cache.poll(),
    });
    void this.#poll();
  }

  /** The cache, if this program may use the database at all. Throws ERR_STORE_UNAVAILABLE. */
  trusted(): KeyCache {
    if (this.#refusal !== undefined) throw this.#refusal;
    return this.cache;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#stopListening();
  }

  async #poll(): Promise<void> {
    await this.cache.poll();
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#poll(), POLL_INTERVAL_MS).unref();
  }

  async #readChanges(since: number): Promise<KeyChangesRead> {
    const beganAtMs = this.#nowMs();
    const [record] = await this.#askChanges(since);
    if (record === undefined) throw toPostgresTrouble(this.#database.shownUrl, new Error('no row in key_changes'));
    this.#compareClocks(record.clock_ms, beganAtMs, this.#nowMs());
    this.#refusal = findRefusal(this.#database, record);
    return { server: record.server, version: record.version, changedIds: findChangedIds(record) };
  }

  /** A server that is full may refuse the connections of the watch, while those for all else are there already. */
  async #askChanges(since: number): Promise<ChangesRecord[]> {
    const ask = (database: Database): Promise<ChangesRecord[]> => database.query(KEY_STATEMENTS.changes, [since]);
    try {
      return await ask(this.#database);
    } catch (error) {
      // One at a time: if they hang as well, requests need them more.
      if (this.#isAskingMain) throw error;
      this.#isAskingMain = true;
      return await ask(this.#main).finally(() => (this.#isAskingMain = false));
    }
  }

  #compareClocks(clockMs: number, beganAtMs: number, endedAtMs: number): void {
    const tookMs = endedAtMs - beganAtMs;
    if (tookMs < 0 || tookMs > MIN_CLOCK_OFFSET_MS) return;
    const offsetMs = Math.round(clockMs - (beganAtMs + tookMs / 2));
    this.#main.clockOffsetMs = Math.abs(offsetMs) < MIN_CLOCK_OFFSET_MS ? 0 : offsetMs;
  }
}

/** Of a key that was waited for. */
class NoResponseError extends Error {
  readonly code = 'ETIMEDOUT';

  constructor() {
    super('no response in time');
  }
}

function findRefusal(database: Database, { schema_version, compatible_from }: ChangesRecord): ProxyError | undefined {
  try {
    refuseNewer(database, { version: schema_version, compatibleFrom: compatible_from });
    return undefined;
  } catch (error) {
    return toPostgresTrouble(database.shownUrl, error);
  }
}
