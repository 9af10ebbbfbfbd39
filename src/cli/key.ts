/**
 * `key generate`, `key list`, `key rotate`, `key revoke`: straight on the database, whether or not a server runs. A running server sees
 * the change with its next request.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { findKeyEnd, findKeyState, type KeyState } from '../auth/key-state.ts';
import { mintKey, parseAlias, parseGrace, rotateKey as rotate, type MintedKey } from '../auth/mint.ts';
import { hashKey, looksLikeKey, maskKey } from '../auth/virtual-key.ts';
import { readDatabasePath, readSaltKey } from '../config.ts';
import type { Flags } from '../options.ts';
import { ProxyError } from '../errors.ts';
import { loadServerSecret, readServerSecret, serverSecretPath } from '../store/server-secret.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import type { Store, VirtualKeyRow } from '../store/store.ts';
import { formatFields, formatTable, printData, printJson, printTalk } from './print.ts';

/** The secret that seals keys at rest: from BEDROCK_PROXY_SALT_KEY, or the file beside the database. */
export function findServerSecret(databasePath: string, saltKey: string | undefined): Buffer {
  return saltKey === undefined ? loadServerSecret(serverSecretPath(databasePath)) : secretFromSalt(saltKey);
}

/** The same where it can be read; undefined otherwise. Never makes one. */
export function peekServerSecret(databasePath: string, saltKey: string | undefined): Buffer | undefined {
  if (saltKey !== undefined) return secretFromSalt(saltKey);
  try {
    return readServerSecret(serverSecretPath(databasePath));
  } catch {
    return undefined;
  }
}

function secretFromSalt(saltKey: string): Buffer {
  return Buffer.from(hkdfSync('sha256', saltKey, '', 'bedrock-proxy salt key', 32));
}

export async function generateKey(flags: Flags): Promise<void> {
  const alias = flags['alias'] === undefined ? undefined : parseAlias(flags['alias'], '--alias', 'ERR_BAD_OPTION');
  const databasePath = readDatabasePath(flags, process.env);
  const minted = await withStore(databasePath, (store) =>
    mintKey({
      store,
      serverSecret: findServerSecret(databasePath, readSaltKey(process.env)),
      alias,
      nowMs: Date.now(),
      randomBytes,
    }),
  );
  printMinted(minted, flags);
}

/** A new key under the same alias; the old one ends after `--grace`. `nameOrDash` as for `revokeKey`. */
export async function rotateKey(nameOrDash: string, flags: Flags): Promise<void> {
  const grace = typeof flags['grace'] === 'string' ? flags['grace'] : '0s';
  const graceMs = parseGrace(grace, '--grace', 'ERR_BAD_OPTION');
  const name = await readName(nameOrDash);
  const databasePath = readDatabasePath(flags, process.env);
  const nowMs = Date.now();
  const { old, minted } = await withStore(databasePath, async (store) => {
    const found = findByName(await store.listKeys(), name);
    const serverSecret = findServerSecret(databasePath, readSaltKey(process.env));
    return { old: found, minted: await rotate(found, graceMs, { store, serverSecret, nowMs, randomBytes }) };
  });
  const endsAtMs = nowMs + graceMs;
  printMinted(minted, flags, { rotated: { id: old.id, ends_at: new Date(endsAtMs).toISOString() } });
  if (flags['json'] === true || flags['quiet'] === true) return;
  const end = graceMs === 0 ? 'has ended' : `works until ${formatTime(endsAtMs)}`;
  printTalk(`The old key ${old.id} (${maskKey(old.lastFour)}) ${end}.`);
}

function printMinted(minted: MintedKey, flags: Flags, more: object = {}): void {
  if (flags['json'] === true) return printJson({ ...toJson(minted), ...more });
  if (flags['quiet'] === true) return printData(minted.key);
  printData(
    formatFields([
      ['key', minted.key],
      ['id', minted.id],
      ...(minted.alias === undefined ? [] : [['alias', minted.alias] as const]),
      ['access_key_id', minted.accessKeyId],
      ['secret_access_key', minted.key],
    ]),
  );
  printTalk(snippet(minted));
}

