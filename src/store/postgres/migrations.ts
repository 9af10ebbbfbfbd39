/**
 * The schema of the PostgreSQL store, as numbered steps. Append-only: a step that was ever released is never edited.
 * Proxies of one version back go on while a step is new: each step says the oldest schema whose proxies can live with
 * it, so that several proxies are upgraded one after the other.
 */
import { ProxyError } from '../../lib/errors.ts';
import type { Database, Transaction } from './database.ts';
import { BUDGET_SCHEMA } from './budget-schema.ts';
import { KEYS_SCHEMA } from './keys-schema.ts';
import { LEDGER_SCHEMA } from './ledger-schema.ts';
import { RATES_SCHEMA } from './rates-schema.ts';
import { USAGE_SCHEMA } from './usage-schema.ts';

/** One step. */
export interface PostgresMigration {
  readonly sql: string;
  /** Proxies that know the schema up to here, and no further, may go on. */
  readonly compatibleFrom: number;
}

/** The steps, the first one at index 0. */
export const POSTGRES_MIGRATIONS: readonly PostgresMigration[] = [
  { sql: [KEYS_SCHEMA, LEDGER_SCHEMA, BUDGET_SCHEMA, USAGE_SCHEMA, RATES_SCHEMA].join('\n'), compatibleFrom: 1 },
];

/** The lock of whoever changes the schema: "BdPx". */
const MIGRATION_LOCK = 0x42_64_50_78;

/** For so long somebody else who changes the schema is waited for. */
const OTHERS_TIMEOUT = '60s';
/** So long a step waits for a table: who uses it waits behind. */
const TABLE_TIMEOUT = '5s';
const MIN_SERVER_VERSION = 130_000;

/** Where everything stands, and the database's clock: what all steps need. */
const FOUNDATION = `
CREATE SCHEMA IF NOT EXISTS bedrock_proxy;
CREATE TABLE IF NOT EXISTS bedrock_proxy.schema_version (
  only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version         integer NOT NULL,
  compatible_from integer NOT NULL
);
INSERT INTO bedrock_proxy.schema_version (version, compatible_from) VALUES (0, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS bedrock_proxy.facts (name text PRIMARY KEY, value text NOT NULL);`;

/** Epoch milliseconds of the database. Not replaced if it is there. */
const CLOCK = `
CREATE FUNCTION bedrock_proxy.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
  $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;`;

/** Of a database. */
export interface SchemaVersion {
  readonly version: number;
  readonly compatibleFrom: number;
}

/** The version of the schema; undefined if there is none. */
export async function readSchemaVersion(database: Database): Promise<SchemaVersion | undefined> {
  return database.transaction(findVersion);
}

/**
 * Brings the schema up to date, whoever else does the same at that time. Returns from which version to which. If there
 * is nothing to do, whoever may read will do. `steps`: what this program knows.
 */
export async function migrate(
  database: Database,
  steps: readonly PostgresMigration[] = POSTGRES_MIGRATIONS,
): Promise<{ readonly from: number; readonly to: number }> {
  const found = await readSchemaVersion(database);
  if (found !== undefined && found.version >= steps.length) {
    refuseNewer(database, found, steps.length);
    return { from: found.version, to: found.version };
  }
  return database.transaction((transaction) => migrateIn(transaction, database, steps), { timeoutMs: 0 });
}

async function migrateIn(
  transaction: Transaction,
  database: Database,
  steps: readonly PostgresMigration[],
): Promise<{ readonly from: number; readonly to: number }> {
  await transaction.run(`SET LOCAL lock_timeout = '${OTHERS_TIMEOUT}'`);
  await transaction.run('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await transaction.run(`SET LOCAL lock_timeout = '${TABLE_TIMEOUT}'`);
  const found = await findVersion(transaction);
  if (found !== undefined) refuseNewer(database, found, steps.length);
  else await requireServer(transaction, database);
  const from = found?.version ?? 0;
  if (from >= steps.length) return { from, to: from };
  if (found === undefined) await transaction.run(FOUNDATION + CLOCK);
  for (const { sql } of steps.slice(from)) await transaction.run(sql);
  const compatibleFrom = Math.max(...steps.map((step) => step.compatibleFrom));
  await transaction.run('UPDATE bedrock_proxy.schema_version SET version = $1, compatible_from = $2', [
    steps.length,
    compatibleFrom,
  ]);
  return { from, to: steps.length };
}

/** Throws ERR_STORE_UNAVAILABLE if our tables cannot be made there. */
async function requireServer(transaction: Transaction, { shownUrl }: Database): Promise<void> {
  const [server] = await transaction.run<{ version: number; encoding: string; name: string }>(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name,
       current_setting('server_encoding') AS encoding`,
  );
  if (server === undefined || server.version < MIN_SERVER_VERSION) {
    throw new ProxyError('ERR_STORE_UNAVAILABLE', `The database is PostgreSQL ${server?.name}, which is too old.`, {
      hint: `Use PostgreSQL ${Math.floor(MIN_SERVER_VERSION / 10_000)} or newer.`,
      detail: shownUrl,
    });
  }
  if (server.encoding === 'UTF8') return;
  throw new ProxyError('ERR_STORE_UNAVAILABLE', `The database has the encoding ${server.encoding}.`, {
    hint: 'Make one with UTF8: createdb --encoding UTF8 --template template0 <name>',
    detail: shownUrl,
  });
}

/** Throws ERR_STORE_UNAVAILABLE if this program is too old for the schema. */
export function refuseNewer(
  { shownUrl }: Pick<Database, 'shownUrl'>,
  { version, compatibleFrom }: SchemaVersion,
  known = POSTGRES_MIGRATIONS.length,
): void {
  if (known >= compatibleFrom) return;
  throw new ProxyError(
    'ERR_STORE_UNAVAILABLE',
    `The database has the schema ${version}, and this version of bedrock-proxy knows it up to ${known}.`,
    { hint: 'Upgrade bedrock-proxy.', detail: shownUrl },
  );
}

async function findVersion(transaction: Transaction): Promise<SchemaVersion | undefined> {
  const [table] = await transaction.run<{ found: string | null }>(
    "SELECT to_regclass('bedrock_proxy.schema_version')::text AS found",
  );
  if (table?.found === null) return undefined;
  const [row] = await transaction.run<{ version: number; compatible_from: number }>(
    'SELECT version, compatible_from FROM bedrock_proxy.schema_version',
  );
  return row && { version: row.version, compatibleFrom: row.compatible_from };
}
