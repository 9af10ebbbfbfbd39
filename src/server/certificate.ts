/**
 * The certificate of `--tls`: the operator's own files, or one made here and kept beside the database. It is made
 * together with a small certificate authority of its own, whose key is thrown away at once: the authority that clients
 * trust can sign nothing else, ever. The code that makes it is loaded when a certificate has to be made.
 */
import { findCode } from '../lib/errno.ts';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { createFile, replaceFile } from '../lib/atomic-file.ts';
import { ProxyError } from '../lib/errors.ts';
import { type PrivateFile, requirePrivateFile } from '../lib/private-file.ts';
import type { CertificateSet } from './make-certificate.ts';

/** PEM texts; `caFile` is the file that clients need to trust, undefined if the operator brought the certificate. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly caFile: string | undefined;
}

const LIFETIME_DAYS = 397;
/** A certificate that ends sooner than this is made anew at start. */
const RENEW_BEFORE_DAYS = 14;
const DAY_MS = 86_400_000;
/** Of certificates that were made anew. Their keys are gone: they can vouch for nothing but what was made with them. */
const MAX_OLD_AUTHORITIES = 3;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g;
/** Everything that means this machine, for any client. */
const OWN_NAMES = ['localhost', '127.0.0.1', '::1', 'host.docker.internal'];

const OPERATORS_KEY: PrivateFile = {
  name: 'The file of --tls-key',
  code: 'ERR_BAD_OPTION',
  isSecret: true,
  isMadeByUs: false,
  alternative: 'A key of root may be read by its group (640).',
};
const KEPT_PAIR: PrivateFile = {
  name: 'The TLS certificate beside the key database',
  code: 'ERR_STORE_UNAVAILABLE',
  isSecret: true,
  isMadeByUs: true,
  alternative: 'Or remove it: another one is made.',
};

/**
 * Reads the operator's certificate (a chain, leaf first) and key. Throws ERR_BAD_OPTION if they are no pair for TLS, or
 * others may read the key.
 */
export function readCertificate(certFile: string, keyFile: string): TlsMaterial {
  const cert = readPem(certFile, '--tls-cert');
  const key = readPem(keyFile, '--tls-key');
  checkPair(cert, key);
  requirePrivateFile(keyFile, OPERATORS_KEY);
  return { cert, key, caFile: undefined };
}

/** The path of the certificate authority of a database's certificate: the file that clients need to trust. */
export function caFilePath(folder: string): string {
  return join(folder, 'tls-ca.pem');
}

/**
 * The certificate kept in the folder of the database, made if it is missing, near its end, or does not name `hosts`.
 * Files are 0600, written whole. Throws ERR_STORE_UNAVAILABLE if they cannot be written.
 */
export async function ensureCertificate(folder: string, hosts: readonly string[], nowMs: number): Promise<TlsMaterial> {
  const caFile = caFilePath(folder);
  const file = join(folder, 'tls.pem');
  const names = [...new Set([...OWN_NAMES, ...hosts])];
  try {
    requirePrivateFile(file, KEPT_PAIR);
    requirePrivateFile(caFile, { ...KEPT_PAIR, isSecret: false });
    let kept = readKept(file, names, nowMs);
    if (kept === undefined) {
      const isStale = readIfThere(file) !== undefined;
      const { makeCertificate } = await import('./make-certificate.ts');
      // From a day back on, for clients whose clock is behind.
      const made = makeCertificate(names, new Date(nowMs - DAY_MS), new Date(nowMs + LIFETIME_DAYS * DAY_MS));
      const write = isStale ? replaceFile : createFile;
      // All in one file, and read again: of several processes that make one at once the first wins for all.
      write(file, `${made.cert}${made.ca}${made.key}`);
      kept = readKept(file, names, nowMs) ?? made;
    }
    const trusted = readIfThere(caFile) ?? '';
    // A proxy that still runs with the certificate before this one goes on being trusted.
    if (!trusted.startsWith(kept.ca)) replaceFile(caFile, `${kept.ca}${keepAuthorities(trusted, kept.ca)}`);
    return { cert: kept.cert, key: kept.key, caFile };
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The TLS certificate beside the key database cannot be kept.', {
      hint: 'Check the permissions of its folder, or bring your own with --tls-cert and --tls-key.',
      detail: file,
      cause: error,
    });
  }
}

function readKept(file: string, names: readonly string[], nowMs: number): CertificateSet | undefined {
  const text = readIfThere(file) ?? '';
  const [cert, ca] = text.match(CERTIFICATE) ?? [];
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text)?.[0];
  if (cert === undefined || ca === undefined || key === undefined) return undefined;
  const parsed = parseSoundPair(cert, key);
  if (parsed === undefined) return undefined;
  const lasts = Date.parse(parsed.validTo) - nowMs > RENEW_BEFORE_DAYS * DAY_MS;
  const fits = names.every((name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined);
  return lasts && fits ? { ca, cert, key } : undefined;
}

/** Undefined if the file is damaged: a new one is made then. */
function parseSoundPair(cert: string, key: string): X509Certificate | undefined {
  try {
    createSecureContext({ cert, key });
    return new X509Certificate(cert);
  } catch {
    return undefined;
  }
}

function keepAuthorities(trusted: string, newest: string): string {
  const others = (trusted.match(CERTIFICATE) ?? []).filter((pem) => pem !== newest);
  return others.slice(0, MAX_OLD_AUTHORITIES).join('');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (findCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Each alone first, so that the message names the right file. */
function checkPair(cert: string, key: string): void {
  attempt('--tls-cert holds no certificate', () => new X509Certificate(cert));
  attempt('--tls-key holds no private key', () => createPrivateKey(key));
  attempt('--tls-key is not the key of --tls-cert', () => createSecureContext({ cert, key }));
}

function attempt(failure: string, read: () => unknown): void {
  try {
    read();
  } catch (cause) {
    const code = findCode(cause) ?? 'unknown';
    const hint =
      'Both are PEM files: the certificate with its chain, leaf first, and its private key without a password.';
    throw new ProxyError('ERR_BAD_OPTION', `${failure} (${code}).`, { hint, cause });
  }
}

function readPem(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = findCode(error) ?? 'unknown';
    throw new ProxyError('ERR_BAD_OPTION', `${option} cannot be read (${code}).`, { detail: file, cause: error });
  }
}
