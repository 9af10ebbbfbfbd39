/**
 * Finds the virtual key that `env`, `exec` and `credential-process` hand to a client, and opens its seal. Reads the
 * database only; never touches the master key.
 */
import type { DatabaseLocation } from '../../config/database-location.ts';
import { findKeyEnd, findKeyState } from '../../keys/state.ts';
import { unsealKey } from '../../keys/secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { Store } from '../../domain/store.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import { isExecKey } from '../../keys/exec-key.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { requireRow, showName, requireKey } from './find-row.ts';
import { withExistingStore } from '../../app/open-store.ts';

/** What a client shows: the pair, whose secret is the key itself. */
export interface ClientKey {
  /** Undefined for the placeholder of open mode. */
  readonly id: string | undefined;
  readonly alias: string | undefined;
  readonly accessKeyId: string;
  readonly key: string;
  /** When it ends, as far as that is known now: it expires, or was rotated. Undefined: it has no end. */
  readonly endsAtMs?: number | undefined;
}

/** Where keys are kept, and what opens them. */
export interface KeyLocation {
  readonly database: DatabaseLocation;
  readonly saltKey: string | undefined;
  readonly masterKey: string | undefined;
}

/** In open mode the proxy looks at no key, but clients want one. */
const OPEN_MODE_KEY: ClientKey = { id: undefined, alias: undefined, accessKeyId: 'anything', key: 'anything' };

/**
 * The key of that id, alias or access key id; without a name the only active one; where no key was ever made and there
 * is no master key, the placeholder. Throws ERR_BAD_REQUEST where that leaves none or several, ERR_SECRET_MISSING where
 * the seal cannot be opened, ERR_STORE_UNAVAILABLE.
 */
export async function findClientKey(name: string | undefined, place: KeyLocation): Promise<ClientKey> {
  if (name !== undefined) {
    const row = await withExistingStore(place.database, (store) => requireUsableKey(store, name));
    return openKey(row ?? requireRow([], name), place);
  }
  const { rows, isClosed } = (await withExistingStore(place.database, async (store) => ({
    rows: await store.listKeys(),
    isClosed: await store.hasAnyKey(),
  }))) ?? { rows: [], isClosed: false };
  return !isClosed && place.masterKey === undefined ? OPEN_MODE_KEY : openKey(theOnlyKey(rows), place);
}

/** The row of a key that counts now; one that is ending only where no other has that name. Throws ERR_BAD_REQUEST. */
export async function requireUsableKey(store: Store, name: string): Promise<VirtualKeyRow> {
  const row = await requireKey(store, name);
  const state = findKeyState(row, Date.now());
  switch (state) {
    case 'active':
    case 'ending':
      return row;
    case 'revoked':
      throw unusable(name, 'was revoked', 'See `bedrock-proxy key list` for ids and aliases.');
    case 'expired':
      throw unusable(name, 'has expired', `\`bedrock-proxy key update ${row.id} --expires 30d\` gives it more time.`);
    case 'blocked':
      throw unusable(name, 'is blocked', `\`bedrock-proxy key unblock ${row.id}\` lets it in again.`);
  }
}

function unusable(name: string, why: string, hint: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The key ${showName(name)} ${why}.`, { hint });
}

/** The plain key of a row. Throws ERR_SECRET_MISSING. */
export function openKey(row: VirtualKeyRow, { database, saltKey }: KeyLocation): ClientKey {
  const key = unsealKey(row.sealedKey, row.id, findServerSecret(database, saltKey));
  const { id, alias, accessKeyId } = row;
  if (key !== undefined) return { id, alias, accessKeyId, key, endsAtMs: findKeyEnd(row) };
  throw new ProxyError('ERR_SECRET_MISSING', `The key ${alias ?? id} was sealed under another server secret.`, {
    hint:
      database.kind === 'postgres'
        ? 'Set BEDROCK_PROXY_SALT_KEY to what the other proxies of this database have.'
        : 'Restore BEDROCK_PROXY_SALT_KEY or the .secret file beside the database, or make a new key.',
  });
}

function isActive(row: VirtualKeyRow): boolean {
  return findKeyState(row, Date.now()) === 'active';
}

function theOnlyKey(rows: readonly VirtualKeyRow[]): VirtualKeyRow {
  const active = rows.filter((row) => isActive(row) && !isExecKey(row));
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
