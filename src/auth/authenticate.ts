/**
 * Third stage of the way: who is asking? Returns a Caller or throws. Keys are looked up by their hash or access key id, so
 * that neither time nor database tells anything about other keys. Does not read the body (a signature that covers it is
 * proven when it is known) and does not decide what the caller may do.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ProxyError } from '../lib/errors.ts';
import type { ClientRequest, HeaderPair } from '../http/message.ts';
import type { Principal } from '../domain/principal.ts';
import { isLoopbackAddress } from '../lib/loopback.ts';
import type { Store } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import { findCredential } from './credential.ts';
import { createFrameCheck } from './frame-check.ts';
import { refuseEndedKey } from './key-refusal.ts';
import { findSignature } from './signature.ts';
import type { FailureLimit } from './failure-limit.ts';
import type { Frame } from '../protocol/event-stream.ts';
import { hashKey, looksLikeKey, maskKey } from '../keys/secret.ts';

/** In these, reverse proxies and tunnels name the machine they ask for (RFC 7239, and older practice). */
const FORWARDED_FOR: ReadonlySet<string> = new Set(['forwarded', 'x-forwarded-for', 'x-real-ip', 'cf-connecting-ip']);

export interface AuthenticatorOptions {
  readonly store: Store;
  readonly masterKey: string | undefined;
  /** Opens keys at rest, for clients that sign. */
  readonly loadServerSecret: () => Buffer;
  readonly failures: FailureLimit;
  readonly nowMs: () => number;
}

/** Whoever shows a credential. Nobody is a principal before `verify` says so. */
export interface Caller {
  /** True where the credential is a signature over the body: `verify` then wants its hash. */
  readonly needsBody: boolean;
  /**
   * The principal, once per request. `bodySha256` is lower-case hex. Throws ERR_SIGNATURE_* where the request is not what was
   * signed.
   */
  verify(bodySha256: string | undefined): VerifiedCaller;
  /**
   * The principal as it is by now, for one whose body took its time: a key may have been revoked, blocked or limited
   * meanwhile. Throws as `authenticate` does.
   */
  revalidate(principal: Principal): Promise<Principal>;
}

export interface VerifiedCaller {
  readonly principal: Principal;
  /** Set where the client signs the frames of its event stream: to be called with each, in order; throws ERR_SIGNATURE. */
  readonly checkFrame: ((frame: Frame) => void) | undefined;
}

/**
 * Open mode: where no key was ever made and there is no master key, anybody on this machine may pass and nobody else, not
 * even through a reverse proxy here that says so.
 * Otherwise throws ERR_KEY_MISSING, ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEY_EXPIRED, ERR_KEY_BLOCKED, ERR_KEYS_DIFFER,
 * ERR_REAL_AWS_CREDENTIALS, ERR_BAD_REQUEST (a malformed signature), ERR_TOO_MANY_FAILURES or ERR_STORE_UNAVAILABLE.
 */
export async function authenticate(clientRequest: ClientRequest, options: AuthenticatorOptions): Promise<Caller> {
  const { failures } = options;
  const { peerAddress } = clientRequest;
  failures.check(peerAddress);
  try {
    const caller = await findCaller(clientRequest, options);
    return {
      needsBody: caller.needsBody,
      revalidate: (principal) => caller.revalidate(principal),
      verify: (bodySha256) => {
        try {
          return caller.verify(bodySha256);
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
    return proven(admitAnonymous(clientRequest));
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
    return { ...proven(usePrincipal(row, options)), revalidate: () => revalidateKey(row, options) };
  }
  const signature = await findSignature(clientRequest, options);
  if (signature === undefined) throw missingKey();
  const { row, needsBody } = signature;
  return {
    needsBody,
    revalidate: () => revalidateKey(row, options),
    verify: (bodySha256) => {
      const frameChain = signature.verify(bodySha256);
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
  return { needsBody: false, verify: () => ({ principal, checkFrame: undefined }), revalidate: async (same) => same };
}

async function revalidateKey({ keySha256 }: VirtualKeyRow, options: AuthenticatorOptions): Promise<Principal> {
  const row = await options.store.findKeyBySha256(keySha256);
  if (row === undefined) throw unknownKey();
  refuseEndedKey(row, options.nowMs());
  return usePrincipal(row, options);
}

function usePrincipal(row: VirtualKeyRow, { store, nowMs }: AuthenticatorOptions): Principal {
  store.touchKey(row.id, nowMs());
  const { id, alias, lastFour, policy, tags } = row;
  return { kind: 'key', keyId: id, label: alias ?? maskKey(lastFour), policy, tags };
}

async function findActiveKey(token: string, { store, nowMs }: AuthenticatorOptions): Promise<VirtualKeyRow> {
  const row = await store.findKeyBySha256(hashKey(token));
  if (row === undefined) throw unknownKey();
  refuseEndedKey(row, nowMs());
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

/**
 * True for an `Authorization` value that shows a key of ours, master key included. A master key may have the form of a JWT:
 * it must not be passed on as one.
 */
export function showsOwnKey(authorization: string, masterKey: string | undefined): boolean {
  const { token } = findCredential([['authorization', authorization]]);
  return token !== undefined && (looksLikeKey(token) || isMasterKey(token, masterKey));
}

function admitAnonymous({ peerAddress, headers }: ClientRequest): Principal {
  if (isLoopbackAddress(peerAddress) && !isForwarded(headers)) return { kind: 'anyone', label: 'anyone' };
  throw new ProxyError('ERR_OPEN_MODE_REMOTE', 'Without keys the proxy serves its own machine only.', {
    hint: 'Make a key there with `bedrock-proxy key generate` and send it as `Authorization: Bearer`.',
  });
}

/** Whether a tunnel or a reverse proxy on this machine says that another machine asks: that one's peer address is not ours. */
export function isForwarded(headers: readonly HeaderPair[]): boolean {
  return headers.some(([name, value]) => {
    const lower = name.toLowerCase();
    if (!FORWARDED_FOR.has(lower)) return false;
    const parts =
      lower === 'forwarded' ? [...value.matchAll(/for=([^;,]*)/gi)].map(([, part = '']) => part) : value.split(',');
    return parts.some((part) => !isLoopbackAddress(bareAddress(part)));
  });
}

/** `"[::1]:4711"`, `127.0.0.1:80` and the like without quotes, brackets and port. */
function bareAddress(text: string): string {
  const bare = text.trim().replaceAll('"', '');
  if (bare.startsWith('[')) return bare.slice(1, bare.indexOf(']'));
  return bare.split(':').length === 2 ? bare.slice(0, bare.indexOf(':')) : bare;
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
