/**
 * The master key: compared in constant time, and only for who may be compared. A person chose it, so that it can be
 * guessed, unlike a virtual key.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ClientRequest } from '../http/message.ts';
import { findClientAddress } from './client-address.ts';
import type { FailureLimit } from './failure-limit.ts';

/** Shorter ones are warned of, and are good for this machine alone: a network guesses them in no time. */
export const MIN_MASTER_KEY_LENGTH = 16;

/** Compares in constant time, whatever the lengths. */
export function isMasterKey(token: string, masterKey: string | undefined): boolean {
  if (masterKey === undefined) return false;
  return timingSafeEqual(sha256(token), sha256(masterKey));
}

/**
 * The master key that this client may be compared with; undefined if there is none, if it is too short for other
 * machines, or if too many guesses are waiting for their response. What the client shows makes no difference.
 */
export function findMasterKeyFor(
  clientRequest: Pick<ClientRequest, 'peerAddress' | 'headers'>,
  masterKey: string | undefined,
  failures: FailureLimit,
): string | undefined {
  if (masterKey === undefined || failures.isFull(clientRequest)) return undefined;
  return isTooShortFor(clientRequest, masterKey) ? undefined : masterKey;
}

/** The token that is the master key, if this client may be compared with it. An address that shows it is remembered. */
export function findMasterToken(
  clientRequest: Pick<ClientRequest, 'peerAddress' | 'headers'>,
  tokens: readonly string[],
  { masterKey, failures }: { readonly masterKey: string | undefined; readonly failures: FailureLimit },
): string | undefined {
  const comparable = findMasterKeyFor(clientRequest, masterKey, failures);
  const token = tokens.find((shown) => isMasterKey(shown, comparable));
  if (token !== undefined) failures.noteMaster(clientRequest);
  return token;
}

/** Whether the master key is too short to be taken from where this client is. */
export function isTooShortFor(
  clientRequest: Pick<ClientRequest, 'peerAddress' | 'headers'>,
  masterKey: string,
): boolean {
  return masterKey.length < MIN_MASTER_KEY_LENGTH && findClientAddress(clientRequest).kind !== 'local';
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
