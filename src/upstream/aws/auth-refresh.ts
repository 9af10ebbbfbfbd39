/**
 * Credentials that a person has to renew (`aws sso login`): a command of the owner's does that, and the requests that
 * need them wait for it. Only a request that is about to be signed gets this far: whoever has no key runs nothing.
 */
import { ProxyError } from '../../lib/errors.ts';
import { type CredentialSource, isSamePair, needsLogin } from './credentials.ts';
import type { AwsCredentials } from './sign.ts';

/** An old look-up may still be under way when the command ends. */
const TRIES_AFTER = 2;

/** Renews the login: undefined if it did, else a sentence that says why not. One run for all who ask. Never rejects. */
export type AuthRefresh = () => Promise<string | undefined>;

/** The same credentials, renewed by `refresh` when they have expired. Descriptions of them renew nothing. */
export function refreshExpired(source: CredentialSource, refresh: AuthRefresh): CredentialSource {
  let expired: AwsCredentials | undefined;
  const look = async (): Promise<AwsCredentials | ProxyError> => {
    try {
      return await source.get();
    } catch (error) {
      if (error instanceof ProxyError && needsLogin(error)) return error;
      throw error;
    }
  };
  /** By AWS's word: many tools leave keys behind that do not say when they end. */
  const isExpired = (found: AwsCredentials): boolean => expired !== undefined && isSamePair(expired, found);
  return {
    describe: () => source.describe(),
    forget: () => source.forget(),
    invalidate: (refused, hasExpired) => {
      if (hasExpired === true) expired = refused;
      return source.invalidate(refused, hasExpired);
    },
    get: async () => {
      let found = await look();
      if (!(found instanceof ProxyError) && !isExpired(found)) return found;
      const failure = await refresh();
      const tries = failure === undefined ? TRIES_AFTER : 0;
      for (let tried = 0; tried < tries; tried += 1) {
        source.forget();
        found = await look();
        if (!(found instanceof ProxyError)) break;
      }
      // AWS says itself what is wrong with these.
      if (!(found instanceof ProxyError)) return found;
      if (failure === undefined) throw found;
      throw new ProxyError(found.code, found.message, { hint: failure, detail: found.detail, cause: found });
    },
  };
}
