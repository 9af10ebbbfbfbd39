/**
 * The embedded store: one SQLite file in WAL mode, shared by the running server and any number of CLI processes. The
 * stages use it through the `Store` interface. The other files here hold its statements; this one has the cache of keys
 * and the notes of their use. It never waits inside SQLite (that would stop the event loop): a busy database is asked
 * again a few milliseconds later.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type MonotonicClock, MACHINE_TICKS } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import type { KeySpend, NewReservation, ReserveOutcome } from '../../domain/budget.ts';
import { findSpend, reserve } from './budget.ts';
import { type FileOptions, type Opened, SqliteFile } from './file.ts';
import { toKeyRow } from '../key-record.ts';
import { findKeys, insertKey, listKeyRows, rotateKeyRow, updateKeyRow } from './keys.ts';
import { type LedgerPage, nameRange, readLedger } from './ledger.ts';
import { sumUsage } from './usage.ts';
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from '../../domain/key.ts';
import type { LedgerEntry, LedgerFilter, LedgerRow, UsageQuery, UsageSums } from '../../domain/ledger.ts';
import type { Store, StoreHealth } from '../../domain/store.ts';

/** Uses of keys are noted in groups at this pace. */
const TOUCH_INTERVAL_MS = 1_000;
/** How long the end waits for the notes of the last uses. */
const CLOSE_TIMEOUT_MS = 2_000;
/** For so long a server takes a key for what it was at the last look: not every request asks whether it has changed. */
const KEY_LOOK_INTERVAL_MS = 5;

/**
 * Opens the database at `path`, creating file (0600), folder (0700) and schema if they are missing. Throws
 * ERR_STORE_UNAVAILABLE with what to do when the file cannot be used. The caller closes the store.
 */
export async function openSqliteStore(path: string, options: FileOptions = {}): Promise<Store> {
  return new SqliteStore(await SqliteFile.open(path, options), options);
}

class SqliteStore implements Store {
  readonly #file: SqliteFile;
  /** Whose reservations are ours: no other process, and no earlier one, has this name. */
  readonly #owner = randomUUID();
  readonly #tickMs: MonotonicClock;
  readonly #lookIntervalMs: number;
  #seen: Opened | undefined;
  #seenAtTick = Number.NEGATIVE_INFINITY;
  #seenDataVersion = -1;
  #seenKeysVersion = -1;
  /** The file that is known to have a key. */
  #anyKeyIn: Opened | undefined;
  #knowsOfNoKey = false;
  readonly #bySha256 = new Map<string, VirtualKeyRow>();
  readonly #byAccessKeyId = new Map<string, VirtualKeyRow>();
  #touched = new Map<string, number>();
  #touchTimer: NodeJS.Timeout | undefined;

  constructor(file: SqliteFile, { tickMs = MACHINE_TICKS, threads = false }: FileOptions) {
    this.#file = file;
    this.#tickMs = tickMs;
    this.#lookIntervalMs = threads ? KEY_LOOK_INTERVAL_MS : 0;
  }

  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined> {
    return this.#findCached(this.#bySha256, keySha256, 'findBySha256');
  }

  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined> {
    return this.#findCached(this.#byAccessKeyId, accessKeyId, 'findByAccessKeyId');
  }

  async hasAnyKey(): Promise<boolean> {
    return this.#file.read((opened) => {
      // Keys stay, so a file that has had one has one: no need to ask again.
      if (this.#anyKeyIn === opened) return true;
      this.#dropStaleRows(opened);
      if (this.#knowsOfNoKey) return false;
      if (opened.keys.any.get() === 1) this.#anyKeyIn = opened;
      else this.#knowsOfNoKey = true;
      return !this.#knowsOfNoKey;
    });
  }

  async insertKey(row: NewVirtualKeyRow): Promise<void> {
    await this.#changeKeys(({ keys }) => insertKey(keys, row));
  }

  async rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void> {
    await this.#changeKeys(({ keys }) => rotateKeyRow(keys, id, successor, endsAtMs));
  }

  async listKeys(page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]> {
    return this.#file.read(({ keys }) => listKeyRows(keys, page));
  }

  async findKeys(names: KeyNames): Promise<VirtualKeyRow[]> {
    return this.#file.read(({ keys }) => findKeys(keys, names));
  }

  async revokeKey(id: string, revokedAtMs: number): Promise<void> {
    await this.#changeKeys(({ keys }) => keys.revoke.run({ id, atMs: revokedAtMs }));
  }

  async updateKey(id: string, changes: KeyChanges, updatedAtMs: number): Promise<VirtualKeyRow | undefined> {
    return this.#changeKeys(({ keys }) => updateKeyRow(keys, id, changes, updatedAtMs));
  }

  async deleteKey(id: string, deletedAtMs: number): Promise<boolean> {
    return this.#changeKeys(({ keys }) => keys.softDelete.run({ id, atMs: deletedAtMs }).changes > 0);
  }

