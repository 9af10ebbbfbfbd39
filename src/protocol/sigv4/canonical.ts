/**
 * The canonical request of AWS Signature Version 4, for every service but S3: what of a request a signature covers, as
 * one text. Made once per request, to verify what came in and to sign what goes out; pure. Works on raw text as it
 * stands on the wire, where one character is one byte (that is how Node hands over targets and header values). Must not
 * decode the path: it is encoded once more as it came. Source: AWS "Create a signed AWS API request", and the AWS SigV4
 * test suite.
 */
import type { ClientRequest, HeaderPair } from '../../http/message.ts';
import { type RequestTarget, splitQuery } from '../../http/target.ts';

/** The part of a request that a signature can cover, apart from its body. */
export type SignableRequest = Pick<ClientRequest, 'method' | 'target' | 'headers' | 'authority'>;

/** The query parameter that holds a presigned request's signature: the only one it does not cover. */
export const SIGNATURE_PARAMETER = 'X-Amz-Signature';

const RESERVED_BYTE = /[^A-Za-z0-9\-._~]/g;
const RESERVED_BYTE_OF_PATH = /[^A-Za-z0-9\-._~/]/g;
/** Segments that are empty or begin with a dot, apart from the empty one at the end. */
const MAY_NORMALIZE = /\/[./]/;
const MAY_COLLAPSE = /[\t\r\n]| {2}|^ | $/;
/** Each byte percent-encoded. */
const ENCODED_BYTES = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`);

/**
 * The path as it is signed: empty and `.` segments dropped, `..` resolved, a trailing slash kept, then each byte
 * outside `A-Za-z0-9-._~/` percent-encoded once more, `%` included (`%3A` becomes `%253A`, a raw `:` becomes `%3A`).
 */
export function canonicalPath(rawPath: string): string {
  if (rawPath.startsWith('/') && !MAY_NORMALIZE.test(rawPath))
    return rawPath.replace(RESERVED_BYTE_OF_PATH, encodeByte);
  const kept: string[] = [];
  for (const segment of rawPath.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') kept.pop();
    else kept.push(encodeBytes(segment));
  }
  const end = kept.length > 0 && rawPath.endsWith('/') ? '/' : '';
  // What does not begin with a slash is no path, and must not count as the one that does.
  const start = rawPath === '' || rawPath.startsWith('/') ? '/' : '';
  return `${start}${kept.join('/')}${end}`;
}

/**
 * The query as it is signed: each name and value decoded and strictly encoded again, sorted by name, then by value; `k`
 * becomes `k=`, and the signature's own parameter is left out. `+` is a plus sign, not a space.
 */
export function canonicalQuery(rawQuery: string): string {
  if (rawQuery === '') return '';
  return parseSignedQuery(rawQuery)
    .filter(([name]) => name !== SIGNATURE_PARAMETER)
    .map(([name, value]): [string, string] => [encodeBytes(name), encodeBytes(value)])
    .toSorted((one, other) => compareText(one[0], other[0]) || compareText(one[1], other[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/**
 * The pairs of a raw query in wire order as a signature covers them: percent-decoded to bytes (one character each), `+`
 * a plus sign, a malformed `%` itself, so that the client's own encoding does not matter. Other queries are decoded as
 * text.
 */
export function parseSignedQuery(rawQuery: string): [name: string, value: string][] {
  return splitQuery(rawQuery).map(([name, value = '']) => [decodeBytes(name), decodeBytes(value)]);
}

/**
 * The value of one signed header: repeats joined by `,`, each trimmed and its inner runs of whitespace (folded lines
 * too) made one space. `host` and `:authority` stand for each other's value if only one arrived, since an HTTP/2 client
 * may sign either. Undefined if the request has no such header.
 */
export function canonicalHeaderValue(request: SignableRequest, lowerCaseName: string): string | undefined {
  return canonicalValue(valuesOf(request.headers, lowerCaseName), lowerCaseName, request.authority);
}

function canonicalValue(
  values: readonly string[],
  lowerCaseName: string,
  authority: string | undefined,
): string | undefined {
  const [first] = values;
  if (first !== undefined)
    return values.length === 1 ? collapseWhitespace(first) : values.map(collapseWhitespace).join(',');
  const isHostName = lowerCaseName === 'host' || lowerCaseName === ':authority';
  return isHostName && authority !== undefined ? collapseWhitespace(authority) : undefined;
}

/** The values of each header that arrived, by its name in lower case. */
function groupHeaders(headers: readonly HeaderPair[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    const group = groups.get(lower);
    if (group === undefined) groups.set(lower, [value]);
    else group.push(value);
  }
  return groups;
}

/**
 * `canonicalHeaderValue` for many names of one request: looks through its headers once, or a client that signs
 * thousands of names that it did not send would stop all others.
 */
function canonicalHeaderReader({
  headers,
  authority,
}: Pick<SignableRequest, 'headers' | 'authority'>): (lowerCaseName: string) => string | undefined {
  const groups = groupHeaders(headers);
  return (name) => canonicalValue(groups.get(name) ?? [], name, authority);
}

/** The first of the signed headers that did not arrive. */
export function findLostHeader(request: SignableRequest, signedHeaders: readonly string[]): string | undefined {
  const read = canonicalHeaderReader(request);
  return signedHeaders.find((name) => read(name) === undefined);
}

/**
 * The canonical request, to be hashed as latin1. Signed headers are lower-case and taken exactly as listed; one that
 * did not arrive counts as empty. `payloadHash` is hex SHA-256 or one of the literals that stand in for it.
 */
export function canonicalRequest(
  request: Omit<SignableRequest, 'target'> & { readonly target: Pick<RequestTarget, 'path' | 'query'> },
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  const { path, query = '' } = request.target;
  const read = canonicalHeaderReader(request);
  let headerLines = '';
  for (const name of signedHeaders) headerLines += `${name}:${read(name) ?? ''}\n`;
  const head = `${request.method}\n${canonicalPath(path)}\n${canonicalQuery(query)}\n`;
  return `${head}${headerLines}\n${signedHeaders.join(';')}\n${payloadHash}`;
}

/** Every value of a header in wire order, by lower-case name. */
export function valuesOf(headers: readonly HeaderPair[], lowerCaseName: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value);
}

function collapseWhitespace(value: string): string {
  return MAY_COLLAPSE.test(value) ? value.replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '') : value;
}

function encodeBytes(text: string): string {
  return text.replace(RESERVED_BYTE, encodeByte);
}

function encodeByte(byte: string): string {
  return ENCODED_BYTES[byte.charCodeAt(0)] ?? byte;
}

function decodeBytes(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** By code unit, as the specification sorts; never by locale. */
function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
