/**
 * Puts the parts of a running server together. Everything that touches the outside (store, credentials, connections to
 * AWS) is handed in, and closed by whoever made it (`start.ts`), so that tests run the very same server in other
 * surroundings. What is made here holds no file and no connection but the port, which the returned server closes.
 */
import { describeHead, findHeader } from '../http/message.ts';
import { randomBytes, randomUUID } from 'node:crypto';
import { tmpdir, totalmem } from 'node:os';
import { createRootEndpoint, createHealth, type HealthOptions, upstreamToJson } from '../admin/health.ts';
import { ADMIN_PREFIXES, createAdminApi, FOREIGN_PREFIXES } from '../admin/admin-api.ts';
import { createStatusEndpoint } from '../admin/status.ts';
import { createMetricsEndpoint } from '../admin/metrics.ts';
import { createRateLimits, type RateLimits } from '../admission/rates.ts';
import { type Config, MOUNT_PATH } from '../config/config.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import { unlessAborted } from '../lib/deadline.ts';
import { lazy } from '../lib/lazy.ts';
import { timeOrderedId } from '../lib/time-ordered-id.ts';
import { networkCheck } from '../lib/networks.ts';
import { openRecord } from '../domain/request-record.ts';
import type { PriceBook } from '../pricing/cost.ts';
import type { Ledger, LedgerState } from '../accounting/ledger-writer.ts';
import type { Metrics, RenderedMetrics } from '../telemetry/metrics.ts';
import { findEndpoint } from '../operations/endpoint.ts';
import { SERVICES } from '../operations/catalog.ts';
import { chooseRegion } from '../protocol/region.ts';
import { isServedAtRoot } from '../routing/familiar-paths.ts';
import { isHome, type RoutingConfig } from '../routing/route.ts';
import { createLiveRequests, UNWATCHED } from '../auth/live-requests.ts';
import { createFailureLimit, type FailureOrigin } from '../auth/failure-limit.ts';
import type { ServerFacts } from '../auth/server-facts.ts';
import { isCommandProof, proveServer, sealForCommand } from '../auth/server-proof.ts';
import type { ServerStatus } from '../auth/server-status.ts';
import { findAccess } from './access.ts';
import type { UpstreamSpec } from '../config/upstreams.ts';
import type { LiveUpstreams } from './live-upstreams.ts';
import { UpstreamSet } from '../upstream/failover/upstream-set.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { LiveCacheDoctor } from './cache-doctor.ts';
import { openCacheViews } from './cache-views.ts';
import { createAuthorities } from './identities.ts';
import { explainExchange } from './explain-exchange.ts';
import type { OpenRates } from './open-rates.ts';
import { openReplay } from './replay.ts';
import { createInspectorEndpoint, type Inspector } from './inspector.ts';
import { baseUrl, hostOf } from './banner.ts';
import { readServerCounts } from './server-counts.ts';
import type { Cassette } from '../cassette/cassette.ts';
import { watchExchanges } from '../inspector/watcher.ts';
import type { FaultBoard } from '../faults/board.ts';
import { createProxy, type ProxyDependencies } from '../proxy.ts';
import { type Handler, type RunningServer, startServer } from '../server/server.ts';
import type { TlsKeyPair } from '../server/tls-front.ts';
import type { Store } from '../domain/store.ts';
import { createRequestEvents, type RequestSubscriber } from '../domain/events.ts';
import { createAwsUpstream } from '../upstream/aws/aws-upstream.ts';
import type { AwsConnection } from '../upstream/aws/connection.ts';
import type { BodyLimits } from '../http/body.ts';
import { BodyQuota } from '../http/body-quota.ts';
import { findBodyDisk, findBodyMemory, readDisk, shareDisk } from '../http/body-room.ts';
import type { AuthRefresh } from '../upstream/aws/auth-refresh.ts';
import { type ControlPlane, createProfileLookup } from '../upstream/aws/profile-lookup.ts';
import { findServerSecret, peekServerSecret } from '../keys/server-secret.ts';

