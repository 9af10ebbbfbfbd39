/**
 * What single stages cost, without sockets, in a process of its own: prints one JSON line. Each number is the best of
 * several passes in a loop, with everything warm; within a real request a stage costs more.
 */
import { MACHINE_TICKS } from '../src/lib/clock.ts';
import { parsePresentedCredential } from '../src/keys/presented-credential.ts';
import { parseTarget } from '../src/http/target.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createFailureLimit } from '../src/auth/failure-limit.ts';
import { mintKey } from '../src/keys/mint.ts';
import { authenticate, type AuthenticatorOptions } from '../src/auth/authenticate.ts';
import type { ClientRequest, HeaderPair } from '../src/http/message.ts';
import { encodeFrame } from '../src/protocol/event-stream.ts';
import { OPERATIONS } from '../src/operations/catalog.ts';
import { findRoute, type RoutingConfig } from '../src/routing/route.ts';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import { FrameChain, FrameResigner } from '../src/protocol/sigv4/frame-chain.ts';
import { selectUpstreamHeaders } from '../src/upstream/headers.ts';
import { type AwsCredentials, signRequest } from '../src/upstream/aws/sign.ts';

/** Microseconds of one call. */
export interface StageReport {
  readonly stage: string;
  readonly micros: number;
}

const PASSES = 5;
const PASS_MS = Number(process.argv[2] ?? 200);

const ROUTING: RoutingConfig = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const CREDENTIALS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const HEADERS: readonly HeaderPair[] = [
  ['Host', 'localhost:4000'],
  ['Content-Type', 'application/json'],
  ['User-Agent', 'Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python#3.13.0 cfg/retry-mode#standard'],
  ['amz-sdk-invocation-id', '6ba7b810-9dad-41d1-80b4-00c04fd430c8'],
  ['amz-sdk-request', 'attempt=1; max=3'],
  ['Content-Length', '300'],
];

/** Average time of `work`, which says how many calls it made: the best pass, since noise only ever adds. */
async function timePerCall(work: () => number | Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < PASSES; pass += 1) {
    let calls = 0;
    const startedAt = performance.now();
    let elapsedMs = 0;
    while (elapsedMs < PASS_MS) {
      calls += await work();
      elapsedMs = performance.now() - startedAt;
    }
    best = Math.min(best, (elapsedMs * 1000) / calls);
  }
  return best;
}

/** One request for every operation of the table, with an ARN in the first label and short ids in the others. */
function routeWholeTable(): () => number {
  const requests = OPERATIONS.filter(({ service }) => service.id !== 'agentcore-gateway').map(
    ({ method, template, service, name }) => {
      const path = template
        .replace('{', '\0')
        .replaceAll(/\{[^}]*\}/g, 'ABCDEFGHIJ')
        .replace(/\0[^}]*\}/, 'arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fabc');
      const target: readonly HeaderPair[] =
        service.targetPrefix === undefined ? [] : [['X-Amz-Target', `${service.targetPrefix}.${name}`]];
      return {
        method: method === '*' ? 'POST' : method,
        target: parseTarget(`/bedrock${path}`),
        scope: undefined,
        headers: [...HEADERS, ...target],
        mountPath: '/bedrock',
        config: ROUTING,
      };
    },
  );
  return () => {
    for (const request of requests) findRoute(request);
    return requests.length;
  };
}

const SIGNED_PATH = '/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse';

function sign(host: string, path: string, credentials: AwsCredentials): Promise<HeaderPair[]> {
  return signRequest({
    method: 'POST',
    host,
    target: { path, query: undefined },
    headers: selectUpstreamHeaders(HEADERS, { viaName: undefined, keepsTarget: false }),
    bodySha256: EMPTY_SHA256,
    credentials,
    region: 'us-east-1',
    signingName: 'bedrock',
    signingDate: new Date(),
  });
}

/** Finds the principal of a request with these headers, again and again. */
function authenticateAs(headers: readonly HeaderPair[], options: AuthenticatorOptions): () => Promise<number> {
  const clientRequest: ClientRequest = {
    method: 'POST',
    target: parseTarget(`/bedrock${SIGNED_PATH}`),
    headers,
    authority: 'localhost:4000',
    httpVersion: '1.1',
    peerAddress: '127.0.0.1',
    openBody: () => Readable.from([]),
    signal: new AbortController().signal,
    cut: () => {},
    upgrade: undefined,
  };
  return async () => {
    const presented = parsePresentedCredential(headers, undefined);
    const caller = await authenticate(clientRequest, presented, options);
    await caller.verify({ sha256: EMPTY_SHA256, sizeBytes: 0 });
    return 1;
  };
}

const folder = mkdtempSync(join(tmpdir(), 'bedrock-proxy-stages-'));
const store = await openSqliteStore(join(folder, 'keys.db'));
const serverSecret = randomBytes(32);
const { key, accessKeyId } = await mintKey({ store, serverSecret, alias: undefined, nowMs: Date.now(), randomBytes });
const failures = createFailureLimit(MACHINE_TICKS);
const authenticator = { store, masterKey: undefined, loadServerSecret: () => serverSecret, failures, nowMs: Date.now };
const bearerHeaders: readonly HeaderPair[] = [...HEADERS, ['Authorization', `Bearer ${key}`]];
const signedHeaders = await sign('localhost:4000', `/bedrock${SIGNED_PATH}`, { accessKeyId, secretAccessKey: key });

/** A client's frames of 1 kB (about 30 ms of speech) taken out of their envelopes and signed anew. */
function resignFrames(): () => number {
  const credentials = { secretAccessKey: CREDENTIALS.secretAccessKey };
  const chainStart = { credentials, region: 'us-east-1', signingName: 'bedrock', seedSignature: EMPTY_SHA256 };
  const client = new FrameChain(chainStart);
  const audio = encodeFrame(Buffer.alloc(0), randomBytes(1_000));
  const frames = Array.from({ length: 100 }, () => client.sign(audio, Date.now()));
  const resigner = new FrameResigner({ chain: new FrameChain(chainStart), nowMs: Date.now, checkFrame: undefined });
  return () => {
    for (const frame of frames) Array.from(resigner.push(frame));
    return frames.length;
  };
}

const STAGES: Readonly<Record<string, () => number | Promise<number>>> = {
  'route: mean over the whole operation table': routeWholeTable(),
  'authenticate: a virtual key as Bearer, the database asked for changes': authenticateAs(bearerHeaders, authenticator),
  'authenticate: a SigV4 signature with a virtual key': authenticateAs(signedHeaders, authenticator),
  'sign: the headers of a small request': async () => {
    await sign('bedrock-runtime.us-east-1.amazonaws.com', SIGNED_PATH, CREDENTIALS);
    return 1;
  },
  're-sign: one 1 kB frame of a bidirectional stream': resignFrames(),
};

const reports: StageReport[] = [];
for (const [stage, work] of Object.entries(STAGES)) reports.push({ stage, micros: await timePerCall(work) });
await store.close();
rmSync(folder, { recursive: true, force: true });
console.log(JSON.stringify(reports));
