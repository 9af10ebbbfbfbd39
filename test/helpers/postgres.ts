/**
 * A PostgreSQL server of this machine, as an ordinary user runs one: its own folder, a free port of the loopback
 * interface, nobody else's data. Where there are no programs of PostgreSQL, `POSTGRES` is undefined, and tests are
 * named as skipped.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { migrate } from '../../src/store/postgres/migrations.ts';
import { findClosedPort } from './ports.ts';

/** The folder of `postgres` and `initdb`; undefined: the machine has none. */
export const POSTGRES = findPrograms();

function findPrograms(): string | undefined {
  const folders = [
    ...newestFirst(globSync(['/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin'])),
    ...newestFirst(globSync('/opt/homebrew/opt/postgresql*/bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')));
}

function newestFirst(folders: readonly string[]): string[] {
  return folders.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

/** PostgreSQL and its poolers refuse to run as root: then as another user. */
export function findPostgresUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout));
    if (uid !== undefined && uid > 0 && gid !== undefined) return { uid, gid };
  }
  return {};
}

/**
 * Puts a migrated database back as it was: much quicker than another one. What the tables had at first is kept beside
 * them, and so is the clock, which tests replace.
 */
const KEEP_FRESH = `
CREATE SCHEMA fresh;
CREATE TABLE fresh.clock AS SELECT pg_get_functiondef('bedrock_proxy.now_ms'::regproc) AS definition;
CREATE VIEW fresh.tables AS SELECT relname AS name FROM pg_class
  WHERE relnamespace = 'bedrock_proxy'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition;
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT t.name FROM fresh.tables t LOOP
    EXECUTE format('CREATE TABLE fresh.%I AS TABLE bedrock_proxy.%I', name, name);
  END LOOP;
END $$;
CREATE FUNCTION fresh.clean() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE name text;
BEGIN
  -- Where tests have their rows: tests of its size want its files to be empty.
  TRUNCATE bedrock_proxy.ledger_other;
  FOR name IN SELECT t.name FROM fresh.tables t LOOP
    EXECUTE format('DELETE FROM bedrock_proxy.%I', name);
    EXECUTE format('INSERT INTO bedrock_proxy.%I OVERRIDING SYSTEM VALUE SELECT * FROM fresh.%I', name, name);
  END LOOP;
  FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'bedrock_proxy'::regnamespace AND c.relkind = 'S'
  LOOP
    EXECUTE format('ALTER SEQUENCE bedrock_proxy.%I RESTART', name);
  END LOOP;
  EXECUTE (SELECT definition FROM fresh.clock);
END $$;`;

/** A server. */
export class PostgresServer {
  readonly port: number;
  readonly folder: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;
  #lastDatabase = 0;
  #template: Promise<string> | undefined;
  /** Migrated databases that nobody needs any more. */
  readonly #used: string[] = [];

  constructor(folder: string, port: number, settings: readonly string[]) {
    this.folder = folder;
    this.port = port;
    this.#settings = settings;
  }

