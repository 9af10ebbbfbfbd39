/**
 * Proxies whose PostgreSQL is stopped while they serve, stays away, or has a full disk: who needs no budget goes on,
 * budgets fail closed, what was answered is in the ledger in the end, once, and all of it recovers by itself.
 * @module-tag slow
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../helpers/postgres.ts';
import { launchServer, openProgramTest, run, type RunningServer } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';

const PATH = '/bedrock/model/amazon.nova-lite-v1:0/converse';
const MAX_TOKENS = 100;
const BODY = JSON.stringify({
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
  inferenceConfig: { maxTokens: MAX_TOKENS },
});
/** Nova Lite: 60 nano-dollars an input token, 240 an output token. */
const COST_NANO_USD = 5 * 60 + MAX_TOKENS * 240;
const RESPONSE = { usage: { inputTokens: 5, outputTokens: MAX_TOKENS, totalTokens: 5 + MAX_TOKENS } };

let server: PostgresServer;
let url: string;
let database: string;
let upstream: FakeUpstream;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  if (POSTGRES !== undefined) server = await startPostgres({ durable: true });
}, 60_000);

afterAll(async () => {
  if (POSTGRES !== undefined) await removePostgres(server);
});

interface Reply {
  readonly status: number;
  readonly id: string | undefined;
  readonly error: string | undefined;
  readonly body: string;
}

async function converse(port: number, key: string): Promise<Reply> {
  const headers = ['Host: localhost', `Authorization: Bearer ${key}`, `Content-Length: ${BODY.length}`];
  const response = await ask(port, `POST ${PATH} HTTP/1.1`, headers, BODY);
  return {
    status: response.status,
    id: response.header('x-litellm-call-id'),
    error: response.header('x-bedrock-proxy-error'),
    body: response.body.toString(),
  };
}

/** The id of a request that is answered. */
async function serve(proxy: RunningServer, key: string): Promise<string> {
  const { status, id = '', body } = await converse(proxy.port, key);
  expect([status, body]).toEqual([200, JSON.stringify(RESPONSE)]);
  return id;
}

async function readReadiness(port: number): Promise<{ status: number; db: string; spilled: number }> {
  const response = await ask(port, 'GET /health/readiness HTTP/1.1', ['Host: localhost']);
  const { db, ledger } = JSON.parse(response.body.toString()) as { db: string; ledger: { spilled_rows: number } };
  return { status: response.status, db, spilled: ledger.spilled_rows };
}

async function makeKey(...flags: string[]): Promise<string> {
  const { stdout, stderr } = await run(['key', 'generate', '--quiet', ...flags], environment);
  expect(stderr).toBe('');
  return stdout.trim();
}

/** A machine that is busy may take long. */
const recovered = { timeout: 20_000, interval: 50 };
/** Resolves when the database has so many rows. */
const untilRows = (count: number): Promise<void> =>
  expect.poll(async () => (await countRows()).size, recovered).toBe(count) as Promise<void>;

/** How often each request has a row. */
async function countRows(): Promise<Map<string, number>> {
  const rows = await server.run<{ id: string; count: number }>(
    'SELECT id, count(*)::int AS count FROM bedrock_proxy.ledger WHERE status = 200 GROUP BY id',
    database,
  );
  return new Map(rows.map(({ id, count }) => [id, count]));
}

const untilConnected = (proxy: RunningServer): Promise<void> =>
  expect
    .poll(() => readReadiness(proxy.port), recovered)
    .toEqual({ status: 200, db: 'connected', spilled: 0 }) as Promise<void>;

async function launchProxy(...flags: string[]): Promise<RunningServer> {
  const proxy = await launchServer(flags, environment);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  // From now on keys that are asked for are known.
  await untilConnected(proxy);
  return proxy;
}

