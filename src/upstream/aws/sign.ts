/**
 * AWS Signature Version 4 over what is about to be sent. Nothing that is signed may be edited afterwards. The
 * only file that knows @smithy/signature-v4. It gets the body's hash, not the body.
 */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { ProxyError } from '../../lib/errors.ts';
import { type RequestTarget, splitQuery } from '../../http/target.ts';
import type { HeaderPair } from '../../http/message.ts';
import { isSigned } from '../headers.ts';

/** AWS credentials as the chain gives them; never logged. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/**
 * The signer takes time that grows with the square of the number of parameters, and all requests wait meanwhile. AWS's
 * own operations have a few dozen.
 */
const MAX_QUERY_PARAMETERS = 500;

/** What is signed. */
export interface UnsignedRequest {
  readonly method: string;
  /** As it will stand in the Host header: with the port if it is not the scheme's own. */
  readonly host: string;
  /** Raw, exactly as it will be sent. */
  readonly target: Pick<RequestTarget, 'path' | 'query'>;
  /** Already selected by the header policy; without `host`. */
  readonly headers: readonly HeaderPair[];
  /** Lower-case hex SHA-256 of the body; of no bytes if there is no body. */
  readonly bodySha256: string;
  readonly credentials: AwsCredentials;
  readonly region: string;
  readonly signingName: string;
  readonly signingDate: Date;
}

/**
 * The headers to send, in order: `host`, those given, and `x-amz-date`, `x-amz-content-sha256`, `authorization` and,
 * with temporary credentials, `x-amz-security-token`. Throws ERR_BAD_TARGET when the query cannot be put in canonical
 * form, or has more than 500 parameters.
 */
export async function signRequest(request: UnsignedRequest): Promise<HeaderPair[]> {
  const signer = new SignatureV4({
    credentials: { ...request.credentials, sessionToken: request.credentials.sessionToken ?? '' },
    region: request.region,
    service: request.signingName,
    sha256: Sha256,
  });
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: request.host,
      path: request.target.path,
      query: decodeQuery(request.target.query),
      headers: collectSignedHeaders(request),
    },
    { signingDate: request.signingDate },
  );
  const added = ['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256', 'authorization'];
  const headers: HeaderPair[] = [['host', request.host], ...request.headers];
  for (const name of added) {
    const value = signed.headers[name];
    if (value !== undefined) headers.push([name, value]);
  }
  return headers;
}

/** Name to value as the signer expects it: repeats joined by a comma (SigV4, canonical headers). */
function collectSignedHeaders(request: UnsignedRequest): Record<string, string> {
  const collected: Record<string, string> = { host: request.host, 'x-amz-content-sha256': request.bodySha256 };
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (!isSigned(lower)) continue;
    const text = asUtf8(value);
    const before = collected[lower];
    collected[lower] = before === undefined ? text : `${before},${text}`;
  }
  return collected;
}

/**
 * Header values hold one character per byte (latin1); the signer hashes text as UTF-8, so give it the text of those
 * bytes.
 */
function asUtf8(value: string): string {
  // oxlint-disable-next-line no-control-regex -- the question is exactly whether any character lies outside ASCII
  return /^[\x00-\x7f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}

/**
 * The raw query, decoded pair by pair for the signer, which encodes and sorts it again. Only the signature sees this
 * form.
 */
function decodeQuery(raw: string | undefined): Record<string, string[]> {
  const query: Record<string, string[]> = Object.create(null);
  const pairs = splitQuery(raw ?? '');
  if (pairs.length > MAX_QUERY_PARAMETERS) {
    throw new ProxyError('ERR_BAD_TARGET', `The query string has more than ${MAX_QUERY_PARAMETERS} parameters.`);
  }
  for (const [rawName, rawValue = ''] of pairs) {
    const name = decodeQueryPart(rawName);
    if (name === '__proto__') throw unsignableName();
    (query[name] ??= []).push(decodeQueryPart(rawValue));
  }
  return query;
}

/** The signer collects names in a plain object and would sign nonsense. No AWS service has such a parameter. */
function unsignableName(): ProxyError {
  return new ProxyError('ERR_BAD_TARGET', 'The query string holds the name __proto__, which cannot be signed.');
}

function decodeQueryPart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new ProxyError('ERR_BAD_TARGET', 'The query string holds a malformed percent-encoding.', {
      hint: 'Percent-encode it as UTF-8.',
      cause: error,
    });
  }
}
