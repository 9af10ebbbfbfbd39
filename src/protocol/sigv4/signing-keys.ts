/**
 * Signing keys that were derived already: a key serves for a day, a region and a service, and deriving it costs more
 * than all else of a signature. Pure memory; holds no secret access key.
 */
import type { KeyObject } from 'node:crypto';
import { type CredentialScope, scopeText } from './key.ts';

/** Regions times services that one owner works with on a day, with room. */
const MAX_KEYS_PER_OWNER = 200;

/**
 * Keys by scope, for each owner of a secret. The owner is the very object that holds the secret (credentials, or the
 * row of a virtual key): if that is replaced, its keys go with it.
 */
export class SigningKeys<Owner extends object> {
  readonly #keys = new WeakMap<Owner, Map<string, KeyObject>>();

  /** The key that was added for this scope, if there is one. */
  find(owner: Owner, scope: CredentialScope): KeyObject | undefined {
    return this.#keys.get(owner)?.get(scopeText(scope));
  }

  /** Keeps a key; drops all others of its owner if there are too many. */
  add(owner: Owner, scope: CredentialScope, signingKey: KeyObject): void {
    const keys = this.#keys.get(owner) ?? new Map<string, KeyObject>();
    if (keys.size >= MAX_KEYS_PER_OWNER) keys.clear();
    this.#keys.set(owner, keys.set(scopeText(scope), signingKey));
  }
}
