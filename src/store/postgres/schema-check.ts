/**
 * What a process asks of a database before it uses it: that our tables are there, in a version that it knows, and that
 * keys are sealed under its own server secret.
 */
import { ProxyError } from '../../lib/errors.ts';
import type { Database } from './database.ts';
import { POSTGRES_MIGRATIONS, readSchemaVersion, refuseNewer } from './migrations.ts';

const MAKE_FINGERPRINT = {
  name: 'make-secret-fingerprint',
  text: `INSERT INTO bedrock_proxy.facts (name, value) VALUES ('server_secret', $1) ON CONFLICT DO NOTHING`,
};
const READ_FINGERPRINT = {
  name: 'read-secret-fingerprint',
  text: `SELECT value FROM bedrock_proxy.facts WHERE name = 'server_secret'`,
};

/** Changes nothing. Throws ERR_STORE_UNAVAILABLE if our tables are missing, too old or too new. */
export async function requireSchema(database: Database): Promise<void> {
  const found = await readSchemaVersion(database);
  if (found === undefined) {
    throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The PostgreSQL database has no tables of bedrock-proxy.', {
      hint: '`bedrock-proxy start` or `bedrock-proxy db migrate` makes them.',
      detail: database.shownUrl,
    });
  }
  refuseNewer(database, found);
  const known = POSTGRES_MIGRATIONS.length;
  if (found.version >= known) return;
  throw new ProxyError(
    'ERR_STORE_UNAVAILABLE',
    `The database has the schema ${found.version}, and this version of bedrock-proxy needs ${known}.`,
    { hint: '`bedrock-proxy db migrate` upgrades it.', detail: database.shownUrl },
  );
}

/**
 * Notes under which secret keys are sealed; the first one counts. Throws ERR_STORE_UNAVAILABLE if it is another:
 * nobody's signature could be verified here.
 */
export async function agreeOnSecret(database: Database, fingerprint: string): Promise<void> {
  await database.query(MAKE_FINGERPRINT, [fingerprint]);
  const [kept] = await database.query<{ value: string }>(READ_FINGERPRINT);
  if (kept?.value === fingerprint) return;
  throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The keys of the database are sealed under another server secret.', {
    hint: 'Set BEDROCK_PROXY_SALT_KEY to what the other proxies of this database have.',
    detail: database.shownUrl,
  });
}
