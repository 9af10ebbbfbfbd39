/**
 * The `/key` endpoints, with LiteLLM's paths and fields. All they do goes through the store, so that a running server,
 * and any other one on the same database, sees it with its next request.
 */
import { mintKey, parseGrace, rotateKey } from '../keys/mint.ts';
import { findNamesakes, keepWorking } from '../keys/namesakes.ts';
import type { KeyChanges, VirtualKeyRow } from '../domain/key.ts';
import type { OwnKey } from './access.ts';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { AdminError, keyNotFound, readField } from './envelope.ts';
import { NEW_KEY, readChanges } from './key-fields.ts';
import { findPage } from './key-list.ts';
import { findKey, requireLiveAlias, requireLiveKey } from './key-lookup.ts';
import { createMoreKeyEndpoints } from './key-more-endpoints.ts';
import { toLiteLlmKey } from './key-row.ts';
import * as schemas from './schemas.ts';

/** All of them. */
export function createKeyEndpoints(options: AdminOptions): Endpoint[] {
  const inTurn = createTurns();
  const update = updateEndpoint(options, inTurn);
  return [
    generateEndpoint(options),
    infoEndpoint(options),
    listEndpoint(options),
    update,
    deleteEndpoint(options),
    blockEndpoint('block', options),
    blockEndpoint('unblock', options),
    regenerateEndpoint('/key/{key}/regenerate', options, inTurn),
    regenerateEndpoint('/key/regenerate', options, inTurn),
    ...createMoreKeyEndpoints(update, options),
  ];
}

/** Of a key that is there, `spend` of 0 asks to forget what it spent. */
const RESETS = { spend: 'What a key has spent is counted, not set, and not to 0 either.' };

type Turns = <T>(work: () => Promise<T>) => Promise<T>;

/** Two changes of one key must not both start from what it was before. */
function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}

function generateEndpoint(options: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: '/key/generate',
    summary: 'Makes a key. The only answer, with regenerate, that shows it.',
    access: 'master key',
    body: schemas.generateRequest,
    response: schemas.generatedKey,
    respond: async ({ body: { blocked, ...fields } }) => {
      const { store, randomBytes } = options;
      const nowMs = options.nowMs();
      const changes = readChanges(fields, NEW_KEY, nowMs);
      const alias = changes.alias;
      const minted = await mintKey({
        ...changes,
        alias,
        store,
        serverSecret: options.loadServerSecret(),
        nowMs,
        randomBytes,
      });
      // Nobody has the key before this call is answered.
      if (blocked === true) await store.updateKey(minted.id, { blockedAtMs: nowMs }, nowMs);
      return describeMinted(minted.key, minted.keySha256, options);
    },
  });
}

function infoEndpoint(options: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/key/info',
    summary:
      'What a key is and may do; without a key in the query, and with a virtual key, about the calling key itself.',
    access: 'own key',
    query: schemas.infoQuery,
    response: schemas.keyInfo,
    respond: async ({ query, ownKey }) => {
      const row = await findAsked(query.key, ownKey, options);
      return { key: row.keySha256, info: await describeOne(row, options) };
    },
  });
}

async function findAsked(named: string | undefined, ownKey: OwnKey, { store }: AdminOptions): Promise<VirtualKeyRow> {
  if (named === undefined) {
    if (ownKey !== undefined) return ownKey;
    throw new AdminError('The master key has to say which key it asks about.', { param: 'key' });
  }
  const row = await findKey(named, store);
  if (ownKey === undefined) {
    if (row !== undefined) return row;
    throw keyNotFound(named, 'key');
  }
  if (row?.id === ownKey.id) return row;
  // The same whether there is such a key or not.
  throw new AdminError('A virtual key may ask about itself only.', { status: 403, type: 'auth_error', param: 'key' });
}

