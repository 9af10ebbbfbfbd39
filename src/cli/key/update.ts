/**
 * `key update`, `block`, `unblock`, `revoke` and `delete`: what becomes of a key that is there. A running proxy obeys
 * with its next request.
 */
import { findKeyState } from '../../keys/state.ts';
import { maskKey } from '../../keys/secret.ts';
import { readDatabasePath } from '../../config/config.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { KeyNameInput, LimitInput } from './input.ts';
import type { KeyChanges, VirtualKeyRow } from '../../domain/key.ts';
import type { KeyStore } from '../../domain/store.ts';
import { withKey } from './find-row.ts';
import { tellNarrowPatterns } from './generate.ts';
import { readKeyChanges } from './options.ts';
import { describeLimits, keyToJson } from './row.ts';
import { formatFields, printData, printJson, printTalk } from '../../app/print.ts';

interface UpdateInput extends KeyNameInput, LimitInput {
  readonly noAllowUnpriced: boolean;
}

/** Changes what flags name and prints what the key may do now. */
export async function runUpdate(input: UpdateInput): Promise<void> {
  const nowMs = Date.now();
  const allowUnpriced = input.noAllowUnpriced ? false : input.allowUnpriced || undefined;
  const row = await withKey(readDatabasePath(input, process.env), input.key, async (found, store) => {
    const changes = readKeyChanges(found, { ...input, allowUnpriced }, nowMs);
    requireUnrevoked(found, nowMs);
    return change(store, found, changes, nowMs);
  });
  if (input.json) return printJson(keyToJson(row, undefined, nowMs));
  printTalk(`Updated ${nameOf(row)}.`);
  const terms = describeLimits(row);
  if (terms.length > 0) printData(formatFields(terms));
  if (input.models !== undefined) tellNarrowPatterns(row.policy);
}

/** `key block`. Throws ERR_BAD_REQUEST if there is no such key, and ERR_STORE_UNAVAILABLE. */
export async function blockKey(input: KeyNameInput): Promise<void> {
  await setBlocked(input, true);
}

/** `key unblock`. Throws as `blockKey`. */
export async function unblockKey(input: KeyNameInput): Promise<void> {
  await setBlocked(input, false);
}

async function setBlocked(input: KeyNameInput, isBlocked: boolean): Promise<void> {
  const nowMs = Date.now();
  const { row, wasSo } = await withKey(readDatabasePath(input, process.env), input.key, async (found, store) => {
    requireUnrevoked(found, nowMs);
    if ((found.blockedAtMs !== undefined) === isBlocked) return { row: found, wasSo: true };
    const changed = await change(store, found, { blockedAtMs: isBlocked ? nowMs : undefined }, nowMs);
    return { row: changed, wasSo: false };
  });
  if (input.json) return printJson(keyToJson(row, undefined, nowMs));
  const shown = nameOf(row);
  if (wasSo) return printTalk(`${shown} ${isBlocked ? 'was blocked already' : 'was not blocked'}.`);
  if (!isBlocked) return printTalk(`Unblocked ${shown}.`);
  printTalk(`Blocked ${shown}; \`bedrock-proxy key unblock ${row.alias ?? row.id}\` takes it back.`);
}

/** `key revoke`. Throws as `blockKey`. */
export async function revokeKey(input: KeyNameInput): Promise<void> {
  const nowMs = Date.now();
  const { row, wasSo } = await withKey(readDatabasePath(input, process.env), input.key, async (found, store) => {
    if (findKeyState(found, nowMs) === 'revoked') return { row: found, wasSo: true };
    await store.revokeKey(found.id, nowMs);
    return { row: { ...found, revokedAtMs: nowMs }, wasSo: false };
  });
  if (input.json) return printJson({ ...keyToJson(row, undefined, nowMs), already_revoked: wasSo });
  printTalk(wasSo ? `${nameOf(row)} was revoked already.` : `Revoked ${nameOf(row)}.`);
}

/** `key delete`. Throws as `blockKey`. */
export async function deleteKey(input: KeyNameInput): Promise<void> {
  const nowMs = Date.now();
  const row = await withKey(readDatabasePath(input, process.env), input.key, async (found, store) => {
    if (!(await store.deleteKey(found.id, nowMs))) throw vanished(found);
    return found;
  });
  if (input.json) return printJson({ id: row.id, alias: row.alias ?? null, deleted: true });
  printTalk(`Deleted ${nameOf(row)} for good; what it did stays in the ledger.`);
}

async function change(store: KeyStore, row: VirtualKeyRow, changes: KeyChanges, nowMs: number): Promise<VirtualKeyRow> {
  const changed = await store.updateKey(row.id, changes, nowMs);
  if (changed === undefined) throw vanished(row);
  return changed;
}

/** What was revoked never works again, so that a change of it would only look like one. */
function requireUnrevoked(row: VirtualKeyRow, nowMs: number): void {
  if (findKeyState(row, nowMs) !== 'revoked') return;
  throw new ProxyError('ERR_BAD_REQUEST', `${nameOf(row)} was revoked: it stays as it is.`, {
    hint: 'Make a new key: `bedrock-proxy key generate`.',
  });
}

/** Somebody else was quicker. */
function vanished(row: VirtualKeyRow): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `${nameOf(row)} was deleted in the meantime.`);
}

function nameOf(row: VirtualKeyRow): string {
  return `${row.id} (${row.alias ?? maskKey(row.lastFour)})`;
}
