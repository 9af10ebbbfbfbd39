/**
 * The server secret under which keys are sealed at rest: 32 random bytes in a file beside the database (0600), never in
 * it, so that a copy of the database alone lets nobody in. `BEDROCK_PROXY_SALT_KEY` takes its place where it is set.
 */
import { findCode } from '../lib/errno.ts';
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type DatabaseLocation, hintForOrigin } from '../config/database-location.ts';
import { createFile } from '../lib/atomic-file.ts';
import { ProxyError } from '../lib/errors.ts';
import { type PrivateFile, requirePrivateFile } from '../lib/private-file.ts';

const SECRET_BYTES = 32;

const SECRET_FILE: PrivateFile = {
  name: 'The server secret beside the key database',
  code: 'ERR_STORE_UNAVAILABLE',
  isSecret: true,
  isMadeByUs: true,
  alternative: 'If others could read it, rotate the keys.',
};

/** Where the secret of a database lives. */
export function serverSecretPath(databasePath: string): string {
  return `${databasePath}.secret`;
}

/**
 * Reads the secret at `path`, making it first where it is missing. Two processes that make it at once agree on
 * one. Throws ERR_STORE_UNAVAILABLE.
 */
export function loadServerSecret(path: string): Buffer {
  try {
    return readServerSecret(path) ?? createSecret(path);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const code = findCode(error) ?? 'unknown';
    throw new ProxyError(
      'ERR_STORE_UNAVAILABLE',
      `The server secret beside the key database cannot be used (${code}).`,
      {
        hint: 'Check the permissions of its file, or set BEDROCK_PROXY_SALT_KEY.',
        detail: path,
        cause: error,
      },
    );
  }
}

function createSecret(path: string): Buffer {
  createFile(path, `${randomBytes(SECRET_BYTES).toString('base64url')}\n`);
  const secret = readServerSecret(path);
  if (secret === undefined) throw new Error('the file vanished');
  return secret;
}

/**
 * Reads the secret at `path`; undefined where there is none. Throws what the file system does, and
 * ERR_STORE_UNAVAILABLE.
 */
export function readServerSecret(path: string): Buffer | undefined {
  requirePrivateFile(path, SECRET_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (findCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const secret = Buffer.from(text.trim(), 'base64url');
  if (secret.length !== SECRET_BYTES) {
    throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The server secret beside the key database is damaged.', {
      hint: 'Restore it from a backup; without it, keys still work as Bearer tokens only.',
      detail: path,
    });
  }
  return secret;
}

/**
 * The secret that seals keys at rest: from BEDROCK_PROXY_SALT_KEY, or the file beside the database. Throws
 * ERR_BAD_OPTION if there can be no such file: several machines share the database.
 */
export function findServerSecret(database: DatabaseLocation, saltKey: string | undefined): Buffer {
  if (saltKey !== undefined) return secretFromSalt(saltKey);
  if (database.kind === 'file') return loadServerSecret(serverSecretPath(database.path));
  throw new ProxyError(
    'ERR_BAD_OPTION',
    'Keys in PostgreSQL are sealed with BEDROCK_PROXY_SALT_KEY, which is not set.',
    {
      hint: hintForOrigin(
        database,
        'Give every proxy of the database the same: a random text, such as of `openssl rand -hex 16`.',
      ),
      detail: `${database.shown}, from ${database.origin}`,
    },
  );
}

/** The same where it can be read; undefined otherwise. Never makes one. */
export function peekServerSecret(database: DatabaseLocation, saltKey: string | undefined): Buffer | undefined {
  if (saltKey !== undefined) return secretFromSalt(saltKey);
  if (database.kind !== 'file') return undefined;
  try {
    return readServerSecret(serverSecretPath(database.path));
  } catch {
    return undefined;
  }
}

/** What proves that two proxies have the same secret, and nothing else of it. */
export function fingerprintSecret(serverSecret: Buffer): string {
  return createHmac('sha256', serverSecret).update('bedrock-proxy server secret').digest('hex');
}

function secretFromSalt(saltKey: string): Buffer {
  return Buffer.from(hkdfSync('sha256', saltKey, '', 'bedrock-proxy salt key', 32));
}
