/**
 * Inbound SigV4 verification: is this request signed with that secret, now, and as it stands? Two steps, so that the
 * access key id can be looked up before the body is read: `parseSigV4`, then `verifySigV4`. Pure: bytes and strings in,
 * a verdict out. Never throws or logs.
 */
import type { KeyObject } from 'node:crypto';
import { canonicalRequest, findLostHeader, valuesOf } from './canonical.ts';
import {
  formatTimestamp,
  isSameSignature,
  SCOPE_TERMINATOR,
  STREAMING_EVENTS_PAYLOAD,
  signString,
  stringToSign,
} from './key.ts';
import type { ParsedSignature } from './parse.ts';

/** How far a client's clock may be off, either way. AWS's own allowance. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000;

/** Stands in for a payload hash if the client did not hash the body. */
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** A header with such a name steers AWS or the proxy. AWS asks for the first to be signed; the others steer no less. */
const STEERING = /^x-(?:amz|amzn|bedrock-proxy)-/i;
/**
 * What load balancers and CDNs of AWS add on the way, and tracers after the signature (no SDK signs the first). They
 * steer nothing, and nobody trusts them: they may be unsigned, and the signature for AWS leaves them out.
 */
export const ADDED_ON_THE_WAY: ReadonlySet<string> = new Set([
  'x-amzn-trace-id',
  'x-amzn-tls-version',
  'x-amzn-tls-cipher-suite',
  'x-amz-cf-id',
]);
/**
 * The signature's own: none of them goes on to AWS. The hash is part of what is signed anyway; a date that dates the
 * signature is asked for apart; Bedrock's own clients add the token after signing.
 */
const OF_THE_SIGNATURE: ReadonlySet<string> = new Set(['x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token']);
/** `AgentCoreRuntimeClient` of bedrock-agentcore adds it after signing, to the headers of a WebSocket alone. */
const SESSION_OF_A_WEBSOCKET = 'x-amzn-bedrock-agentcore-runtime-session-id';

/** Why a signature was refused; the first that applies, in this order. */
export type SigV4Refusal =
  | 'unsigned_host'
  | 'unsigned_date'
  | 'unsigned_header'
  | 'scope'
  | 'expired'
  | 'not_yet_valid'
  | 'payload_hash'
  | 'signature';

/** The outcome of a verification. `detail` is a sentence for people; it holds no secret and no expected signature. */
export type SigV4Verdict =
  | {
      readonly ok: true;
      /** The hex signature: prior signature of the first frame of a signed event stream. */
      readonly signature: string;
    }
  | { readonly ok: false; readonly reason: SigV4Refusal; readonly detail: string };

/** What a signature is verified against. */
export interface VerifySigV4Input {
  readonly parsed: ParsedSignature;
  /** Of the scope that the signature states. */
  readonly signingKey: KeyObject;
  /** Lower-case hex SHA-256 of the body as received; may be undefined only if `needsBodyHash` says false. */
  readonly bodySha256Hex: string | undefined;
  readonly nowMs: number;
  /** Default `MAX_CLOCK_SKEW_MS`. */
  readonly maxClockSkewMs?: number;
  /** If given, the scope must name this region. */
  readonly region?: string;
  /** If given, the scope must name one of these signing names. */
  readonly services?: readonly string[];
}

/** True if the verdict depends on the bytes of the body: they must be read and hashed before `verifySigV4`. */
export function needsBodyHash(parsed: ParsedSignature): boolean {
  return parsed.declaredPayloadHash !== UNSIGNED_PAYLOAD && parsed.declaredPayloadHash !== STREAMING_EVENTS_PAYLOAD;
}

/**
 * Verifies a parsed signature. Host, time and every header that steers must be signed, the scope must fit the time, the
 * clocks must agree, a declared payload hash must be the body's, and the signature must be the one this key makes
 * (compared in constant time). Never throws. A captured request can be replayed until its time is up: SigV4 has no
 * nonce.
 */
