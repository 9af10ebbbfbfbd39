/**
 * `key update`, `block`, `unblock`, `revoke` and `delete`: what becomes of a key that is there. An alias means every
 * key that works under it. A running proxy obeys with its next request.
 */
import { findKeyState } from '../../keys/state.ts';
import { readDatabaseLocation } from '../../config/database-location.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { KeyEndInput, KeyNameInput, LimitInput } from './input.ts';
import type { KeyChanges, VirtualKeyRow } from '../../domain/key.ts';
import type { KeyStore, Store } from '../../domain/store.ts';
import { requireYes } from '../confirm.ts';
import { type KeyRows, type KeysOutcome, withKeys } from './find-row.ts';
import { alsoToJson, nameOf, namesOf, tellOthers } from './outcome.ts';
import { tellNarrowPatterns } from './generate.ts';
import { readKeyChanges } from './options.ts';
import { tellUnknownPatterns } from './unknown-patterns.ts';
import { describeLimits, keyToJson } from './row.ts';
import { formatFields, printData, printJson, printTalk } from '../../app/print.ts';

interface UpdateInput extends KeyNameInput, LimitInput {
  readonly noAllowUnpriced: boolean;
}

/** Changes what flags name, of every key of an alias, and prints what the key may do now. */
export async function runUpdate(input: UpdateInput): Promise<void> {
  const nowMs = Date.now();
  const allowUnpriced = input.noAllowUnpriced ? false : input.allowUnpriced || undefined;
  const outcome = await onKeys(input, undefined, async (key, store) => {
    const changes = readKeyChanges(key, { ...input, allowUnpriced }, nowMs);
    requireUnrevoked(key, nowMs);
    return change(store, key, changes, nowMs);
  });
  const [row] = outcome.rows;
  if (input.json) return printOutcome(outcome, nowMs);
  printTalk(`Updated ${namesOf(outcome.rows)}.`);
  const terms = describeLimits(row);
  if (terms.length > 0) printData(formatFields(terms));
  if (input.models !== undefined) tellNarrowPatterns(row.policy);
  if (input.models !== undefined || input.regions !== undefined) await tellUnknownPatterns(row.policy);
  tellOthers(outcome);
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
  let wasSo = true;
  const outcome = await onKeys(input, undefined, async (key, store) => {
    requireUnrevoked(key, nowMs);
    if ((key.blockedAtMs !== undefined) === isBlocked) return key;
    wasSo = false;
    return change(store, key, { blockedAtMs: isBlocked ? nowMs : undefined }, nowMs);
  });
  if (input.json) return printOutcome(outcome, nowMs);
  const [row] = outcome.rows;
  const shown = namesOf(outcome.rows);
  if (!isBlocked) return printTalk(wasSo ? `${shown} was not blocked.` : `Unblocked ${shown}.`);
  if (wasSo) printTalk(`${shown} was blocked already.`);
  else printTalk(`Blocked ${shown}; \`bedrock-proxy key unblock ${row.alias ?? row.id}\` takes it back.`);
  tellOthers(outcome);
}

/** `key revoke`. Throws as `blockKey`. */
export async function revokeKey(input: KeyEndInput): Promise<void> {
  const nowMs = Date.now();
  let wasSo = true;
  const confirm = async (rows: KeyRows): Promise<void> => {
    const working = rows.filter((row) => findKeyState(row, nowMs) !== 'revoked');
    if (!input.yes && working.length > 0) await requireYes(`Revoke ${namesOf(working)}? It never works again.`);
  };
  const outcome = await onKeys(input, confirm, async (key, store) => {
    if (findKeyState(key, nowMs) === 'revoked') return key;
    wasSo = false;
    await store.revokeKey(key.id, nowMs);
    return { ...key, revokedAtMs: nowMs };
  });
  if (input.json) return printOutcome(outcome, nowMs, { already_revoked: wasSo });
  printTalk(wasSo ? `${namesOf(outcome.rows)} was revoked already.` : `Revoked ${namesOf(outcome.rows)}.`);
  tellOthers(outcome);
}

/** `key delete`. Throws as `blockKey`. */
export async function deleteKey(input: KeyEndInput): Promise<void> {
  const nowMs = Date.now();
  const confirm = async (rows: KeyRows): Promise<void> => {
    if (!input.yes) await requireYes(`Delete ${namesOf(rows)} for good?`);
  };
  const outcome = await onKeys(input, confirm, async (key, store) => {
    if (!(await store.deleteKey(key.id, nowMs))) throw vanished(key);
    return key;
  });
  const [row] = outcome.rows;
  if (input.json) {
    return printJson({ id: row.id, alias: row.alias ?? null, deleted: true, ...alsoToJson(outcome) });
  }
  const they = outcome.rows.length === 1 ? 'it' : 'they';
  printTalk(`Deleted ${namesOf(outcome.rows)} for good; what ${they} did stays in the ledger.`);
  tellOthers(outcome);
}

/** Does something to the keys that the input names, unless `confirm` throws. */
function onKeys(
  input: KeyNameInput,
  confirm: ((rows: KeyRows) => Promise<void>) | undefined,
  work: (row: VirtualKeyRow, store: Store) => Promise<VirtualKeyRow>,
): Promise<KeysOutcome> {
  return withKeys(readDatabaseLocation(input, process.env), input.key, async (found, store) => {
    await confirm?.(found);
    const [first, ...more] = found;
    const rows: [VirtualKeyRow, ...VirtualKeyRow[]] = [await work(first, store)];
    for (const row of more) rows.push(await work(row, store));
    return rows;
  });
}

function printOutcome(outcome: KeysOutcome, nowMs: number, more: object = {}): void {
  printJson({ ...keyToJson(outcome.rows[0], undefined, nowMs), ...more, ...alsoToJson(outcome) });
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
