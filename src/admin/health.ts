/**
 * `/health/*` for whoever watches the proxy, and `/` for whoever wonders what listens here. Spends no money, shows no
 * secrets, needs no key.
 */
import { sendJson } from '../http/send-response.ts';
import { isChallenge } from '../auth/server-proof.ts';
import type { ServerFacts } from '../auth/server-facts.ts';
import type { ClientRequest, ClientResponse } from '../http/message.ts';
import type { RequestTarget } from '../http/target.ts';
import type { LedgerState } from '../accounting/ledger-writer.ts';
import type { UpstreamState } from '../upstream/failover/upstream-set.ts';
import type { KeyStore, Store } from '../domain/store.ts';

/**
 * For so long a ledger that cannot be written is no reason to send clients elsewhere: requests go on, their rows wait,
 * and a lock or a full disk is mostly over sooner.
 */
const MAX_FAILING_MS = 60_000;

/** What the health endpoints tell, and whom they ask. */
export interface HealthOptions {
  readonly store: Pick<KeyStore, 'hasAnyKey'> & Pick<Store, 'readHealth'>;
  /** A promise if several processes are asked. */
  readonly ledger: { readState(): LedgerState | Promise<LedgerState> };
  /** Whether the server is about to end: then it is not ready, whatever it still takes. */
  readonly isEnding: () => boolean;
  readonly version: string;
  /** How each of several upstreams is; undefined: there is one. */
  readonly readUpstreams?: (() => readonly UpstreamState[]) | undefined;
  readonly mountPath: string;
  /**
   * Responds to a challenge (see `auth/server-proof.ts`); undefined where there is nothing to prove by. Must not throw.
   */
  readonly prove: (challenge: string) => string | undefined;
  /**
   * For a command of this database, which proves it (see `auth/server-proof.ts`); undefined for all others. `keyId` is
   * the key that it asks for. Must not reject.
   */
  readonly tellCommand: (proof: CommandProof, keyId: string | undefined) => Promise<ServerFacts | undefined>;
}

/** What a command shows. */
export interface CommandProof {
  readonly challenge: string;
  readonly proof: string;
}

/**
 * Serves `/health/liveliness` (and `/health/liveness`), `/health/readiness` and `/health`. `?challenge=` of
 * `/health/readiness` has the server prove whose it is; `&command=` proves the same of a command, which is told more.
 */
export function createHealth({
  store,
  ledger,
  isEnding,
  version,
  prove,
  tellCommand,
  readUpstreams,
}: HealthOptions): (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void> {
  return async ({ target }, clientResponse) => {
    const { path } = target;
    if (path === '/health/liveliness' || path === '/health/liveness')
      return sendJson(200, "I'm alive!", clientResponse);
    if (path !== '/health' && path !== '/health/readiness') return sendJson(404, { status: 'unknown' }, clientResponse);
    const isReachable = await canLookUpKeys(store);
    const state = await ledger.readState();
    const isWritable = (state.failingForMs ?? 0) < MAX_FAILING_MS;
    const isReady = isReachable && isWritable && !isEnding();
    const db = !isReachable ? 'unavailable' : !isWritable ? 'not writable' : isAway(store) ? 'away' : 'connected';
    const challenge = path === '/health/readiness' ? findChallenge(target) : undefined;
    const proof = challenge === undefined ? undefined : prove(challenge);
    const status = isEnding() ? 'shutting down' : isReady ? 'healthy' : 'unhealthy';
    const facts = challenge === undefined ? undefined : await tellFacts(target, challenge, tellCommand);
    const told = {
      status,
      db,
      ledger: ledgerToJson(state),
      version,
      ...(readUpstreams !== undefined && { upstreams: readUpstreams().map(upstreamToJson) }),
      ...(proof !== undefined && { proof }),
      ...(facts !== undefined && { facts }),
    };
    sendJson(isReady ? 200 : 503, told, clientResponse);
  };
}

/** Those that are known count, as long as they may be used. */
async function canLookUpKeys(store: HealthOptions['store']): Promise<boolean> {
  if (store.readHealth().shared?.areKeysUsable === false) return false;
  return store.hasAnyKey().then(
    () => true,
    () => false,
  );
}

/** Keys are known as they were, for a while: requests that need no budget go on. */
function isAway(store: Pick<Store, 'readHealth'>): boolean {
  return store.readHealth().shared?.awayForMs !== undefined;
}

function ledgerToJson({ waitingRows, lostRows, spilledRows }: LedgerState): Readonly<Record<string, number>> {
  return {
    waiting_rows: waitingRows,
    lost_rows: lostRows,
    ...(spilledRows !== undefined && { spilled_rows: spilledRows }),
  };
}

/**
 * One of several upstreams for programs. That it rests is no reason to be unready: requests go to the others, or are
 * answered by AWS itself.
 */
export function upstreamToJson(upstream: UpstreamState): Readonly<Record<string, string | number | null>> {
  const { name, region, state, inFlight, restMs } = upstream;
  const words = { ready: 'ready', resting: 'resting', models: 'some models rest' };
  return {
    name,
    region: region ?? null,
    state: words[state],
    requests_in_flight: inFlight,
    retry_in_seconds: state === 'ready' ? null : Math.ceil(restMs / 1000),
  };
}

function tellFacts(
  { query }: RequestTarget,
  challenge: string,
  tellCommand: HealthOptions['tellCommand'],
): Promise<ServerFacts | undefined> | undefined {
  const parameters = new URLSearchParams(query);
  const proof = parameters.get('command');
  return proof === null ? undefined : tellCommand({ challenge, proof }, parameters.get('id') ?? undefined);
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
