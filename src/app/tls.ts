/**
 * TLS as the commands see it: the certificate that `start` speaks with, and, for `env` and `exec`, whether clients
 * reach the proxy by https and which file tells them whom to trust.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { caFilePath, ensureCertificate, readCertificate, type TlsMaterial } from '../server/certificate.ts';
import { findProxyVersion, type ServerAddress } from './running-proxy.ts';

/** Listening here means listening everywhere: no name to put into a certificate. */
const WILDCARD_ADDRESSES = ['0.0.0.0', '::'];

/** What `start` speaks TLS with; undefined without --tls. Throws ERR_BAD_OPTION, ERR_STORE_UNAVAILABLE. */
export async function loadTls(
  { tls, database, hosts, allowedHosts }: Pick<Config, 'tls' | 'database' | 'hosts' | 'allowedHosts'>,
  nowMs: number,
): Promise<TlsMaterial | undefined> {
  if (tls === undefined) return undefined;
  if (tls !== 'made') return readCertificate(tls.certFile, tls.keyFile);
  const own = hosts.filter((host) => !WILDCARD_ADDRESSES.includes(host));
  return ensureCertificate(database.folder, [...own, ...allowedHosts], nowMs);
}

/**
 * The PEM file that clients have to trust, whether or not it is there already; undefined where they need none: without
 * --tls, or with a certificate whose authority they know.
 */
export function findTrustFile({ tls, database }: Pick<Config, 'tls' | 'database'>): string | undefined {
  if (tls === undefined) return undefined;
  return tls === 'made' ? caFilePath(database.folder) : isSelfSigned(tls.certFile) ? tls.certFile : undefined;
}

/**
 * The same proxy by https, where --tls asks for it or, without a word about TLS, the proxy that runs there shows a
 * certificate of this database's authority; else `url` as it is.
 */
export async function preferTls(url: string, config: Pick<Config, 'tls' | 'database'>): Promise<ServerAddress> {
  const secureUrl = url.replace(/^http:/, 'https:');
  if (config.tls !== undefined) return { url: secureUrl, caFile: findTrustFile(config) };
  const known = { url: secureUrl, caFile: caFilePath(config.database.folder) };
  const isThere = existsSync(known.caFile) && (await findProxyVersion(known)) !== undefined;
  return isThere ? known : { url, caFile: undefined };
}

function isSelfSigned(certFile: string): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(certFile));
    return certificate.checkIssued(certificate);
  } catch {
    return false;
  }
}