  url(database = 'postgres'): string {
    return `postgres://owner@127.0.0.1:${this.port}/${database}`;
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const settings = [`port=${this.port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', ...this.#settings];
    // It ends with whoever holds the other end of its standard input, however that one ends.
    const child = spawn(
      'sh',
      ['-c', 'exec 3<&0; "$@" </dev/null & p=$!; (cat <&3 >/dev/null; kill -QUIT $p 2>/dev/null) & wait $p', 'sh']
        .concat(join(POSTGRES ?? '', 'postgres'), '-D', join(this.folder, 'data'))
        .concat(settings.flatMap((setting) => ['-c', setting])),
      { ...findPostgresUser(), cwd: this.folder, stdio: ['pipe', 'ignore', 'ignore'] },
    );
    child.unref();
    this.#child = child;
    for (let attempt = 0; !(await this.#responds()); attempt += 1) {
      if (attempt > 200 || child.exitCode !== null) throw new Error('PostgreSQL does not start');
      await delay(50);
    }
  }

  /** `fast`: sessions end in order; `immediate`: as a crash, and recovery at the next start. */
  async stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const ended = child.exitCode === null ? once(child, 'exit') : undefined;
    // Whoever has nothing else to wait for would end here.
    child.ref();
    execFileSync(join(POSTGRES ?? '', 'pg_ctl'), ['stop', '-D', join(this.folder, 'data'), '-m', how], {
      ...findPostgresUser(),
      cwd: this.folder,
      stdio: 'ignore',
    });
    child.stdin?.destroy();
    await ended;
  }

  async restart(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  /** Runs statements without values, in a session of their own. */
  async run<Row extends object>(sql: string, database = 'postgres'): Promise<Row[]> {
    const client = new Client({ connectionString: this.url(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** An empty database; `migrated`: with the tables in it. Returns its URL. */
  async createDatabase({ migrated = false } = {}): Promise<string> {
    const name = `test_${(this.#lastDatabase += 1)}`;
    const template = migrated ? await (this.#template ??= this.#makeTemplate()) : 'template1';
    await this.run(`CREATE DATABASE ${name} TEMPLATE ${template}`);
    return this.url(name);
  }

  /** The same, of those that were given back if there is one. */
  async borrowDatabase(): Promise<string> {
    const used = this.#used.pop();
    if (used === undefined) return this.createDatabase({ migrated: true });
    await this.run('SELECT fresh.clean()', used);
    return this.url(used);
  }

  /** For a database that was migrated and is in use no more. */
  giveBack(url: string): void {
    this.#used.push(new URL(url).pathname.slice(1));
  }

  async #makeTemplate(): Promise<string> {
    await this.run('CREATE DATABASE migrated');
    const database = openDatabase(this.url('migrated'));
    await migrate(database);
    await database.close();
    await this.run(KEEP_FRESH, 'migrated');
    return 'migrated';
  }

  async #responds(): Promise<boolean> {
    return this.run('SELECT 1').then(
      () => true,
      () => false,
    );
  }
}

function makeFolder(): { readonly folder: string; readonly user: ReturnType<typeof findPostgresUser> } {
  const folder = mkdtempSync(join(tmpdir(), 'bedrock-proxy-pg-'));
  const user = findPostgresUser();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  return { folder, user };
}

/**
 * Starts one. `durable`: it waits for the disk, as servers do; otherwise it is quicker, and does not survive a crash of
 * the machine. Whoever starts it stops it and removes its folder with `removePostgres`.
 */
export async function startPostgres({
  durable = false,
  settings = [],
}: { readonly durable?: boolean; readonly settings?: readonly string[] } = {}): Promise<PostgresServer> {
  const { folder, user } = makeFolder();
  execFileSync(
    join(POSTGRES ?? '', 'initdb'),
    ['-D', join(folder, 'data'), '-U', 'owner', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...user, cwd: folder, stdio: 'ignore' },
  );
  const quick = durable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
  const server = new PostgresServer(folder, await findClosedPort(), [...quick, ...settings]);
  await server.start();
  return server;
}

/** Starts one that follows `primary`: it can only be read until `pg_promote()`. */
export async function startStandby(primary: PostgresServer): Promise<PostgresServer> {
  const { folder, user } = makeFolder();
  const source = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'owner'];
  execFileSync(
    join(POSTGRES ?? '', 'pg_basebackup'),
    ['-D', join(folder, 'data'), '-R', '--checkpoint=fast', '--no-sync', ...source],
    { ...user, cwd: folder, stdio: 'ignore' },
  );
  const server = new PostgresServer(folder, await findClosedPort(), ['fsync=off', 'hot_standby=on']);
  await server.start();
  return server;
}

/** Stops it, and removes what it had. */
export async function removePostgres(server: PostgresServer): Promise<void> {
  await server.stop('immediate');
  rmSync(server.folder, { recursive: true, force: true });
}

let shared: Promise<PostgresServer> | undefined;

/** The server of this file's tests, started with the first call. `afterAll(stopSharedPostgres)` ends it. */
export function sharedPostgres(): Promise<PostgresServer> {
  return (shared ??= startPostgres());
}

/** Ends it, if it was started. */
export async function stopSharedPostgres(): Promise<void> {
  const server = await shared;
  shared = undefined;
  if (server !== undefined) await removePostgres(server);
}
