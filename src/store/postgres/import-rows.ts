/**
 * Takes in the rows of another database, as they are: what is there already stays as it is, so that a copy that was cut
 * goes on where it was. Keys and what they have spent come last, in one transaction: until then nobody can use them.
 */
import { ProxyError } from '../../lib/errors.ts';
import { type Database, openDatabase, type Transaction } from './database.ts';
import { migrate } from './migrations.ts';
import { LEDGER_LOCK } from './ledger-schema.ts';
import { agreeOnSecret } from './schema-check.ts';
import { toStorableText } from './text.ts';

/** A row, by the names of its columns. Text may be anything that JavaScript takes for text. */
export type ImportedRow = Readonly<Record<string, string | number | Buffer | null>>;

/** How many of some rows are there, and what they add up to. */
export interface RowTally {
  readonly rows: number;
  readonly nanoUsd: number;
}

/** A database that takes in rows. */
export interface RowImport {
  /** Up to which sequence of `source` rows were taken in before; 0 if none were. */
  findProgress(source: string): Promise<number>;
  /** The rows, whose last one has this sequence in `source`. */
  addLedger(
    rows: readonly ImportedRow[],
    progress: { readonly source: string; readonly sequence: number },
  ): Promise<void>;
  /** Throws ERR_BAD_OPTION if a key that is there has the alias of one of them. */
  addKeys(keys: readonly ImportedRow[], accounts: readonly ImportedRow[]): Promise<void>;
  /** Of these rows those that are there, and what they charged. */
  tallyLedger(rows: readonly ImportedRow[]): Promise<RowTally>;
  countKeys(ids: readonly string[]): Promise<number>;
  /** Of these accounts those that are there, and what they have spent. */
  tallyAccounts(ids: readonly string[]): Promise<RowTally>;
  close(): Promise<void>;
}

/** Long for large batches on a slow disk. */
const TIMEOUT_MS = 120_000;

/**
 * Opens the database at `url`, makes what is missing of our tables, and agrees on the secret. Throws
 * ERR_STORE_UNAVAILABLE. The caller closes it.
 */
export async function openRowImport(url: string, secretFingerprint: string): Promise<RowImport> {
  const database = openDatabase(url, { maxConnections: 2, statementTimeoutMs: TIMEOUT_MS });
  try {
    await migrate(database);
    await agreeOnSecret(database, secretFingerprint);
    return createImport(database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

function createImport(database: Database): RowImport {
  const ask = async <Row extends object>(name: string, text: string, values: (string | string[])[]): Promise<Row> => {
    const [row] = await database.query<Row>({ name, text }, values);
    if (row === undefined) throw new Error(`${name}: no row`);
    return row;
  };
  return {
    async findProgress(source) {
      const text = 'SELECT coalesce(max(value::bigint), 0) AS sequence FROM bedrock_proxy.facts WHERE name = $1';
      return (await ask<{ sequence: number }>('import-progress', text, [factOf(source)])).sequence;
    },
    addLedger: (rows, { source, sequence }) =>
      database.transaction(async (transaction) => {
        await transaction.run('SELECT pg_advisory_xact_lock($1)', [LEDGER_LOCK]);
        await insert(transaction, 'ledger', rows);
        await transaction.run(
          `INSERT INTO bedrock_proxy.facts (name, value) VALUES ($1, $2)
           ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
          [factOf(source), String(sequence)],
        );
      }),
    addKeys: (keys, accounts) =>
      database.transaction(async (transaction) => {
        await refuseTakenAliases(transaction, keys);
        await insert(transaction, 'key_spend', accounts);
        await insert(transaction, 'virtual_keys', keys);
      }),
    tallyLedger: (rows) =>
      ask('import-tally-ledger', TALLY_LEDGER, [
        toJson(rows.map((row) => ({ id: row['id'] ?? null, started_at_ms: row['started_at_ms'] ?? null }))),
      ]),
    countKeys: async (ids) => {
      const text = 'SELECT count(*) AS keys FROM bedrock_proxy.virtual_keys WHERE id = ANY ($1)';
      return (await ask<{ keys: number }>('import-count-keys', text, [[...ids]])).keys;
    },
    tallyAccounts: (ids) =>
      ask(
        'import-tally-accounts',
        `SELECT count(*) AS rows, coalesce(sum(total_nano), 0)::bigint AS "nanoUsd"
         FROM bedrock_proxy.key_spend WHERE account_id = ANY ($1)`,
        [[...ids]],
      ),
    close: () => database.close(),
  };
}

const TALLY_LEDGER = `SELECT count(*) AS rows, coalesce(sum(charged_nano), 0)::bigint AS "nanoUsd"
  FROM bedrock_proxy.ledger JOIN jsonb_to_recordset($1::jsonb) AS wanted (id text, started_at_ms bigint)
  USING (id, started_at_ms)`;

function factOf(source: string): string {
  return `copied ${source}`;
}

/** The columns that both have, but for those that the database counts itself. */
async function insert(transaction: Transaction, table: string, rows: readonly ImportedRow[]): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = await transaction.run<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns
     WHERE table_schema = 'bedrock_proxy' AND table_name = $1 AND is_identity = 'NO' AND column_name <> 'sequence'`,
    [table],
  );
  const names = columns.map(({ name }) => name).filter((name) => name in first);
  await transaction.run(
    `INSERT INTO bedrock_proxy.${table} (${names.join()})
     SELECT ${names.join()} FROM jsonb_populate_recordset(NULL::bedrock_proxy.${table}, $1::jsonb)
     ON CONFLICT DO NOTHING`,
    [toJson(rows)],
  );
}

async function refuseTakenAliases(transaction: Transaction, keys: readonly ImportedRow[]): Promise<void> {
  const [taken] = await transaction.run<{ alias: string }>(
    `SELECT there.alias FROM bedrock_proxy.virtual_keys AS there
     JOIN jsonb_populate_recordset(NULL::bedrock_proxy.virtual_keys, $1::jsonb) AS copied USING (alias)
     WHERE there.id <> copied.id AND coalesce(there.revoked_at_ms, there.ends_at_ms) IS NULL
       AND coalesce(copied.revoked_at_ms, copied.ends_at_ms) IS NULL
     ORDER BY there.alias LIMIT 1`,
    [toJson(keys)],
  );
  if (taken === undefined) return;
  throw new ProxyError('ERR_BAD_OPTION', `Both databases have an active key with the alias ${taken.alias}.`, {
    hint: 'Give one of them another alias with `bedrock-proxy key update`, and copy again.',
  });
}

/** Bytes as PostgreSQL writes them. What is null is left out: most columns of a row are. */
function toJson(rows: readonly ImportedRow[]): string {
  return JSON.stringify(rows.map((row) => Object.fromEntries(Object.entries(row).flatMap(toPairs))));
}

function toPairs([name, value]: [string, ImportedRow[string]]): [string, string | number][] {
  if (value === null) return [];
  if (Buffer.isBuffer(value)) return [[name, `\\x${value.toString('hex')}`]];
  return [[name, typeof value === 'string' ? toStorableText(value) : value]];
}
