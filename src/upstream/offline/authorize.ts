/**
 * Whether the offline Bedrock lets a request in: SigV4, verified as AWS does and refused with AWS's types of error. Two
 * steps, so that an unknown caller is refused before the body is read. Pure.
 */
import { deriveSigningKey } from '../../protocol/sigv4/key.ts';
import { parseSigV4, type ParsedSignature } from '../../protocol/sigv4/parse.ts';
import { parseSignedQuery, type SignableRequest } from '../../protocol/sigv4/canonical.ts';
import { verifySigV4 } from '../../protocol/sigv4/verify.ts';
import { ProxyError } from '../../lib/errors.ts';
import { findHeader } from '../../http/message.ts';
import type { PlayedHost } from './dispatch.ts';
import { awsError, type Reply } from './reply.ts';

/** The one set of credentials that is let in. */
export interface OfflineKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** First step: is there a signature, of the right access key and session? */
export function admitSignature(
  request: SignableRequest,
  keys: OfflineKeys,
): { readonly parsed: ParsedSignature } | { readonly refusal: Reply } {
  let parsed: ParsedSignature | undefined;
  try {
    parsed = parseSigV4(request);
  } catch (error) {
    const message = error instanceof ProxyError ? error.message : 'The signature is malformed.';
    return { refusal: awsError(400, 'IncompleteSignatureException', message) };
  }
  if (parsed === undefined) {
    const isBearer = findHeader(request.headers, 'authorization') !== undefined;
    const message = isBearer ? 'The offline Bedrock takes AWS signatures only.' : 'Missing Authentication Token';
    return { refusal: awsError(403, 'MissingAuthenticationTokenException', message) };
  }
  const token = findHeader(request.headers, 'x-amz-security-token') ?? sessionTokenOfQuery(request.target.query);
  if (parsed.accessKeyId !== keys.accessKeyId || token !== keys.sessionToken) {
    const message = 'The security token included in the request is invalid.';
    return { refusal: awsError(403, 'UnrecognizedClientException', message) };
  }
  return { parsed };
}

/** Second step, with the body's hash: is the signature right, for this host and now? The refusal if it is not. */
export function refuseSignature(
  parsed: ParsedSignature,
  {
    keys,
    played,
    bodySha256Hex,
    nowMs,
  }: { keys: OfflineKeys; played: PlayedHost; bodySha256Hex: string; nowMs: number },
): Reply | undefined {
  const verdict = verifySigV4({
    parsed,
    signingKey: deriveSigningKey(keys.secretAccessKey, parsed.scope),
    bodySha256Hex,
    nowMs,
    region: played.region,
    services: [played.service.signingName],
  });
  return verdict.ok ? undefined : awsError(403, 'InvalidSignatureException', verdict.detail);
}

function sessionTokenOfQuery(query: string | undefined): string | undefined {
  const pairs = parseSignedQuery(query ?? '');
  return pairs.find(([name]) => name === 'X-Amz-Security-Token')?.[1];
}
