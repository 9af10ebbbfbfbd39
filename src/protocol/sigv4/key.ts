/**
 * The cryptography of AWS Signature Version 4: string to sign, signing key, signature, and the chain of frame
 * signatures that a request with `STREAMING-AWS4-HMAC-SHA256-EVENTS` starts. Pure; `node:crypto` only. What comes out
 * of here is as secret as the key that went in, apart from signatures.
 */
import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { encodeTimestampHeader } from '../event-stream.ts';

/** The only algorithm verified here. */
export const SIGV4_ALGORITHM = 'AWS4-HMAC-SHA256';

/** Last part of every credential scope. */
export const SCOPE_TERMINATOR = 'aws4_request';

/** Stands in for a payload hash if the body is a chain of signed event-stream frames (see `signFrame`). */
export const STREAMING_EVENTS_PAYLOAD = `STREAMING-${SIGV4_ALGORITHM}-EVENTS`;

const FRAME_ALGORITHM = `${SIGV4_ALGORITHM}-PAYLOAD`;
const SIGNATURE_HEX = /^[0-9a-f]{64}$/;

/** What the key of a signature is derived for. `date` is `YYYYMMDD`; `terminator` should be `aws4_request`. */
export interface CredentialScope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
}

/** A scope as it stands in a string to sign: `date/region/service/terminator`. */
export function scopeText(scope: CredentialScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/${scope.terminator}`;
}

/** The signing key (32 bytes) of a secret access key for one scope; a KeyObject, because Node signs fastest with it. */
export function deriveSigningKey(secretAccessKey: string, scope: CredentialScope): KeyObject {
  const dateKey = hmacKey(`AWS4${secretAccessKey}`, scope.date);
  return [scope.region, scope.service, scope.terminator].reduce(hmacKey, dateKey);
}

/** The string to sign of a request. `timestamp` is `YYYYMMDDTHHMMSSZ`; the canonical request is hashed as latin1. */
export function stringToSign(timestamp: string, scope: CredentialScope, canonicalRequest: string): string {
  const requestHash = sha256Hex(Buffer.from(canonicalRequest, 'latin1'));
  return `${SIGV4_ALGORITHM}\n${timestamp}\n${scopeText(scope)}\n${requestHash}`;
}

/** Lower-case hex HMAC-SHA-256 of a string to sign. */
export function signString(signingKey: KeyObject, text: string): string {
  return createHmac('sha256', signingKey).update(text, 'latin1').digest('hex');
}

/** Compares two lower-case hex signatures in constant time; anything else than 64 such characters is never equal. */
export function isSameSignature(one: string, other: string): boolean {
  if (!SIGNATURE_HEX.test(one) || !SIGNATURE_HEX.test(other)) return false;
  return timingSafeEqual(Buffer.from(one, 'hex'), Buffer.from(other, 'hex'));
}

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** A moment as SigV4 writes it, `YYYYMMDDTHHMMSSZ`; milliseconds are cut off. */
export function formatTimestamp(epochMs: number): string {
  const iso = new Date(epochMs).toISOString();
  const date = `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 13)}`;
  return `${date}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/** One signed frame of an event stream, and what came before it. */
export interface SignedFrame {
  /** Key and scope of the request that opened the stream: they stay for all its frames. */
  readonly signingKey: KeyObject;
  readonly scope: CredentialScope;
  /** Hex signature of the frame before, or of the request for the first frame. */
  readonly priorSignature: string;
  /** The frame's `:date` header. */
  readonly dateMs: number;
  /** The frame's payload: one complete inner frame, or nothing in the frame that ends the stream. */
  readonly payload: Uint8Array;
}

/**
 * The hex signature that `:chunk-signature` of a frame must hold (as 32 raw bytes), and the next frame's prior
 * signature.
 */
export function signFrame(frame: SignedFrame): string {
  const text = [
    FRAME_ALGORITHM,
    formatTimestamp(frame.dateMs),
    scopeText(frame.scope),
    frame.priorSignature,
    sha256Hex(encodeTimestampHeader(':date', frame.dateMs)),
    sha256Hex(frame.payload),
  ].join('\n');
  return signString(frame.signingKey, text);
}

function hmacKey(key: KeyObject | string, text: string): KeyObject {
  return createSecretKey(createHmac('sha256', key).update(text, 'latin1').digest());
}
