/**
 * The `/key` endpoints around those that make and change one key: is it good, which aliases are there, and several
 * changes at once.
 */
import type { z } from 'zod';
import { toProxyError } from '../lib/errors.ts';
import type { JsonObject } from '../lib/json.ts';
import type { AdminOptions } from './admin-options.ts';
import { defineEndpoint, type Endpoint } from './endpoint.ts';
import { findAliasPage } from './key-list.ts';
import * as schemas from './schemas.ts';

const DEFAULT_ALIASES = 50;

/** All of them. `update` is `POST /key/update`. */
export function createMoreKeyEndpoints(update: Endpoint, options: AdminOptions): Endpoint[] {
  return [bulkUpdateEndpoint(update), aliasesEndpoint(options), healthEndpoint()];
}

function bulkUpdateEndpoint(update: Endpoint): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: '/key/bulk_update',
    summary: 'Several bodies of /key/update, in their order; one that fails does not stop the others.',
    access: 'master key',
    body: schemas.bulkUpdateRequest,
    response: schemas.bulkUpdated,
    respond: async ({ body: { keys } }) => {
      const done: z.output<typeof schemas.bulkUpdated> = {
        total_requested: keys.length,
        successful_updates: [],
        failed_updates: [],
      };
      for (const fields of keys) {
        const key = nameOf(fields);
        try {
          const info = await update.serve({ pathKey: undefined, query: {}, body: fields, ownKey: undefined });
          done.successful_updates.push({ key, key_info: schemas.updatedKey.parse(info) });
        } catch (thrown) {
          const error = toProxyError(thrown);
          // The store, or a fault of ours: what was done so far is done, and who asks again does it once more.
          if (error.status >= 500) throw error;
          const reason = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
          done.failed_updates.push({ key, key_info: null, failed_reason: reason });
        }
      }
      return done;
    },
  });
}

function nameOf({ key, key_alias: alias }: JsonObject): string {
  const named = typeof key === 'string' ? key : alias;
  return typeof named === 'string' ? named : '';
}

function aliasesEndpoint({ store, nowMs }: AdminOptions): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/key/aliases',
    summary: 'The aliases of keys that are not revoked, page by page.',
    access: 'master key',
    query: schemas.aliasesQuery,
    response: schemas.keyAliases,
    respond: async ({ query }) => {
      const { size = DEFAULT_ALIASES } = query;
      const { rows, total, page, pages } = await findAliasPage(store, { ...query, size }, nowMs());
      return { aliases: [...rows], total_count: total, current_page: page, total_pages: pages, size };
    },
  });
}

function healthEndpoint(): Endpoint {
  return defineEndpoint({
    method: 'POST',
    path: '/key/health',
    summary: 'Whether the calling key is good: a virtual key, or the master key.',
    access: 'own key',
    response: schemas.keyHealth,
    respond: async () => ({ key: 'healthy' as const, logging_callbacks: null }),
  });
}
