/**
 * `/health/*` for whoever watches the proxy, and `/` for whoever wonders what listens here. Spends no money, shows no
 * secrets, needs no key.
 */
import { sendJson } from '../http/send-response.ts';
import { isChallenge } from '../auth/server-proof.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { RequestTarget } from '../http/target.ts';
import type { KeyStore } from '../domain/store.ts';

/** What the health endpoints tell, and whom they ask. */
export interface HealthOptions {
  readonly store: KeyStore;
  readonly version: string;
  readonly mountPath: string;
  /**
   * Responds to a challenge (see `auth/server-proof.ts`); undefined where there is nothing to prove by. Must not throw.
   */
  readonly prove: (challenge: string) => string | undefined;
}

/**
 * Serves `/health/liveliness` (and `/health/liveness`), `/health/readiness` and `/health`. `?challenge=` of
 * `/health/readiness` has the server prove whose it is.
 */
export function createHealth({
  store,
  version,
  prove,
}: HealthOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async ({ target }, clientResponse) => {
    const { path } = target;
    if (path === '/health/liveliness' || path === '/health/liveness')
      return sendJson(200, "I'm alive!", clientResponse);
    if (path !== '/health' && path !== '/health/readiness') return sendJson(404, { status: 'unknown' }, clientResponse);
    const isReachable = await store.hasAnyKey().then(
      () => true,
      () => false,
    );
    const db = isReachable ? 'connected' : 'unavailable';
    const challenge = path === '/health/readiness' ? findChallenge(target) : undefined;
    const proof = challenge === undefined ? undefined : prove(challenge);
    const status = isReachable ? 'healthy' : 'unhealthy';
    sendJson(isReachable ? 200 : 503, { status, db, version, ...(proof !== undefined && { proof }) }, clientResponse);
  };
}

function findChallenge({ query }: RequestTarget): string | undefined {
  const challenge = new URLSearchParams(query).get('challenge');
  return challenge !== null && isChallenge(challenge) ? challenge : undefined;
}

/** Serves `/`: some clients probe it before they start. */
export function createRootEndpoint({
  version,
  mountPath,
}: Pick<HealthOptions, 'version' | 'mountPath'>): (
  clientRequest: ClientRequest,
  clientResponse: ClientResponse,
) => Promise<void> {
  return async (_clientRequest, clientResponse) => {
    sendJson(200, { name: 'bedrock-proxy', version, bedrock: mountPath, health: '/health/readiness' }, clientResponse);
  };
}
