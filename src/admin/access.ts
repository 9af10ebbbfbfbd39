/**
 * Who may call the admin API: whoever shows the master key, and a virtual key where it asks about itself. Wrong keys
 * count against the same limit as on the way to Bedrock.
 */
import { findActiveKey } from '../auth/authenticate.ts';
import { findMasterToken, isTooShortFor, MIN_MASTER_KEY_LENGTH } from '../auth/master-key.ts';
import { findToken, parsePresentedCredential } from '../keys/presented-credential.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ClientRequest } from '../http/message.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import type { AdminOptions } from './admin-options.ts';

/** `own key`: the master key, or any virtual key that counts, which may then ask about nothing but itself. */
export type Access = 'master key' | 'own key' | 'public';

/** The virtual key that calls; undefined for the master key. */
export type OwnKey = VirtualKeyRow | undefined;

const TOO_SHORT =
  `It has fewer than ${MIN_MASTER_KEY_LENGTH} characters, and is taken from this machine alone: ` +
  'start the proxy with a longer one.';

/**
 * Throws ERR_MASTER_KEY, ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEY_EXPIRED, ERR_KEY_BLOCKED, ERR_KEYS_DIFFER,
 * ERR_TOO_MANY_FAILURES or ERR_STORE_UNAVAILABLE.
 */
export async function admitAdmin(clientRequest: ClientRequest, access: Access, options: AdminOptions): Promise<OwnKey> {
  if (access === 'public') return undefined;
  const { failures, masterKey } = options;
  try {
    failures.check(clientRequest);
    const token = findToken(parsePresentedCredential(clientRequest.headers, undefined));
    if (token !== undefined && findMasterToken(clientRequest, [token], options) !== undefined) return undefined;
    if (access === 'own key' && token !== undefined) return await findActiveKey(token, options);
    throw needsMasterKey(clientRequest, masterKey);
  } catch (error) {
    throw await failures.note(error, clientRequest);
  }
}

function needsMasterKey(clientRequest: ClientRequest, masterKey: string | undefined): ProxyError {
  if (masterKey !== undefined) {
    const isTooShort = isTooShortFor(clientRequest, masterKey);
    const message = 'The admin API wants the master key.';
    return new ProxyError('ERR_MASTER_KEY', message, {
      hint: isTooShort ? TOO_SHORT : 'Send it as `Authorization: Bearer`.',
    });
  }
  return new ProxyError('ERR_MASTER_KEY', 'The proxy was started without a master key, so its admin API is closed.', {
    hint: 'Start it with BEDROCK_PROXY_MASTER_KEY, or use `bedrock-proxy key` and `bedrock-proxy usage`.',
  });
}
