/** `db status`. */
import { EXIT_FAILED, formatFields, printData, printJson } from '../../app/print.ts';
import { readSaltKey } from '../../config/config.ts';
import { type PostgresLocation, readDatabaseLocation } from '../../config/database-location.ts';
import type { Flags } from '../../config/options.ts';
import { fingerprintSecret, peekServerSecret } from '../../keys/server-secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import { compactBytes } from '../../lib/format.ts';
import type { DatabaseContents, PostgresStatus, SchemaStatus } from '../../store/postgres/database-status.ts';

/** What `db status` was asked. */
interface StatusInput extends Flags {
  readonly json: boolean;
}

/** Whether the secret of this shell is the one that seals the keys. */
type SecretState = 'same' | 'other' | 'not set here' | 'not used yet';

/** Beyond it, time stamps of requests mislead; leases go by the database's clock alone. */
const CLOCK_TOLERANCE_MS = 2_000;

/**
 * Prints how the database is; the exit code is 1 if it cannot be used. Throws ERR_BAD_OPTION, and of a file
 * ERR_STORE_UNAVAILABLE.
 */
export async function printDatabaseStatus(input: StatusInput): Promise<void> {
  const database = readDatabaseLocation(input, process.env);
  // Of a file, it is what `db check` says: whether it is whole is the question there.
  if (database.kind === 'file') return (await import('./check.ts')).check({ db: database.path, json: input.json });
  const { readPostgresStatus } = await import('../../store/postgres/database-status.ts');
  const status = await readPostgresStatus(database.url, Date.now).catch(passTrouble);
  if (status instanceof ProxyError) return printTrouble(input, database, status);
  const secret = status.contents && compareSecret(database, status.contents);
  const problems = findProblems(status, secret);
  if (input.json) printJson(statusToJson(database, { ...status, secret, problems }));
  else printData(formatStatus(database, { ...status, secret, problems }));
  if (problems.length > 0) process.exitCode = EXIT_FAILED;
}

/** That it cannot be used is what was asked; a URL that is wrong is not. */
function passTrouble(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError && thrown.code === 'ERR_STORE_UNAVAILABLE') return thrown;
  throw thrown;
}

function printTrouble({ json }: StatusInput, { shown }: PostgresLocation, { message, hint }: ProxyError): void {
  const problem = hint === undefined ? message : `${message} ${hint}`;
  if (json) printJson({ database: shown, ok: false, problems: [problem] });
  else printData(`${formatFields([['database', shown]])}\n\n${problem}`);
  process.exitCode = EXIT_FAILED;
}

interface JudgedStatus extends PostgresStatus {
  readonly secret: SecretState | undefined;
  readonly problems: readonly string[];
}

function compareSecret(database: PostgresLocation, { secretFingerprint }: DatabaseContents): SecretState {
  const secret = peekServerSecret(database, readSaltKey(process.env));
  if (secretFingerprint === undefined) return 'not used yet';
  if (secret === undefined) return 'not set here';
  return fingerprintSecret(secret) === secretFingerprint ? 'same' : 'other';
}

function findProblems({ schema, isReadOnly, clockAheadMs }: PostgresStatus, secret: SecretState | undefined): string[] {
  const problems: string[] = [];
  const schemaProblem = findSchemaProblem(schema);
  if (schemaProblem !== undefined) problems.push(schemaProblem);
  if (isReadOnly) problems.push('It can only be read: it is a standby, or its owner has made it so.');
  if (secret === 'other') problems.push('BEDROCK_PROXY_SALT_KEY is another one than that which seals the keys.');
  if (Math.abs(clockAheadMs) > CLOCK_TOLERANCE_MS) {
    problems.push(
      `Its clock is ${formatSeconds(Math.abs(clockAheadMs))} ${clockAheadMs > 0 ? 'ahead of' : 'behind'} ours.`,
    );
  }
  return problems;
}

function findSchemaProblem(schema: SchemaStatus | undefined): string | undefined {
  if (schema === undefined) return 'It has no tables of bedrock-proxy: `bedrock-proxy db migrate` makes them.';
  const { version, known, compatibleFrom } = schema;
  if (version < known) return 'Its schema is older than this version needs: `bedrock-proxy db migrate` upgrades it.';
  return known < compatibleFrom ? 'Its schema is newer than this version can use: upgrade bedrock-proxy.' : undefined;
}

function formatStatus({ shown }: PostgresLocation, status: JudgedStatus): string {
  const { schema, contents, secret, problems } = status;
  const tls = status.hasTls ? 'TLS' : 'no TLS';
  const fields = [
    ['database', shown],
    ['server', `PostgreSQL ${status.serverVersion}, ${tls}, responds in ${status.responseMs.toFixed(1)} ms`],
    ['connections', `${status.connections} of ${status.maxConnections}`],
    ['schema', schema === undefined ? 'none' : `${schema.version}, this version knows ${schema.known}`],
  ] as const;
  const inside =
    contents === undefined
      ? []
      : ([
          ['secret', secret ?? ''],
          ['keys', String(contents.keys)],
          ['requests', `${contents.isEstimate ? 'about ' : ''}${contents.requests}`],
          ['reservations', String(contents.reservations)],
          ['size', compactBytes(contents.sizeBytes)],
        ] as const);
  return `${formatFields([...fields, ...inside])}\n\n${problems.length === 0 ? 'All is well.' : problems.join('\n')}`;
}

function statusToJson(
  { shown }: PostgresLocation,
  { schema, contents, secret, problems, ...status }: JudgedStatus,
): object {
  return {
    database: shown,
    ok: problems.length === 0,
    server_version: status.serverVersion,
    response_ms: Math.round(status.responseMs * 10) / 10,
    clock_ahead_ms: status.clockAheadMs,
    tls: status.hasTls,
    read_only: status.isReadOnly,
    connections: status.connections,
    max_connections: status.maxConnections,
    schema_version: schema?.version ?? null,
    known_schema_version: schema?.known ?? null,
    secret: secret ?? null,
    counts:
      contents === undefined
        ? null
        : {
            keys: contents.keys,
            requests: contents.requests,
            requests_estimated: contents.isEstimate,
            reservations: contents.reservations,
          },
    size_bytes: contents?.sizeBytes ?? null,
    problems,
  };
}

function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