/** Everything that a running server is handed. */
export interface ServerDependencies {
  readonly config: Config;
  readonly defaultRegion: string | undefined;
  readonly store: Store;
  /** The caller closes it after the server. */
  readonly connection: AwsConnection;
  /** Several ways to Bedrock; undefined: there is one. The caller closes it after the server. */
  readonly upstreams?: LiveUpstreams | undefined;
  /** Called by the first Bedrock request, if not before; each waits for it. Must not reject. */
  readonly loadPrices: () => Promise<PriceBook>;
  /** The caller closes it after the server, before the store. */
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly faults: FaultBoard;
  /** Keeps exchanges, or shows the ledger; undefined: there is no such page. The caller closes it after the server. */
  readonly inspector?: Inspector | undefined;
  /** What was recorded is played, or recorded; the caller closes it after the server. */
  readonly cassette?: Cassette | undefined;
  /** Says what became of the caches of prompts; undefined: it is off. */
  readonly cacheDoctor?: LiveCacheDoctor | undefined;
  /** Counts the rates of keys; undefined: this process does, or the primary of its workers. The caller closes it. */
  readonly rates?: Pick<OpenRates, 'rates' | 'areShared'> | undefined;
  /** What all of them have together, if this is one of several workers. */
  readonly shared?: SharedParts | undefined;
  readonly version: string;
  /** For TLS beside clear text. */
  readonly tls?: TlsKeyPair | undefined;
  /** What commands of this database are told; `keyId`: whether it is there is asked too. Told nothing if it rejects. */
  readonly tellFacts?: ((keyId: string | undefined) => Promise<ServerFacts>) | undefined;
  /** Told of requests besides the metrics: access log, traces. */
  readonly subscribers: readonly RequestSubscriber[];
  /** Told what a subscriber threw; the request does not feel it. */
  readonly onFault: (thrown: unknown) => void;
}

/** What workers do not have each for itself. */
export interface SharedParts {
  /** The process that leads them. */
  readonly leader: number;
  /** How many they are. */
  readonly count: number;
  readonly rates: RateLimits;
  /** A wrong credential was counted here: tells the others. */
  readonly tellFailure: (origin: FailureOrigin) => void;
  /** To be called once: `note` is told what the others have counted. */
  onFailure(note: (origin: FailureOrigin) => void): void;
  /** Of all of them. */
  renderMetrics(): Promise<RenderedMetrics>;
  /** Has the login renewed, once for all of them. */
  refreshAuth: AuthRefresh;
  readLedgerState(): Promise<LedgerState>;
}

