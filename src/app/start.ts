/**
 * `start`: makes every part, hands them to each other, and stays until a signal ends it. It makes the store, then the
 * meters (prices, ledger, metrics, traces), then the connection to AWS, and the server with its port last. It closes
 * them in the opposite order, whatever failed: the server drains, the connection closes, the ledger writes its last
 * rows, and the store is closed when nobody writes any more.
 */
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Config, MOUNT_PATH, needsNoAccount } from '../config/config.ts';
import { findApiKey, findOwnIdentity, openIdentities } from './identities.ts';
import { readUpstreamsFile } from '../config/upstreams.ts';
import { requireProfile } from './profiles.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { toProxyError } from '../lib/errors.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import type { TlsMaterial } from '../server/certificate.ts';
import { findPartition } from '../protocol/region.ts';
import type { RunningServer } from '../server/server.ts';
import { findServerSecret } from '../keys/server-secret.ts';
import { openStore } from './open-store.ts';
import type { Store } from '../domain/store.ts';
import { createBidirectionalForwarder } from '../upstream/aws/bidirectional.ts';
import type { AwsConnection } from '../upstream/aws/connection.ts';
import { createCredentialSource, loadFromChain, loadProfileRegion } from '../upstream/aws/credentials.ts';
import { type AuthRefresh, refreshExpired } from '../upstream/aws/auth-refresh.ts';
import { runTrusting } from '../upstream/aws/trust.ts';
import { createForwarder, type ForwarderOptions } from '../upstream/aws/forward.ts';
import { createSigningClock } from '../upstream/aws/signing-clock.ts';
import type { Announce } from './announce.ts';
import { createBudgetNotices } from './budget-notices.ts';
import { BudgetWatch } from './budget-watch.ts';
import type { LiveCacheDoctor } from './cache-doctor.ts';
import { composeServer } from './compose.ts';
import { findAccess, watchOpenMode } from './access.ts';
import { endCassette, openConfiguredCassette } from './open-cassette.ts';
import { describeFaults, openFaultBoard } from './fault-board.ts';
import { openInspector } from './inspector.ts';
import { createFacts, needsOwnCredentials, upstreamOf } from './facts.ts';
import { type Meters, openMeters } from './meters.ts';
import { type OpenRates, openRates } from './open-rates.ts';
import type { ServerAccess } from '../auth/server-facts.ts';
import { type BannerFacts, baseUrl, hostOf } from './banner.ts';
import { greet, tellClosed } from './greeting.ts';
import { revokeStaleKeys, thisProcessSpace } from '../keys/exec-key.ts';
import { describeDelay, describeEnding, onSecondSignal, untilToldToEnd } from './ending.ts';
import type { HotKeys } from './hot-keys.ts';
import { type LiveUpstreams, openLiveUpstreams } from './live-upstreams.ts';
import { createLineWriter } from './line-writer.ts';
import { readNetworkOptions } from './network.ts';
import { listNetworkUrls } from './network-urls.ts';
import { colorsFor, createErrorPrinter, printError, printTalk } from './print.ts';
import { logRequests } from './request-lines.ts';
import { RunTotals } from './run-totals.ts';
import { refuseOpenNetwork, refuseVirtualPair, refuseWeakMasterKey } from './start-guards.ts';
import { findTrustFile, loadTls } from './tls.ts';
import type { WorkerReading } from './workers/messages.ts';
import type { WorkerSeat } from './workers/worker.ts';
import { readVersion } from '../lib/version.ts';

/** How often a running server looks for keys of `exec` whose command was killed. */
const STALE_KEYS_INTERVAL_MS = 30_000;
/** Where the offline Bedrock needs a region and nobody names one. */
const OFFLINE_REGION = { name: 'us-east-1', origin: 'offline' };

const IGNORED_VIRTUAL_KEY =
  'AWS_BEARER_TOKEN_BEDROCK holds a virtual key, which is for clients of the proxy and not for AWS: ' +
  'the proxy ignores it.';

/** Who is told that the server listens: the primary, if this is a worker, else everybody else. */
interface StartOptions {
  readonly seat?: WorkerSeat;
  readonly announce?: Announce;
  readonly hotKeys?: HotKeys | undefined;
}

/**
 * Runs the server in this process: the only one, with its hot keys if it has some, or a worker with this seat. Resolves
 * when it has ended in order; throws where it cannot start.
 */
