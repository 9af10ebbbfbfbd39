/**
 * What a server tells the commands of its database about itself.
 */
import type { ServerFacts } from '../auth/server-facts.ts';
import { type Config, needsNoAccount } from '../config/config.ts';
import type { UpstreamSpec } from '../config/upstreams.ts';
import type { Store } from '../domain/store.ts';
import { within } from '../lib/deadline.ts';
import type { CredentialSource } from '../upstream/aws/credentials.ts';
import { findAccess } from './access.ts';
import { describeAuthority } from './authority.ts';
import { findApiKey } from './identities.ts';

/** A command does not wait longer than this for the credential chain, which may ask the network. */
const CREDENTIALS_TIMEOUT_MS = 300;

/** What the facts are made of. */
export interface FactsInput {
  readonly version: string;
  readonly config: Config;
  readonly store: Pick<Store, 'hasAnyKey' | 'findKeys'>;
  readonly region: string | undefined;
  readonly source: CredentialSource;
  /** Several ways to Bedrock, as they were at the start; undefined: there is one. */
  readonly upstreams?: readonly UpstreamSpec[] | undefined;
}

/** Tells them as they are by then. What cannot be found out, because the database does not respond, rejects. */
export function createFacts(input: FactsInput): (keyId: string | undefined) => Promise<ServerFacts> {
  const { version, config, store, region, source, upstreams } = input;
  const findProblem = async (): Promise<ServerFacts['credentialsProblem']> => {
    if (needsNoAccount(config) || !needsOwnCredentials(upstreams)) return undefined;
    const found = await within(CREDENTIALS_TIMEOUT_MS, describeAuthority(findApiKey(config), source));
    return found?.problem && { message: found.problem.message, hint: found.problem.hint };
  };
  return async (keyId) => ({
    version,
    access: await findAccess(config, store),
    region,
    isOffline: config.offline,
    upstream: upstreamOf(config, upstreams),
    databasePath: config.database.shown,
    hasTls: config.tls !== undefined,
    credentialsProblem: await findProblem(),
    hasKey: keyId === undefined ? undefined : (await store.findKeys({ ids: [keyId] })).length > 0,
  });
}

/** Whether the proxy's own credentials sign anything: not if each of several upstreams names others. */
export function needsOwnCredentials(upstreams: readonly UpstreamSpec[] | undefined): boolean {
  if (upstreams === undefined) return true;
  return upstreams.some(({ identity, apiKey }) => identity?.profile === undefined && apiKey === undefined);
}

/** Where requests go, for people; undefined: to AWS. */
export function upstreamOf(
  { offline, endpointUrls, cassette }: Config,
  upstreams?: readonly UpstreamSpec[],
): string | undefined {
  if (cassette?.mode === 'replay') return `recordings in ${cassette.directory}`;
  if (offline) return 'the offline Bedrock in this process';
  if (upstreams !== undefined) {
    return upstreams.map(({ name, region }) => (region === undefined ? name : `${name} (${region})`)).join(', ');
  }
  const urls = [...endpointUrls].map(([service, { scheme, authority, pathPrefix }]) => {
    const url = `${scheme}://${authority}${pathPrefix}`;
    return service === '*' ? url : `${service}=${url}`;
  });
  return urls.length === 0 ? undefined : urls.join(', ');
}
