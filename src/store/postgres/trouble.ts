/** What goes wrong with PostgreSQL, in words with what to do, and what is only to be asked again. */
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';

const RUNS = 'Check its address, and that it runs.';
const TRUST = 'Name the certificate of who signed it (sslrootcert=<file> in the URL), or renew it.';

/** By SQLSTATE, by Node's error codes, or by what the driver says, which gives no codes; the first that matches. */
const TROUBLES: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [/^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOENT|EACCES)$/, 'cannot be reached', RUNS],
  [/^(timeout expired|Connection terminated due to connection timeout)$/, 'cannot be reached', RUNS],
  [
    /^timeout exceeded when trying to connect$/,
    'has no connection free',
    'Look at what it is busy with, or give each proxy more connections (--db-connections).',
  ],
  [/^57P0[12]$/, 'is shutting down', 'Try again in a moment.'],
  [/^57P03$/, 'is starting up or shutting down', 'Try again in a moment.'],
  [/^28P01$/, 'refuses the password', 'Check it in the URL, PGPASSWORD or PGPASSFILE.'],
  [/^28/, 'refuses this user, or this user from here', 'Check the user in the URL, and pg_hba.conf of the server.'],
  [/^3D000$/, 'does not exist', 'Create it (createdb), or name another one.'],
  [/^53300$/, 'has too many connections', 'Raise its max_connections, or give each proxy fewer (--db-connections).'],
  [/^53100$/, 'has no room on its disk', 'Make room; nothing is lost meanwhile.'],
  [/^53/, 'has no room in its memory', 'Look at what it is busy with.'],
  [/^25006$/, 'can only be read', 'Name the primary, not a standby.'],
  [/^(57014|Query read timeout)$/, 'takes too long to respond', 'Look at what it is busy with.'],
  [/^55P03$/, 'is locked by another session', 'Try again, or end the session that holds it.'],
  [
    /^42501$/,
    'does not let this user do that',
    'As the owner of its tables, run `bedrock-proxy db migrate`, and grant this user what docs/operate.md says.',
  ],
  [/^(3F000|42P01|42883|42703)$/, 'has no tables of bedrock-proxy, or older ones', 'Run `bedrock-proxy db migrate`.'],
  [
    /^The server does not support SSL/,
    'offers no TLS',
    'Switch it on at the server (ssl = on), or say sslmode=disable.',
  ],
  [/^ERR_TLS_CERT_ALTNAME/, 'has a certificate for another name', 'Name the host as its certificate does.'],
  [/^(CERT_|ERR_SSL|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/, 'has a certificate that is not trusted', TRUST],
  [/^SASL: /, 'refuses the password, or cannot prove that it knows it', 'Check the password, and the server.'],
  [/^(08|ECONNRESET|EPIPE|Connection terminated|Client )/, 'broke the connection', 'Check that it runs.'],
];

/** ERR_STORE_UNAVAILABLE of the database at `shownUrl`. */
export function toPostgresTrouble(shownUrl: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const signs = [findCode(error) ?? '', error instanceof Error ? error.message : ''];
  const [, what, hint] = TROUBLES.find(([pattern]) => signs.some((sign) => pattern.test(sign))) ?? [
    undefined,
    `cannot be used (${signs[0] || 'unknown'})`,
    'Check that it runs and can be reached.',
  ];
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The database ${what}.`, { hint, detail: shownUrl, cause: error });
}

/**
 * Whether the same may work if it is asked again at once: it had no effect, for a reason of that moment. 23514 is a row
 * whose partition was made while it waited for another one.
 */
export function isMomentary(error: unknown): boolean {
  return isUnprepared(error) || /^(57P01|57P05|40001|40P01|0A000|23514)$/.test(findCode(error) ?? '');
}

/** Whether a pooler gave us a connection that does not know our prepared statements, or has others of that name. */
export function isUnprepared(error: unknown): boolean {
  return /^(26000|42P05)$/.test(findCode(error) ?? '');
}

/** Whether the connection broke while it was waiting for the response. */
export function isBroken(error: unknown): boolean {
  const signs = [findCode(error) ?? '', error instanceof Error ? error.message : ''];
  return signs.some((sign) => /^(08|57P0|ECONNRESET|EPIPE|Connection terminated|Client )/.test(sign));
}

/** Whether it is the statement's error, and the connection as good as before. */
export function isOfStatement(error: unknown): boolean {
  const code = findCode(error) ?? '';
  return /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P|58|XX|0A000|25006|E[A-Z]{4})/.test(code);
}
