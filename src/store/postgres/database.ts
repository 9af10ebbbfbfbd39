/**
 * The connections to a PostgreSQL database: a bounded pool, errors in words with what to do, and a connection apart for
 * notifications. One statement is one round trip. What had surely no effect, for a reason of that moment, is asked once
 * more; of several servers, the one that can be written to is found again if another takes its place.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool, type PoolClient } from 'pg';
import { ProxyError } from '../../lib/errors.ts';
import { ConnectionMaker, type TimedQuery } from './connections.ts';
import { listenAgain, type NotificationListener } from './listener.ts';
import { isBroken, isMomentary, isOfStatement, isUnprepared, toPostgresTrouble } from './trouble.ts';
import { type DatabaseAddress, parseDatabaseUrl } from './url.ts';

/** So many connections a process has at most, besides the one for notifications. */
const MAX_CONNECTIONS = 10;
/** How long a connection is waited for, a new one or one of the pool. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;
/** The database ends a statement that takes too long; if it says nothing for so much longer, the connection is dead. */
const SILENCE_MS = 1_000;
const IDLE_TIMEOUT_MS = 60_000;
/** After so long a connection is made anew: a load balancer in between may have another server by then. */
const MAX_LIFETIME_SECONDS = 1_800;
/** So often a statement is asked in all if it had no effect, for a reason of that moment. */
const MAX_ATTEMPTS = 3;
/** How long closing waits for connections to say goodbye. */
const GOODBYE_MS = 2_000;
/** A statement of ours; prepared once per connection under its name. */
export interface SqlStatement {
  readonly name: string;
  readonly text: string;
}

/** What a statement can be given. */
export type SqlParameter = string | number | boolean | Buffer | null | readonly (string | number)[];

/** One connection, in a transaction. */
export interface Transaction {
  run<Row extends object>(text: string, values?: readonly SqlParameter[]): Promise<Row[]>;
}

/** How a database is opened. */
export interface DatabaseOptions {
  readonly maxConnections?: number | undefined;
  readonly statementTimeoutMs?: number | undefined;
}

/** How the pool is used: for whoever watches the proxy. */
export interface PoolState {
  readonly connections: number;
  readonly idle: number;
  readonly waiting: number;
}

/** A database. Every method throws ERR_STORE_UNAVAILABLE if it cannot respond. */
export interface Database {
  /** The address without the password. */
  readonly shownUrl: string;
  /** How far its clock is ahead of ours, in milliseconds; 0 below half a second. Whoever asks for its time sets it. */
  clockOffsetMs: number;
  query<Row extends object>(statement: SqlStatement, values?: readonly SqlParameter[]): Promise<Row[]>;
  /**
   * For migrations and maintenance: begins, commits, rolls back if `work` throws. Its statements may take `timeoutMs`
   * instead of what others may; 0: as long as they want.
   */
  transaction<T>(work: (transaction: Transaction) => Promise<T>, options?: { readonly timeoutMs: number }): Promise<T>;
  /** Listens to a channel on a connection of its own, again and again. Returns what ends it. */
  listen(channel: string, listener: NotificationListener): () => void;
  readPool(): PoolState;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** Opens the database at `url`; connects with the first statement. Throws ERR_BAD_OPTION if the URL names none. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  return new PostgresDatabase(parseDatabaseUrl(url), options);
}

class PostgresDatabase implements Database {
  readonly shownUrl: string;
  clockOffsetMs = 0;
  readonly #maker: ConnectionMaker;
  readonly #statementTimeoutMs: number;
  readonly #pool: Pool;
  readonly #listeners = new Set<() => void>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #names = new WeakMap<SqlStatement, string>();
  /** Statements have names. A pooler that gives each transaction another connection may know none of them. */
  #prepares: boolean;