/** To the server and to each of its sessions. */
function signalServer(signal: 'SIGSTOP' | 'SIGCONT'): void {
  const [main = ''] = readFileSync(join(server.folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  const sessions = pairs.filter(([, parent]) => parent === main).map(([pid]) => Number(pid));
  for (const pid of [Number(main), ...sessions]) process.kill(pid, signal);
}

describe.skipIf(POSTGRES === undefined)('a PostgreSQL (skipped where there is none)', { timeout: 60_000 }, () => {
  // Whatever a test that failed has left.
  afterEach(() => server.restart('immediate'));

  beforeEach(async () => {
    const place = await openProgramTest();
    ({ upstream } = place);
    upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
    url = await server.createDatabase({ migrated: true });
    database = new URL(url).pathname.slice(1);
    environment = { ...place.environment, BEDROCK_PROXY_DB: url, BEDROCK_PROXY_SALT_KEY: 'a salt of some length' };
  });

  it('that is stopped costs no row of those who go on, and fails budgets closed until it is back', async () => {
    const [plain, budgeted] = [await makeKey(), await makeKey('--budget', '1')];
    const proxies = [await launchProxy(), await launchProxy()];
    const ids: string[] = [];
    for (const proxy of proxies) {
      ids.push(await serve(proxy, plain));
      ids.push(await serve(proxy, budgeted));
    }
    await untilRows(4);
    await server.stop('immediate');
    for (const proxy of proxies) {
      for (let count = 0; count < 5; count += 1) ids.push(await serve(proxy, plain));
      const refused = await converse(proxy.port, budgeted);
      expect(refused).toMatchObject({ status: 503, error: 'ERR_STORE_UNAVAILABLE' });
      expect(refused.body).toContain('The database cannot be reached.');
      await expect.poll(async () => (await readReadiness(proxy.port)).spilled, recovered).toBeGreaterThanOrEqual(5);
      expect(await readReadiness(proxy.port)).toMatchObject({ status: 200, db: 'away' });
      const { body } = await ask(proxy.port, 'GET /metrics HTTP/1.1', ['Host: localhost']);
      expect(body.toString()).toContain('\nbedrock_proxy_store_up 0\n');
      // The one that was refused may have its row by now, too.
      expect(body.toString()).toMatch(/^bedrock_proxy_ledger_spilled_rows [56]$/m);
    }
    const status = await run(['status'], environment);
    expect(status.stdout.match(/store +has not responded for \d+ s; [56] rows wait for it in files$/gm)).toHaveLength(
      2,
    );
    await server.start();
    for (const proxy of proxies) {
      await untilConnected(proxy);
      ids.push(await serve(proxy, budgeted));
      expect(await proxy.untilStderr('that waited are in the database now.')).toContain('wait in a file');
    }
    const { stdout } = await run(['status', '--json'], environment);
    const store = { away_seconds: null, spilled_rows: 0, lost_rows: 0 };
    expect(JSON.parse(stdout)).toMatchObject([{ store }, { store }]);
    await untilRows(ids.length);
    expect(await countRows()).toEqual(new Map(ids.map((id) => [id, 1])));
    const [spend] = await server.run<{ total: number }>(
      'SELECT sum(charged_nano)::int AS total FROM bedrock_proxy.ledger',
      database,
    );
    expect(spend?.total).toBe(ids.length * COST_NANO_USD);
  });

  it('that is away when a proxy is killed has its rows from the next one that starts', async () => {
    const plain = await makeKey();
    const killed = await launchProxy();
    const ids = [await serve(killed, plain)];
    await untilRows(1);
    await server.stop('immediate');
    for (let count = 0; count < 3; count += 1) ids.push(await serve(killed, plain));
    await expect.poll(() => readReadiness(killed.port), recovered).toMatchObject({ spilled: 3 });
    killed.child.kill('SIGKILL');
    await killed.ended;
    await server.start();
    const next = await launchProxy();
    expect(await next.untilStderr('3 rows of the ledger that waited are in the database now.')).toBeTruthy();
    expect(await countRows()).toEqual(new Map(ids.map((id) => [id, 1])));
  });

  it('that is away at the end of a proxy has its rows from the next one too', async () => {
    const plain = await makeKey();
    const ending = await launchProxy();
    await serve(ending, plain);
    await untilRows(1);
    await server.stop('immediate');
    const id = await serve(ending, plain);
    ending.child.kill('SIGTERM');
    expect((await ending.ended).stderr).toContain('1 row of the ledger waits for the database in');
    await server.start();
    const next = await launchProxy();
    await next.untilStderr('1 row of the ledger that waited is in the database now.');
    expect((await countRows()).get(id)).toBe(1);
  });

  it('that comes back while a request with a budget is under way charges it once, what it cost', async () => {
    const budgeted = await makeKey('--budget', '1');
    const proxy = await launchProxy();
    const [asked, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    upstream.respondWith(async (_request, response) => {
      asked.resolve();
      await finish.promise;
      sendJson(response, 200, RESPONSE);
    });
    const responding = converse(proxy.port, budgeted);
    await asked.promise;
    await server.stop('immediate');
    finish.resolve();
    const { status, id } = await responding;
    expect(status).toBe(200);
    await expect.poll(() => readReadiness(proxy.port), recovered).toMatchObject({ db: 'away', spilled: 1 });
    await server.start();
    await untilConnected(proxy);
    expect(await countRows()).toEqual(new Map([[id, 1]]));
    const { stdout } = await run(['key', 'list', '--json'], environment);
    expect(stdout).toContain(`"total_usd": "0.0000243"`);
    expect(stdout).toContain('"reserved_usd": "0"');
    const reserved = await server.run('SELECT * FROM bedrock_proxy.reservations', database);
    expect(reserved).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('that hangs is waited for by budgets alone', async () => {
    const [plain, budgeted] = [await makeKey(), await makeKey('--budget', '1')];
    const proxy = await launchProxy();
    const ids = [await serve(proxy, plain), await serve(proxy, budgeted)];
    await untilRows(2);
    signalServer('SIGSTOP');
    try {
      for (let count = 0; count < 3; count += 1) ids.push(await serve(proxy, plain));
      await expect
        .poll(() => readReadiness(proxy.port), recovered)
        .toMatchObject({ status: 200, db: 'away', spilled: 3 });
      expect(await converse(proxy.port, budgeted)).toMatchObject({ status: 503, error: 'ERR_STORE_UNAVAILABLE' });
    } finally {
      signalServer('SIGCONT');
    }
    await untilConnected(proxy);
    ids.push(await serve(proxy, budgeted));
    await untilRows(ids.length);
    expect(await countRows()).toEqual(new Map(ids.map((id) => [id, 1])));
    const reserved = await server.run('SELECT * FROM bedrock_proxy.reservations', database);
    expect(reserved).toEqual([]);
  });

  it('that stays away ends the use of keys after --stale-keys, and readiness', async () => {
    const plain = await makeKey();
    const proxy = await launchProxy('--stale-keys', '2');
    expect((await converse(proxy.port, plain)).status).toBe(200);
    await untilRows(1);
    await server.stop('immediate');
    await expect.poll(() => readReadiness(proxy.port), recovered).toMatchObject({ status: 503, db: 'unavailable' });
    expect(await converse(proxy.port, plain)).toMatchObject({ status: 503, error: 'ERR_STORE_UNAVAILABLE' });
    await server.start();
    await untilConnected(proxy);
    expect((await converse(proxy.port, plain)).status).toBe(200);
  });

  it('that takes no rows, because its disk is full, gets them when it has room', async () => {
    const plain = await makeKey();
    const proxy = await launchProxy();
    const ids = [await serve(proxy, plain)];
    await untilRows(1);
    await server.run(
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER full_disk BEFORE INSERT ON bedrock_proxy.ledger FOR EACH ROW EXECUTE FUNCTION full_disk()`,
      database,
    );
    for (let count = 0; count < 3; count += 1) ids.push(await serve(proxy, plain));
    await expect.poll(() => readReadiness(proxy.port), recovered).toMatchObject({ status: 200, spilled: 3 });
    expect(await proxy.untilStderr('wait in a file')).toContain('The database has no room on its disk.');
    await server.run('DROP TRIGGER full_disk ON bedrock_proxy.ledger', database);
    await untilConnected(proxy);
    expect(await countRows()).toEqual(new Map(ids.map((id) => [id, 1])));
  });
});
