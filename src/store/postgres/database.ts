/**
 * The connections to a PostgreSQL database: a bounded pool, errors in words with what to do, and a connection apart for
 * notifications. One statement is one round trip; what was surely not carried out is asked once more.
 */
import { Client, type ClientConfig, Pool, types } from 'pg';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import { toPostgresTrouble } from './trouble.ts';

/** So many connections a process has at most, besides the one for notifications. */
const MAX_CONNECTIONS = 10;
/** How long a connection is waited for, a new one or one of the pool. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 10_000;
/** bigint: money, times and sequences, all below 2^53. */
const INT8 = 20;

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

/** What a listener is told. */
export interface NotificationListener {
  /** Each notification of the channel. */
  readonly onNotification: (payload: string) => void;
  /** It listens, now or again: what was told before is lost. */
  readonly onListening: () => void;
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
  /** For migrations and maintenance: begins, commits, rolls back if `work` throws. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Listens to a channel on a connection of its own, again and again. Returns what ends it. */
  listen(channel: string, listener: NotificationListener): () => void;
  readPool(): PoolState;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

/** Opens the database at `url`; connects with the first statement. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  return new PostgresDatabase(url, options);
}

class PostgresDatabase implements Database {
  readonly shownUrl: string;
  clockOffsetMs = 0;
  readonly #settings: ClientConfig;
  readonly #pool: Pool;
  readonly #listeners = new Set<() => void>();

  constructor(url: string, { maxConnections = MAX_CONNECTIONS, statementTimeoutMs }: DatabaseOptions) {
    this.shownUrl = hidePassword(url);
    this.#settings = {
      connectionString: url,
      application_name: 'bedrock-proxy',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
      keepAlive: true,
      types: { getTypeParser: parserOf },
    };
    this.#pool = new Pool({ ...this.#settings, max: maxConnections, allowExitOnIdle: true });
    // An idle connection that breaks is replaced with the next statement.
    this.#pool.on('error', () => {});
  }

  async query<Row extends object>(statement: SqlStatement, values: readonly SqlParameter[] = []): Promise<Row[]> {
    try {
      return await this.#queryOnce<Row>(statement, values);
    } catch (error) {
      if (!wasNotCarriedOut(error)) throw toPostgresTrouble(this.shownUrl, error);
    }
    try {
      return await this.#queryOnce<Row>(statement, values);
    } catch (error) {
      throw toPostgresTrouble(this.shownUrl, error);
    }
  }

  async transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw toPostgresTrouble(this.shownUrl, error);
    });
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work({
        run: async <Row extends object>(text: string, values: readonly SqlParameter[] = []) =>
          (await client.query<Row>(text, [...values])).rows,
      });
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((reason: Error) => (broken = reason));
      throw error instanceof ProxyError ? error : toPostgresTrouble(this.shownUrl, error);
    } finally {
      client.release(broken);
    }
  }

  listen(channel: string, listener: NotificationListener): () => void {
    let client: Client | undefined;
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const again = (): void => {
      client?.removeAllListeners();
      client?.on('error', () => {});
      void client?.end().catch(() => {});
      client = undefined;
      if (!isOver) timer ??= setTimeout(begin, 1_000).unref();
    };
    const begin = (): void => {
      timer = undefined;
      const opened = new Client(this.#settings);
      client = opened;
      opened.on('error', again);
      opened.on('end', again);
      opened.on('notification', ({ payload = '' }) => listener.onNotification(payload));
      opened
        .connect()
        .then(() => opened.query(`LISTEN ${channel}`))
        .then(() => listener.onListening())
        .catch(again);
    };
    const stop = (): void => {
      isOver = true;
      clearTimeout(timer);
      this.#listeners.delete(stop);
      again();
    };
    this.#listeners.add(stop);
    begin();
    return stop;
  }

  readPool(): PoolState {
    const { totalCount: connections, idleCount: idle, waitingCount: waiting } = this.#pool;
    return { connections, idle, waiting };
  }

  async close(): Promise<void> {
    for (const stop of this.#listeners) stop();
    await this.#pool.end();
  }

  async #queryOnce<Row extends object>({ name, text }: SqlStatement, values: readonly SqlParameter[]): Promise<Row[]> {
    return (await this.#pool.query<Row>({ name, text, values: [...values] })).rows;
  }
}

function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === INT8) return Number;
  return types.getTypeParser(oid, format) as (value: string) => unknown;
}

/** Nothing of it reached the database, or it said that it takes nothing now. */
function wasNotCarriedOut(error: unknown): boolean {
  return /^(ECONNREFUSED|57P0[123]|40001|40P01)$/.test(findCode(error) ?? '');
}

/** The address as it may be shown. */
export function hidePassword(url: string): string {
  try {
    const parsed = new URL(url);
    if (parsed.password !== '') parsed.password = '***';
    if (parsed.searchParams.has('password')) parsed.searchParams.set('password', '***');
    return parsed.toString();
  } catch {
    return 'postgres://…';
  }
}
