/**
 * What rows of the ledger add up to, kept beside them by day: a table for each set of names that reports mostly ask
 * for. Together they hold the rows up to a sequence, which `sum_up` moves on; a report adds the rows after it. Of a row
 * that they hold, and that is deleted or changed, a correction tells what is to be taken off. So whoever writes never
 * waits for a row of theirs, and a report that reads tables, corrections and rows in one snapshot has what all rows
 * say.
 */
import {
  DAY_MS,
  findLastLabel,
  ROW_LABEL,
  ROW_NAMES,
  ROW_SUMS,
  SUM_COLUMNS,
  toColumns,
  USAGE_TABLES,
} from './usage-names.ts';

/** The lock of whoever moves the sums on: "BdPu". */
const USAGE_LOCK = 0x42_64_50_75;

const NAMES = [...new Set(['day', ...Object.values(USAGE_TABLES).flat()])];
const TABLES = Object.entries(USAGE_TABLES).map(([table, names]) => ({
  name: table,
  table: `bedrock_proxy.${table}`,
  names: ['day', ...names],
  hasLabel: names.includes('key_id'),
}));

const typed = (names: readonly string[]): string =>
  names.map((name) => `${name} ${name === 'day' ? 'bigint' : 'text'} NOT NULL`).join(', ');
const SUMS = SUM_COLUMNS.map((column) => `${column} bigint NOT NULL`).join(', ');

/** Client-made names may be longer than an index takes: `id` is their hash. Sums change in place, if there is room. */
const CREATE_TABLES = TABLES.map(
  ({ table, names, hasLabel }) => `
CREATE TABLE ${table} (
  ${typed(names)}, id bytea NOT NULL, ${hasLabel ? 'last_label text COLLATE "C" NOT NULL, ' : ''}${SUMS},
  PRIMARY KEY (day, id)
) WITH (fillfactor = 70);`,
);

/** Of the rows that the sums hold: what is to be added, or taken off. */
const correct = (rows: string, sign: '' | '-'): string => `
  INSERT INTO bedrock_proxy.usage_corrections (sequences, ${NAMES.join()}, ${SUM_COLUMNS.join()})
    SELECT array_agg(sequence), ${toColumns(ROW_NAMES, NAMES)},
      ${Object.values(ROW_SUMS)
        .map((sum) => `${sign}(${sum})`)
        .join(', ')}
    FROM ${rows} WHERE sequence <= summed GROUP BY ${NAMES.map((_, index) => index + 2).join()};`;

/** Adds what `changes` says. */
const addTo = ({ table, names, hasLabel }: (typeof TABLES)[number]): string => {
  const columns = [...names, 'id', ...(hasLabel ? ['last_label'] : []), ...SUM_COLUMNS];
  const added = SUM_COLUMNS.map((column) => `${column} = old.${column} + excluded.${column}`);
  if (hasLabel) added.push('last_label = greatest(old.last_label, excluded.last_label)');
  return `INSERT INTO ${table} AS old (${columns.join()})
      SELECT ${names.join()}, substr(sha256(convert_to(ROW(${names.slice(1).join()})::text, 'UTF8')), 1, 16),
        ${hasLabel ? 'max(last_label), ' : ''}${SUM_COLUMNS.map((column) => `sum(${column})`).join()}
      FROM changes GROUP BY ${names.join()}
      ON CONFLICT (day, id) DO UPDATE SET ${added.join()}`;
};

const CORRECTIONS = `
CREATE TABLE bedrock_proxy.usage_corrections (sequences bigint[] NOT NULL, ${typed(NAMES)}, ${SUMS});
CREATE TABLE bedrock_proxy.usage_end (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  sequence bigint NOT NULL
);
INSERT INTO bedrock_proxy.usage_end (sequence) VALUES (0);

CREATE FUNCTION bedrock_proxy.correct_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  summed bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM gone) THEN RETURN NULL; END IF;
  -- Nobody moves the end until these rows are gone for all.
  PERFORM pg_advisory_xact_lock_shared(${USAGE_LOCK});
  SELECT sequence INTO summed FROM bedrock_proxy.usage_end;${correct('gone', '-')}
  IF TG_OP = 'UPDATE' THEN${correct('changed', '')}
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_deleted AFTER DELETE ON bedrock_proxy.ledger
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION bedrock_proxy.correct_usage();
CREATE TRIGGER ledger_updated AFTER UPDATE ON bedrock_proxy.ledger
  REFERENCING OLD TABLE AS gone NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bedrock_proxy.correct_usage();

-- For whoever drops a partition, which no trigger sees: after the drop, in its transaction. From midnight to midnight.
CREATE FUNCTION bedrock_proxy.forget_usage(from_ms bigint, until_ms bigint) RETURNS void LANGUAGE sql AS $$
  ${[...TABLES.map(({ table }) => table), 'bedrock_proxy.usage_corrections']
    .map((table) => `DELETE FROM ${table} WHERE day >= from_ms / ${DAY_MS} AND day < until_ms / ${DAY_MS};`)
    .join('\n  ')}
$$;`;

