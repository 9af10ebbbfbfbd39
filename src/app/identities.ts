/**
 * What signs for whom, from the configuration: the proxy's own credentials, its role, and what a key names.
 */
import type { Config } from '../config/config.ts';
import type { UpstreamSpec } from '../config/upstreams.ts';
import type { Principal } from '../domain/principal.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import { type BedrockApiKey, readApiKey } from '../upstream/aws/api-key.ts';
import { createRoleAssumer } from '../upstream/aws/assume-role.ts';
import type { UpstreamAuthority } from '../upstream/aws/authorize.ts';
import type { AwsConnection } from '../upstream/aws/connection.ts';
import { type CredentialSource, loadFromChain } from '../upstream/aws/credentials.ts';
import { createIdentities, type Identities, isNamed, joinIdentities, signerOf } from '../upstream/aws/identities.ts';
import { runTrusting } from '../upstream/aws/trust.ts';

/** What the identities of a connection are made of. */
export interface IdentityParts extends Pick<AwsConnection, 'forwarder' | 'clock'> {
  /** Of the proxy, before any role. */
  readonly own: CredentialSource;
  readonly region: string | undefined;
  readonly warn: (message: string) => void;
}

/** Looks nothing up yet. */
export function openIdentities(
  { roleArn, externalId, roleDurationSeconds: durationSeconds, sessionTags, fips }: Config,
  { own, region, forwarder, clock, warn }: IdentityParts,
): Identities {
  return createIdentities({
    own,
    defaults: { roleArn, externalId, durationSeconds, region },
    sessionTags,
    loadProfile: (profile, of) => runTrusting(() => loadFromChain(profile, of, warn)),
    assumeRole: createRoleAssumer({ forwarder, fips, nowMs: clock.nowMs }),
    // What AWS has said of the time counts here too: a session would look as if it had ended.
    nowMs: clock.nowMs,
    tickMs: MACHINE_TICKS,
  });
}

/** The credentials of the proxy with its role, for what it says of itself; in CloudTrail a session of its name. */
export function findOwnIdentity({ identities }: Pick<AwsConnection, 'identities'>): CredentialSource {
  return identities.credentialsOf(undefined, { id: 'bedrock-proxy' });
}

/**
 * What signs for a principal, at an upstream that may name something itself. The owner's API key stands for the proxy
 * itself, one of an upstream for that and without anything beside it, and none for any other identity.
 */
export function createAuthorities(
  config: Config,
  { identities }: Pick<AwsConnection, 'identities'>,
  upstream?: Pick<UpstreamSpec, 'identity' | 'apiKey' | 'region'>,
): (principal: Principal) => UpstreamAuthority {
  const ownApiKey = upstream?.apiKey === undefined ? findApiKey(config) : readApiKey(upstream.apiKey);
  const ofUpstream = upstream?.identity && { ...upstream.identity, region: upstream.region };
  return (principal) => {
    const signer = signerOf(principal);
    const identity = joinIdentities(ofUpstream, signer.identity);
    const apiKey = isNamed(identity) || config.offline ? undefined : ownApiKey;
    // The proxy's own credentials are another account, as far as anybody knows: who is bound to this one is not let in.
    const isAlone = apiKey !== undefined && upstream?.apiKey !== undefined;
    return { credentials: isAlone ? NO_CREDENTIALS : identities.credentialsOf(identity, signer), apiKey };
  };
}

const refuseToSign = async (): Promise<never> => {
  throw new ProxyError('ERR_NO_AWS_CREDENTIALS', 'This upstream has an Amazon Bedrock API key and nothing else.');
};

const NO_CREDENTIALS: CredentialSource = {
  get: refuseToSign,
  describe: refuseToSign,
  invalidate: () => false,
  forget: () => {},
};

/** The owner's API key. The offline Bedrock gets none: it is not AWS. Nor does a role: AWS would see the key's user. */
export function findApiKey({ apiKey, offline, roleArn }: Config): BedrockApiKey | undefined {
  return offline || apiKey === undefined || roleArn !== undefined ? undefined : readApiKey(apiKey);
}
