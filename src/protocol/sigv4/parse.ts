/**
 * Reads a SigV4 signature out of a request, from the Authorization header or from a presigned query, without judging
 * it. Pure, and needs no body: the access key id can be looked up before the body is read. Must not quote header values
 * in its messages: they may hold what is meant for AWS alone.
 */
import { ProxyError } from '../../lib/errors.ts';
import {
  parseSignedQuery,
  SIGNATURE_PARAMETER,
  valuesOf,
  canonicalHeaderValue,
  type SignableRequest,
} from './canonical.ts';
import { formatTimestamp, SIGV4_ALGORITHM, type CredentialScope } from './key.ts';

/** A signature as the client stated it: well-formed, not yet verified. */
export interface ParsedSignature {
  readonly form: 'header' | 'query';
  /** Untrusted text: printable ASCII without `/` and `,`, at most 128 characters. */
  readonly accessKeyId: string;
  /** Untrusted text, each part non-empty. Check the region before it becomes part of a host name. */
  readonly scope: CredentialScope;
  /** Lower-case names in the order listed, without repeats. */
  readonly signedHeaders: readonly string[];
  /** 64 lower-case hex characters. */
  readonly signature: string;
  /** When it was signed, `YYYYMMDDTHHMMSSZ`, and the same as epoch milliseconds. */
  readonly timestamp: string;
  readonly timestampMs: number;
  /** The header the time came from; undefined in the query form, where the query itself is signed. */
  readonly dateHeader: 'x-amz-date' | 'date' | undefined;
  /** How long a presigned request is valid; undefined in the header form. */
  readonly expiresSeconds: number | undefined;
  /** `x-amz-content-sha256` (in the query form, also as parameter); undefined if the client did not send it. */
  readonly declaredPayloadHash: string | undefined;
  /** The request it stands in. */
  readonly request: SignableRequest;
}

/** A presigned request is valid for a week at most (AWS). */
const MAX_EXPIRES_SECONDS = 604_800;

const QUERY_NAMES = {
  algorithm: 'X-Amz-Algorithm',
  credential: 'X-Amz-Credential',
  date: 'X-Amz-Date',
  expires: 'X-Amz-Expires',
  signedHeaders: 'X-Amz-SignedHeaders',
  payloadHash: 'X-Amz-Content-Sha256',
} as const;

/**
 * The SigV4 signature of a request, or undefined if it has none (no credential at all, or one of another kind such as a
 * bearer token). Throws ERR_BAD_REQUEST if there is a malformed one, or more than one.
 */
export function parseSigV4(request: SignableRequest): ParsedSignature | undefined {
  const inHeader = valuesOf(request.headers, 'authorization').filter((value) => /^\s*AWS4-/i.test(value));
  const query = parseSignedQuery(request.target.query ?? '');
  const isPresigned = query.some(([name]) => name === SIGNATURE_PARAMETER || name === QUERY_NAMES.algorithm);
  if (inHeader.length + (isPresigned ? 1 : 0) > 1) throw malformed('is given more than once');
  const [header] = inHeader;
  if (header !== undefined) return parseHeaderForm(request, header);
  return isPresigned ? parseQueryForm(request, query) : undefined;
}

function parseHeaderForm(request: SignableRequest, header: string): ParsedSignature {
  const [, algorithm, rest] = /^\s*(\S+)\s*(.*)$/s.exec(header) ?? [];
  if (algorithm !== SIGV4_ALGORITHM || rest === undefined) throw malformed(`must use ${SIGV4_ALGORITHM}`);
  const fields = new Map<string, string>();
  for (const field of rest.split(',')) {
    const equals = field.indexOf('=');
    const name = field.slice(0, Math.max(equals, 0)).trim();
    if (name === '' || fields.has(name)) throw malformed('must be name=value fields, each once, separated by commas');
    fields.set(name, field.slice(equals + 1).trim());
  }
  return {
    form: 'header',
    ...parseCredential(fields.get('Credential')),
    signedHeaders: parseSignedHeaders(fields.get('SignedHeaders')),
    signature: parseSignatureHex(fields.get('Signature')),
    ...parseDateHeader(request),
    expiresSeconds: undefined,
    declaredPayloadHash: canonicalHeaderValue(request, 'x-amz-content-sha256'),
    request,
  };
}

