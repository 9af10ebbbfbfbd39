/**
 * The way out of a corporate network, from the configuration: proxies as they are, certificate authorities read from
 * their file. AWS_CA_BUNDLE adds to those that Node trusts (NODE_EXTRA_CA_CERTS included), where the AWS CLI would
 * replace them.
 */
import { findCode } from '../lib/errno.ts';
import { readFileSync } from 'node:fs';
import type { NetworkConfig } from '../config/config.ts';
import { ProxyError } from '../lib/errors.ts';
import { trustedBy } from '../upstream/aws/trust.ts';
import type { NetworkOptions } from '../upstream/aws/tunnel.ts';

/** Throws ERR_BAD_OPTION where the file cannot be read or holds no certificate. */
export function readNetworkOptions({ httpsProxy, httpProxy, noProxy, caFile }: NetworkConfig): NetworkOptions {
  return {
    httpsProxy: httpsProxy ?? '',
    httpProxy: httpProxy ?? '',
    noProxy: noProxy ?? '',
    caBundle: caFile === undefined ? undefined : readBundle(caFile),
  };
}

function readBundle(file: string): string {
  let text = '';
  let code = 'no certificate in it';
  try {
    text = readFileSync(file, 'utf8');
    // Here, and not at the first connection, it is told that one of them cannot be read.
    if (text.includes('-----BEGIN CERTIFICATE-----')) trustedBy(text);
    else text = '';
  } catch (error) {
    text = '';
    code = findCode(error) ?? 'unknown';
  }
  if (text !== '') return text;
  throw new ProxyError('ERR_BAD_OPTION', `AWS_CA_BUNDLE must name a PEM file of certificates (${code}).`, {
    detail: file,
  });
}
