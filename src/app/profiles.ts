/**
 * The profile that `--profile` or AWS_PROFILE names: a mistyped one is told at once, not by the first request.
 */
import type { Config } from '../config/config.ts';
import { ProxyError } from '../lib/errors.ts';
import { findNearest } from '../lib/nearest-name.ts';
import { loadProfileNames } from '../upstream/aws/credentials.ts';

/** As many are listed. */
const MAX_NAMES = 20;

/**
 * Throws ERR_BAD_OPTION if no file of AWS has the profile. Says nothing where no profile is needed: offline, or with a
 * Bedrock API key.
 */
export async function requireProfile({ profile, offline, apiKey }: Config): Promise<void> {
  if (profile === undefined || offline || apiKey !== undefined) return;
  const names = await loadProfileNames();
  // Files that cannot be read are for the credential chain to tell of.
  if (names === undefined || names.includes(profile)) return;
  const nearest = findNearest(profile, names);
  const list = names.slice(0, MAX_NAMES).join(', ') + (names.length > MAX_NAMES ? ', …' : '');
  const known =
    names.length === 0 ? 'There are none: `aws configure` or `aws configure sso` makes one.' : `There are: ${list}.`;
  throw new ProxyError('ERR_BAD_OPTION', `There is no AWS profile ${JSON.stringify(profile)}.`, {
    hint: nearest === undefined ? known : `Did you mean ${nearest}? ${known}`,
  });
}
