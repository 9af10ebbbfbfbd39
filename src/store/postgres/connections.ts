/**
 * How connections to a database are made: over the route that works, with the settings that what is in between lets
 * through. Whoever uses a connection tells what went wrong with it, and the next one goes another way.
 */
import { Client, type ClientConfig, type ClientBase, types } from 'pg';
import { MACHINE_TICKS } from '../../lib/clock.ts';
import { within } from '../../lib/deadline.ts';
import { findCode } from '../../lib/errno.ts';
import { findPassword, readTls } from './login.ts';
import { type DatabaseRoute, DatabaseRoutes } from './routes.ts';
import type { DatabaseAddress } from './url.ts';

const KEEP_ALIVE_DELAY_MS = 30_000;
/** bigint, and the sums of it: money, times and sequences, all below 2^53. */
const INT8 = 20;
const NUMERIC = 1700;
/** Nobody's functions and operators in other schemas count as PostgreSQL's; ours are always named with their schema. */
const OWN_FUNCTIONS_ONLY = '-c search_path=pg_catalog';
/** SQLSTATE of a standby that is asked to write. */
const READ_ONLY = '25006';
/** What poolers say of settings that they do not pass on. */
const SETTINGS_REFUSED = /startup parameter|command-line option/i;

/** The driver ends the connection if there is no response by then; its types do not say so. */
export interface TimedQuery {
  readonly text: string;
  readonly values: unknown[];
  readonly query_timeout: number;
}

/** How long a connection waits. */
export interface ConnectionTimeouts {
  /** How long all servers together may take to accept one. */
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/** Makes connections to one database. */
export class ConnectionMaker {
  /** As the pool of the driver makes them: each goes over the route that is taken at that moment. */
  readonly Client: new () => Client;
  readonly #address: DatabaseAddress;
  readonly #timeouts: ConnectionTimeouts;
  readonly #routes: DatabaseRoutes;
  readonly #routeOf = new WeakMap<ClientBase, DatabaseRoute>();
  /** Settings go with the first message. A pooler may refuse them. */
  #sendsSettings = true;

  /** Throws ERR_BAD_OPTION if a certificate cannot be read. */
  constructor(address: DatabaseAddress, timeouts: ConnectionTimeouts) {
    this.#address = address;
    this.#timeouts = timeouts;
    this.#routes = new DatabaseRoutes(address.hosts, address.sslMode, readTls(address));
    this.Client = this.#makeClientClass();
  }

  /**
   * Calls `connect` until it succeeds over one of the routes, or the time is over; `discard` gets what comes too late.
   * Throws what it throws over the last one.
   */
  async overRoutes<T extends object>(connect: () => Promise<T>, discard: (late: T) => unknown): Promise<T> {
    const endsAtMs = MACHINE_TICKS() + this.#timeouts.connectTimeoutMs;
    // The first attempt has an end of its own, which is the same.
    let connecting = connect();
    let made: Promise<T | undefined> = connecting;
    for (let attempt = 1; ; attempt += 1) {
      const route = this.#routes.current;
      const sentSettings = this.#sendsSettings;
      try {
        const connection = await made;
        if (connection !== undefined) return connection;
        connecting.then(discard, () => {});
        throw new Error('timeout exceeded when trying to connect');
      } catch (error) {
        const isRefused = error instanceof Error && SETTINGS_REFUSED.test(error.message);
        if (isRefused) this.#sendsSettings = false;
        const isWorthAnother = isRefused ? sentSettings : this.#routes.fail(route, error);
        if (!isWorthAnother || attempt > this.#routes.size || MACHINE_TICKS() >= endsAtMs) throw error;
      }
      connecting = connect();
      made = within(endsAtMs - MACHINE_TICKS(), connecting);
    }
  }

  /** A connection outside of the pool. */
  connect(): Promise<Client> {
    return this.overRoutes(async () => {
      const client = new this.Client();
      try {
        await client.connect();
        await this.requireWritable(client);
        return client;
      } catch (error) {
        discardClient(client);
        throw error;
      }
    }, discardClient);
  }

  /** Throws 25006 if it is one of several servers, and cannot be written to. */
  async requireWritable(client: Pick<ClientBase, 'query'>): Promise<void> {
    if (!this.#address.requireWritable) return;
    const query: TimedQuery = {
      text: 'SHOW transaction_read_only',
      values: [],
      query_timeout: this.#timeouts.connectTimeoutMs,
    };
    const { rows } = await client.query<{ transaction_read_only: string }>(query);
    if (rows[0]?.transaction_read_only === 'on') throw new ReadOnlyError();
  }

  /** A statement failed: if its server became a standby, and there are others, the next connection asks them. */
  hasBecomeStandby(client: ClientBase, error: unknown): boolean {
    if (findCode(error) !== READ_ONLY || this.#address.hosts.length === 1) return false;
    const route = this.#routeOf.get(client);
    if (route !== undefined) this.#routes.fail(route, error);
    return true;
  }

  #makeClientClass(): new () => Client {
    const routes = this.#routes;
    const routeOf = this.#routeOf;
    const settings = (route: DatabaseRoute): ClientConfig => this.#settings(route);
    return class extends Client {
      constructor() {
        const route = routes.current;
        super(settings(route));
        routeOf.set(this, route);
        // Whoever uses a connection sees its errors; between two uses nobody does.
        this.on('error', () => {});
      }
    };
  }

  #settings({ host, port, ssl }: DatabaseRoute): ClientConfig {
    const address = this.#address;
    const { connectTimeoutMs, statementTimeoutMs } = this.#timeouts;
    const settings: ClientConfig & { readonly enableChannelBinding: boolean } = {
      host,
      port,
      ssl,
      user: address.user,
      database: address.database,
      password: () => findPassword(address, { host, port }),
      application_name: address.applicationName,
      connectionTimeoutMillis: connectTimeoutMs / address.hosts.length,
      enableChannelBinding: ssl !== false && address.bindsChannel,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      types: { getTypeParser: parserOf },
    };
    if (!this.#sendsSettings) return settings;
    const options = [OWN_FUNCTIONS_ONLY, address.serverOptions].join(' ').trimEnd();
    return { ...settings, statement_timeout: statementTimeoutMs, options };
  }
}

/** What a server says that can only be read. */
class ReadOnlyError extends Error {
  readonly code = READ_ONLY;

  constructor() {
    super('cannot be written to');
  }
}

function discardClient(client: Client): void {
  client.end().catch(() => {});
}

function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === INT8 || oid === NUMERIC) return Number;
  return types.getTypeParser(oid, format) as (value: string) => unknown;
}
