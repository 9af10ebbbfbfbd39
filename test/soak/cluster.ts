/**
 * Several proxies on one PostgreSQL under mixed traffic of many keys, while proxies are killed and the database is
 * restarted. At the end a checker counts what the upstream has billed: no key has spent more than its budget, each
 * response that was complete has one row in the ledger (but for the named window before a kill), nothing is reserved,
 * and a revoked key was refused everywhere in time.
 */
import { Client } from 'pg';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { type Keep } from '../helpers/closing.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../helpers/postgres.ts';
import { AWS_VARIABLES, launchServer, openWorkplace, type RunningServer, type Workplace } from '../helpers/program.ts';
import { type Bill, type CountingUpstream, startCountingUpstream, UPSTREAM_ERROR } from './counting-upstream.ts';

const MASTER_KEY = 'sk-soak-master-key-0123456789';
const MODEL = 'amazon.nova-lite-v1%3A0';
const KEYS = 100;
const LANES = 24;
/** A killed proxy loses the rows of so many milliseconds at most; while the database is away, of this many. */
const WINDOW_MS = 500;
const WINDOW_WITHOUT_DATABASE_MS = 3_000;
/** A revoked key is refused everywhere within this time, by the contract; the rest is for the way there. */
const REVOKED_WITHIN_MS = 1_000;
const REVOCATION_NOISE_MS = 500;
const TIMEOUT_MS = 30_000;
/** What a proxy responds that does not use a key; 503: it cannot know whether it may. */
const REFUSALS: ReadonlySet<string> = new Set(['401', '403', '503']);
/** The upstream may have written to a proxy that was killed already. */
const AFTER_KILL_MS = 500;

/** How it is run. */
export interface ClusterSoak {
  readonly proxies: number;
  readonly minutes: number;
  readonly random: () => number;
}

interface Kill {
  readonly proxy: number;
  readonly at: number;
}

interface SoakKey {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly budgetUsd: number | undefined;
}

/** Runs it, prints what happened, and returns what is wrong. */
export async function soakCluster({ proxies, minutes, random }: ClusterSoak, keep: Keep): Promise<string[]> {
  if (POSTGRES === undefined) {
    console.log('SKIPPED: this machine has no PostgreSQL');
    return [];
  }
  const faults: string[] = [];
  const upstream = keep(await startCountingUpstream(proxies, random));
  const server = await startPostgres({ durable: true });
  keep({ [Symbol.asyncDispose]: () => removePostgres(server) });
  const url = await server.createDatabase();
  const places = await Promise.all(Array.from({ length: proxies }, async () => keep(await openWorkplace())));
  const cluster = new Cluster({ url, upstream, places });
  await cluster.startAll();
  keep({ [Symbol.asyncDispose]: () => cluster.killAll() });
  const keys = await makeKeys(cluster, minutes);
  const state = { isOver: false, counts: {} as Record<string, number>, databaseDownAt: [] as number[], isDown: false };
  const lanes = Array.from({ length: LANES }, () => runLane(cluster, keys, state, random));
  const revocations = watchRevocations(cluster, state, random);
  const until = performance.now() + minutes * 60_000;
  let restarts = 0;
  while (performance.now() < until) {
    await pauseFor(Math.min(until - performance.now(), 500 + random() * 6_000));
    if (random() < 0.75) await cluster.killOne(Math.floor(random() * proxies));
    else {
      state.isDown = true;
      state.databaseDownAt.push(performance.now());
      await server.stop(random() < 0.5 ? 'immediate' : 'fast');
      await pauseFor(random() * 4_000);
      await server.start();
      state.databaseDownAt.push(performance.now());
      state.isDown = false;
      restarts += 1;
    }
  }
  state.isOver = true;
  await Promise.all(lanes);
  const latencies = await revocations;
  faults.push(...(await settleDown(cluster, server, url)));
  faults.push(...(await check({ url, upstream, keys, kills: cluster.kills, downAt: state.databaseDownAt })));
  faults.push(...checkRevocations(latencies), ...upstream.faults.slice(0, 10), ...cluster.faults.slice(0, 10));
  console.log(`${cluster.kills.length} kills, ${restarts} restarts of the database; ${showCounts(state.counts)}`);
  console.log(`upstream: ${upstream.requests} requests, ${upstream.bills.length} responses in full`);
  return faults;
}

