/**
 * The profile that `--profile` or AWS_PROFILE names: a mistyped one is told at once, not by the first request.
 */
import type { Config } from '../config/config.ts';
import type { UpstreamSpec } from '../config/upstreams.ts';
import { ProxyError } from '../lib/errors.ts';
import { findNearest } from '../lib/nearest-name.ts';
import { loadProfileNames } from '../upstream/aws/credentials.ts';

/** As many are listed. */
const MAX_NAMES = 20;

/**
 * Throws ERR_BAD_OPTION if no file of AWS has the profile, or one that an upstream names. Says nothing where no profile
 * is needed: offline, or, of `--profile`, with a Bedrock API key.
 */
export async function requireProfile(
  { profile, offline, apiKey }: Config,
  upstreams: readonly UpstreamSpec[] = [],
): Promise<void> {
  if (offline) return;
  const own = profile === undefined || apiKey !== undefined ? [] : [profile];
  const named = upstreams.flatMap(({ identity }) => (identity?.profile === undefined ? [] : [identity.profile]));
  if (own.length + named.length === 0) return;
  const names = await loadProfileNames();
  // Files that cannot be read are for the credential chain to tell of.
  const missing = [...own, ...named].find((name) => names?.includes(name) === false);
  if (names !== undefined && missing !== undefined) throw unknownProfile(missing, names);
}

function unknownProfile(profile: string, names: readonly string[]): ProxyError {
  const nearest = findNearest(profile, names);
  const list = names.slice(0, MAX_NAMES).join(', ') + (names.length > MAX_NAMES ? ', …' : '');
  const known =
    names.length === 0 ? 'There are none: `aws configure` or `aws configure sso` makes one.' : `There are: ${list}.`;
  return new ProxyError('ERR_BAD_OPTION', `There is no AWS profile ${JSON.stringify(profile)}.`, {
    hint: nearest === undefined ? known : `Did you mean ${nearest}? ${known}`,
  });
}