/** Opens the port. The caller drains or destroys the server, and closes what it handed in. */
export async function composeServer(dependencies: ServerDependencies): Promise<RunningServer> {
  const { config, store, version, metrics, loadPrices, shared } = dependencies;
  const { masterKey } = config;
  const isTrustedProxy = networkCheck(config.trustedProxies);
  const failures = createFailureLimit(MACHINE_TICKS, undefined, shared?.tellFailure, isTrustedProxy);
  shared?.onFailure((origin) => failures.noteElsewhere(origin));
  const secret = openServerSecret(config);
  const { inspector } = dependencies;
  const inspected = inspector?.subscriber === undefined ? [] : [inspector.subscriber];
  const events = createRequestEvents([metrics, ...inspected, ...dependencies.subscribers], dependencies.onFault);
  const keys = { store, masterKey, loadServerSecret: secret.load, failures, nowMs: Date.now };
  const reached = openUpstream(dependencies);
  const upstream = dependencies.cassette?.open(reached) ?? reached;
  const loadProxy = lazy(async () =>
    openProxy(dependencies, { ...keys, events, upstream, prices: await loadPrices() }),
  );
  const { cassette } = dependencies;
  const readCassette = cassette && (() => cassette.state);
  const admin = createAdminApi({ ...keys, randomBytes, version, faults: dependencies.faults, readCassette });
  // Asked by a request, so that `server` is there.
  const prove = (challenge: string): string | undefined => {
    const known = secret.peek();
    return known && proveServer(known, challenge, server);
  };
  const ledger = shared === undefined ? dependencies.ledger : { readState: () => shared.readLedgerState() };
  const tellCommand: HealthOptions['tellCommand'] = async ({ challenge, proof }, keyId) => {
    const known = secret.peek();
    if (known === undefined || !isCommandProof(proof, known, challenge, server.port)) return undefined;
    return dependencies.tellFacts?.(keyId).catch(() => undefined);
  };
  const readUpstreams = reached instanceof UpstreamSet ? () => reached.readStates() : undefined;
  if (readUpstreams !== undefined) metrics.watchUpstreams(readUpstreams);
  if (store.readHealth().shared !== undefined) {
    const readLedger = (): LedgerState => dependencies.ledger.readState();
    metrics.watchStore({ readHealth: () => store.readHealth().shared, readLedger });
  }
  if (dependencies.rates?.areShared !== undefined) metrics.watchRates(dependencies.rates.areShared);
  if (inspector?.watcher !== undefined) metrics.watchDropped(() => inspector.source.state().dropped);
  const isEnding = (): boolean => server.isEnding;
  const health = { store, ledger, isEnding, version, mountPath: MOUNT_PATH, prove, tellCommand, readUpstreams };
  const told = shared === undefined ? metrics : { render: () => shared.renderMetrics() };
  const bedrock: Handler = async (...exchange) => (await unlessAborted(exchange[0].signal, loadProxy()))(...exchange);
  const status = openStatus(dependencies, {
    secret,
    prove,
    metrics: told,
    ledger,
    readUpstreams,
    findServer: () => server,
  });
  const openInspectorApi = (opened: Inspector): Handler =>
    createInspectorEndpoint(opened, config, {
      masterKey,
      failures,
      faults: dependencies.faults,
      readCassette,
      tellState: () => ({
        version,
        region: dependencies.defaultRegion ?? null,
        mode: config.offline ? 'offline' : config.cassette === undefined ? 'aws' : 'cassette',
        url: baseUrl({ host: hostOf(config, server), port: server.port, mountPath: MOUNT_PATH }),
        upstreams: (readUpstreams?.() ?? []).map(upstreamToJson),
      }),
      ...openCacheViews(dependencies.cacheDoctor, opened.source),
      explain: explainExchange,
      replay:
        inspector?.watcher === undefined
          ? undefined
          : openReplay({ store, masterKey, nowMs: Date.now, handle: bedrock }),
      exportAs: async (format, exchanges, isSanitized) => {
        const { exportFile } = await import('./export-file.ts');
        const { dropped } = opened.source.state();
        return exportFile(exchanges, { format, isSanitized, version, dropped, exportedAtMs: Date.now() });
      },
    });
  const server: RunningServer = await startServer({
    tls: dependencies.tls,
    hosts: config.hosts,
    port: config.port,
    guard: { listenHosts: config.hosts, allowedHosts: config.allowedHosts, allowedOrigins: config.allowedOrigins },
    mounts: [
      { prefix: MOUNT_PATH, handle: bedrock },
      ...[...ADMIN_PREFIXES, ...FOREIGN_PREFIXES].map((prefix) => ({ prefix, handle: admin })),
      { prefix: '/metrics', handle: createMetricsEndpoint({ metrics: told, masterKey, failures }) },
      ...(inspector === undefined ? [] : [{ prefix: '/inspect', handle: openInspectorApi(inspector) }]),
      { prefix: '/health/status', handle: status },
      { prefix: '/health', handle: createHealth(health) },
      // After all that is ours: for clients that keep only host and port.
      {
        prefix: '',
        serves: ({ method, target, headers }) =>
          isServedAtRoot(method, target.path, findHeader(headers, 'x-amz-target') !== undefined),
        handle: bedrock,
      },
      { prefix: '/', handle: createRootEndpoint(health) },
    ],
    onCutOff: () => dependencies.connection.forwarder.stopReadingOn(),
    onRefused: (error, clientRequest) => {
      const record = openRecord(timeOrderedId(Date.now), Date.now(), describeHead(clientRequest));
      record.error = error;
      record.status = error.status;
      events.began(record);
      record.phase = 'ended';
      record.pricing = 'free';
      events.ended(record);
    },
  });
  return server;
}