export async function start(config: Config, { seat, announce, hotKeys }: StartOptions): Promise<void> {
  const onProblem = createErrorPrinter();
  const store = await openStore(config.database, {
    onProblem,
    threads: true,
    migrates: true,
    sealing: config,
    staleKeysMs: config.staleKeysMs,
    maxConnections: config.dbConnections,
  });
  let upstreams: LiveUpstreams | undefined;
  let rates: OpenRates | undefined;
  try {
    if (config.ignoredVirtualKey && greets(seat)) printTalk(`warning: ${IGNORED_VIRTUAL_KEY}`);
    refuseVirtualPair(config, process.env);
    if (config.cassette?.mode !== 'replay') {
      upstreams = await openLiveUpstreams(config, process.env, greets(seat) ? printTalk : () => {});
      await requireProfile(config, upstreams?.specs);
    }
    const access = await findAccess(config, store);
    refuseOpenNetwork(config, access);
    refuseWeakMasterKey(config, greets(seat));
    const region = await findRegion(config);
    const tls = await loadTls(config, Date.now());
    rates = await openRates(config, seat?.rates);
    const meters = await openMeters(config, store, onProblem, greets(seat) ? printTalk : () => {});
    const connection = await connectUpstream(config, region?.name, {
      refresh: await findAuthRefresh(config, seat),
      tell: greets(seat) ? printTalk : undefined,
    });
    // Closed also where the port is taken: an open upstream would keep a process alive that serves nobody.
    const parts = { config, seat, announce, hotKeys, store, access, region, tls, connection, upstreams, meters, rates };
    await serve(parts).finally(async () => {
      await meters.ledger.endDeferred();
      await connection.close();
      await meters.close();
    });
  } finally {
    upstreams?.close();
    await rates?.close();
    await store.close();
  }
}

interface Parts {
  readonly meters: Meters;
  readonly rates: OpenRates;
  readonly config: Config;
  readonly seat: WorkerSeat | undefined;
  readonly announce: Announce | undefined;
  readonly hotKeys: HotKeys | undefined;
  readonly store: Store;
  readonly access: ServerAccess;
  readonly region: BannerFacts['region'];
  readonly tls: TlsMaterial | undefined;
  readonly connection: AwsConnection;
  readonly upstreams: LiveUpstreams | undefined;
}

async function serve(parts: Parts): Promise<void> {
  const { config, seat, announce, hotKeys, store, access, region, tls, connection, upstreams, meters, rates } = parts;
  const lines = createLineWriter(process.stdout);
  const view = { isOnlyErrors: false };
  const notices = seat === undefined ? createBudgetNotices(config) : undefined;
  const budgets = new BudgetWatch({
    store,
    nowMs: Date.now,
    countWaiting: () => meters.ledger.readState().waitingRows,
    onAlert: (alert) => (notices?.tell ?? seat?.tellBudget)?.(alert),
  });
  const version = readVersion();
  const totals = new RunTotals();
  const source = findOwnIdentity(connection);
  const specs = upstreams?.specs;
  const tellFacts = createFacts({ version, config, store, region: region?.name, source, upstreams: specs });
  const faults = await openFaultBoard(config);
  const cassette = await openConfiguredCassette(config);
  const inspector = await openInspector(config, store);
  const cacheDoctor = await openConfiguredDoctor(config);
  const server = await composeServer({
    config,
    faults,
    cassette,
    inspector,
    cacheDoctor,
    tellFacts,
    defaultRegion: region?.name,
    store,
    connection,
    upstreams,
    ...meters,
    rates,
    shared: seat,
    version,
    tls,
    subscribers: [
      ...(meters.traces === undefined ? [] : [{ ended: meters.traces.observe }]),
      { ended: logRequests(config, lines, view) },
      { ended: (record) => totals.add(record) },
      { ended: warnOfShortage() },
      budgets,
    ],
    onFault: tellFault,
  }).catch(async (thrown: unknown) => {
    throw await (await import('./taken-port.ts')).explainTakenPort(thrown, config);
  });
  surviveFaults();
  setImmediate(() => void meters.loadPrices());
  const sweeping = sweepStaleKeys(store);
  // Before anybody learns that there is a process to be signalled.
  seat?.onEndNow((exitCode) => exitNow(server, exitCode));
  const toldToEnd = seat === undefined ? untilToldToEnd() : seat.untilDrained;
  makeServerSecret(config);
  announce?.(server.port, server.heldByOther);
  seat?.onListening(server.port, (withMetrics) => readMeters(meters, withMetrics));
  const { database, configFiles } = config;
  const { port, heldByOther } = server;
  const facts = {
    version,
    host: hostOf(config, server),
    networkUrls: listNetworkUrls(config.hosts, { port, mountPath: MOUNT_PATH }, networkInterfaces()),
    port,
    mountPath: MOUNT_PATH,
    region,
    access,
    databasePath: database.shown,
    configFiles,
    tls: tls && { caFile: findTrustFile(config) },
    upstream: upstreamOf(config, specs),
    inspectToken: inspector.token,
    isInspecting: config.inspect,
    workers: seat?.count,
  } as const;
  if (heldByOther !== undefined && greets(seat)) warnOfNeighbour(heldByOther, baseUrl(facts));
  const toldFaults = describeFaults(faults);
  if (toldFaults !== undefined) printTalk(colorsFor(process.stderr).yellow(toldFaults));
  if (greets(seat)) await greet(config, facts, needsOwnCredentials(specs) ? source : undefined);
  const hotKeysLine = greets(seat) ? (hotKeys ?? seat)?.line : undefined;
  if (hotKeysLine !== undefined) printTalk(hotKeysLine);
  seat?.onShowOnlyErrors((isOn) => (view.isOnlyErrors = isOn));
  await hotKeys?.open(port, (isOn) => (view.isOnlyErrors = isOn));
  const unwatch = access === 'open' && greets(seat) ? watchOpenMode(store, () => tellClosed(config, facts)) : () => {};
  await toldToEnd;
  await (seat === undefined ? drainOnSignal(server, config, totals) : drainWorker(server, seat, config));
  unwatch();
  if (cassette !== undefined) {
    const { words, hasFailed } = await endCassette(cassette, config);
    if (words !== undefined) printTalk(words);
    if (hasFailed) process.exitCode = 1;
  }
  clearInterval(sweeping);
  await inspector.close();
  await budgets.close();
  await notices?.close();
  lines.flush();
}

