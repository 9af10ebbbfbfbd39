/**
 * Which AWS credentials sign a request: the proxy's own, those of another profile, or a role that is assumed for its
 * caller. Each has one `CredentialSource`, which keeps them and refreshes them before they end, one look-up at a time;
 * the sources that were used last are kept. Nothing of a request but its key decides here.
 */
import type { MonotonicClock, WallClock } from '../../lib/clock.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { Principal } from '../../domain/principal.ts';
import type { SessionTag } from '../../domain/role.ts';
import { findPartition } from '../../protocol/region.ts';
import { parseArn } from '../../protocol/arn.ts';
import { type AssumeRole, BaseRefused, type RoleSession } from './assume-role.ts';
import {
  createCredentialSource,
  type CredentialSource,
  isSamePair,
  type ProvidedCredentials,
  refusedRoleBase,
} from './credentials.ts';
import { type SessionCaller, nameSession, tagSession } from './session.ts';

/** What an upstream or a key names to sign with. One that names neither profile nor role is the proxy's own. */
export interface Identity {
  /** Without a role its credentials sign; with one, they assume it. Undefined: the proxy's own credentials do. */
  readonly profile?: string | undefined;
  readonly roleArn?: string | undefined;
  /** Undefined: that of the proxy. */
  readonly externalId?: string | undefined;
  /** Undefined: that of the proxy. */
  readonly durationSeconds?: number | undefined;
  /** Whose STS is asked; undefined: that of the proxy's region, or of the role's partition. */
  readonly region?: string | undefined;
}

/** A caller, and what its key names to sign with. */
export interface Signer extends SessionCaller {
  readonly identity?: Identity | undefined;
}

/** Finds the credentials of a request. */
export interface Identities {
  /**
   * The same source for the same credentials, as long as it is in use. Its `get` throws as that of the proxy's own
   * does, and ERR_ROLE_REFUSED. Throws ERR_ROLE_REFUSED for tags that no session can have. Undefined: the proxy's own
   * identity, with its role if it has one.
   */
  credentialsOf(identity: Identity | undefined, caller: SessionCaller): CredentialSource;
}

/** What the proxy itself has. */
export interface IdentitiesOptions {
  /** Of the proxy, before any role. */
  readonly own: CredentialSource;
  /** The role of the proxy, and what holds for all roles. */
  readonly defaults: Pick<Identity, 'roleArn' | 'externalId' | 'durationSeconds' | 'region'>;
  readonly sessionTags: readonly SessionTag[];
  readonly loadProfile: (profile: string, region: string | undefined) => Promise<ProvidedCredentials>;
  readonly assumeRole: AssumeRole;
  readonly nowMs: WallClock;
  readonly tickMs: MonotonicClock;
  /** How many sources are kept; default 1,000. */
  readonly maxSources?: number | undefined;
}

const MAX_SOURCES = 1_000;
/** A login that is renewed for the proxy's own credentials takes up to three minutes. STS has limits of its own. */
const ROLE_TIMEOUT_MS = 4 * 60_000;

/** Looks nothing up yet. */
export function createIdentities(options: IdentitiesOptions): Identities {
  const { own, defaults, sessionTags, maxSources = MAX_SOURCES } = options;
  const kept = new Map<string, CredentialSource>();
  const keep = (key: string, make: () => CredentialSource): CredentialSource => {
    const source = kept.get(key) ?? make();
    // The last one in use stands last.
    kept.delete(key);
    kept.set(key, source);
    for (const oldest of kept.keys()) {
      if (kept.size <= maxSources) break;
      kept.delete(oldest);
    }
    return source;
  };
  const findBase = (profile: string | undefined, region: string | undefined): CredentialSource =>
    profile === undefined ? own : keep(JSON.stringify([profile]), () => openProfile(profile, region, options));
  return {
    credentialsOf: (identity, caller) => {
      if (!isNamed(identity) && defaults.roleArn === undefined) return own;
      const { profile, roleArn, externalId, durationSeconds, region = defaults.region } = complete(identity, defaults);
      const base = findBase(profile, region);
      if (roleArn === undefined) return base;
      const session = { roleArn, externalId, durationSeconds, region, sessionName: nameSession(caller) };
      const tags = tagSession(sessionTags, caller);
      return keep(JSON.stringify([profile, session, tags]), () => openRole({ ...session, tags }, base, options));
    },
  };
}

