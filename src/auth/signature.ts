/**
 * A client that signs with a virtual key's AWS-shaped pair: finds the key by its access key id before the body is read,
 * and verifies the signature when the body's hash is known. Part of `authenticate`; the rules of SigV4 are in
 * `protocol/sigv4/`.
 */
import type { KeyObject } from 'node:crypto';
import type { WallClock } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ClientRequest } from '../http/message.ts';
import type { KeyStore } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';
import { refuseEndedKey } from './key-refusal.ts';
import { needsBodyHash, type SigV4Verdict, verifySigV4 } from '../protocol/sigv4/verify.ts';
import { type CredentialScope, deriveSigningKey, STREAMING_EVENTS_PAYLOAD } from '../protocol/sigv4/key.ts';
import { type ParsedSignature, parseSigV4 } from '../protocol/sigv4/parse.ts';
import { SigningKeys } from '../protocol/sigv4/signing-keys.ts';
import { ACCESS_KEY_ID_PREFIX, unsealKey } from '../keys/secret.ts';

/** Of keys that are looked up anew for each request: what is revoked does not get as far as its signing key. */
const SIGNING_KEYS = new SigningKeys<VirtualKeyRow>();

/** What verifying a signature needs. */
export interface SignatureOptions {
  readonly store: KeyStore;
  /** Opens keys at rest. Throws ERR_STORE_UNAVAILABLE. */
  readonly loadServerSecret: () => Buffer;
  readonly nowMs: WallClock;
}

/** What a verified request hands to the frames that follow it on an event stream. */
export interface FrameChainStart {
  /**
   * The signing key of a day (`YYYYMMDD`, UTC): a stream may go on over midnight, and each frame is signed for its own.
   */
  readonly keyOf: (day: string) => KeyObject;
  readonly scope: CredentialScope;
  /** Hex signature of the request. */
  readonly seedSignature: string;
}

/** A signature whose key is known and active, and that is not verified yet. */
export interface PendingSignature {
  readonly row: VirtualKeyRow;
  /** False if the client did not hash its body (an event stream): `verify` may then be called before it is read. */
  readonly needsBody: boolean;
  /**
   * Throws ERR_SIGNATURE_* if the request is not what that key signed. The body's hash is lower-case hex; undefined
   * only if `needsBody` is false. The result is set if signed frames follow.
   */
  verify(bodySha256: string | undefined): FrameChainStart | undefined;
}

/**
 * The signature of a request and its key; undefined if the request is not signed. Throws ERR_BAD_REQUEST (malformed),
 * ERR_REAL_AWS_CREDENTIALS, ERR_KEY_UNKNOWN, ERR_KEY_REVOKED, ERR_KEY_EXPIRED, ERR_KEY_BLOCKED and
 * ERR_STORE_UNAVAILABLE; ERR_SIGNATURE_* if the head alone shows that the signature is wrong.
 */
export async function findSignature(
  clientRequest: ClientRequest,
  options: SignatureOptions,
): Promise<PendingSignature | undefined> {
  const parsed = parseSigV4(clientRequest);
  if (parsed === undefined) return undefined;
  const row = await options.store.findKeyByAccessKeyId(parsed.accessKeyId);
  if (row === undefined) throw unknownAccessKeyId(parsed.accessKeyId);
  refuseEndedKey(row, options.nowMs());
  const keyOf = (scope: CredentialScope): KeyObject =>
    SIGNING_KEYS.find(row, scope) ?? deriveSigningKey(unseal(row, options), scope);
  const signingKey = keyOf(parsed.scope);
  // The time that counts is that of the head: a large body may take longer to arrive than clocks may differ.
  const nowMs = options.nowMs();
  const verify = (bodySha256Hex: string | undefined): SigV4Verdict & { ok: true } => {
    const verdict = verifySigV4({ parsed, signingKey, bodySha256Hex, nowMs });
    if (!verdict.ok) throw refusal(verdict);
    // Only now, or others could fill it with scopes that they made up.
    SIGNING_KEYS.add(row, parsed.scope, signingKey);
    return verdict;
  };
  // Access key ids are no secret: if the head says for which body it is signed, its signature is verified before a body
  // is uploaded.
  const { declaredPayloadHash } = parsed;
  const early = declaredPayloadHash === undefined ? undefined : verify(declaredPayloadHash);
  const needsBody = needsBodyHash(parsed);
  return {
    row,
    needsBody,
    verify: (bodySha256) => {
      const isFinished = !needsBody || bodySha256 === declaredPayloadHash;
      return toChainStart(parsed, bodySha256, (isFinished ? early : undefined) ?? verify(bodySha256), keyOf);
    },
  };
}

