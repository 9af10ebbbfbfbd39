/**
 * The whole proxy as users run it, in this process, against a fake upstream that verifies every signature: a fresh
 * database, a free port, fixed AWS credentials.
 */
import { locateFile } from '../../src/config/database-location.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openInspector } from '../../src/app/inspector.ts';
import { openFaultBoard } from '../../src/app/fault-board.ts';
import { openConfiguredCassette } from '../../src/app/open-cassette.ts';
import { connectUpstream } from '../../src/app/start.ts';
import type { Cassette } from '../../src/cassette/cassette.ts';
import { openCacheDoctor } from '../../src/app/cache-doctor.ts';
import type { CacheDoctor } from '../../src/diagnose/cache-doctor.ts';
import { composeServer } from '../../src/app/compose.ts';
import { findServerSecret } from '../../src/keys/server-secret.ts';
import { createBidirectionalForwarder } from '../../src/upstream/aws/bidirectional.ts';
import { readNetworkOptions } from '../../src/app/network.ts';
import { type Config, needsNoAccount, readConfig } from '../../src/config/config.ts';
import { parseUpstreamsFile, type UpstreamSpec } from '../../src/config/upstreams.ts';
import { type MintedKey, mintKey, type MintOptions } from '../../src/keys/mint.ts';
import type { RequestRecord } from '../../src/domain/request-record.ts';
import { loadPrices } from '../../src/pricing/price-book.ts';
import { createLedger, type Ledger } from '../../src/accounting/ledger-writer.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import type { TlsKeyPair } from '../../src/server/tls-front.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/domain/store.ts';
import { type Identities, oneIdentity } from '../../src/upstream/aws/identities.ts';
import { createCredentialSource, type CredentialSource } from '../../src/upstream/aws/credentials.ts';
import { createSigningClock } from '../../src/upstream/aws/signing-clock.ts';
import { createForwarder, type Forwarder } from '../../src/upstream/aws/forward.ts';
import type { ReadOnLimits } from '../../src/upstream/aws/response-relay.ts';
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from './fake-upstream.ts';

export const AWS_PAIR = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

export interface TestbedOptions {
  /** As on the command line; the endpoint is the fake upstream unless given. */
  readonly flags?: Readonly<Record<string, string | readonly string[]>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** What has no flag, such as `uploadIdleTimeoutMs`. */
  readonly config?: Partial<Config>;
  readonly sessionToken?: string;
  /** AWS's own host names, all of which lead to the fake upstream, instead of its address as endpoint URL. */
  readonly realHosts?: boolean;
  /** A certificate, for TLS beside clear text. */
  readonly tls?: TlsKeyPair;
  /** How long, and how far, a response is read on whose client has left; not long, if a test does not say so. */
  readonly readOn?: ReadOnLimits;
  /** A client that takes nothing for so long is cut off. */
  readonly unreadMs?: number;
  /** Several ways to Bedrock, by the text of a file of `--upstreams`. */
  readonly upstreams?: string;
  /** How long a response waits to be complete. */
  readonly bufferMs?: number;
  /** What the server is given in place of the store. */
  readonly wrapStore?: (store: Store) => Store;
  /** The clock of the machine, for signatures. */
  readonly signingMs?: () => number;
  /** What may sign besides: profiles and roles. */
  readonly identities?: (own: CredentialSource, forwarder: Forwarder) => Identities;
  /** Stands in for the credential chain. */
  readonly load?: () => Promise<{ accessKeyId: string; secretAccessKey: string; sessionToken?: string }>;
}