/** Who a principal is at AWS. Only keys name anything. */
export function signerOf(principal: Principal): Signer {
  if (principal.kind !== 'key') return { id: principal.kind };
  const { keyId: id, alias, tags, policy } = principal;
  const { profile, roleArn } = policy;
  const isOwn = profile === undefined && roleArn === undefined;
  return { id, alias, tags, identity: isOwn ? undefined : { profile, roleArn } };
}

/** Always the same credentials, whoever asks: the offline Bedrock knows no others. */
export function oneIdentity(own: CredentialSource): Identities {
  return { credentialsOf: () => own };
}

/** Whether it is another one than the proxy's own, whose Bedrock API key then does not stand in for it. */
export function isNamed(identity: Identity | undefined): boolean {
  return identity?.profile !== undefined || identity?.roleArn !== undefined;
}

/** What signs if both an upstream and a key name something: a profile of the key replaces all, its role only a role. */
export function joinIdentities(ofUpstream: Identity | undefined, ofKey: Identity | undefined): Identity | undefined {
  if (ofKey === undefined || !isNamed(ofKey)) return ofUpstream;
  return { profile: ofKey.profile ?? ofUpstream?.profile, roleArn: ofKey.roleArn, region: ofUpstream?.region };
}

/** The role of the proxy is for its own credentials alone; its external id and duration are for every role. */
function complete(identity: Identity | undefined, defaults: IdentitiesOptions['defaults']): Identity {
  const { externalId = defaults.externalId, durationSeconds = defaults.durationSeconds } = identity ?? {};
  const roleArn = isNamed(identity) ? identity?.roleArn : defaults.roleArn;
  return { ...identity, roleArn, externalId, durationSeconds };
}

function openProfile(
  profile: string,
  region: string | undefined,
  { loadProfile, nowMs, tickMs }: IdentitiesOptions,
): CredentialSource {
  return createCredentialSource({ profile, nowMs, tickMs, load: () => loadProfile(profile, region) });
}

type UnplacedSession = Omit<RoleSession, 'region'> & { readonly region: string | undefined };

function openRole(session: UnplacedSession, base: CredentialSource, options: IdentitiesOptions): CredentialSource {
  const { assumeRole, nowMs, tickMs } = options;
  const load = async (): Promise<ProvidedCredentials> => {
    const placed = { ...session, region: findStsRegion(session) };
    const credentials = await base.get();
    try {
      return await assumeRole(placed, credentials);
    } catch (thrown) {
      if (!(thrown instanceof BaseRefused)) throw thrown;
      base.invalidate(credentials, thrown.haveExpired);
      const others = await base.get();
      if (isSamePair(credentials, others)) throw refusedRoleBase(thrown);
      return assumeRole(placed, others).catch((again: unknown) => {
        throw again instanceof BaseRefused ? refusedRoleBase(again) : again;
      });
    }
  };
  const timeoutMs = ROLE_TIMEOUT_MS;
  const source = createCredentialSource({ profile: undefined, nowMs, tickMs, timeoutMs, load });
  return {
    get: () => source.get(),
    invalidate: (refused, hasExpired) => source.invalidate(refused, hasExpired),
    forget: () => source.forget(),
    describe: async () => {
      const { expiresAtMs } = await source.describe();
      return { description: `role ${session.roleArn}`, expiresAtMs };
    },
  };
}

/** Where STS of a role's partition is if no region of it is known: `implicitGlobalRegion` of AWS's partitions. */
const STS_REGIONS: Readonly<Record<string, string>> = {
  aws: 'us-east-1',
  'aws-cn': 'cn-northwest-1',
  'aws-eusc': 'eusc-de-east-1',
  'aws-iso': 'us-iso-east-1',
  'aws-iso-b': 'us-isob-east-1',
  'aws-iso-e': 'eu-isoe-west-1',
  'aws-iso-f': 'us-isof-south-1',
  'aws-us-gov': 'us-gov-west-1',
};

/** Credentials of one partition are nothing to another: AWS would say no more than that it does not know them. */
function findStsRegion({ roleArn, region }: UnplacedSession): string {
  const partition = parseArn(roleArn)?.partition ?? '';
  const known = region === undefined ? STS_REGIONS[partition] : region;
  if (known !== undefined && findPartition(known)?.id === partition) return known;
  throw new ProxyError('ERR_ROLE_REFUSED', 'The role of this request and its region are of different AWS partitions.', {
    hint: 'Name a role of the partition of the region, such as arn:aws-us-gov:… for us-gov-west-1.',
    detail: `${roleArn} in ${region ?? 'no region'}`,
  });
}