/** Unless it is told otherwise, it is on where exchanges are kept. */
async function openConfiguredDoctor(config: Config): Promise<LiveCacheDoctor | undefined> {
  const { cacheDoctor, cacheFactsFile, inspect } = config;
  if (!(cacheDoctor ?? inspect)) return undefined;
  return (await import('./cache-doctor.ts')).openCacheDoctor(cacheFactsFile, tellFault);
}

/** Whoever looks at requests has failed; the request does not feel it. */
function tellFault(thrown: unknown): void {
  printError(toProxyError(thrown), true);
}

/** Commands ask a server that can prove itself. Without the secret, it serves all the same. */
function makeServerSecret({ database, saltKey }: Config): void {
  try {
    findServerSecret(database, saltKey);
  } catch {
    // The first key that needs it says what is wrong.
  }
}

/** What clients send to the other address of `localhost`, their keys too, another program gets. */
function warnOfNeighbour(address: string, url: string): void {
  warn(`Another program listens on the same port of ${address}, and clients that call \`localhost\` may reach it.`);
  printTalk(`hint: End it and start the proxy again, or have clients call ${url}.`);
}

/** Told once, loudly: who looks for the fault looks at the network first. */
function warnOfShortage(): (record: RequestRecord) => void {
  let isTold = false;
  return ({ error }) => {
    if (isTold || error?.code !== 'ERR_DESCRIPTORS') return;
    isTold = true;
    printError(error, false);
  };
}

/** Now and from time to time: a key of `exec` does not outlive its command by long, even where that was killed. */
function sweepStaleKeys(store: Store): NodeJS.Timeout {
  const sweep = (): void => {
    // A busy database is asked again in the next round.
    revokeStaleKeys(store, thisProcessSpace(Date.now()), Date.now()).catch(() => {});
  };
  sweep();
  return setInterval(sweep, STALE_KEYS_INTERVAL_MS).unref();
}

/** The last net: a fault that escaped every stage is told, and everybody else's requests go on. */
function surviveFaults(): void {
  // A terminal that was closed: without this, telling of the failed write would fail, and be told, for ever.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (thrown) => printError(toProxyError(thrown), true));
}

function warn(message: string): void {
  printTalk(`warning: ${message}`);
}

/** What renews the login of the credentials; the primary does it for all workers. */
async function findAuthRefresh(
  { awsAuthRefresh: command }: Config,
  seat?: WorkerSeat,
): Promise<AuthRefresh | undefined> {
  if (command === undefined) return undefined;
  if (seat !== undefined) return seat.refreshAuth;
  return (await import('./auth-refresh.ts')).createAuthRefresh({ command, tickMs: MACHINE_TICKS });
}