/** The proxies. State: the processes. */
class Cluster {
  readonly kills: Kill[] = [];
  readonly faults: string[] = [];
  readonly #url: string;
  readonly #upstream: CountingUpstream;
  readonly #places: readonly Workplace[];
  readonly #servers: (RunningServer | undefined)[] = [];
  readonly #ports: number[] = [];

  constructor(options: {
    readonly url: string;
    readonly upstream: CountingUpstream;
    readonly places: readonly Workplace[];
  }) {
    this.#url = options.url;
    this.#upstream = options.upstream;
    this.#places = options.places;
  }

  get size(): number {
    return this.#places.length;
  }

  urlOf(proxy: number): string {
    return `http://127.0.0.1:${this.#ports[proxy]}`;
  }

  async startAll(): Promise<void> {
    for (let proxy = 0; proxy < this.size; proxy += 1) await this.#start(proxy);
  }

  async killOne(proxy: number): Promise<void> {
    const running = this.#servers[proxy];
    if (running === undefined) return;
    running.child.kill('SIGKILL');
    this.kills.push({ proxy, at: performance.now() });
    this.#servers[proxy] = undefined;
    this.#noteTrouble(await running.ended);
    await this.#start(proxy);
  }

  /** In order, as a deployment ends them. */
  async stopAll(): Promise<void> {
    for (const running of this.#servers) running?.child.kill('SIGTERM');
    for (const [proxy, running] of this.#servers.entries()) {
      const end = await running?.ended;
      if (end !== undefined && end.code !== 0)
        this.faults.push(`proxy ${proxy} ended with ${end.code}: ${end.stderr.slice(-500)}`);
      if (end !== undefined) this.#noteTrouble(end);
      this.#servers[proxy] = undefined;
    }
  }

  async killAll(): Promise<void> {
    for (const running of this.#servers) await running?.[Symbol.asyncDispose]();
  }

  async #start(proxy: number): Promise<void> {
    const environment = {
      ...this.#places[proxy]?.environment,
      ...AWS_VARIABLES,
      BEDROCK_PROXY_DB: this.#url,
      BEDROCK_PROXY_MASTER_KEY: MASTER_KEY,
      BEDROCK_PROXY_SALT_KEY: 'soak-salt-key-0123456789',
      BEDROCK_PROXY_ENDPOINT_URL: `http://127.0.0.1:${this.#upstream.ports[proxy]}`,
    };
    for (let attempt = 0; ; attempt += 1) {
      try {
        const running = await launchServer(['--port', String(this.#ports[proxy] ?? 0)], environment);
        this.#servers[proxy] = running;
        this.#ports[proxy] = running.port;
        return;
      } catch (error) {
        // The database may be away at that moment.
        if (attempt >= 30) throw error;
        await pauseFor(500);
      }
    }
  }

  #noteTrouble({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): void {
    const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => /ERR_INTERNAL|out of memory|lost \d/.test(line));
    this.faults.push(...lines.slice(0, 3));
  }
}

async function admin(url: string, path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${MASTER_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const told = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(told)}`);
  return told;
}

/** Of every ten keys two have a budget that is spent before the end, three one that is not, one limits of its rate. */
async function makeKeys(cluster: Cluster, minutes: number): Promise<SoakKey[]> {
  const keys: SoakKey[] = [];
  for (let index = 0; index < KEYS; index += 1) {
    const kind = index % 10;
    const budgetUsd = kind < 2 ? minutes * 0.000_1 + index / 1_000_000 : kind < 5 ? 100 : undefined;
    const name = `soak${index}`;
    const limits = { ...(budgetUsd && { max_budget: budgetUsd }), ...(kind === 5 && { rpm_limit: 600 }) };
    const made = await admin(cluster.urlOf(index % cluster.size), '/key/generate', { key_alias: name, ...limits });
    keys.push({ name, secret: String(made['key']), id: String(made['token_id'] ?? made['token']), budgetUsd });
  }
  return keys;
}

async function call(
  url: string,
  { name, secret }: Pick<SoakKey, 'name' | 'secret'>,
  operation: string,
): Promise<string> {
  const response = await fetch(`${url}/bedrock/model/${MODEL}/${operation}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({
      messages: [{ role: 'user', content: [{ text: name }] }],
      inferenceConfig: { maxTokens: 20 },
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  // The proxy has no fault of its own to tell of.
  return response.status === 500 && !text.includes(UPSTREAM_ERROR)
    ? `500 ${text.slice(0, 120)}`
    : String(response.status);
}

interface TrafficState {
  isOver: boolean;
  isDown: boolean;
  readonly counts: Record<string, number>;
}

async function runLane(
  cluster: Cluster,
  keys: readonly SoakKey[],
  state: TrafficState,
  random: () => number,
): Promise<void> {
  while (!state.isOver) {
    const key = keys[Math.floor(random() * keys.length)];
    if (key === undefined) return;
    let outcome = 'no connection';
    try {
      const url = cluster.urlOf(Math.floor(random() * cluster.size));
      outcome = await call(url, key, random() < 0.5 ? 'converse' : 'converse-stream');
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') outcome = 'TIMEOUT';
      await pauseFor(random() * 100);
    }
    state.counts[outcome] = (state.counts[outcome] ?? 0) + 1;
  }
}

/** Makes a key, uses it through all proxies, revokes it through one: how long each still takes it, in milliseconds. */
async function watchRevocations(cluster: Cluster, state: TrafficState, random: () => number): Promise<number[]> {
  const latencies: number[] = [];
  for (let round = 0; !state.isOver; round += 1) {
    await pauseFor(500);
    try {
      const at = Math.floor(random() * cluster.size);
      const made = await admin(cluster.urlOf(at), '/key/generate', { key_alias: `revoked${round}` });
      const key = { name: `revoked${round}`, secret: String(made['key']) };
      const proxies = Array.from({ length: cluster.size }, (_, proxy) => proxy);
      await Promise.all(proxies.map((proxy) => call(cluster.urlOf(proxy), key, 'converse')));
      const killsBefore = cluster.kills.length;
      await admin(cluster.urlOf(at), '/key/block', { key: key.secret });
      const revokedAt = performance.now();
      const found = await Promise.all(
        proxies.map(async (proxy) => {
          for (;;) {
            const askedAt = performance.now();
            const status = await call(cluster.urlOf(proxy), key, 'converse');
            if (REFUSALS.has(status)) return Math.max(0, askedAt - revokedAt);
            if (askedAt - revokedAt > 20_000) return askedAt - revokedAt;
            await pauseFor(5);
          }
        }),
      );
      // What a kill or a restart has interrupted says nothing.
      if (cluster.kills.length === killsBefore && !state.isDown) latencies.push(...found);
    } catch {
      // A proxy or the database was away.
    }
  }
  return latencies;
}

function checkRevocations(latencies: readonly number[]): string[] {
  const sorted = latencies.toSorted((one, other) => one - other);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(0);
  console.log(
    `revoked keys, ms until a proxy refused: ${sorted.length} times, median ${at(0.5)}, 95 % ${at(0.95)}, most ${at(1)}`,
  );
  const late = sorted.filter((latency) => latency > REVOKED_WITHIN_MS + REVOCATION_NOISE_MS);
  return late.length === 0
    ? []
    : [`${late.length} proxies took a revoked key for ${late.map(Math.round).join(', ')} ms`];
}

/** All rows are written, then the proxies end; what killed ones had reserved is settled when its lease is over. */
async function settleDown(cluster: Cluster, server: PostgresServer, url: string): Promise<string[]> {
  const countRows = async (): Promise<number> =>
    Number((await query<{ rows: string }>(url, 'SELECT count(*) AS rows FROM bedrock_proxy.ledger'))[0]?.rows);
  for (let before = -1, now = await countRows(); before !== now; before = now, now = await countRows()) {
    await pauseFor(12_000);
  }
  await cluster.stopAll();
  await server.run(
    `CREATE OR REPLACE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
       $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + 60000 $$`,
    new URL(url).pathname.slice(1),
  );
  const store = await openPostgresStore(url);
  const lost = await store.settleLost(Date.now() + 60_000);
  await store.close();
  console.log(`${lost} reservations were left by killed proxies`);
  return [];
}

interface Checked {
  readonly url: string;
  readonly upstream: CountingUpstream;
  readonly keys: readonly SoakKey[];
  readonly kills: readonly Kill[];
  readonly downAt: readonly number[];
}

async function check({ url, upstream, keys, kills, downAt }: Checked): Promise<string[]> {
  const faults: string[] = [];
  const rows = await query<LedgerFact>(
    url,
    `SELECT id, upstream_request_id, key_label, input_tokens, output_tokens, cost_nano, charged_nano, requests
       FROM bedrock_proxy.ledger`,
  );
  const byId = Map.groupBy(rows, ({ id }) => id);
  const twice = [...byId.values()].filter((same) => same.length > 1);
  if (twice.length > 0) faults.push(`${twice.length} requests have several rows`);
  const byResponse = new Map(rows.map((row) => [row.upstream_request_id, row]));
  const lost: string[] = [];
  let excused = 0;
  for (const bill of upstream.bills) {
    const row = byResponse.get(bill.id);
    if (row === undefined) {
      if (isExcused(bill, kills, downAt)) excused += 1;
      else lost.push(`${bill.key} by proxy ${bill.proxy} ${tellMoment(bill, kills, downAt)}`);
      continue;
    }
    const isSame = Number(row.input_tokens) === bill.inputTokens && Number(row.output_tokens) === bill.outputTokens;
    if (!isSame) faults.push(`the row of ${bill.id} has other tokens than its response`);
    if (row.key_label !== bill.key) faults.push(`the row of ${bill.id} is of ${row.key_label}, not of ${bill.key}`);
  }
  if (lost.length > 0) faults.push(`${lost.length} responses in full have no row: ${lost.slice(0, 5).join(', ')}`);
  faults.push(...checkBudgets(upstream, keys, rows));
  const [reserved] = await query<{ reserved: string }>(
    url,
    `SELECT (SELECT count(*) FROM bedrock_proxy.reservations WHERE if_lost IS NOT NULL)
            + coalesce((SELECT sum(abs(reserved_nano)) FROM bedrock_proxy.key_spend), 0) AS reserved`,
  );
  if (Number(reserved?.reserved) !== 0) faults.push(`still reserved: ${reserved?.reserved}`);
  const wrong = await query(url, ACCOUNTS);
  if (wrong.length > 0) faults.push(`spend is not what the ledger has: ${JSON.stringify(wrong.slice(0, 5))}`);
  console.log(`ledger: ${rows.length} rows; ${excused} rows were lost in the window before a kill`);
  return faults;
}

interface LedgerFact {
  readonly id: string;
  readonly upstream_request_id: string | null;
  readonly key_label: string;
  readonly input_tokens: string | null;
  readonly output_tokens: string | null;
  readonly cost_nano: string | null;
  readonly charged_nano: string;
  readonly requests: string;
}

function isExcused(
  { proxy, endedAt }: { readonly proxy: number; readonly endedAt: number },
  kills: readonly Kill[],
  downAt: readonly number[],
): boolean {
  return kills.some((kill) => {
    const wasDown = downAt.some((at) => Math.abs(at - kill.at) < WINDOW_WITHOUT_DATABASE_MS);
    const windowMs = wasDown ? WINDOW_WITHOUT_DATABASE_MS : WINDOW_MS;
    return kill.proxy === proxy && endedAt <= kill.at + AFTER_KILL_MS && endedAt >= kill.at - windowMs;
  });
}

/** Where to look. */
function tellMoment(bill: Pick<Bill, 'proxy' | 'endedAt'>, kills: readonly Kill[], downAt: readonly number[]): string {
  const before = kills.filter(({ proxy, at }) => proxy === bill.proxy && at >= bill.endedAt)[0]?.at ?? Number.NaN;
  const after = kills.findLast(({ proxy, at }) => proxy === bill.proxy && at < bill.endedAt)?.at ?? Number.NaN;
  const changes = downAt.map((at) => Math.round(at - bill.endedAt)).filter((ms) => Math.abs(ms) < 30_000);
  const [until, since] = [before - bill.endedAt, bill.endedAt - after].map(Math.round);
  return `(${until} ms before a kill, ${since} ms after one; the database went or came at ${changes.join(', ')} ms)`;
}

/** By the upstream's own bills, at the price that the ledger's rows have. */
function checkBudgets(upstream: CountingUpstream, keys: readonly SoakKey[], rows: readonly LedgerFact[]): string[] {
  const priced = rows.filter(({ cost_nano: cost, input_tokens: input }) => cost !== null && Number(input) > 0);
  const [one, other] = [
    priced[0],
    priced.find(
      (row) => row.input_tokens !== priced[0]?.input_tokens && row.output_tokens !== priced[0]?.output_tokens,
    ),
  ];
  if (one === undefined || other === undefined) return ['no row has a price'];
  const [a, b, c, d] = [one.input_tokens, one.output_tokens, other.input_tokens, other.output_tokens].map(Number);
  const [first, second] = [Number(one.cost_nano), Number(other.cost_nano)];
  const determinant = (a ?? 0) * (d ?? 0) - (b ?? 0) * (c ?? 0);
  const inputNano = (first * (d ?? 0) - second * (b ?? 0)) / determinant;
  const outputNano = ((a ?? 0) * second - (c ?? 0) * first) / determinant;
  console.log(`a token of input costs ${inputNano.toFixed(1)} nano-dollars, one of output ${outputNano.toFixed(1)}`);
  const spent = new Map<string, number>();
  for (const { key, inputTokens, outputTokens } of upstream.bills) {
    spent.set(key, (spent.get(key) ?? 0) + inputTokens * inputNano + outputTokens * outputNano);
  }
  const limited = keys.filter(({ budgetUsd }) => budgetUsd !== undefined);
  const over = limited.filter(({ name, budgetUsd = 0 }) => (spent.get(name) ?? 0) > budgetUsd * 1e9 + 1);
  const full = limited.filter(({ name, budgetUsd = 0 }) => (spent.get(name) ?? 0) > budgetUsd * 0.8e9);
  console.log(`${limited.length} keys have a budget, ${full.length} have spent four fifths of it`);
  return over.map(({ name, budgetUsd }) => `${name} has spent ${spent.get(name)} of ${budgetUsd} USD`);
}

const ACCOUNTS = `
  WITH spent AS (
    SELECT coalesce(k.account_id, l.key_id) AS account_id, sum(l.charged_nano) AS charged
    FROM bedrock_proxy.ledger l LEFT JOIN bedrock_proxy.virtual_keys k ON k.id = l.key_id
    WHERE l.key_id <> '' GROUP BY 1)
  SELECT account_id, total_nano, charged FROM bedrock_proxy.key_spend FULL JOIN spent USING (account_id)
  WHERE coalesce(total_nano, 0) <> coalesce(charged, 0)`;

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

function showCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .toSorted(([, one], [, other]) => other - one)
    .map(([outcome, count]) => `${outcome}: ${count}`)
    .join(', ');
}

function pauseFor(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}
