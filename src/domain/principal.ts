/**
 * On whose behalf a request is made.
 */
import type { InferenceProfiles } from './inference-profile.ts';
import type { KeyPolicy } from './key.ts';
import type { ModelAliases } from './model-alias.ts';

/** Whom a credential stands for. */
export type Principal =
  | {
      readonly kind: 'key';
      readonly keyId: string;
      /** The alias; else what is shown in its place. */
      readonly label: string;
      readonly alias?: string | undefined;
      readonly policy: KeyPolicy;
      readonly tags: Readonly<Record<string, string>>;
      /** Its metadata say `inspect: never`: the inspector keeps no content of it. */
      readonly isUninspected?: boolean;
    }
  | { readonly kind: 'master'; readonly label: 'master' }
  | { readonly kind: 'anonymous'; readonly label: 'anonymous' };

/** The names that a key has of its own for models; nobody else has any. */
export function modelAliasesOf(principal: Principal): ModelAliases {
  return principal.kind === 'key' ? principal.policy.modelAliases : {};
}

/** The application inference profiles that a key has for models; nobody else has any. */
export function inferenceProfilesOf(principal: Principal): InferenceProfiles {
  return principal.kind === 'key' ? principal.policy.inferenceProfiles : {};
}