interface StatusParts {
  readonly secret: ReturnType<typeof openServerSecret>;
  readonly prove: (challenge: string) => string | undefined;
  readonly metrics: { render(): RenderedMetrics | Promise<RenderedMetrics> };
  readonly ledger: HealthOptions['ledger'];
  readonly readUpstreams: (() => ServerStatus['upstreams']) | undefined;
  /** Asked by a request, so that it is there. */
  readonly findServer: () => RunningServer;
}

/** What `status` is told, of all workers together. */
function openStatus(
  { config, store, version, shared, defaultRegion, inspector }: ServerDependencies,
  { secret, prove, metrics, ledger, readUpstreams, findServer }: StatusParts,
): Handler {
  const startedAtMs = Date.now();
  const tell = async (): Promise<ServerStatus> => ({
    ...readServerCounts((await metrics.render()).body),
    pid: shared?.leader ?? process.pid,
    version,
    url: baseUrl({ host: hostOf(config, findServer()), port: findServer().port, mountPath: MOUNT_PATH }),
    // A store that does not respond lets nobody in.
    mode: await findAccess(config, store).catch(() => 'keys' as const),
    offline: config.offline,
    region: defaultRegion,
    database: config.database.shown,
    store: await readStoreStatus(store, ledger),
    workers: shared?.count ?? 1,
    startedAtMs,
    upstreams: readUpstreams?.() ?? [],
  });
  const isCommand = (challenge: string, proof: string): boolean => {
    const known = secret.peek();
    return known !== undefined && isCommandProof(proof, known, challenge, findServer().port);
  };
  const token = inspector?.token;
  const sealToken = (challenge: string): string | undefined => {
    const known = secret.peek();
    return known && token && sealForCommand(known, challenge, token);
  };
  return createStatusEndpoint({ prove, isCommand, tell, sealToken });
}

/** Undefined: it is a file. */
async function readStoreStatus(store: Store, ledger: StatusParts['ledger']): Promise<ServerStatus['store']> {
  const { shared } = store.readHealth();
  if (shared === undefined) return undefined;
  const { spilledRows = 0, lostRows } = await ledger.readState();
  return { awayForMs: shared.awayForMs, spilledRows, lostRows };
}

type ProxyParts = Pick<
  ProxyDependencies,
  'store' | 'masterKey' | 'loadServerSecret' | 'failures' | 'nowMs' | 'events' | 'prices' | 'upstream'
>;

/** AWS as it is reached: by one way, or by several. */
function openUpstream({
  config,
  connection,
  defaultRegion,
  upstreams,
  shared,
}: ServerDependencies): Upstream | UpstreamSet {
  const openOne = (spec?: UpstreamSpec): Upstream =>
    createAwsUpstream({ ...connection, authorityOf: createAuthorities(config, connection, spec) });
  if (upstreams === undefined) return openOne();
  const set = new UpstreamSet({
    specs: upstreams.specs,
    open: openOne,
    routing: readRouting(config, defaultRegion),
    deadlineMs: config.failoverDeadlineMs,
    processes: shared?.count ?? 1,
    tickMs: MACHINE_TICKS,
    nowMs: Date.now,
  });
  upstreams.onChange((specs) => set.replace(specs));
  return set;
}

function readRouting(
  { endpointUrls, openaiUpstream, fips, dualstack }: Config,
  defaultRegion: string | undefined,
): RoutingConfig {
  return { defaultRegion, openaiUpstream, fips, dualstack, endpointUrls };
}