  constructor(address: DatabaseAddress, { maxConnections, statementTimeoutMs }: DatabaseOptions) {
    this.shownUrl = address.shownUrl;
    this.#prepares = address.prepares;
    this.#statementTimeoutMs = statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
    const connectTimeoutMs = address.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    this.#maker = new ConnectionMaker(address, { connectTimeoutMs, statementTimeoutMs: this.#statementTimeoutMs });
    this.#pool = new Pool({
      max: maxConnections ?? MAX_CONNECTIONS,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
      allowExitOnIdle: true,
      Client: this.#maker.Client,
      onConnect: (client) => this.#maker.requireWritable(client),
    });
    // An idle connection that breaks is replaced with the next statement.
    this.#pool.on('error', () => {});
  }

  query<Row extends object>(statement: SqlStatement, values: readonly SqlParameter[] = []): Promise<Row[]> {
    return this.#track(this.#query<Row>(statement, [...values]));
  }

  transaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    { timeoutMs }: { readonly timeoutMs: number } = { timeoutMs: this.#statementTimeoutMs },
  ): Promise<T> {
    return this.#track(this.#transaction(work, timeoutMs));
  }

  listen(channel: string, listener: NotificationListener): () => void {
    const stop = listenAgain(channel, listener, () => this.#maker.connect());
    this.#listeners.add(stop);
    return () => {
      this.#listeners.delete(stop);
      stop();
    };
  }

  readPool(): PoolState {
    const { totalCount: connections, idleCount: idle, waitingCount: waiting } = this.#pool;
    return { connections, idle, waiting };
  }

  async close(): Promise<void> {
    for (const stop of this.#listeners) stop();
    this.#listeners.clear();
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    if (!this.#pool.ending) await Promise.race([this.#pool.end(), delay(GOODBYE_MS, undefined, { ref: false })]);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    const forget = (): void => void this.#underWay.delete(work);
    work.then(forget, forget);
    return work;
  }

  async #query<Row extends object>(statement: SqlStatement, values: SqlParameter[]): Promise<Row[]> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#connect();
      try {
        // A plan that is too old for the tables is not asked for twice.
        const rows = await this.#queryOn<Row>(client, statement, values, this.#prepares && attempt === 1);
        client.release();
        return rows;
      } catch (error) {
        const isWorthAnother = isMomentary(error) || this.#maker.hasBecomeStandby(client, error);
        client.release(!isOfStatement(error));
        if (isUnprepared(error)) this.#prepares = false;
        if (attempt === MAX_ATTEMPTS || !isWorthAnother) throw toPostgresTrouble(this.shownUrl, error);
      }
    }
  }

  async #queryOn<Row extends object>(
    client: PoolClient,
    statement: SqlStatement,
    values: SqlParameter[],
    isNamed: boolean,
  ): Promise<Row[]> {
    const query: TimedQuery = { text: statement.text, values, query_timeout: this.#statementTimeoutMs + SILENCE_MS };
    return (await client.query<Row>(isNamed ? { ...query, name: this.#nameOf(statement) } : query)).rows;
  }

  async #transaction<T>(work: (transaction: Transaction) => Promise<T>, timeoutMs: number): Promise<T> {
    const client = await this.#begin(timeoutMs);
    const run = async <Row extends object>(text: string, values: readonly SqlParameter[] = []): Promise<Row[]> => {
      const query: TimedQuery = { text, values: [...values], query_timeout: timeoutMs && timeoutMs + SILENCE_MS };
      return (await client.query<Row>(query)).rows;
    };
    try {
      const result = await work({ run });
      await run('COMMIT');
      client.release();
      return result;
    } catch (error) {
      this.#maker.hasBecomeStandby(client, error);
      const isUsable = isOfStatement(error) || error instanceof ProxyError;
      client.release(!(isUsable && (await succeeds(run('ROLLBACK')))));
      throw toPostgresTrouble(this.shownUrl, error);
    }
  }

  /** A connection on which a transaction has begun. */
  async #begin(timeoutMs: number): Promise<PoolClient> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#connect();
      try {
        await client.query(`BEGIN; SET LOCAL statement_timeout = ${timeoutMs}`);
        return client;
      } catch (error) {
        client.release(true);
        if (attempt === MAX_ATTEMPTS || !isBroken(error)) throw toPostgresTrouble(this.shownUrl, error);
      }
    }
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#maker.overRoutes(
        () => this.#pool.connect(),
        (client) => client.release(),
      );
    } catch (error) {
      throw toPostgresTrouble(this.shownUrl, error);
    }
  }

  #nameOf(statement: SqlStatement): string {
    const name = this.#names.get(statement) ?? nameOf(statement);
    this.#names.set(statement, name);
    return name;
  }
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/**
 * With a digest of its text: behind a pooler, proxies of several versions share connections, and one name must never
 * stand for two texts.
 */
function nameOf({ name, text }: SqlStatement): string {
  return `${name}_${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}
