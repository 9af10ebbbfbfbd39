import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { monotonicClock } from '../../src/lib/clock.ts';
import { createRootEndpoint, createHealth } from '../../src/admin/health.ts';
import { startServer } from '../../src/server/server.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { StoreHealth } from '../../src/domain/store.ts';
import type { LedgerState } from '../../src/accounting/ledger-writer.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

let nowTick = 0;

const READY = { status: 'healthy', db: 'connected', ledger: { waiting_rows: 0, lost_rows: 0 }, version: '1.2.3' };
const CHALLENGE = 'ab'.repeat(16);

async function open(
  prove: (challenge: string) => string | undefined = (challenge) => `proof of ${challenge}`,
  state: Partial<LedgerState> = {},
  { health = {}, isEnding = false }: { readonly health?: StoreHealth; readonly isEnding?: boolean } = {},
): Promise<{ url: string; databasePath: string }> {
  const folder = await makeTemporaryFolder();
  const databasePath = join(folder, 'keys.db');
  const store = await openSqliteStore(databasePath, { tickMs: monotonicClock(() => nowTick) });
  const ledger = { readState: () => ({ waitingRows: 0, lostRows: 0, failingForMs: undefined, ...state }) };
  const seen = { hasAnyKey: () => store.hasAnyKey(), readHealth: () => health };
  const options = {
    store: seen,
    ledger,
    isEnding: () => isEnding,
    version: '1.2.3',
    mountPath: '/bedrock',
    prove,
    tellCommand: async () => undefined,
  };
  const server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [
      { prefix: '/health', handle: createHealth(options) },
      { prefix: '/', handle: createRootEndpoint(options) },
    ],
    onRefused: () => {},
  });
  onTestFinished(async () => {
    await server.drain(0);
    await store.close();
  });
  return { url: `http://127.0.0.1:${server.port}`, databasePath };
}

describe('health', () => {
  it.each([
    { path: '/health/liveliness', status: 200, json: "I'm alive!" },
    { path: '/health/liveness', status: 200, json: "I'm alive!" },
    { path: '/health/liveness?probe=1', status: 200, json: "I'm alive!" },
    { path: '/health/readiness', status: 200, json: READY },
    { path: '/health', status: 200, json: READY },
    { path: '/health/', status: 404, json: { status: 'unknown' } },
    { path: '/health/services', status: 404, json: { status: 'unknown' } },
    {
      path: '/',
      status: 200,
      json: { name: 'bedrock-proxy', version: '1.2.3', bedrock: '/bedrock', health: '/health/readiness' },
    },
  ])('answers $path with $status', async ({ path, status, json }) => {
    const { url } = await open();
    const response = await fetch(`${url}${path}`);
    expect([response.status, await response.json()]).toEqual([status, json]);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    { name: 'one', path: `/health/readiness?challenge=${CHALLENGE}`, proof: `proof of ${CHALLENGE}` },
    {
      name: 'one among others',
      path: `/health/readiness?a=b&challenge=${CHALLENGE}&c`,
      proof: `proof of ${CHALLENGE}`,
    },
    { name: 'a short one', path: '/health/readiness?challenge=abcd', proof: undefined },
    { name: 'no hexadecimal one', path: `/health/readiness?challenge=${CHALLENGE}:4000`, proof: undefined },
    { name: 'one at another path', path: `/health?challenge=${CHALLENGE}`, proof: undefined },
  ])('answers a challenge of readiness: $name', async ({ path, proof }) => {
    const { url } = await open();
    const response = await fetch(`${url}${path}`);
    const expected = READY;
    expect([response.status, await response.json()]).toEqual([
      200,
      proof === undefined ? expected : { ...expected, proof },
    ]);
  });

  it('says that it is ready all the same if there is nothing to prove by', async () => {
    const { url } = await open(() => undefined);
    const response = await fetch(`${url}/health/readiness?challenge=${CHALLENGE}`);
    expect(await response.json()).toEqual(READY);
  });

  it.each([
    { name: 'rows wait for a moment', failingForMs: 59_999, ready: true },
    { name: 'rows have waited for a minute', failingForMs: 60_000, ready: false },
    { name: 'all are written again', failingForMs: undefined, ready: true },
  ])('tells of rows that wait and are lost, and is ready: $name', async ({ failingForMs, ready }) => {
    const { url } = await open(undefined, { waitingRows: 7, lostRows: 2, failingForMs });
    const response = await fetch(`${url}/health/readiness`);
    expect([response.status, await response.json()]).toEqual([
      ready ? 200 : 503,
      {
        ...READY,
        ...(ready ? {} : { status: 'unhealthy', db: 'not writable' }),
        ledger: { waiting_rows: 7, lost_rows: 2 },
      },
    ]);
  });

  it('says that it is alive, but not ready, without its database', async () => {
    const { url, databasePath } = await open();
    await rm(databasePath);
    nowTick += 2_000;
    const ready = await fetch(`${url}/health/readiness`);
    expect([ready.status, await ready.json()]).toEqual([503, { ...READY, status: 'unhealthy', db: 'unavailable' }]);
    expect((await fetch(`${url}/health/liveliness`)).status).toBe(200);
  });

  it('is not ready while it ends, and alive', async () => {
    const { url } = await open(undefined, {}, { isEnding: true });
    const ready = await fetch(`${url}/health/readiness`);
    expect([ready.status, await ready.json()]).toEqual([503, { ...READY, status: 'shutting down' }]);
    expect((await fetch(`${url}/health/liveliness`)).status).toBe(200);
  });

  it.each([
    { name: 'responds', awayForMs: undefined, areKeysUsable: true, db: 'connected' },
    { name: 'is away, and keys are known', awayForMs: 3_000, areKeysUsable: true, db: 'away' },
    { name: 'is away, and keys were known too long ago', awayForMs: 30_001, areKeysUsable: false, db: 'unavailable' },
  ])('tells whether it is ready if a database that is shared $name', async ({ awayForMs, areKeysUsable, db }) => {
    const connections = { open: 1, idle: 1, waiting: 0 };
    const health = { shared: { awayForMs, areKeysUsable, spilledRows: 5, refusedRows: 0, connections } };
    const { url } = await open(undefined, { spilledRows: 5 }, { health });
    const ready = await fetch(`${url}/health/readiness`);
    const ledger = { waiting_rows: 0, lost_rows: 0, spilled_rows: 5 };
    expect([ready.status, await ready.json()]).toEqual(
      areKeysUsable ? [200, { ...READY, db, ledger }] : [503, { ...READY, status: 'unhealthy', db, ledger }],
    );
  });
});
