/**
 * The store that several proxies share: a PostgreSQL database. The other files here hold its statements; this one puts
 * them together.
 */
import { randomUUID } from 'node:crypto';
import type { KeySpend, NewReservation, ReserveOutcome } from '../../domain/budget.ts';
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from '../../domain/key.ts';
import type { LedgerEntry, LedgerFilter, LedgerRow, UsageQuery, UsageSums } from '../../domain/ledger.ts';
import type { Store, StoreHealth } from '../../domain/store.ts';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { migrate } from './migrations.ts';
import { PostgresBudgets } from './budget.ts';
import type { KeysWatching, KeyWatchOptions } from './key-watch.ts';
import { PostgresKeys } from './keys.ts';
import { PostgresLedger } from './ledger.ts';
import { agreeOnSecret, requireSchema } from './schema-check.ts';
import { Spill, type SpillOptions } from '../spill/spill.ts';

/** Of the connections that watch the keys: a second one, in case the first one hangs. */
const WATCHING = { maxConnections: 2, statementTimeoutMs: 2_000 };

/** How the store is opened. */
export interface PostgresOptions extends DatabaseOptions {
  /** False: the schema has to be there, and stays as it is. */
  readonly migrates?: boolean;
  /** Of the secret under which keys are sealed here. Undefined: keys are neither sealed nor opened. */
  readonly secretFingerprint?: string | undefined;
  /** A server: it has the keys that are in use in a cache. Undefined: a command. */
  readonly keyWatch?: KeyWatchOptions | undefined;
  /** A server: where rows of the ledger wait while the database is away. Undefined: they fail. */
  readonly spill?: Omit<SpillOptions, 'settleAll'> | undefined;
  /** Told of an upgrade of the schema. */
  readonly onUpgrade?: (upgrade: { readonly from: number; readonly to: number }) => void;
}

/**
 * Opens the database at `url`, and brings its schema up to date unless told otherwise. Throws ERR_STORE_UNAVAILABLE
 * with what to do if it cannot be used. The caller closes the store.
 */
export async function openPostgresStore(url: string, options: PostgresOptions = {}): Promise<Store> {
  const database = openDatabase(url, options);
  try {
    await prepareDatabase(database, options);
    const { keyWatch } = options;
    const watching = keyWatch && { database: openDatabase(url, { ...options, ...WATCHING }), options: keyWatch };
    return new PostgresStore(database, watching, options.spill);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function prepareDatabase(
  database: Database,
  { migrates = true, onUpgrade, secretFingerprint }: PostgresOptions,
): Promise<void> {
  if (migrates) {
    const upgrade = await migrate(database);
    if (upgrade.from !== upgrade.to) onUpgrade?.(upgrade);
  } else await requireSchema(database);
  if (secretFingerprint !== undefined) await agreeOnSecret(database, secretFingerprint);
}

class PostgresStore implements Store {
  readonly #database: Database;
  readonly #watching: Database | undefined;
  readonly #keys: PostgresKeys;
  readonly #budgets: PostgresBudgets;
  readonly #ledger: PostgresLedger;
  readonly #spill: Spill | undefined;

  constructor(database: Database, watching: KeysWatching | undefined, spill: PostgresOptions['spill']) {
    this.#database = database;
    this.#watching = watching?.database;
    this.#keys = new PostgresKeys(database, watching);
    // Whose reservations are ours: no other process, and no earlier one, has this name.
    this.#budgets = new PostgresBudgets(database, randomUUID());
    this.#ledger = new PostgresLedger(database);
    this.#spill = spill && new Spill({ ...spill, settleAll: (rows) => this.#budgets.settleAll(rows) });
  }

  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined> {
    return this.#keys.findBySha256(keySha256);
  }

  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined> {
    return this.#keys.findByAccessKeyId(accessKeyId);
  }

  hasAnyKey(): Promise<boolean> {
    return this.#keys.hasAny();
  }

  insertKey(row: NewVirtualKeyRow): Promise<void> {
    return this.#keys.insert(row);
  }

  rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void> {
    return this.#keys.rotate(id, successor, endsAtMs);
  }

  listKeys(page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]> {
    return this.#keys.list(page);
  }

  findKeys(names: KeyNames): Promise<VirtualKeyRow[]> {
    return this.#keys.find(names);
  }

  revokeKey(id: string, revokedAtMs: number): Promise<void> {
    return this.#keys.revoke(id, revokedAtMs);
  }

  updateKey(id: string, changes: KeyChanges, updatedAtMs: number): Promise<VirtualKeyRow | undefined> {
    return this.#keys.update(id, changes, updatedAtMs);
  }

  deleteKey(id: string, deletedAtMs: number): Promise<boolean> {
    return this.#keys.delete(id, deletedAtMs);
  }

  touchKey(id: string, usedAtMs: number): void {
    this.#keys.touch(id, usedAtMs);
  }

  findSpend(rows: readonly Pick<VirtualKeyRow, 'id' | 'policy'>[], nowMs: number): Promise<Map<string, KeySpend>> {
    return this.#budgets.findSpend(rows, nowMs);
  }

  reserve(reservation: NewReservation): Promise<ReserveOutcome> {
    return this.#budgets.reserve(reservation);
  }

  settle(row: LedgerRow): Promise<void> {
    return this.settleAll([row]);
  }

  settleAll(rows: readonly LedgerRow[]): Promise<void> {
    return (this.#spill ?? this.#budgets).settleAll(rows);
  }

  /** By the database's clock. */
  renewLeases(): Promise<void> {
    return this.#budgets.renewLeases();
  }

  /** By the database's clock. */
  async settleLost(nowMs: number): Promise<number> {
    await this.#ledger.makePartitions(nowMs);
    return this.#budgets.settleLost();
  }

  async readLedger(
    filter: LedgerFilter,
    page: { readonly after: number; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    await this.#budgets.untilSettled();
    return this.#ledger.read(filter, page);
  }

  async readLedgerBackwards(
    filter: LedgerFilter,
    page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<LedgerEntry[]> {
    await this.#budgets.untilSettled();
    return this.#ledger.readBackwards(filter, page);
  }

  async sumUsage(query: UsageQuery): Promise<UsageSums> {
    await this.#budgets.untilSettled();
    return this.#ledger.sumUsage(query);
  }

  /** By the database's clock, if that is behind. */
  pruneLedger(beforeMs: number, maxRows: number, nowMs?: number): Promise<number> {
    return this.#ledger.prune(beforeMs, maxRows, nowMs);
  }

  prepareReports(maxRows: number): Promise<number> {
    return this.#ledger.prepareReports(maxRows);
  }

  findSizeBytes(): Promise<number> {
    return this.#ledger.findSizeBytes();
  }

  readHealth(): StoreHealth {
    const { connections: open, idle, waiting } = this.#database.readPool();
    const { awayForMs: notTakingForMs, spilledRows = 0, refusedRows = 0 } = this.#spill?.readState() ?? {};
    const keys = this.#keys.readState();
    const awayForMs = keys?.isAway === true ? (keys.confirmedAgoMs ?? 0) : notTakingForMs;
    const areKeysUsable = keys?.isUsable !== false;
    return { shared: { awayForMs, areKeysUsable, spilledRows, refusedRows, connections: { open, idle, waiting } } };
  }

  async close(): Promise<void> {
    await this.#spill?.close();
    await this.#keys.close();
    await this.#budgets.close();
    await this.#watching?.close();
    await this.#database.close();
  }
}
