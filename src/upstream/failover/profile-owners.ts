/**
 * Which of several ways take the application inference profiles of a key. A profile belongs to one account, and which
 * one an upstream leads to is not known: the first way in the region of a profile has it, and those that sign as that
 * does.
 */
import type { UpstreamSpec } from '../../config/upstreams.ts';
import type { InferenceProfiles } from '../../domain/inference-profile.ts';
import { inferenceProfilesOf, type Principal } from '../../domain/principal.ts';

/** What of an upstream says as whom it signs. */
type Signing = Pick<UpstreamSpec, 'identity' | 'apiKey'>;

/** Asked for each way, the one that is meant first. What it gives is none for a way that has no part in them. */
export function createProfileOwners(principal: Principal): (signing: Signing, region: string) => InferenceProfiles {
  const profiles = inferenceProfilesOf(principal);
  // A profile of the key signs everywhere.
  const isOneAccount = principal.kind === 'key' && principal.policy.profile !== undefined;
  const ownerIn = new Map<string, string>();
  return (signing, region) => {
    const signer = JSON.stringify([signing.identity?.profile, signing.identity?.roleArn, signing.apiKey]);
    const owner = ownerIn.get(region) ?? signer;
    ownerIn.set(region, owner);
    return isOneAccount || owner === signer ? profiles : {};
  };
}
