/**
 * Finds the virtual key that `env`, `exec` and `credential-process` hand to a client, and opens its seal. Reads the database
 * only; never touches the master key.
 */
import { existsSync } from 'node:fs';
import { findKeyState } from '../auth/key-state.ts';
import { hashKey, looksLikeKey, maskKey, unsealKey } from '../auth/virtual-key.ts';
import { ProxyError } from '../errors.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { VirtualKeyRow } from '../store/store.ts';
import { isExecAlias } from './exec-key.ts';
import { findServerSecret } from './key.ts';

/** What a client shows: the pair, whose secret is the key itself. */
export interface ClientKey {
  /** Undefined for the placeholder of open mode. */
  readonly id: string | undefined;
  readonly alias: string | undefined;
  readonly accessKeyId: string;
  readonly key: string;
}

export interface KeyPlace {
  readonly databasePath: string;
  readonly saltKey: string | undefined;
  readonly masterKey: string | undefined;
}

/** In open mode the proxy looks at no key, but clients want one. */
const OPEN_MODE_KEY: ClientKey = { id: undefined, alias: undefined, accessKeyId: 'anything', key: 'anything' };

/**
 * The key of that id, alias or access key id; without a name the only active one; where no key was ever made and there is no
 * master key, the placeholder. Throws ERR_BAD_REQUEST where that leaves none or several, ERR_SECRET_MISSING where the seal
 * cannot be opened, ERR_STORE_UNAVAILABLE.
 */
export async function findClientKey(name: string | undefined, place: KeyPlace): Promise<ClientKey> {
  const rows = await listRows(place.databasePath);
  if (name === undefined && rows.length === 0 && place.masterKey === undefined) return OPEN_MODE_KEY;
  return openKey(name === undefined ? theOnlyKey(rows) : keyByName(rows, name), place);
}

/** The row of a key that is not revoked; one that is ending only where no other has that name. Throws ERR_BAD_REQUEST. */
export function keyByName(rows: readonly VirtualKeyRow[], name: string): VirtualKeyRow {
  const sha256 = looksLikeKey(name) ? hashKey(name) : undefined;
  const found = rows.filter(
    (row) => row.id === name || row.alias === name || row.accessKeyId === name || row.keySha256 === sha256,
  );
  const active = found.find(isActive) ?? found.find((row) => findKeyState(row, Date.now()) === 'ending');
  if (active !== undefined) return active;
  const shown = looksLikeKey(name) ? maskKey(name.slice(-4)) : JSON.stringify(name.slice(0, 100));
  const hint = 'See `bedrock-proxy key list` for ids and aliases.';
  if (found.length > 0) throw new ProxyError('ERR_BAD_REQUEST', `The key ${shown} was revoked.`, { hint });
  throw new ProxyError('ERR_BAD_REQUEST', `There is no key ${shown} in this database.`, { hint });
}

/** The plain key of a row. Throws ERR_SECRET_MISSING. */
export function openKey(row: VirtualKeyRow, { databasePath, saltKey }: KeyPlace): ClientKey {
  const key = unsealKey(row.sealedKey, row.id, findServerSecret(databasePath, saltKey));
  const { id, alias, accessKeyId } = row;
  if (key !== undefined) return { id, alias, accessKeyId, key };
  throw new ProxyError('ERR_SECRET_MISSING', `The key ${alias ?? id} was sealed under another server secret.`, {
    hint: 'Restore BEDROCK_PROXY_SALT_KEY or the .secret file beside the database, or make a new key.',
  });
}

function isActive(row: VirtualKeyRow): boolean {
  return findKeyState(row, Date.now()) === 'active';
}

/** Without opening a seal and without creating a database that is not there. */
async function listRows(databasePath: string): Promise<VirtualKeyRow[]> {
  if (!existsSync(databasePath)) return [];
  const store = await openSqliteStore(databasePath);
  try {
    return await store.listKeys();
  } finally {
    await store.close();
  }
}

function theOnlyKey(rows: readonly VirtualKeyRow[]): VirtualKeyRow {
  const active = rows.filter((row) => isActive(row) && !isExecAlias(row.alias));
  const [first, ...others] = active;
  if (first === undefined) {
    throw new ProxyError('ERR_BAD_REQUEST', 'There is no active key.', {
      hint: 'Make one: `bedrock-proxy key generate --alias NAME`.',
    });
  }
  if (others.length === 0) return first;
  const names = active.map((row) => row.alias ?? row.id).join(', ');
  throw new ProxyError('ERR_BAD_REQUEST', `There are ${active.length} active keys.`, {
    hint: `Name one with --key: ${names}.`,
  });
}
