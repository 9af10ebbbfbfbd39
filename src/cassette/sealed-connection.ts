/**
 * What stands in the place of the connection to AWS while a cassette is played: no network client and no credentials
 * chain are made, so that nothing can leak or cost money by mistake.
 */
import { ProxyError } from '../lib/errors.ts';
import type { AwsConnection } from '../upstream/aws/connection.ts';
import type { CredentialSource } from '../upstream/aws/credentials.ts';

/** Whatever is asked of it fails. */
export function sealConnection(nowMs: () => number): AwsConnection {
  const credentials: CredentialSource = { get: refuse, describe: refuse, invalidate: () => false, forget: () => {} };
  return {
    name: 'cassette',
    credentials,
    identities: { credentialsOf: () => credentials },
    forwarder: { forward: refuse, fetchWhole: refuse, stopReadingOn: () => {}, close: async () => {} },
    clock: { nowMs, learn: () => false },
    bidirectional: { relay: refuse },
    close: async () => {},
  };
}

async function refuse(): Promise<never> {
  throw new ProxyError('ERR_NO_AWS_CREDENTIALS', 'A cassette is played: the proxy is connected to nothing.');
}
