/**
 * What a connection shows and asks for: TLS as libpq's sslmode means it, certificates, and the password of a password
 * file. Files are read here; certificates once, passwords at each connection, so that they can be changed.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, rootCertificates } from 'node:tls';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { DatabaseAddress, DatabaseHost } from './url.ts';

/**
 * libpq's rules: `verify-full` checks who signed the certificate and the name in it, `verify-ca` only the first,
 * `require` that too if there is a root certificate. `verify-full` without one trusts the authorities that Node trusts.
 * Throws ERR_BAD_OPTION if a file that is named cannot be read.
 */
export function readTls({ sslMode, sslRootCert, sslCert, sslKey, sslFolder }: DatabaseAddress): ConnectionOptions {
  if (sslMode === 'disable') return {};
  const isSystem = sslRootCert === 'system';
  const ca = isSystem
    ? rootCertificates.join('\n')
    : readCertificate('sslrootcert', sslRootCert, join(sslFolder, 'root.crt'));
  const cert = readCertificate('sslcert', sslCert, join(sslFolder, 'postgresql.crt'));
  const key = cert === undefined ? undefined : readCertificate('sslkey', sslKey, join(sslFolder, 'postgresql.key'));
  const own = { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
  const trusted = { ...own, ...(ca !== undefined && { ca }) };
  if (sslMode === 'verify-full' || isSystem) return trusted;
  if (sslMode === 'verify-ca' && ca === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', 'sslmode=verify-ca of the database wants a root certificate.', {
      hint: 'Name it with sslrootcert=<file> in the URL or PGSSLROOTCERT, or say sslmode=verify-full.',
    });
  }
  if (sslMode === 'verify-ca' || (sslMode === 'require' && ca !== undefined)) {
    return { ...trusted, checkServerIdentity: () => undefined };
  }
  return { ...own, rejectUnauthorized: false };
}

/** A file that is named must be there, one in its usual place may. */
function readCertificate(name: string, path: string | undefined, usual: string): string | undefined {
  if (path === undefined && !existsSync(usual)) return undefined;
  try {
    return readFileSync(path ?? usual, 'utf8');
  } catch (error) {
    throw new ProxyError(
      'ERR_BAD_OPTION',
      `The file of ${name} for the database cannot be read (${findCode(error)}).`,
      {
        detail: path ?? usual,
        cause: error,
      },
    );
  }
}

/**
 * The password for that server: of the URL, or of the password file. Throws ERR_STORE_UNAVAILABLE if there is none, or
 * if others can read the file.
 */
export function findPassword(address: DatabaseAddress, host: DatabaseHost): string {
  const { password, passwordFile, shownUrl: detail } = address;
  if (password !== undefined) return password;
  const found = existsSync(passwordFile) ? readPasswordFile(address, host) : undefined;
  if (found !== undefined) return found;
  throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The database asks for a password, and none was given.', {
    hint: 'Set PGPASSWORD, or write a line for it into the file of PGPASSFILE (or ~/.pgpass).',
    detail,
  });
}

/** Lines `host:port:database:user:password`; `*` stands for anything. The first that fits says it. */
function readPasswordFile(
  { passwordFile, database, user }: DatabaseAddress,
  { host, port }: DatabaseHost,
): string | undefined {
  if ((statSync(passwordFile).mode & 0o077) !== 0) {
    throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The password file of the database can be read by other users.', {
      hint: 'Make it yours alone: chmod 600.',
      detail: passwordFile,
    });
  }
  // As libpq has it, a socket is the host `localhost`.
  const wanted = [host.startsWith('/') ? 'localhost' : host, String(port), database, user];
  for (const line of readFileSync(passwordFile, 'utf8').split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = line
      .match(/(?:\\.|[^:\\])*(?::|$)/g)
      ?.map((field) => field.replace(/:$/, '').replaceAll(/\\(.)/g, '$1'));
    if (fields === undefined || fields.length < 5) continue;
    if (wanted.every((value, index) => fields[index] === '*' || fields[index] === value)) return fields[4];
  }
  return undefined;
}
