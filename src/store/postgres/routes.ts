/**
 * The ways to a database: its servers, each with TLS or without as `sslmode` allows. One is taken until it fails; then
 * the next. Connects to nothing.
 */
import type { ConnectionOptions } from 'node:tls';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { DatabaseHost, SslMode } from './url.ts';

/** One way to a database. */
export interface DatabaseRoute extends DatabaseHost {
  readonly ssl: false | ConnectionOptions;
}

/** With TLS and without, in the order in which they are tried. */
const ATTEMPTS: Readonly<Record<SslMode, readonly ('tls' | 'plain')[]>> = {
  disable: ['plain'],
  allow: ['plain', 'tls'],
  prefer: ['tls', 'plain'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
};

/** What a server says that wants TLS, or has none: 28000 is "no entry in pg_hba.conf for a connection without it". */
const IS_OF_TLS = /^(28000|EPROTO|CERT_|ERR_SSL|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)|SSL connection/;
/** What is the same on all routes: a wrong password, no such database; a server or a pool that has no room. */
const IS_EVERYWHERE = /^(28P01|3D000|53300|timeout exceeded when trying to connect)$/;

/** The servers of a database, and the one that is taken. */
export class DatabaseRoutes {
  readonly #servers: readonly (readonly DatabaseRoute[])[];
  #server = 0;
  #attempt = 0;

  /** `tls`: how it is used where it is. */
  constructor(hosts: readonly DatabaseHost[], sslMode: SslMode, tls: ConnectionOptions) {
    this.#servers = hosts.map(({ host, port }) => {
      if (host.startsWith('/')) return [{ host, port, ssl: false }];
      return ATTEMPTS[sslMode].map((attempt) => ({ host, port, ssl: attempt === 'tls' && tls }));
    });
  }

  /** The number of ways in all. */
  get size(): number {
    return this.#servers.flat().length;
  }

  get current(): DatabaseRoute {
    const route = this.#servers[this.#server]?.[this.#attempt];
    if (route === undefined) throw new Error('a database without a server');
    return route;
  }

  /**
   * Takes another way if the one that failed is still the one that is taken, and its error may be another one there. A
   * server that comes back is asked for TLS as at first. Returns whether there is another one to try.
   */
  fail(route: DatabaseRoute, error: unknown): boolean {
    const signs = [findCode(error) ?? '', error instanceof Error ? error.message : ''];
    if (error instanceof ProxyError || signs.some((sign) => IS_EVERYWHERE.test(sign))) return false;
    if (route !== this.current) return true;
    const attempts = this.#servers[this.#server]?.length ?? 1;
    if (signs.some((sign) => IS_OF_TLS.test(sign)) && this.#attempt + 1 < attempts) {
      this.#attempt += 1;
    } else {
      this.#server = (this.#server + 1) % this.#servers.length;
      this.#attempt = 0;
    }
    return route !== this.current;
  }
}
