/**
 * Third stage of the way: who is asking? Returns a Caller or throws. Keys are looked up by their hash or access key id,
 * so that neither the time it takes nor the database reveals anything about other keys. Does not read the body
 * (`verify` checks a signature that covers it) and does not decide what the caller may do.
 */
import type { WallClock } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ClientRequest } from '../http/message.ts';
import type { Principal } from '../domain/principal.ts';
import type { KeyStore } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import type { Body } from '../http/body.ts';
import { findToken, parseBearer, type PresentedCredential } from '../keys/presented-credential.ts';
import { findClientAddress } from './client-address.ts';
import { createFrameCheck } from './frame-check.ts';
import { missingKey, refuseEndedKey, unknownKey } from './key-refusal.ts';
import { findMasterToken, isMasterKey } from './master-key.ts';
import { type AdmittedCaller, describePrincipal, revalidate } from './revalidate.ts';
import { findSignature } from './signature.ts';
import { type FailureLimit, networkOf } from './failure-limit.ts';
import type { Frame } from '../protocol/event-stream.ts';
import { ACCESS_KEY_ID_PREFIX, hashKey, looksLikeKey } from '../keys/secret.ts';

/** What authentication depends on. */
export interface AuthenticatorOptions {
  readonly store: KeyStore;
  readonly masterKey: string | undefined;
  /** Opens keys at rest, for clients that sign. */
  readonly loadServerSecret: () => Buffer;
  readonly failures: FailureLimit;
  readonly nowMs: WallClock;
}

/** The client behind a credential, as far as it is known before the body is there. */
export interface Caller {
  /** Undefined if the credential is a signature over the body: there is no principal before `verify` has succeeded. */
  readonly principal: Principal | undefined;
  /** Who it says it is, proved or not: what it sends is worth nothing as soon as that key has ended. */
  readonly claimed: AdmittedCaller;
  /** The `Authorization` value that may go on to AWS: an OAuth token of the client's own, and no key of ours. */
  readonly oauthAuthorization: string | undefined;
  /**
   * For whom the body counts until it is sent. A key, once it is proved: its access key id is no secret, and whoever
   * knows it takes nothing away from the key, but from those who come from the same address.
   */
  readonly bodyOwner: string;
  /**
   * Once, when the body is there. Throws ERR_SIGNATURE_* if the request is not what was signed, and as `authenticate`
   * does if the key was revoked, blocked or limited, or open mode ended, while a body was coming.
   */
  verify(body: VerifiedBody): Promise<VerifiedCaller>;
}

/** What `verify` needs of a body: its hash in lower-case hex, and its size. */
export type VerifiedBody = Pick<Body, 'sha256' | 'sizeBytes'>;

/** A caller whose credential is good for this very request. */
export interface VerifiedCaller {
  readonly principal: Principal;
  /** Set if the client signs the frames of its event stream: to be called with each, in order; throws ERR_SIGNATURE. */
  readonly checkFrame: ((frame: Frame) => void) | undefined;
}

/**
 * Open mode: if no key was ever made and there is no master key, every client on this machine may pass and no other,
 * not even through a reverse proxy on this machine that names another. A key of `exec` is one there too, with its
 * limits and its end. Otherwise throws ERR_KEY_MISSING,
 * ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEY_EXPIRED, ERR_KEY_BLOCKED, ERR_KEYS_DIFFER, ERR_KEY_IN_QUERY,
 * ERR_REAL_AWS_CREDENTIALS, ERR_BAD_REQUEST (a malformed signature), ERR_TOO_MANY_FAILURES or ERR_STORE_UNAVAILABLE.
 */
