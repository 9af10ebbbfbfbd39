/** When a connection is tried once more with the system's certificate store. */
import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { makeAuthority } from '../../helpers/forward-proxy.ts';
import { runTrusting, trustedBy, untrusted } from '../../../src/upstream/aws/trust.ts';

function failing(error: Error): { readonly run: () => Promise<never>; readonly tried: () => number } {
  let tries = 0;
  const run = async (): Promise<never> => {
    tries += 1;
    throw error;
  };
  return { run, tried: () => tries };
}

describe('runTrusting', () => {
  it('does not try again after what no certificate store can cure', async () => {
    const { run, tried } = failing(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    await expect(runTrusting(run)).rejects.toThrow('reset');
    expect(tried()).toBe(1);
  });

  it('tries once more with the store of the system and the bundles, and not again in this process', async () => {
    await using authority = await makeAuthority(['proxy.invalid']);
    const bundle = await readFile(authority.caFile, 'utf8');
    const before = trustedBy(bundle);
    expect(trustedBy(bundle)).toBe(before);
    const unknown = Object.assign(new Error('no issuer'), { code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' });
    const first = failing(new Error('the SSO call failed', { cause: unknown }));
    await expect(runTrusting(first.run)).rejects.toThrow('the SSO call failed');
    expect(first.tried()).toBe(2);
    expect(trustedBy(bundle)).not.toBe(before);
    if (typeof tls.setDefaultCACertificates === 'function') {
      expect(tls.getCACertificates('default').join('\n')).toContain(bundle.trim());
    }
    const later = failing(unknown);
    await expect(runTrusting(later.run)).rejects.toThrow('no issuer');
    expect(later.tried()).toBe(1);
  });
});

it('says what to do, and that a retry does not help', () => {
  const error = untrusted('SELF_SIGNED_CERT_IN_CHAIN', undefined);
  expect(error).toMatchObject({ code: 'ERR_UPSTREAM_UNTRUSTED', status: 403, fault: 'operator' });
  expect(error.hint).toMatch(/certificate store.*AWS_CA_BUNDLE/);
});
