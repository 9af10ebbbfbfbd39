/** How a shared database is, for whoever runs it. Only reads. */
import { MACHINE_TICKS, type WallClock } from '../../lib/clock.ts';
import { type Database, openDatabase } from './database.ts';
import { migrate, POSTGRES_MIGRATIONS, readSchemaVersion } from './migrations.ts';

/** What was found. */
export interface PostgresStatus {
  readonly serverVersion: string;
  /** Of one statement, there and back. */
  readonly responseMs: number;
  /** How far its clock is ahead of ours. */
  readonly clockAheadMs: number;
  /** Whether this connection to it is encrypted. */
  readonly hasTls: boolean;
  readonly isReadOnly: boolean;
  /** Of all programs, this one included. */
  readonly connections: number;
  readonly maxConnections: number;
  /** Undefined: our tables are not there. */
  readonly schema: SchemaStatus | undefined;
  /** Undefined unless the schema is the one that this version knows. */
  readonly contents: DatabaseContents | undefined;
}

/** Versions of the schema. */
export interface SchemaStatus {
  readonly version: number;
  /** Of which version this program is. */
  readonly known: number;
  /** Programs that know the schema up to here can use it. */
  readonly compatibleFrom: number;
}

/** How much there is. */
export interface DatabaseContents {
  readonly keys: number;
  readonly requests: number;
  /** The number is the database's own estimate: there are many. */
  readonly isEstimate: boolean;
  readonly reservations: number;
  readonly sizeBytes: number;
  /** Of the secret that seals the keys; undefined: no key was sealed yet. */
  readonly secretFingerprint: string | undefined;
}

/** More rows are not counted one by one. */
const MAX_COUNTED = 1_000_000;

const READ_SERVER = {
  name: 'status-server',
  text: `SELECT current_setting('server_version') AS version,
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
    current_setting('transaction_read_only') = 'on' AS read_only,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('max_connections')::bigint AS max_connections`,
};
const READ_CONTENTS = {
  name: 'status-contents',
  text: `SELECT (SELECT count(*) FROM bedrock_proxy.virtual_keys WHERE deleted_at_ms IS NULL) AS keys,
    (SELECT count(*) FROM bedrock_proxy.reservations WHERE if_lost IS NOT NULL) AS reservations,
    (SELECT value FROM bedrock_proxy.facts WHERE name = 'server_secret') AS secret,
    (SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
      WHERE oid IN (SELECT relid FROM pg_partition_tree('bedrock_proxy.ledger') WHERE isleaf)) AS estimate,
    (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
      WHERE relnamespace = 'bedrock_proxy'::regnamespace AND relkind IN ('r', 'm')) AS size_bytes`,
};
const COUNT_LEDGER = { name: 'status-count', text: 'SELECT count(*) AS requests FROM bedrock_proxy.ledger' };

/** Asks the database at `url`. Throws ERR_STORE_UNAVAILABLE if it does not respond. */
export function readPostgresStatus(url: string, nowMs: WallClock): Promise<PostgresStatus> {
  return withDatabase(url, async (database) => {
    // The first statement connects.
    await database.query(READ_SERVER);
    const startedAtTick = MACHINE_TICKS();
    const [server] = await database.query<ServerRecord>(READ_SERVER);
    const responseMs = MACHINE_TICKS() - startedAtTick;
    if (server === undefined) throw new Error('a row of the server is missing');
    const found = await readSchemaVersion(database);
    const known = POSTGRES_MIGRATIONS.length;
    return {
      serverVersion: server.version,
      responseMs,
      clockAheadMs: Math.round(server.now_ms + responseMs / 2 - nowMs()),
      hasTls: server.tls,
      isReadOnly: server.read_only,
      connections: server.connections,
      maxConnections: server.max_connections,
      schema: found && { ...found, known },
      contents: found?.version === known ? await readContents(database) : undefined,
    };
  });
}

/** Makes our tables in the database at `url`, or brings them up to date. Throws ERR_STORE_UNAVAILABLE. */
export function migratePostgres(url: string): Promise<{ readonly from: number; readonly to: number }> {
  return withDatabase(url, migrate);
}

interface ServerRecord {
  readonly version: string;
  readonly now_ms: number;
  readonly tls: boolean;
  readonly read_only: boolean;
  readonly connections: number;
  readonly max_connections: number;
}

interface ContentsRecord {
  readonly keys: number;
  readonly reservations: number;
  readonly secret: string | null;
  readonly estimate: number;
  readonly size_bytes: number;
}

async function readContents(database: Database): Promise<DatabaseContents> {
  const [record] = await database.query<ContentsRecord>(READ_CONTENTS);
  if (record === undefined) throw new Error('a row of the contents is missing');
  const { keys, reservations, secret, estimate, size_bytes: sizeBytes } = record;
  const isEstimate = estimate > MAX_COUNTED;
  const [counted] = isEstimate ? [] : await database.query<{ requests: number }>(COUNT_LEDGER);
  return {
    keys,
    requests: counted?.requests ?? estimate,
    isEstimate,
    reservations,
    sizeBytes,
    secretFingerprint: secret ?? undefined,
  };
}

async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase(url, { maxConnections: 2 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
