/**
 * Who may see exchanges: whoever shows the token of this process, or the master key. A virtual key sees nothing.
 * Guessing is limited as on the way to Bedrock.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { LinkCodes } from '../auth/link-code.ts';
import { findMasterToken } from '../auth/master-key.ts';
import type { ClientRequest } from '../http/message.ts';
import { findHeader } from '../http/message.ts';
import { parseBearer } from '../keys/presented-credential.ts';
import { ProxyError } from '../lib/errors.ts';
import type { InspectorCaller, InspectorOptions } from './options.ts';

/** Throws ERR_INSPECT_TOKEN or ERR_TOO_MANY_FAILURES. */
export async function admitInspector(
  clientRequest: ClientRequest,
  { token, masterKey, failures }: Pick<InspectorOptions, 'token' | 'masterKey' | 'failures'>,
): Promise<InspectorCaller> {
  try {
    failures.check(clientRequest);
    const shown = parseBearer(findHeader(clientRequest.headers, 'authorization') ?? '');
    if (shown !== undefined) {
      if (isSame(shown, token)) return 'token';
      if (findMasterToken(clientRequest, [shown], { masterKey, failures }) !== undefined) return 'master';
    }
    throw new ProxyError('ERR_INSPECT_TOKEN', 'The inspector wants its token.', {
      hint: 'Open the link that the proxy printed, press i in its terminal, or run `bedrock-proxy inspect`.',
    });
  } catch (error) {
    throw await failures.note(error, clientRequest);
  }
}

/** Who shows a code of a link gets the token, once. Throws as `admitInspector` does. */
export async function admitByCode(
  clientRequest: ClientRequest,
  { codes, nowMs, failures }: Pick<InspectorOptions, 'nowMs' | 'failures'> & { readonly codes: LinkCodes },
): Promise<void> {
  try {
    failures.check(clientRequest);
    const shown = parseBearer(findHeader(clientRequest.headers, 'authorization') ?? '');
    if (shown !== undefined && codes.use(shown, nowMs())) return;
    throw new ProxyError('ERR_INSPECT_TOKEN', 'This link to the inspector was used before, or is too old.', {
      hint: 'Press i in the terminal of the proxy, or run `bedrock-proxy inspect`, for a new one.',
    });
  } catch (error) {
    throw await failures.note(error, clientRequest);
  }
}

/** Throws ERR_INSPECT_TOKEN: if others reach the port, what spends money or changes things wants the master key. */
export function requireChanger(caller: InspectorCaller, { isRemote }: Pick<InspectorOptions, 'isRemote'>): void {
  if (!isRemote || caller === 'master') return;
  throw new ProxyError('ERR_INSPECT_TOKEN', 'The proxy listens on the network: this wants the master key.', {
    hint: 'Give the master key in place of the token.',
  });
}

/** In constant time, whatever the lengths. */
function isSame(shown: string, token: string): boolean {
  return timingSafeEqual(sha256(shown), sha256(token));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
