/**
 * Who may call a server: as its banner says it, and the moment at which that changes while it runs. The first key that
 * somebody makes ends open mode for good.
 */
import type { Config } from '../config/config.ts';
import type { ServerAccess } from '../auth/server-facts.ts';
import type { Store } from '../domain/store.ts';

/** How soon a server says that every call needs a key now. Nobody is let in meanwhile. */
const WATCH_INTERVAL_MS = 500;

/** The mode as it is by now. Throws ERR_STORE_UNAVAILABLE. */
export async function findAccess(
  { masterKey }: Pick<Config, 'masterKey'>,
  store: Pick<Store, 'hasAnyKey'>,
): Promise<ServerAccess> {
  if (masterKey !== undefined) return 'master';
  return (await store.hasAnyKey()) ? 'keys' : 'open';
}

/** Calls `onClosed` once, when the first key is there. The result ends it. */
export function watchOpenMode(store: Pick<Store, 'hasAnyKey'>, onClosed: () => void): () => void {
  let isAsking = false;
  const look = async (): Promise<void> => {
    // A database that does not respond is asked again in the next round.
    const isClosed = await store.hasAnyKey().catch(() => false);
    if (isClosed) {
      clearInterval(watching);
      onClosed();
    }
    isAsking = false;
  };
  const watching = setInterval(() => {
    if (isAsking) return;
    isAsking = true;
    void look();
  }, WATCH_INTERVAL_MS).unref();
  return () => clearInterval(watching);
}
