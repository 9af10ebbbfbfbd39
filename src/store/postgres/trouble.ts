/** What goes wrong with PostgreSQL, in words with what to do. */
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';

/** By the beginnings of SQLSTATE and of Node's error codes; the first that matches says it. */
const TROUBLES: readonly (readonly [code: RegExp, what: string, hint: string])[] = [
  [
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ETIMEDOUT)$/,
    'cannot be reached',
    'Check its address, and that it runs.',
  ],
  [/^28/, 'refuses the user or the password', 'Check both in the URL, PGPASSFILE or PGPASSWORD.'],
  [/^3D000$/, 'does not exist', 'Create it (createdb), or name another one.'],
  [/^53300$/, 'has too many connections', 'Raise its max_connections, or give each proxy fewer (--db-connections).'],
  [/^53100$/, 'has no room on its disk', 'Make room; nothing is lost meanwhile.'],
  [/^(25006)$/, 'can only be read', 'Name the primary, not a standby.'],
  [/^(57014)$/, 'takes too long to respond', 'Look at what it is busy with.'],
  [/^42501$/, 'does not let this user do that', 'Run `bedrock-proxy db migrate` as its owner.'],
];

/** ERR_STORE_UNAVAILABLE of the database at `shownUrl`. */
export function toPostgresTrouble(shownUrl: string, error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const code = findCode(error) ?? 'unknown';
  const [, what, hint] = TROUBLES.find(([pattern]) => pattern.test(code)) ?? [
    undefined,
    `cannot be used (${code})`,
    'Check that it runs and can be reached.',
  ];
  return new ProxyError('ERR_STORE_UNAVAILABLE', `The database ${what}.`, { hint, detail: shownUrl, cause: error });
}