export function verifySigV4(input: VerifySigV4Input): SigV4Verdict {
  const { parsed } = input;
  const refusal =
    refuseCoverage(parsed) ?? refuseScope(input) ?? refuseTime(input) ?? refusePayloadHash(parsed, input.bodySha256Hex);
  if (refusal !== undefined) return refusal;
  const payloadHash = parsed.declaredPayloadHash ?? input.bodySha256Hex ?? '';
  const text = canonicalRequest(parsed.request, parsed.signedHeaders, payloadHash);
  const expected = signString(input.signingKey, stringToSign(parsed.timestamp, parsed.scope, text));
  if (isSameSignature(expected, parsed.signature)) return { ok: true, signature: parsed.signature };
  const lost = findLostHeader(parsed.request, parsed.signedHeaders);
  return lost === undefined
    ? refuse('signature', 'The signature is not the one that this secret access key makes for this request.')
    : refuse('signature', `The signed header ${lost} did not arrive.`);
}

/** Without these a signature would fit any host, or any moment. */
function refuseCoverage(parsed: ParsedSignature): SigV4Verdict | undefined {
  const { signedHeaders, dateHeader } = parsed;
  if (!signedHeaders.includes('host') && !signedHeaders.includes(':authority')) {
    return refuse('unsigned_host', 'The signed headers must include host (or :authority over HTTP/2).');
  }
  if (dateHeader !== undefined && !signedHeaders.includes(dateHeader)) {
    return refuse('unsigned_date', `The signed headers must include ${dateHeader}.`);
  }
  const unsigned = findUnsignedHeader(parsed);
  if (unsigned === undefined) return undefined;
  return refuse('unsigned_header', `The header ${unsigned} arrived, and the signature does not cover it.`);
}

/** Whoever holds a signed request, a presigned URL above all, must not add to it what its signer did not mean. */
function findUnsignedHeader({ form, request, signedHeaders }: ParsedSignature): string | undefined {
  const steering = request.headers.filter(([name]) => STEERING.test(name)).map(([name]) => name.toLowerCase());
  if (steering.length === 0) return undefined;
  const signed = new Set(signedHeaders);
  const mayLack = (name: string): boolean =>
    OF_THE_SIGNATURE.has(name) ||
    ADDED_ON_THE_WAY.has(name) ||
    (name === SESSION_OF_A_WEBSOCKET && form === 'header' && valuesOf(request.headers, 'upgrade').length > 0);
  return steering.find((name) => !signed.has(name) && !mayLack(name));
}

function refuseScope({ parsed, region, services }: VerifySigV4Input): SigV4Verdict | undefined {
  const { scope, timestamp } = parsed;
  if (scope.terminator !== SCOPE_TERMINATOR) {
    return refuse('scope', `The credential scope must end in ${SCOPE_TERMINATOR}.`);
  }
  if (scope.date !== timestamp.slice(0, 8)) {
    return refuse('scope', `The date of the credential scope is not that of the request: ${timestamp.slice(0, 8)}.`);
  }
  if (region !== undefined && scope.region !== region) {
    return refuse('scope', `The credential scope must name the region ${region}.`);
  }
  if (services !== undefined && !services.includes(scope.service)) {
    return refuse('scope', `The credential scope must name the service ${services.join(' or ')}.`);
  }
  return undefined;
}

function refuseTime({ parsed, nowMs, maxClockSkewMs = MAX_CLOCK_SKEW_MS }: VerifySigV4Input): SigV4Verdict | undefined {
  const { timestampMs, expiresSeconds } = parsed;
  const clocks = `signed at ${parsed.timestamp}, the clock here says ${formatTimestamp(nowMs)}`;
  if (timestampMs > nowMs + maxClockSkewMs) {
    return refuse('not_yet_valid', `The signature lies in the future: ${clocks}.`);
  }
  const lifetimeMs = expiresSeconds === undefined ? maxClockSkewMs : expiresSeconds * 1000;
  if (timestampMs + lifetimeMs < nowMs) return refuse('expired', `The signature has expired: ${clocks}.`);
  return undefined;
}

function refusePayloadHash(parsed: ParsedSignature, bodySha256Hex: string | undefined): SigV4Verdict | undefined {
  if (!needsBodyHash(parsed)) return undefined;
  if (bodySha256Hex === undefined) return refuse('payload_hash', 'The body was not hashed.');
  if (parsed.declaredPayloadHash === undefined || parsed.declaredPayloadHash === bodySha256Hex) return undefined;
  return refuse('payload_hash', 'x-amz-content-sha256 is not the SHA-256 of the body that arrived.');
}

function refuse(reason: SigV4Refusal, detail: string): SigV4Verdict {
  return { ok: false, reason, detail };
}