/** AWS, or the offline Bedrock in this process. Connects nothing yet. The caller closes it. */
export async function connectUpstream(
  config: Config,
  region: string | undefined,
  { refresh, tell = () => {} }: { readonly refresh?: AuthRefresh | undefined; readonly tell?: Talk | undefined } = {},
): Promise<AwsConnection> {
  const { connectTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs } = config;
  const timeouts = { connectTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs };
  if (config.cassette?.mode === 'replay')
    return (await import('../cassette/sealed-connection.ts')).sealConnection(Date.now);
  if (config.offline) return openOffline(config, timeouts, tell);
  const { profile } = config;
  const load = (): ReturnType<typeof loadFromChain> => runTrusting(() => loadFromChain(profile, region, warn));
  const clock = createSigningClock(Date.now, warn);
  const network = readNetworkOptions(config.network);
  const forwarder = createForwarder({ ...timeouts, network });
  const source = createCredentialSource({ profile, nowMs: Date.now, tickMs: MACHINE_TICKS, load });
  const credentials = refresh === undefined ? source : refreshExpired(source, refresh);
  const identities = openIdentities(config, { own: credentials, region, forwarder, clock, warn });
  const bidirectional = createBidirectionalForwarder({ ...timeouts, network, nowMs: clock.nowMs });
  return { name: 'aws', credentials, identities, forwarder, bidirectional, clock, close: () => forwarder.close() };
}

type Talk = (message: string) => void;
type Timeouts = Pick<ForwarderOptions, 'connectTimeoutMs' | 'idleTimeoutMs' | 'streamIdleTimeoutMs'>;

async function openOffline({ scriptFile }: Config, timeouts: Timeouts, tell: Talk): Promise<AwsConnection> {
  const { connectOffline } = await import('../upstream/offline/offline-upstream.ts');
  if (scriptFile === undefined) return connectOffline(timeouts, Date.now);
  const script = await (await import('./live-script.ts')).openLiveScript(scriptFile, tell);
  return connectOffline(timeouts, Date.now, script);
}

/**
 * The region for requests that name none: from flag or environment, the first upstream's, the offline Bedrock's, the
 * profile's, or the API key's.
 */
export async function findRegion(
  config: Config,
): Promise<{ readonly name: string; readonly origin: string } | undefined> {
  if (config.region !== undefined) return config.region;
  const { upstreamsFile } = config;
  const specs = upstreamsFile === undefined ? [] : await readUpstreamsFile(upstreamsFile, process.env);
  const ofUpstream = specs.find((spec) => spec.region !== undefined)?.region;
  if (ofUpstream !== undefined) return { name: ofUpstream, origin: '--upstreams' };
  if (config.offline) return OFFLINE_REGION;
  if (needsNoAccount(config)) return { ...OFFLINE_REGION, origin: 'cassette' };
  const name = await loadProfileRegion(config.profile);
  if (name !== undefined) return { name, origin: `profile ${config.profile ?? 'default'}` };
  const ofKey = findApiKey(config)?.region;
  const isRegion = ofKey !== undefined && findPartition(ofKey) !== undefined;
  return isRegion ? { name: ofKey, origin: 'Bedrock API key' } : undefined;
}

/** After the first signal what runs may end, and all is over when this resolves; a second one ends it at once. */
async function drainOnSignal(
  server: RunningServer,
  { shutdownGraceMs, shutdownDelayMs, quiet }: Config,
  totals: RunTotals,
): Promise<void> {
  onSecondSignal((exitCode) => exitNow(server, exitCode));
  if (!quiet && shutdownDelayMs > 0) printTalk(overEcho(describeDelay(shutdownDelayMs)));
  await untilNoticed(server, shutdownDelayMs);
  const running = server.countRunning();
  if (!quiet && running > 0) printTalk(overEcho(describeEnding(shutdownGraceMs, running)));
  const cutOff = await server.drain(shutdownGraceMs);
  if (!quiet) printTalk(overEcho(totals.describe(cutOff)));
}

/** A terminal has shown `^C` where this text is to stand. */
function overEcho(text: string): string {
  return process.stderr.isTTY === true ? `\r${text}` : text;
}

/** The same of a worker: its primary has the signals, and the words. */
async function drainWorker(
  server: RunningServer,
  seat: WorkerSeat,
  { shutdownGraceMs, shutdownDelayMs }: Config,
): Promise<void> {
  await untilNoticed(server, shutdownDelayMs);
  seat.onDrained(await server.drain(shutdownGraceMs));
}

/** Whoever asks whether the server is ready hears that it is not, before it takes no requests any more. */
async function untilNoticed(server: RunningServer, delayMs: number): Promise<void> {
  server.announceEnd();
  if (delayMs > 0) await delay(delayMs);
}

/** Reset, so that no client takes what it has for all of its response. */
function exitNow(server: RunningServer, exitCode: number): void {
  void server.destroy().finally(() => process.exit(exitCode));
}

/** Of several workers, one says what a start says. */
function greets(seat: WorkerSeat | undefined): boolean {
  return seat === undefined || seat.greets;
}

function readMeters({ metrics, ledger }: Meters, withMetrics: boolean): WorkerReading {
  return { metrics: withMetrics ? metrics.read() : undefined, ledger: ledger.readState() };
}