export async function listKeys(flags: Flags): Promise<void> {
  const rows = await withStore(readDatabasePath(flags, process.env), (store) => store.listKeys());
  if (flags['json'] === true) return printJson(rows.map(rowToJson));
  if (rows.length === 0) return printTalk('There are no keys yet. `bedrock-proxy key generate` makes one.');
  const cells = rows.map((row) => [
    row.id,
    row.alias ?? '-',
    maskKey(row.lastFour),
    formatTime(row.createdAtMs),
    formatTime(row.lastUsedAtMs),
    describeState(row),
  ]);
  printData(formatTable(['id', 'alias', 'key', 'created', 'last used', 'state'], cells));
}

/** `name` is an id, an alias or the key itself; `-` reads it from standard input, which keeps a key out of the process list. */
export async function revokeKey(nameOrDash: string, flags: Flags): Promise<void> {
  const name = await readName(nameOrDash);
  const row = await withStore(readDatabasePath(flags, process.env), async (store) => {
    const found = findByName(await store.listKeys(), name);
    const wasRevoked = stateOf(found) === 'revoked';
    if (wasRevoked) return { ...found, wasRevoked };
    const revokedAtMs = Date.now();
    await store.revokeKey(found.id, revokedAtMs);
    return { ...found, revokedAtMs, wasRevoked };
  });
  if (flags['json'] === true) return printJson({ ...rowToJson(row), already_revoked: row.wasRevoked });
  const shown = `${row.id} (${row.alias ?? maskKey(row.lastFour)})`;
  printTalk(row.wasRevoked ? `${shown} was revoked already.` : `Revoked ${shown}.`);
}

async function readName(nameOrDash: string): Promise<string> {
  return nameOrDash === '-' ? (await text(process.stdin)).trim() : nameOrDash;
}

/** By id, by the key itself, or by alias (an active key before one that is ending or revoked). Throws ERR_BAD_REQUEST. */
function findByName(rows: readonly VirtualKeyRow[], name: string): VirtualKeyRow {
  const sha256 = looksLikeKey(name) ? hashKey(name) : undefined;
  const aliased = rows.filter((row) => row.alias === name);
  const found =
    rows.find((row) => row.id === name || row.keySha256 === sha256) ??
    aliased.find((row) => stateOf(row) === 'active') ??
    aliased.find((row) => stateOf(row) === 'ending') ??
    aliased.at(-1);
  if (found !== undefined) return found;
  const shown = looksLikeKey(name) ? maskKey(name.slice(-4)) : JSON.stringify(name.slice(0, 100));
  throw new ProxyError('ERR_BAD_REQUEST', `There is no key ${shown} in this database.`, {
    hint: 'See `bedrock-proxy key list` for ids and aliases.',
  });
}

async function withStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqliteStore(path);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function toJson(minted: MintedKey): object {
  return {
    id: minted.id,
    alias: minted.alias ?? null,
    key: minted.key,
    access_key_id: minted.accessKeyId,
    secret_access_key: minted.key,
    created_at: new Date(minted.createdAtMs).toISOString(),
  };
}

function rowToJson(row: VirtualKeyRow): object {
  const endsAtMs = findKeyEnd(row);
  return {
    id: row.id,
    alias: row.alias ?? null,
    key_name: maskKey(row.lastFour),
    access_key_id: row.accessKeyId,
    created_at: new Date(row.createdAtMs).toISOString(),
    last_used_at: row.lastUsedAtMs === undefined ? null : new Date(row.lastUsedAtMs).toISOString(),
    state: stateOf(row),
    ends_at: endsAtMs === undefined ? null : new Date(endsAtMs).toISOString(),
  };
}

function stateOf(row: VirtualKeyRow): KeyState {
  return findKeyState(row, Date.now());
}

function describeState(row: VirtualKeyRow): string {
  const state = stateOf(row);
  if (state !== 'ending') return state;
  const minutes = Math.ceil(((findKeyEnd(row) ?? 0) - Date.now()) / 60_000);
  return `ending (in ${minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`})`;
}

function formatTime(epochMs: number | undefined): string {
  return epochMs === undefined ? 'never' : new Date(epochMs).toISOString().replace(/^(.{10})T(.{5}).*$/, '$1 $2Z');
}

function snippet({ key, accessKeyId }: MintedKey): string {
  return [
    '',
    'This is the only time the key is shown. To use it with boto3, the AWS CLI or an AWS SDK:',
    '',
    `  export AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${key}`,
    '  export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://localhost:4000/bedrock',
    '',
    'As a bearer token the key works too; `bedrock-proxy env --for CLIENT` prints the lines for other clients.',
  ].join('\n');
}
