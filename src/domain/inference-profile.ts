/**
 * Application inference profiles that stand in for a model, so that AWS's bill has the cost apart. Pure.
 */
import { isIdentifier } from './model-name.ts';

/** Each model, as requests name it, with the ARNs of its profiles: one for each region. */
export type InferenceProfiles = Readonly<Record<string, readonly string[]>>;

const PROFILE_ARN =
  /^arn:aws(?:-[a-z]+){0,2}:bedrock:([a-z0-9-]{1,63}):\d{12}:application-inference-profile\/[A-Za-z0-9-]{1,64}$/;
const MAX_PROFILES = 200;

/** The profiles of these pairs, or what is wrong with them, to follow the name of a flag or a field. */
export function readInferenceProfiles(
  pairs: readonly (readonly [model: string, arn: string])[],
): { readonly profiles: InferenceProfiles } | { readonly problem: string; readonly given: string } {
  const profiles = new Map<string, string[]>();
  for (const [model, arn] of pairs) {
    const refused = (problem: string) => ({ problem, given: `${model}=${arn}` });
    if (!isIdentifier(model) || regionOf(arn) === undefined) {
      return refused(
        'must be a model and the ARN of an application inference profile, such as amazon.nova-lite-v1:0=arn:…',
      );
    }
    const others = profiles.get(model) ?? [];
    if (others.some((other) => regionOf(other) === regionOf(arn))) {
      return refused('must name one profile of a model for each region');
    }
    profiles.set(model, [...others, arn]);
  }
  if (pairs.length > MAX_PROFILES)
    return { problem: `must be at most ${MAX_PROFILES} profiles`, given: String(pairs.length) };
  return { profiles: Object.fromEntries(profiles) };
}

/** The one of the region that stands in for the model. */
export function findInferenceProfile(profiles: InferenceProfiles, model: string, region: string): string | undefined {
  if (!Object.hasOwn(profiles, model)) return undefined;
  return profiles[model]?.find((arn) => regionOf(arn) === region);
}

function regionOf(arn: string): string | undefined {
  return PROFILE_ARN.exec(arn)?.[1];
}
