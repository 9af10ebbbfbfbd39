/**
 * On whose behalf a request is made. Types only.
 */
import type { KeyPolicy } from './key.ts';

/** Whom a credential stands for. */
export type Principal =
  | {
      readonly kind: 'key';
      readonly keyId: string;
      readonly label: string;
      readonly policy: KeyPolicy;
      readonly tags: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'master'; readonly label: 'master' }
  | { readonly kind: 'anonymous'; readonly label: 'anonymous' };
