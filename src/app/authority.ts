/**
 * What a server signs with, in words, and what keeps it from signing: told at the start, not with the first request.
 */
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { formatAge } from '../lib/format.ts';
import { expiredApiKey } from '../upstream/aws/authorize.ts';
import type { BedrockApiKey } from '../upstream/aws/api-key.ts';
import type { CredentialsOrigin, CredentialSource } from '../upstream/aws/credentials.ts';
import { describeApiKey, describeCredentials } from './banner.ts';

/** The authority of a server, for people. */
export interface AuthorityState {
  readonly words: string;
  /** Why it cannot sign, and what to do; undefined if it can. */
  readonly problem: ProxyError | undefined;
}

/** Looks the credentials up. Never rejects. */
export async function describeAuthority(
  apiKey: BedrockApiKey | undefined,
  source: CredentialSource,
): Promise<AuthorityState> {
  const nowMs = Date.now();
  const beside = await source.describe().then(
    (origin) => findExpiry(origin, nowMs) ?? describeCredentials(origin, nowMs),
    (thrown: unknown) => toProxyError(thrown),
  );
  if (apiKey === undefined) {
    const isMissing = beside instanceof ProxyError;
    return isMissing ? { words: 'none that work (see below)', problem: beside } : { words: beside, problem: undefined };
  }
  const { expiresAtMs } = apiKey;
  const hasNone = beside instanceof ProxyError && beside.code === 'ERR_NO_AWS_CREDENTIALS';
  const words = beside instanceof ProxyError ? describeMissing(beside) : beside;
  const isExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
  return {
    words: describeApiKey(expiresAtMs, hasNone ? undefined : words, nowMs),
    problem: isExpired ? expiredApiKey(expiresAtMs) : undefined,
  };
}

/** That the credentials have expired, and are the newest that their source has; undefined if they have not. */
export function findExpiry({ description, expiresAtMs }: CredentialsOrigin, nowMs: number): ProxyError | undefined {
  if (expiresAtMs === undefined || expiresAtMs > nowMs) return undefined;
  const age = formatAge(expiresAtMs, nowMs);
  return new ProxyError('ERR_AWS_CREDENTIALS', `The AWS credentials of the proxy (${description}) expired ${age}.`, {
    hint: 'On the machine that runs the proxy, renew them; those of its environment want a new start.',
  });
}

function describeMissing({ message, hint }: ProxyError): string {
  return hint === undefined ? message : `${message} ${hint}`;
}