function parseQueryForm(request: SignableRequest, query: readonly [string, string][]): ParsedSignature {
  const findOnly = (parameter: string): string | undefined => {
    const values = query.filter(([name]) => name === parameter).map(([, value]) => value);
    if (values.length > 1) throw malformed(`has ${parameter} more than once`);
    return values[0];
  };
  if (findOnly(QUERY_NAMES.algorithm) !== SIGV4_ALGORITHM) throw malformed(`must use ${SIGV4_ALGORITHM}`);
  const expires = findOnly(QUERY_NAMES.expires) ?? '';
  const expiresSeconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (expiresSeconds < 1 || expiresSeconds > MAX_EXPIRES_SECONDS) {
    throw malformed(`needs X-Amz-Expires between 1 and ${MAX_EXPIRES_SECONDS} seconds`);
  }
  return {
    form: 'query',
    ...parseCredential(findOnly(QUERY_NAMES.credential)),
    signedHeaders: parseSignedHeaders(findOnly(QUERY_NAMES.signedHeaders)),
    signature: parseSignatureHex(findOnly(SIGNATURE_PARAMETER)),
    ...parseTime(findOnly(QUERY_NAMES.date)),
    dateHeader: undefined,
    expiresSeconds,
    declaredPayloadHash: findOnly(QUERY_NAMES.payloadHash) ?? canonicalHeaderValue(request, 'x-amz-content-sha256'),
    request,
  };
}

function parseCredential(text: string | undefined): Pick<ParsedSignature, 'accessKeyId' | 'scope'> {
  const parts = text?.split('/') ?? [];
  const [accessKeyId, date, region, service, terminator] = parts;
  const isComplete = parts.length === 5 && parts.every((part) => /^[\x21-\x7e]{1,128}$/.test(part));
  if (!isComplete || !accessKeyId || !date || !region || !service || !terminator) {
    throw malformed('needs Credential=<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request');
  }
  return { accessKeyId, scope: { date, region, service, terminator } };
}

function parseSignedHeaders(text: string | undefined): readonly string[] {
  const names = text?.split(';') ?? [];
  const isList = names.length > 0 && names.every((name) => /^:?[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name));
  if (!isList || new Set(names).size !== names.length) {
    throw malformed('needs SignedHeaders: lower-case header names, each once, separated by semicolons');
  }
  return names;
}

function parseSignatureHex(text: string | undefined): string {
  if (text === undefined || !/^[0-9a-f]{64}$/.test(text))
    throw malformed('needs Signature, 64 lower-case hex characters');
  return text;
}

/** AWS prefers `x-amz-date` if both are there. */
function parseDateHeader(request: SignableRequest): Pick<ParsedSignature, 'timestamp' | 'timestampMs' | 'dateHeader'> {
  const amzDate = canonicalHeaderValue(request, 'x-amz-date');
  if (amzDate !== undefined) return { ...parseTime(amzDate), dateHeader: 'x-amz-date' };
  return { ...parseTime(canonicalHeaderValue(request, 'date')), dateHeader: 'date' };
}

/** Reads `YYYYMMDDTHHMMSSZ`, or the format of the HTTP `Date` header (RFC 9110, section 5.6.7). */
function parseTime(text: string | undefined): Pick<ParsedSignature, 'timestamp' | 'timestampMs'> {
  const basic = text?.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z') ?? '';
  const isTime = basic !== text || /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text);
  const timestampMs = isTime ? Date.parse(basic) : Number.NaN;
  if (Number.isNaN(timestampMs)) throw malformed('needs the time it was made: x-amz-date as YYYYMMDDTHHMMSSZ, or date');
  return { timestamp: formatTimestamp(timestampMs), timestampMs };
}

function malformed(what: string): ProxyError {
  return new ProxyError('ERR_BAD_REQUEST', `The AWS signature of this request ${what}.`);
}