/** Whether requests may come back to us: not from AWS itself, but a file may name another upstream at any time. */
function mayLoop({ endpointUrls, upstreamsFile, fallbacks }: Config): boolean {
  const hasEndpoint = endpointUrls.size > 0 || fallbacks.some((fallback) => fallback.endpointUrls !== undefined);
  return hasEndpoint || upstreamsFile !== undefined;
}

/** The way of the requests to Bedrock. */
function openProxy(dependencies: ServerDependencies, parts: ProxyParts): Handler {
  const { config, store, connection, defaultRegion, ledger, shared, faults, inspector, cacheDoctor, onFault } =
    dependencies;
  const watchers = [inspector?.watcher, cacheDoctor?.watcher].filter((each) => each !== undefined);
  const routing = readRouting(config, defaultRegion);
  const authorityOf = createAuthorities(config, connection);
  const findProfilesFor = createProfileLookup({
    authorityOf,
    forwarder: connection.forwarder,
    tickMs: MACHINE_TICKS,
    clock: connection.clock,
    findControlPlane: (region) => findControlPlane(region, routing),
  });
  return createProxy({
    ...parts,
    faults,
    openWatch: watchExchanges(watchers, onFault),
    judgeCache: cacheDoctor?.judge,
    mountPath: MOUNT_PATH,
    routing,
    modelAliases: config.modelAliases,
    requestMetadata: config.requestMetadata,
    admission: {
      store,
      prices: parts.prices,
      assumedOutputTokens: config.assumedOutputTokens,
      rates: dependencies.rates?.rates ?? shared?.rates ?? createRateLimits({ tickMs: MACHINE_TICKS }),
      nowMs: Date.now,
      findProfilesFor,
      maxUnpackedBytes: config.maxBodySizeBytes,
    },
    ledger,
    responseHeaders: config.responseHeaders,
    liveRequests: config.cutsEnded ? createLiveRequests({ store, nowMs: Date.now }) : UNWATCHED,
    bodyLimits: openBodyLimits(config, shared?.count ?? 1),
    viaName: mayLoop(config) ? `bedrock-proxy-${randomBytes(8).toString('hex')}` : undefined,
    tickMs: MACHINE_TICKS,
    newId: () => timeOrderedId(Date.now),
  });
}

function openBodyLimits({ maxBodySizeBytes, uploadIdleTimeoutMs }: Config, processes: number): BodyLimits {
  return {
    maxSizeBytes: maxBodySizeBytes,
    idleTimeoutMs: uploadIdleTimeoutMs,
    spoolDirectory: { folder: tmpdir(), newId: randomUUID },
    quota: openBodyQuota(tmpdir(), processes),
  };
}

/** Of what the machine has, each of the processes that share it gets its part. */
function openBodyQuota(folder: string, processes: number): BodyQuota {
  const [containerBytes, machineBytes] = [process.constrainedMemory() / processes, totalmem() / processes];
  const memory = { containerBytes, machineBytes };
  const findDiskBytes = (): number => findBodyDisk(shareDisk(readDisk(folder), processes), memory);
  return new BodyQuota({ memoryBytes: findBodyMemory(memory), findDiskBytes });
}

/** The secret that seals keys: made when the first key needs it, read at most once. */
function openServerSecret({ database, saltKey }: Config) {
  let secret: Buffer | undefined;
  return {
    load: (): Buffer => (secret ??= findServerSecret(database, saltKey)),
    /** The same, if there is one already. */
    peek: (): Buffer | undefined => (secret ??= peekServerSecret(database, saltKey)),
  };
}

/** Where the control plane of a region is. */
function findControlPlane(region: string, routing: RoutingConfig): ControlPlane {
  const chosen = chooseRegion({ header: undefined, scope: undefined, arn: undefined, default: region });
  const service = SERVICES.get('bedrock');
  if (service === undefined) throw new ProxyError('ERR_INTERNAL', 'The table of services lacks bedrock.');
  const bearerKeys = service.bearerKeys && isHome(chosen, routing);
  return { ...findEndpoint('bedrock', chosen, routing), signingName: service.signingName, bearerKeys };
}
