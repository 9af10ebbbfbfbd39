/**
 * LiteLLM's admin API, as seen by the server: one handler for all of its paths. Light on purpose: what validates and
 * answers is loaded by the first request, so that no start pays for it.
 */
import type { AdminHandler, AdminOptions } from './admin-options.ts';
import { sendEnvelope } from './envelope.ts';

/** What `createAdminApi` is to be mounted under, with everything below. */
export const ADMIN_PREFIXES = ['/key', '/spend', '/global', '/openapi.json'] as const;

/** Makes the handler of everything below ADMIN_PREFIXES. */
export function createAdminApi(options: AdminOptions): AdminHandler {
  let loading: Promise<AdminHandler> | undefined;
  return async (clientRequest, clientResponse) => {
    try {
      loading ??= import('./router.ts').then(({ createRouter }) => createRouter(options));
      const handle = await loading;
      await handle(clientRequest, clientResponse);
    } catch (error) {
      // Only the import can throw here; the next request tries again.
      loading = undefined;
      sendEnvelope(error, clientResponse);
    }
  };
}
