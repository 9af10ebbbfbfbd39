/**
 * The admin API on a port of its own, over a fresh SQLite store. Every response is checked against what its endpoint
 * promises, so that the OpenAPI document cannot tell what is not so.
 */
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { FaultBoard } from '../../src/faults/board.ts';
import { ADMIN_PREFIXES, createAdminApi, FOREIGN_PREFIXES } from '../../src/admin/admin-api.ts';
import type { AdminOptions } from '../../src/admin/admin-options.ts';
import { createEndpoints } from '../../src/admin/router.ts';
import { errorEnvelope } from '../../src/admin/schemas.ts';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { startServer } from '../../src/server/server.ts';
import { loadServerSecret, serverSecretPath } from '../../src/keys/server-secret.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import type { Store } from '../../src/domain/store.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

export const MASTER_KEY = 'sk-master-of-the-testbed';

/** A response of whatever shape; what is read of it was checked against its schema before. */
// oxlint-disable-next-line typescript/no-explicit-any -- a test that reads one member need not prove the rest
export type Json = Record<string, any>;

export interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

export interface Response {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Json;
}

export interface Admin {
  readonly port: number;
  readonly url: string;
  readonly store: Store;
  readonly databasePath: string;
  readonly options: AdminOptions;
  /** Moves the clock, which stands still otherwise. */
  wait(milliseconds: number): void;
  nowMs(): number;
  /** With the master key unless told otherwise; POST where there is a body. */
  call(path: string, call?: Call): Promise<Response>;
  /** A body that must be answered 200. */
  post(path: string, body?: unknown): Promise<Json>;
}

export async function openAdmin(masterKey: string | undefined = MASTER_KEY): Promise<Admin> {
  const folder = await makeTemporaryFolder();
  const databasePath = join(folder, 'keys.db');
  const store = await openSqliteStore(databasePath);
  let nowMs = Date.UTC(2030, 0, 15, 12);
  const options: AdminOptions = {
    store,
    masterKey,
    loadServerSecret: () => loadServerSecret(serverSecretPath(databasePath)),
    failures: createFailureLimit(MACHINE_TICKS),
    nowMs: () => nowMs,
    randomBytes,
    faults: await FaultBoard.open({ rules: [], seed: 1, obstacle: undefined, takesOwn: false, drawSeed: () => 1 }),
    version: '1.2.3',
  };
  const handle = createAdminApi(options);
  const server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [...ADMIN_PREFIXES, ...FOREIGN_PREFIXES].map((prefix) => ({ prefix, handle })),
    onRefused: () => {},
  });
  onTestFinished(async () => {
    await server.destroy();
    await server.drain(0);
    await store.close();
  });
  const url = `http://127.0.0.1:${server.port}`;
  const call = async (path: string, how: Call = {}): Promise<Response> => {
    const method = how.method ?? (how.body === undefined ? 'GET' : 'POST');
    const { body } = how;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: how.headers ?? { authorization: `Bearer ${MASTER_KEY}` },
      ...(body === undefined ? {} : { body: toBody(body) }),
    });
    const json = (await response.json()) as Json;
    checkShape(path, method, response.status, json, options);
    return { status: response.status, headers: response.headers, json };
  };
  return {
    port: server.port,
    url,
    store,
    databasePath,
    options,
    wait: (milliseconds) => void (nowMs += milliseconds),
    nowMs: () => nowMs,
    call,
    post: async (path, body = {}) => {
      const { status, json } = await call(path, { body });
      if (status !== 200) throw new Error(`${path} was answered ${status}: ${JSON.stringify(json)}`);
      return json;
    },
  };
}

function toBody(body: unknown): string | Buffer<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Buffer
    ? (body as string | Buffer<ArrayBuffer>)
    : JSON.stringify(body);
}

/** Throws where the response is not what the endpoint, or the envelope of errors, says. */
function checkShape(path: string, method: string, status: number, json: Json, options: AdminOptions): void {
  if (status !== 200) return void errorEnvelope.parse(json);
  const [bare = ''] = path.split('?');
  const endpoint = createEndpoints(options).find(
    (each) =>
      each.method === method &&
      new RegExp(`^${each.path.replaceAll('.', '\\.').replace('{key}', '[^/]+')}/?$`).test(bare),
  );
  if (endpoint === undefined) throw new Error(`${method} ${bare} is no endpoint`);
  endpoint.response.parse(json);
}

let rows = 0;

/** A row of the ledger that names what matters to the test. */
export function ledgerRow(row: Partial<LedgerRow>): LedgerRow {
  rows += 1;
  return {
    id: `00000000-0000-4000-8000-${String(rows).padStart(12, '0')}`,
    requests: 1,
    startedAtMs: Date.UTC(2030, 0, 15, 11),
    principal: row.keyId === undefined ? 'master' : 'key',
    keyId: undefined,
    keyLabel: 'master',
    service: 'bedrock-runtime',
    operation: 'Converse',
    region: 'us-east-1',
    upstream: undefined,
    attempts: undefined,
    model: 'anthropic.claude-haiku-4-5-20251001-v1:0',
    modelAlias: undefined,
    inferenceProfile: undefined,
    source: undefined,
    fault: undefined,
    cacheVerdict: undefined,
    cacheLostNanoUsd: undefined,
    status: 200,
    errorCode: undefined,
    errorMessage: undefined,
    method: undefined,
    path: undefined,
    upstreamRequestId: undefined,
    usage: { inputTokens: 10, outputTokens: 20 },
    serviceTier: undefined,
    pricing: 'priced',
    priceSource: undefined,
    session: undefined,
    agent: undefined,
    costNanoUsd: 1_000_000,
    chargedNanoUsd: 1_000_000,
    partial: false,
    firstByteMs: 12.25,
    totalMs: 40.5,
    requestBytes: 100,
    responseBytes: 200,
    tags: {},
    userAgent: undefined,
    ...row,
  };
}