const SUM_UP = `
-- The label of the last row of a key on a day, up to a sequence; if a model is given, of its rows.
CREATE FUNCTION bedrock_proxy.find_last_label(
  of_day bigint, of_key text, of_principal text, of_model text, until_sequence bigint
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(${ROW_LABEL}, '') FROM bedrock_proxy.ledger
  WHERE key_id = of_key AND principal = of_principal AND (of_model IS NULL OR ${ROW_NAMES['model']} = of_model)
    AND sequence <= until_sequence
    AND started_at_ms >= of_day * ${DAY_MS} AND started_at_ms < (of_day + 1) * ${DAY_MS}
$$;

-- Adds up to max_rows more of the rows to the tables, and as many corrections. Returns the number of them; 0 if no more
-- than rows_left rows are left, or somebody else is at it.
CREATE FUNCTION bedrock_proxy.sum_up(max_rows bigint, rows_left bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  summed bigint;
  until_sequence bigint;
  corrections bigint;
  corrected bigint[];
  days bigint[];
BEGIN
  IF NOT pg_try_advisory_xact_lock(${USAGE_LOCK}) THEN RETURN 0; END IF;
  SELECT sequence INTO summed FROM bedrock_proxy.usage_end;
  IF coalesce((SELECT max(sequence) FROM bedrock_proxy.ledger), 0) - summed <= rows_left
    AND NOT EXISTS (SELECT FROM bedrock_proxy.usage_corrections) THEN RETURN 0; END IF;
  SELECT coalesce(max(sequence), summed) INTO until_sequence FROM
    (SELECT sequence FROM bedrock_proxy.ledger WHERE sequence > summed ORDER BY sequence LIMIT max_rows) AS some_rows;
  WITH gone AS (
    DELETE FROM bedrock_proxy.usage_corrections
      WHERE ctid = ANY (ARRAY(SELECT ctid FROM bedrock_proxy.usage_corrections LIMIT max_rows)) RETURNING *
  ),
  changes AS MATERIALIZED (
    SELECT ${toColumns(ROW_NAMES, NAMES)}, ${ROW_LABEL} AS last_label, ${toColumns(ROW_SUMS)}
      FROM bedrock_proxy.ledger WHERE sequence > summed AND sequence <= until_sequence
      GROUP BY ${NAMES.map((_, index) => index + 1).join()}
    UNION ALL SELECT ${NAMES.join()}, '', ${SUM_COLUMNS.join()} FROM gone
  ),
  ${TABLES.map((table, index) => `added_${index} AS (${addTo(table)})`).join(',\n  ')},
  moved AS (UPDATE bedrock_proxy.usage_end SET sequence = until_sequence)
  SELECT count(*), (SELECT array_agg(s) FROM gone, unnest(gone.sequences) AS s), array_agg(DISTINCT day)
    INTO corrections, corrected, days FROM gone;
  IF corrections > 0 THEN
    ${TABLES.map(({ table }) => `DELETE FROM ${table} WHERE day = ANY (days) AND row_count = 0;`).join('\n    ')}
    ${TABLES.filter(({ hasLabel }) => hasLabel)
      .map(
        ({ table, name }) => `UPDATE ${table} SET last_label = ${findLastLabel(name, 'until_sequence')}
      WHERE day = ANY (days) AND (last_label = '' OR nullif(left(last_label, 16), '')::bigint = ANY (corrected));`,
      )
      .join('\n    ')}
  END IF;
  RETURN until_sequence - summed + corrections;
END $$;`;

/** The tables, what corrects them, and what moves them on. */
export const USAGE_SCHEMA = `${CREATE_TABLES.join('')}${CORRECTIONS}${SUM_UP}`;
