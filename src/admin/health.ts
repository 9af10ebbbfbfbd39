/**
 * `/health/*` for whoever watches the proxy, and `/` for whoever wonders what listens here. Spends no money, shows no
 * secrets, needs no key.
 */
import { sendJson } from '../answer.ts';
import type { ClientRequest, ClientResponse } from '../exchange.ts';
import type { Store } from '../store/store.ts';

export interface HealthOptions {
  readonly store: Store;
  readonly version: string;
  readonly mountPath: string;
}

/** Serves `/health/liveliness` (and `/health/liveness`), `/health/readiness` and `/health`. */
export function createHealth({
  store,
  version,
}: HealthOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async ({ rawTarget }, clientResponse) => {
    const path = rawTarget.replace(/\?.*$/s, '');
    if (path === '/health/liveliness' || path === '/health/liveness')
      return sendJson(200, "I'm alive!", clientResponse);
    if (path !== '/health' && path !== '/health/readiness') return sendJson(404, { status: 'unknown' }, clientResponse);
    const isReachable = await store.hasAnyKey().then(
      () => true,
      () => false,
    );
    const db = isReachable ? 'connected' : 'unavailable';
    sendJson(isReachable ? 200 : 503, { status: isReachable ? 'healthy' : 'unhealthy', db, version }, clientResponse);
  };
}

/** Serves `/`: some clients probe it before they start. */
export function createFrontDoor({
  version,
  mountPath,
}: HealthOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async (_clientRequest, clientResponse) => {
    sendJson(200, { name: 'bedrock-proxy', version, bedrock: mountPath, health: '/health/readiness' }, clientResponse);
  };
}
