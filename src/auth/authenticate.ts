/**
 * Third stage of the way: who is asking? Answers a Caller or throws. Keys are looked up by their hash or access key id, so
 * that neither time nor database tells anything about other keys. Does not read the body (a signature that covers it is
 * proven when it is known) and does not decide what the caller may do.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { ClientRequest, Principal } from '../exchange.ts';
import { isLoopbackAddress } from '../loopback.ts';
import type { Store, VirtualKeyRow } from '../store/store.ts';
import { findCredential } from './credential.ts';
import { createFrameCheck } from './frame-check.ts';
import { findKeyState } from './key-state.ts';
import { findSignature, revokedKey } from './signature.ts';
import type { FailureLimit } from './failure-limit.ts';
import type { Frame } from '../metering/frames.ts';
import { hashKey, looksLikeKey, maskKey } from './virtual-key.ts';

export interface AuthenticatorOptions {
  readonly store: Store;
  readonly masterKey: string | undefined;
  /** Opens keys at rest, for clients that sign. */
  readonly loadServerSecret: () => Buffer;
  readonly failures: FailureLimit;
  readonly nowMs: () => number;
}

/** Whoever shows a credential. Nobody is a principal before `prove` says so. */
export interface Caller {
  /** True where the credential is a signature over the body: `prove` then wants its hash. */
  readonly needsBody: boolean;
  /**
   * The principal, once per request. `bodySha256` is lower-case hex. Throws ERR_SIGNATURE_* where the request is not what was
   * signed.
   */
  prove(bodySha256: string | undefined): ProvenCaller;
}

export interface ProvenCaller {
  readonly principal: Principal;
  /** Set where the client signs the frames of its event stream: to be called with each, in order; throws ERR_SIGNATURE. */
  readonly checkFrame: ((frame: Frame) => void) | undefined;
}

/**
 * Open mode: where no key was ever made and there is no master key, anybody on this machine may pass and nobody else.
 * Otherwise throws ERR_KEY_MISSING, ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEYS_DIFFER, ERR_REAL_AWS_CREDENTIALS,
 * ERR_BAD_REQUEST (a malformed signature), ERR_TOO_MANY_FAILURES or ERR_STORE_UNAVAILABLE.
 */
export async function authenticate(clientRequest: ClientRequest, options: AuthenticatorOptions): Promise<Caller> {
  const { failures } = options;
  const { peerAddress } = clientRequest;
  failures.check(peerAddress);
  try {
    const caller = await findCaller(clientRequest, options);
    return {
      needsBody: caller.needsBody,
      prove: (bodySha256) => {
        try {
          return caller.prove(bodySha256);
        } catch (error) {
          throw failures.note(error, peerAddress);
        }
      },
    };
  } catch (error) {
    throw failures.note(error, peerAddress);
  }
}

async function findCaller(clientRequest: ClientRequest, options: AuthenticatorOptions): Promise<Caller> {
  if (options.masterKey === undefined && !(await options.store.hasAnyKey())) {
    return proven(admitAnyone(clientRequest));
  }
  const { token, tokens, accessKeyId } = findCredential(clientRequest.headers);
  // A master key without the form of a key may stand beside other tokens, but not beside another key.
  const masterToken = tokens.find((shown) => isMasterKey(shown, options.masterKey));
  if (masterToken !== undefined && (masterToken === token || !looksLikeKey(token ?? ''))) {
    return proven({ kind: 'master', label: 'master' });
  }
  // A token that cannot be one of our keys does not hide a signature: SDKs fill in dummies.
  if (token !== undefined && (looksLikeKey(token) || accessKeyId === undefined)) {
    const row = await findActiveKey(token, options);
    await refuseOtherSignature(accessKeyId, row, options.store);
    return proven(usePrincipal(row, options));
  }
  const signature = await findSignature(clientRequest, options);
  if (signature === undefined) throw missingKey();
  const { row, needsBody } = signature;
  return {
    needsBody,
    prove: (bodySha256) => {
      const frameChain = signature.prove(bodySha256);
      const checkFrame = frameChain && createFrameCheck(frameChain, options.nowMs);
      return { principal: usePrincipal(row, options), checkFrame };
    },
  };
}

/** Compares in constant time, whatever the lengths. */
export function isMasterKey(token: string, masterKey: string | undefined): boolean {
  if (masterKey === undefined) return false;
  return timingSafeEqual(sha256(token), sha256(masterKey));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function proven(principal: Principal): Caller {
  return { needsBody: false, prove: () => ({ principal, checkFrame: undefined }) };
}

function usePrincipal(row: VirtualKeyRow, { store, nowMs }: AuthenticatorOptions): Principal {
  store.touchKey(row.id, nowMs());
  return { kind: 'key', keyId: row.id, label: row.alias ?? maskKey(row.lastFour) };
}

async function findActiveKey(token: string, { store, nowMs }: AuthenticatorOptions): Promise<VirtualKeyRow> {
  const row = await store.findKeyBySha256(hashKey(token));
  if (row === undefined) throw unknownKey();
  if (findKeyState(row, nowMs()) === 'revoked') throw revokedKey(row);
  return row;
}

/** A dummy signature beside a key is usual; the signature of another virtual key is a contradiction. */
async function refuseOtherSignature(accessKeyId: string | undefined, row: VirtualKeyRow, store: Store): Promise<void> {
  if (accessKeyId === undefined || accessKeyId === row.accessKeyId) return;
  if ((await store.findKeyByAccessKeyId(accessKeyId)) === undefined) return;
  throw new ProxyError('ERR_KEYS_DIFFER', 'The request shows one key and is signed with another.', {
    hint: 'Send one of them.',
  });
}

function admitAnyone({ peerAddress }: ClientRequest): Principal {
  if (isLoopbackAddress(peerAddress)) return { kind: 'anyone', label: 'anyone' };
  throw new ProxyError('ERR_OPEN_MODE_REMOTE', 'Without keys the proxy serves its own machine only.', {
    hint: 'Make a key there with `bedrock-proxy key generate` and send it as `Authorization: Bearer`.',
  });
}

function missingKey(): ProxyError {
  return new ProxyError('ERR_KEY_MISSING', 'The proxy wants a virtual key.', {
    hint: 'Send one as `Authorization: Bearer sk-…`, or sign with its key pair; `bedrock-proxy key generate` makes one.',
  });
}

function unknownKey(): ProxyError {
  return new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.', {
    hint: 'See `bedrock-proxy key list`, or make one with `bedrock-proxy key generate`.',
  });
}