function listEndpoint(options: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/key/list',
    summary: 'Keys, page by page.',
    access: 'master key',
    query: schemas.listQuery,
    response: schemas.keyList,
    respond: async ({ query }) => {
      const nowMs = options.nowMs();
      const { rows, spend, total, page, pages } = await findPage(options.store, query, nowMs);
      const isFull = query.return_full_object === true;
      return {
        keys: rows.map((row) => (isFull ? toLiteLlmKey(row, spend.get(row.id), nowMs) : row.keySha256)),
        total_count: total,
        current_page: page,
        total_pages: pages,
      };
    },
  });
}

function updateEndpoint(options: AdminOptions, inTurn: Turns): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: '/key/update',
    summary: 'Changes the fields that are given; null takes away. Without key, key_alias names the key.',
    access: 'master key',
    body: schemas.updateRequest,
    refusals: RESETS,
    response: schemas.updatedKey,
    respond: ({ body: { key, blocked, ...fields } }) =>
      inTurn(async () => {
        const nowMs = options.nowMs();
        const { rows, changed } = await findUpdated(key ?? undefined, fields, options);
        const planned = rows.map((row) => {
          const changes: KeyChanges = readChanges(changed, row, nowMs);
          return { row, changes: { ...changes, ...changeOfBlock(row, blocked, nowMs) } };
        });
        for (const { row, changes } of planned) await change(row, changes, options);
        const updated = await requireLiveKey(rows[0].keySha256, 'key', options);
        return { key: updated.keySha256, ...(await describeChanged(updated, options)) };
      }),
  });
}

/**
 * The keys to change (an alias means all that work under it) and the fields that change: `key_alias` is one of them
 * only beside `key`.
 */
async function findUpdated(
  key: string | undefined,
  fields: schemas.KeyFields,
  options: AdminOptions,
): Promise<{
  readonly rows: readonly [VirtualKeyRow, ...VirtualKeyRow[]];
  readonly changed: schemas.KeyFields;
}> {
  if (key !== undefined) return { rows: [await requireLiveKey(key, 'key', options)], changed: fields };
  const { key_alias: alias, ...changed } = fields;
  if (typeof alias === 'string' && alias !== '') return { rows: await requireLiveAlias(alias, options), changed };
  throw new AdminError('The request has to name a key, by key or key_alias.', { param: 'key' });
}

function changeOfBlock(row: VirtualKeyRow, blocked: boolean | null | undefined, nowMs: number): KeyChanges {
  if (blocked === undefined || blocked === null) return {};
  return { blockedAtMs: blocked ? (row.blockedAtMs ?? nowMs) : undefined };
}

async function change(row: VirtualKeyRow, changes: KeyChanges, { store, nowMs }: AdminOptions): Promise<VirtualKeyRow> {
  const updated = await store.updateKey(row.id, changes, nowMs());
  if (updated !== undefined) return updated;
  throw keyNotFound(row.id, 'key');
}

function blockEndpoint(verb: 'block' | 'unblock', options: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: `/key/${verb}`,
    summary: verb === 'block' ? 'Stops a key until it is unblocked.' : 'Lets a blocked key work again.',
    access: 'master key',
    body: schemas.blockRequest,
    response: schemas.blockedKey,
    respond: async ({ body }) => {
      const nowMs = options.nowMs();
      const row = await requireLiveKey(body.key, 'key', options);
      const changes = changeOfBlock(row, verb === 'block', nowMs);
      return describeChanged(await change(row, changes, options), options);
    },
  });
}

function deleteEndpoint(options: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: '/key/delete',
    summary: 'Takes keys away for good, all that are named or none. What they did stays in the ledger.',
    access: 'master key',
    body: schemas.deleteRequest,
    response: schemas.deletedKeys,
    respond: async ({ body }) => {
      const { store } = options;
      const keys = body.keys ?? [];
      const aliases = body.key_aliases ?? [];
      if (keys.length + aliases.length === 0) {
        throw new AdminError('The request has to name keys or key_aliases.', { param: 'keys' });
      }
      const rows = [...(await findNamed(keys, options)), ...(await findAliases(aliases, options))];
      const nowMs = options.nowMs();
      for (const id of new Set(rows.map((row) => row.id))) await store.deleteKey(id, nowMs);
      return { deleted_keys: [...keys, ...aliases], ...(await describeWorking(rows, options)) };
    },
  });
}