export async function authenticate(
  clientRequest: ClientRequest,
  presented: PresentedCredential,
  options: AuthenticatorOptions,
): Promise<Caller> {
  const { failures } = options;
  if (clientRequest.replay !== undefined) return admitReplay(clientRequest.replay.caller, options);
  if (presented.hasKeyInQuery) throw keyInQuery();
  const noteFailure = async (error: unknown): Promise<never> => {
    throw await failures.note(error, clientRequest);
  };
  failures.check(clientRequest);
  const caller = await findCaller(clientRequest, presented, options).catch(noteFailure);
  const { row } = caller.claimed;
  const foundAtMs = options.nowMs();
  const verify = async (body: VerifiedBody): Promise<VerifiedCaller> => {
    const { principal: found, checkFrame } = await caller.verify(body);
    // While a body was coming, even an empty one, the key may have ended or changed, and open mode may have ended.
    const isFresh = body.sizeBytes === 0 && options.nowMs() === foundAtMs;
    const principal = isFresh ? found : await revalidate({ principal: found, row }, options);
    if (row !== undefined) options.store.touchKey(row.id, options.nowMs());
    return { principal, checkFrame };
  };
  return {
    ...caller,
    bodyOwner: nameOwner(caller.principal, row, networkOf(clientRequest.peerAddress)),
    oauthAuthorization: findForwardable(presented, options.masterKey),
    verify: (body) => verify(body).catch(noteFailure),
  };
}

/**
 * A request that the proxy itself makes, for a caller whom its owner has named: it needs no credential, and counts as
 * any other of that caller.
 */
async function admitReplay(caller: string, options: AuthenticatorOptions): Promise<Caller> {
  const { store, masterKey, nowMs } = options;
  const row = caller === 'master' || caller === 'anonymous' ? undefined : await store.findKeyBySha256(caller);
  const isOpen = masterKey === undefined && !(await store.hasAnyKey());
  if (row === undefined && (caller === 'anonymous' ? !isOpen : caller !== 'master' || masterKey === undefined)) {
    throw unknownKey();
  }
  if (row !== undefined) refuseEndedKey(row, nowMs());
  const ofNobody = caller === 'master' ? MASTER : ANONYMOUS;
  const { verify, ...found } = identified(row === undefined ? ofNobody : describePrincipal(row), row);
  const verifyFresh = async (body: VerifiedBody): Promise<VerifiedCaller> => {
    const { principal } = await verify(body);
    const fresh = await revalidate({ principal, row }, options);
    if (row !== undefined) store.touchKey(row.id, nowMs());
    return { principal: fresh, checkFrame: undefined };
  };
  return { ...found, bodyOwner: caller, oauthAuthorization: undefined, verify: verifyFresh };
}

const MASTER: Principal = { kind: 'master', label: 'master' };
const ANONYMOUS: Principal = { kind: 'anonymous', label: 'anonymous' };

function nameOwner(principal: Principal | undefined, row: VirtualKeyRow | undefined, network: string): string {
  if (principal?.kind === 'key') return principal.keyId;
  return principal?.kind === 'master' ? principal.kind : `${row?.id ?? ''} ${network}`;
}

interface FoundCaller extends Pick<Caller, 'principal' | 'claimed'> {
  readonly verify: (body: VerifiedBody) => Promise<VerifiedCaller>;
}

async function findCaller(
  clientRequest: ClientRequest,
  presented: PresentedCredential,
  options: AuthenticatorOptions,
): Promise<FoundCaller> {
  const isOpen = options.masterKey === undefined && !(await options.store.hasAnyKey());
  if (isOpen && !(await showsOurKey(presented, options.store))) {
    return identified(admitAnonymous(clientRequest), undefined);
  }
  const token = findToken(presented);
  const { tokens, accessKeyId } = presented;
  // A master key without the form of a key may stand beside other tokens, but not beside another key.
  const masterToken = findMasterToken(clientRequest, tokens, options);
  if (masterToken !== undefined && (masterToken === token || !looksLikeKey(token ?? ''))) {
    return identified({ kind: 'master', label: 'master' }, undefined);
  }
  // A token that cannot be one of our keys does not hide a signature: SDKs fill in dummies.
  if (token !== undefined && (looksLikeKey(token) || accessKeyId === undefined)) {
    const row = await findActiveKey(token, options);
    await refuseOtherSignature(accessKeyId, row, options.store);
    return identified(describePrincipal(row), row);
  }
  const signature = await findSignature(clientRequest, options);
  if (signature === undefined) throw missingKey();
  const { row } = signature;
  const verifySignature = (bodySha256: string | undefined): VerifiedCaller => {
    const frameChain = signature.verify(bodySha256);
    const checkFrame = frameChain && createFrameCheck(frameChain, options.nowMs);
    return { principal: describePrincipal(row), checkFrame };
  };
  const claimed = { principal: describePrincipal(row), row };
  if (signature.needsBody)
    return { principal: undefined, claimed, verify: async ({ sha256: hash }) => verifySignature(hash) };
  const verified = verifySignature(undefined);
  const verify = async (body: VerifiedBody): Promise<VerifiedCaller> => {
    refuseUnsignedBody(body);
    return verified;
  };
  return { principal: verified.principal, claimed, verify };
}

