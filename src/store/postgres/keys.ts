/** The virtual keys in PostgreSQL, and the cache of those that are in use. */
import type { KeyChanges, KeyNames, NewVirtualKeyRow, VirtualKeyRow } from '../../domain/key.ts';
import type { Database } from './database.ts';

/** Keys: each method is one of `KeyStore`. */
export class PostgresKeys {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  findBySha256(_keySha256: string): Promise<VirtualKeyRow | undefined> {
    return this.#todo();
  }

  findByAccessKeyId(_accessKeyId: string): Promise<VirtualKeyRow | undefined> {
    return this.#todo();
  }

  hasAny(): Promise<boolean> {
    return this.#todo();
  }

  insert(_row: NewVirtualKeyRow): Promise<void> {
    return this.#todo();
  }

  rotate(_id: string, _successor: NewVirtualKeyRow, _endsAtMs: number | undefined): Promise<void> {
    return this.#todo();
  }

  list(_page?: { readonly after: string | undefined; readonly limit: number }): Promise<VirtualKeyRow[]> {
    return this.#todo();
  }

  find(_names: KeyNames): Promise<VirtualKeyRow[]> {
    return this.#todo();
  }

  revoke(_id: string, _revokedAtMs: number): Promise<void> {
    return this.#todo();
  }

  update(_id: string, _changes: KeyChanges, _updatedAtMs: number): Promise<VirtualKeyRow | undefined> {
    return this.#todo();
  }

  delete(_id: string, _deletedAtMs: number): Promise<boolean> {
    return this.#todo();
  }

  touch(_id: string, _usedAtMs: number): void {}

  async close(): Promise<void> {}

  #todo(): Promise<never> {
    return Promise.reject(new Error(`keys: to be done in ${this.#database.shownUrl}`));
  }
}
