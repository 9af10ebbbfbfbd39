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

/** Brings the schema up to date, whoever else does the same at that time. Returns from which version to which. */
export async function migrate(database: Database): Promise<{ readonly from: number; readonly to: number }> {
  return database.transaction(async (transaction) => {
    await transaction.run('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const found = await findVersion(transaction);
    const to = POSTGRES_MIGRATIONS.length;
    if (found !== undefined) refuseNewer(database, found);
    const from = found?.version ?? 0;
    if (from >= to) return { from, to: from };
    if (found === undefined) await transaction.run(FOUNDATION);
    if (from === 0) await transaction.run(CLOCK);
    for (const { sql } of POSTGRES_MIGRATIONS.slice(from)) await transaction.run(sql);
    await transaction.run('UPDATE bedrock_proxy.schema_version SET version = $1, compatible_from = $2', [
      to,
      POSTGRES_MIGRATIONS.at(-1)?.compatibleFrom ?? to,
    ]);
    return { from, to };
  });
}

/** Throws ERR_STORE_UNAVAILABLE if this program is too old for the schema. */
export function refuseNewer(
  { shownUrl }: Pick<Database, 'shownUrl'>,
  { version, compatibleFrom }: SchemaVersion,
): void {
  const known = POSTGRES_MIGRATIONS.length;
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