export interface Testbed extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:port/bedrock` */
  readonly url: string;
  readonly upstream: FakeUpstream;
  readonly store: Store;
  readonly ledger: Ledger;
  readonly databasePath: string;
  /** What the owner was warned of. */
  readonly warnings: readonly string[];
  /** Every exchange that is over. */
  readonly records: readonly RequestRecord[];
  /** The next exchange to end from now on. */
  nextRecord(): Promise<RequestRecord>;
  mint(alias?: string, more?: Partial<MintOptions>): Promise<MintedKey>;
  /** As when the file of `--upstreams` has this text from now on. */
  changeUpstreams(text: string): void;
  /** The one of `--cassette`. */
  readonly cassette: Cassette | undefined;
  /** With `--cache-doctor`. */
  readonly cacheDoctor: CacheDoctor | undefined;
  /** Of the page at `/inspect/`; undefined: it is off. */
  readonly inspectToken: string | undefined;
  drain(graceMs: number): Promise<number>;
  /** As a second signal does. */
  destroy(): Promise<void>;
}

export async function startProxy(options: TestbedOptions = {}): Promise<Testbed> {
  const folder = await mkdtemp(join(tmpdir(), 'testbed-'));
  const upstream = await startFakeUpstream({
    ...AWS_PAIR,
    ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken }),
  });
  const databasePath = join(folder, 'keys.db');
  const endpointUrl = options.realHosts === true ? [] : [`http://${upstream.authority}`];
  const flags = { port: '0', region: 'us-east-1', db: databasePath, endpointUrl };
  const config = { ...readConfig({ ...flags, ...options.flags }, options.environment ?? {}), ...options.config };
  const store = await openSqliteStore(databasePath);
  const { connectTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs } = config;
  const timeouts = { connectTimeoutMs, idleTimeoutMs, streamIdleTimeoutMs };
  const dialPort = options.realHosts === true ? upstream.port : undefined;
  const network = readNetworkOptions(config.network);
  const readOn = options.readOn ?? { timeoutMs: 50, maxBytes: 1_000_000, stallMs: 10_000 };
  const { unreadMs, bufferMs } = options;
  const forwarder = createForwarder({ ...timeouts, dialPort, network, readOn, unreadMs, bufferMs });
  const warnings: string[] = [];
  const clock = createSigningClock(options.signingMs ?? Date.now, (message) => warnings.push(message));
  const records: RequestRecord[] = [];
  const waiting: ((record: RequestRecord) => void)[] = [];
  const pair = options.sessionToken === undefined ? AWS_PAIR : { ...AWS_PAIR, sessionToken: options.sessionToken };
  const prices = await loadPrices({ priceFile: config.pricesFile, refreshedFile: undefined, warn: () => {} });
  const ledger = createLedger({
    store,
    nowMs: Date.now,
    tickMs: MACHINE_TICKS,
    // A test that takes the store away sees it by what is missing.
    onProblem: () => {},
    retentionMs: config.ledgerRetentionMs,
  });
  const credentials = createCredentialSource({
    profile: undefined,
    nowMs: Date.now,
    tickMs: MACHINE_TICKS,
    load: options.load ?? (async () => pair),
  });
  const specs = options.upstreams === undefined ? undefined : parseUpstreamsFile(options.upstreams, {});
  let takeUpstreams: ((specs: readonly UpstreamSpec[]) => void) | undefined;
  // The offline Bedrock, or nothing at all.
  const own = needsNoAccount(config) ? await connectUpstream(config, config.region?.name) : undefined;
  const cassette = await openConfiguredCassette(config);
  const cacheDoctor =
    config.cacheDoctor === true
      ? await openCacheDoctor(config.cacheFactsFile, (thrown) => expect.unreachable(String(thrown)))
      : undefined;
  const inspector = await openInspector(config, store);
  const server = await composeServer({
    upstreams: specs && { specs, onChange: (take) => (takeUpstreams = take), close: () => {} },
    config,
    faults: await openFaultBoard(config),
    cassette,
    cacheDoctor,
    inspector,
    loadPrices: async () => prices,
    ledger,
    metrics: createMetrics(),
    defaultRegion: config.region?.name,
    store: options.wrapStore?.(store) ?? store,
    connection: own ?? {
      name: 'test',
      credentials,
      identities: options.identities?.(credentials, forwarder) ?? oneIdentity(credentials),
      forwarder,
      clock,
      bidirectional: createBidirectionalForwarder({ ...timeouts, network, nowMs: Date.now }),
      close: () => forwarder.close(),
    },
    tls: options.tls,
    version: '0.0.0-test',
    subscribers: [
      {
        ended: (record) => {
          records.push(record);
          waiting.splice(0).forEach((tell) => tell(record));
        },
      },
    ],
    onFault: (thrown) => expect.unreachable(String(thrown)),
  });
  return {
    port: server.port,
    url: `http://127.0.0.1:${server.port}/bedrock`,
    upstream,
    store,
    ledger,
    databasePath,
    records,
    warnings,
    nextRecord: () => new Promise((resolve) => waiting.push(resolve)),
    mint: (alias, more) =>
      mintKey({
        store,
        serverSecret: findServerSecret(locateFile(databasePath), config.saltKey),
        alias,
        nowMs: Date.now(),
        randomBytes,
        ...more,
      }),
    changeUpstreams: (text) => takeUpstreams?.(parseUpstreamsFile(text, {})),
    cassette,
    cacheDoctor: cacheDoctor?.doctor,
    inspectToken: inspector.token,
    drain: (graceMs) => server.drain(graceMs),
    destroy: () => server.destroy(),
    [Symbol.asyncDispose]: async () => {
      await server.destroy();
      await server.drain(0);
      await inspector.close();
      await cassette?.close();
      await own?.close();
      await forwarder.close();
      await upstream.close();
      await ledger.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