  touchKey(id: string, usedAtMs: number): void {
    this.#touched.set(id, usedAtMs);
    this.#touchTimer ??= setTimeout(() => {
      this.#touchTimer = undefined;
      void this.#writeTouched();
    }, TOUCH_INTERVAL_MS).unref();
  }

  async findSpend(
    rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[],
    nowMs: number,
  ): Promise<Map<string, KeySpend>> {
    await this.#untilWritten();
    return this.#file.read(({ budget }) => new Map(rows.map((row) => [row.id, findSpend(budget, row, nowMs)])));
  }

  async reserve(reservation: NewReservation): Promise<ReserveOutcome> {
    const outcome = await this.#tryToReserve(reservation);
    // What holds the budget may be over, and on its way to the database.
    if (outcome.kind !== 'held' || !(await this.#untilWritten())) return outcome;
    return this.#tryToReserve(reservation);
  }

  async settle(row: LedgerRow): Promise<void> {
    await this.settleAll([row]);
  }

  async settleAll(rows: readonly LedgerRow[]): Promise<void> {
    await this.#file.writeApart({ kind: 'settle', rows });
  }

  async renewLeases(nowMs: number): Promise<void> {
    await this.#file.writeApart({ kind: 'renew', nowMs, owner: this.#owner });
  }

  async settleLost(nowMs: number): Promise<number> {
    for (let settled = 0; ;) {
      const more = await this.#file.writeApart({ kind: 'settle lost', nowMs });
      if (more === 0) return settled;
      settled += more;
    }
  }

  async readLedger(
    filter: LedgerFilter,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    const page = { above: after, below: Number.MAX_SAFE_INTEGER, limit, newestFirst: false };
    return this.#readPage(filter, page);
  }

  async readLedgerBackwards(
    filter: LedgerFilter,
    { before, limit }: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    const page = { above: 0, below: before ?? Number.MAX_SAFE_INTEGER, limit, newestFirst: true };
    return this.#readPage(filter, page);
  }

  async sumUsage(query: UsageQuery): Promise<UsageSums> {
    await this.#untilWritten();
    const reports = await this.#file.read((opened) => opened.reports);
    return (await reports?.sumUsage(query)) ?? sumUsage((work) => this.#file.read(work), query);
  }

  async pruneLedger(beforeMs: number, maxRows: number): Promise<number> {
    return this.#file.writeApart({ kind: 'prune', beforeMs, maxRows });
  }

  async prepareReports(maxRows: number): Promise<number> {
    return this.#file.writeApart({ kind: 'move totals', maxRows });
  }

  async findSizeBytes(): Promise<number> {
    return this.#file.read(({ ledger }) => ledger.sizeBytes.get() ?? 0);
  }

  async close(): Promise<void> {
    clearTimeout(this.#touchTimer);
    // A thread that hangs ends with the file.
    await within(CLOSE_TIMEOUT_MS, this.#writeTouched());
    await this.#file.close();
  }

  /** A file responds or it does not: whoever asks it hears that at once. */
  readHealth(): StoreHealth {
    return {};
  }

  #tryToReserve(reservation: NewReservation): Promise<ReserveOutcome> {
    return this.#file.write((opened) => reserve(opened, this.#owner, reservation));
  }

  /**
   * Resolves when the thread has written what had ended before: who has had a response finds it in the ledger. False
   * if there was nothing to wait for.
   */
  async #untilWritten(): Promise<boolean> {
    let hasWaited = false;
    // What the thread has now, and what waited behind that.
    for (let round = 0; round < 2; round += 1) {
      const idle = await this.#file.read(({ writer }) => ({ writing: writer?.untilIdle() }));
      if (idle.writing === undefined) break;
      hasWaited = true;
      await idle.writing;
      await nextTurn();
    }
    return hasWaited;
  }

  /** A page is quick, but for the rows of a time that nobody has looked for yet: the thread does that. */
  async #readPage(filter: LedgerFilter, page: LedgerPage): Promise<LedgerEntry[]> {
    await this.#untilWritten();
    const name = nameRange(filter);
    const { ranges, reports } = await this.#file.read((opened) => opened);
    if (name !== undefined && !ranges.has(name)) {
      const range = await reports?.findRange(filter);
      if (range !== undefined) ranges.set(name, range);
    }
    return this.#file.read((opened) => readLedger(opened, filter, page));
  }

  async #findCached(
    cache: Map<string, VirtualKeyRow>,
    name: string,
    find: 'findBySha256' | 'findByAccessKeyId',
  ): Promise<VirtualKeyRow | undefined> {
    return this.#file.read((opened) => {
      this.#dropStaleRows(opened);
      const cached = cache.get(name);
      if (cached !== undefined) return cached;
      const record = opened.keys[find].get(name);
      if (record === undefined) return undefined;
      const row = toKeyRow(record);
      cache.set(name, row);
      return row;
    });
  }

  /**
   * `PRAGMA data_version` moves when another connection commits, be it a row of the ledger; only then is it worth
   * asking whether a key has changed. Our own changes of keys clear the cache themselves.
   */
  #dropStaleRows(opened: Opened): void {
    const tick = this.#tickMs();
    if (opened === this.#seen && tick - this.#seenAtTick < this.#lookIntervalMs) return;
    const dataVersion = opened.dataVersion.get() ?? -1;
    if (opened !== this.#seen || dataVersion !== this.#seenDataVersion) {
      this.#file.refuseNewer(opened);
      const keysVersion = opened.keys.version.get() ?? -1;
      if (opened !== this.#seen || keysVersion !== this.#seenKeysVersion) this.#dropRows();
      this.#seenKeysVersion = keysVersion;
    }
    this.#seen = opened;
    this.#seenDataVersion = dataVersion;
    this.#seenAtTick = tick;
  }

  #dropRows(): void {
    this.#knowsOfNoKey = false;
    this.#bySha256.clear();
    this.#byAccessKeyId.clear();
  }

  async #changeKeys<T>(work: (opened: Opened) => T): Promise<T> {
    return this.#file.write((opened) => {
      // Before the commit, and in the same turn: no reader gets an old row in between.
      this.#dropRows();
      return work(opened);
    });
  }

  /**
   * Last-used times are a convenience: if the database does not take them, they are not told, and errors are not
   * reported.
   */
  async #writeTouched(): Promise<void> {
    const keys = [...this.#touched];
    this.#touched = new Map();
    if (keys.length > 0) await this.#file.writeApart({ kind: 'touch', keys }).catch(() => {});
  }
}