/**
 * A stand-in for the hash leaves a body open to whoever carries it. Event streams have one, and sign their frames
 * instead; what has no body may have one. No SDK has any other operation of Bedrock whose body it does not hash.
 */
function refuseUnsignedBody({ sizeBytes }: VerifiedBody): void {
  if (sizeBytes === 0) return;
  throw new ProxyError(
    'ERR_SIGNATURE',
    'The signature does not cover the body: x-amz-content-sha256 stands in for it.',
    {
      hint: 'Let the client hash the body: hand it bytes or text instead of a stream.',
    },
  );
}

function identified(principal: Principal, row: VirtualKeyRow | undefined): FoundCaller {
  return { principal, claimed: { principal, row }, verify: async () => ({ principal, checkFrame: undefined }) };
}

/** A master key may have the form of a JWT: no key of ours is passed on as a token. */
function findForwardable(
  { oauthAuthorization }: PresentedCredential,
  masterKey: string | undefined,
): string | undefined {
  const token = parseBearer(oauthAuthorization ?? '');
  return token === undefined || looksLikeKey(token) || isMasterKey(token, masterKey) ? undefined : oauthAuthorization;
}

/**
 * The key with this text, if it counts now. Throws ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEY_EXPIRED and
 * ERR_KEY_BLOCKED.
 */
export async function findActiveKey(
  token: string,
  { store, nowMs }: { readonly store: Pick<KeyStore, 'findKeyBySha256'>; readonly nowMs: WallClock },
): Promise<VirtualKeyRow> {
  const row = await store.findKeyBySha256(hashKey(token));
  if (row === undefined) throw unknownKey();
  refuseEndedKey(row, nowMs());
  return row;
}

/** Whether what is shown names a key of this database, as one of `exec` does in open mode. */
async function showsOurKey({ tokens, accessKeyId }: PresentedCredential, store: KeyStore): Promise<boolean> {
  for (const token of tokens.filter(looksLikeKey)) {
    if ((await store.findKeyBySha256(hashKey(token))) !== undefined) return true;
  }
  if (accessKeyId?.startsWith(ACCESS_KEY_ID_PREFIX) !== true) return false;
  return (await store.findKeyByAccessKeyId(accessKeyId)) !== undefined;
}

/** A dummy signature beside a key is usual; the signature of another virtual key is a contradiction. */
async function refuseOtherSignature(
  accessKeyId: string | undefined,
  row: VirtualKeyRow,
  store: KeyStore,
): Promise<void> {
  if (accessKeyId === undefined || accessKeyId === row.accessKeyId) return;
  if ((await store.findKeyByAccessKeyId(accessKeyId)) === undefined) return;
  throw new ProxyError('ERR_KEYS_DIFFER', 'The request shows one key and is signed with another.', {
    hint: 'Send one of them.',
  });
}

function admitAnonymous(clientRequest: ClientRequest): Principal {
  if (findClientAddress(clientRequest).kind === 'local') return { kind: 'anonymous', label: 'anonymous' };
  throw new ProxyError('ERR_OPEN_MODE_REMOTE', 'Without keys the proxy serves its own machine only.', {
    hint: 'Make a key there with `bedrock-proxy key generate` and send it as `Authorization: Bearer`.',
  });
}

function keyInQuery(): ProxyError {
  return new ProxyError('ERR_KEY_IN_QUERY', 'The query of this request holds a key.', {
    hint:
      'Nothing was sent to AWS. Send the key as `Authorization: Bearer` or as `x-api-key`. A key that stood in a URL ' +
      'may be in logs: rotate it (`bedrock-proxy key rotate`).',
  });
}
