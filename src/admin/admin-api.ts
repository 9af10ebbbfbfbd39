/**
 * LiteLLM's admin API, as seen by the server: one handler for all of its paths. Light on purpose: what validates and
 * answers is loaded by the first request, so that no start pays for it.
 */
import { lazy } from '../lib/lazy.ts';
import type { AdminHandler, AdminOptions } from './admin-options.ts';
import { sendEnvelope } from './envelope.ts';

/** What `createAdminApi` is to be mounted under, with everything below. */
export const ADMIN_PREFIXES = ['/key', '/spend', '/global', '/faults', '/cassette', '/openapi.json'] as const;

/**
 * LiteLLM's other management paths, to be mounted in the same way: nothing is there, and LiteLLM's clients are told so
 * in the shape that they read.
 */
export const FOREIGN_PREFIXES = [
  '/user',
  '/team',
  '/organization',
  '/customer',
  '/end_user',
  '/tag',
  '/budget',
  '/project',
  '/model/info',
  '/model/new',
  '/model/update',
  '/model/delete',
  '/model_group',
  '/v1/model/info',
  '/v2/model/info',
] as const;

/** Makes the handler of everything below ADMIN_PREFIXES and FOREIGN_PREFIXES. */
export function createAdminApi(options: AdminOptions): AdminHandler {
  const load = lazy(async () => (await import('./router.ts')).createRouter(options));
  return async (clientRequest, clientResponse) => {
    try {
      const handle = await load();
      await handle(clientRequest, clientResponse);
    } catch (error) {
      // Only the import can throw here; the next request tries again.
      sendEnvelope(error, clientResponse);
    }
  };
}