function unseal(row: VirtualKeyRow, { loadServerSecret }: SignatureOptions): string {
  const secretAccessKey = unsealKey(row.sealedKey, row.id, loadServerSecret());
  if (secretAccessKey === undefined) throw sealedUnderAnotherSecret();
  return secretAccessKey;
}

function toChainStart(
  { declaredPayloadHash, scope }: ParsedSignature,
  bodySha256: string | undefined,
  { signature }: SigV4Verdict & { ok: true },
  keyOfScope: (scope: CredentialScope) => KeyObject,
): FrameChainStart | undefined {
  // The header may have been stripped on the way. The request was signed with it, so the frames have to be signed too.
  if ((declaredPayloadHash ?? bodySha256) !== STREAMING_EVENTS_PAYLOAD) return undefined;
  const keyOf = (day: string): KeyObject => keyOfScope({ ...scope, date: day });
  return { keyOf, scope, seedSignature: signature };
}

/**
 * Says what differs as far as the client could know it anyway: times, scope, its own hash; never the expected
 * signature.
 */
function refusal({ reason, detail }: SigV4Verdict & { ok: false }): ProxyError {
  switch (reason) {
    case 'expired':
      return new ProxyError('ERR_SIGNATURE_EXPIRED', detail, { hint: 'Set the clock of the client.' });
    case 'not_yet_valid':
      return new ProxyError('ERR_SIGNATURE_EARLY', detail, { hint: 'Set the clock of the client.' });
    case 'signature':
      return new ProxyError('ERR_SIGNATURE', detail, {
        hint:
          'Check AWS_SECRET_ACCESS_KEY (it is the `sk-` key itself), and that nothing between client and proxy ' +
          'changes the request.',
      });
    case 'unsigned_header':
      return new ProxyError('ERR_SIGNATURE', detail, {
        hint: 'Add it before the client signs (with boto3 in `before-sign`, not in `before-send`), or leave it out.',
      });
    case 'unsigned_host':
    case 'unsigned_date':
    case 'scope':
    case 'payload_hash':
      return new ProxyError('ERR_SIGNATURE', detail);
    default:
      return reason satisfies never;
  }
}

function unknownAccessKeyId(accessKeyId: string): ProxyError {
  if (/^A[A-Z]{3}[A-Z0-9]{12,}$/.test(accessKeyId)) {
    return new ProxyError(
      'ERR_REAL_AWS_CREDENTIALS',
      'This request was signed with real AWS credentials of the caller; the proxy needs a virtual key.',
      {
        hint:
          'Nothing of them was logged or forwarded. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key ' +
          'pair of `bedrock-proxy key generate`, or AWS_BEARER_TOKEN_BEDROCK to the key.',
      },
    );
  }
  const ours = accessKeyId.startsWith(ACCESS_KEY_ID_PREFIX);
  return new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know the access key id of this signature.', {
    hint: ours
      ? 'See `bedrock-proxy key list`: it may belong to another database.'
      : 'Sign with a key pair of `bedrock-proxy key generate`, or send the key as `Authorization: Bearer`.',
  });
}

function sealedUnderAnotherSecret(): ProxyError {
  return new ProxyError(
    'ERR_SECRET_MISSING',
    'The proxy cannot open this key: it was sealed under another server secret.',
    {
      hint:
        'Restore the .secret file beside the key database (or BEDROCK_PROXY_SALT_KEY); as a Bearer token the ' +
        'key still works.',
    },
  );
}