async function findNamed(keys: readonly string[], { store }: AdminOptions): Promise<VirtualKeyRow[]> {
  const rows: VirtualKeyRow[] = [];
  for (const named of keys) {
    const row = await findKey(named, store);
    if (row === undefined) throw keyNotFound(named, 'keys');
    rows.push(row);
  }
  return rows;
}

/**
 * All keys of an alias, also one that was rotated and still works: whoever deletes a name wants nobody left under it.
 */
async function findAliases(aliases: readonly string[], { store }: AdminOptions): Promise<VirtualKeyRow[]> {
  if (aliases.length === 0) return [];
  const rows = await store.findKeys({ aliases });
  const missing = aliases.find((alias) => !rows.some((row) => row.alias === alias));
  if (missing !== undefined) throw keyNotFound(missing, 'key_aliases');
  return rows;
}

function regenerateEndpoint(path: string, options: AdminOptions, inTurn: Turns): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path,
    summary: 'A new key in the place of an old one, with all that it had but for the fields that are given.',
    access: 'master key',
    body: schemas.regenerateRequest,
    refusals: RESETS,
    response: schemas.generatedKey,
    respond: ({ pathKey, body: { key, grace_period: grace, ...fields } }) =>
      inTurn(async () => {
        const { store, randomBytes } = options;
        const nowMs = options.nowMs();
        const named = pathKey ?? key ?? undefined;
        if (named === undefined) throw new AdminError('The request has to name a key.', { param: 'key' });
        if (typeof key === 'string' && key !== named) {
          throw new AdminError('Path and body name different keys.', { param: 'key' });
        }
        const old = await requireLiveKey(named, 'key', options);
        const changes = readChanges(fields, old, nowMs);
        const graceMs =
          typeof grace === 'string'
            ? readField('grace_period', () => parseGrace(grace, 'grace_period', 'ERR_BAD_REQUEST'))
            : 0;
        const serverSecret = options.loadServerSecret();
        const minted = await rotateKey(old, graceMs, { store, serverSecret, nowMs, randomBytes }, changes);
        return describeMinted(minted.key, minted.keySha256, options);
      }),
  });
}

async function describeMinted(
  key: string,
  keySha256: string,
  options: AdminOptions,
): Promise<schemas.KeyRow & StillWorking & { readonly key: string; readonly secret_access_key: string }> {
  const row = await options.store.findKeyBySha256(keySha256);
  if (row === undefined) throw keyNotFound(key, 'key');
  return { key, secret_access_key: key, ...(await describeChanged(row, options)) };
}

async function describeOne(row: VirtualKeyRow, { store, nowMs }: AdminOptions): Promise<schemas.KeyRow> {
  const spend = await store.findSpend([row], nowMs());
  return toLiteLlmKey(row, spend.get(row.id), nowMs());
}

/** With the others of its alias that still work: who names one key may not know of them. */
async function describeChanged(row: VirtualKeyRow, options: AdminOptions): Promise<schemas.KeyRow & StillWorking> {
  return { ...(await describeOne(row, options)), ...(await describeWorking([row], options)) };
}

interface StillWorking {
  readonly still_working?: string[];
}

async function describeWorking(rows: readonly VirtualKeyRow[], { store, nowMs }: AdminOptions): Promise<StillWorking> {
  const working = new Set<string>();
  for (const row of new Map(rows.map((each) => [each.alias, each])).values()) {
    for (const { id } of keepWorking(await findNamesakes(row, store, nowMs()), nowMs())) working.add(id);
  }
  return working.size === 0 ? {} : { still_working: [...working] };
}
