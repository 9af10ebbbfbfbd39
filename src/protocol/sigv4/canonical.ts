/**
 * The canonical request of AWS Signature Version 4, for every service but S3: what of a request a signature covers, as
 * one text. Used by inbound verification; pure. Works on raw text as it stood on the wire, where one character is one
 * byte (that is how Node hands over targets and header values). Must not decode the path: it is encoded once more as it
 * came. Source: AWS "Create a signed AWS API request", and the AWS SigV4 test suite.
 */
import type { ClientRequest, HeaderPair } from '../../http/message.ts';
import { splitQuery } from '../../http/target.ts';

/** The part of a request that a signature can cover, apart from its body. */
export type SignableRequest = Pick<ClientRequest, 'method' | 'target' | 'headers' | 'authority'>;

/** The query parameter that holds a presigned request's signature: the only one it does not cover. */
export const SIGNATURE_PARAMETER = 'X-Amz-Signature';

const RESERVED_BYTE = /[^A-Za-z0-9\-._~]/g;

/**
 * The path as it is signed: empty and `.` segments dropped, `..` resolved, a trailing slash kept, then each byte
 * outside `A-Za-z0-9-._~/` percent-encoded once more, `%` included (`%3A` becomes `%253A`, a raw `:` becomes `%3A`).
 */
export function canonicalPath(rawPath: string): string {
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
  const values = valuesOf(request.headers, lowerCaseName);
  if (values.length > 0) return values.map(collapseWhitespace).join(',');
  const isHostName = lowerCaseName === 'host' || lowerCaseName === ':authority';
  return isHostName && request.authority !== undefined ? collapseWhitespace(request.authority) : undefined;
}

/** Names in lower case of the headers that arrived. */
function groupHeaders(headers: readonly HeaderPair[]): ReadonlyMap<string, HeaderPair[]> {
  const groups = new Map<string, HeaderPair[]>();
  for (const pair of headers) {
    const lower = pair[0].toLowerCase();
    const group = groups.get(lower);
    if (group === undefined) groups.set(lower, [pair]);
    else group.push(pair);
  }
  return groups;
}

/**
 * `canonicalHeaderValue` for many names of one request: looks through its headers once, or a client that signs
 * thousands of names that it did not send would stop all others.
 */
function canonicalHeaderReader(request: SignableRequest): (lowerCaseName: string) => string | undefined {
  const groups = groupHeaders(request.headers);
  return (name) => canonicalHeaderValue({ ...request, headers: groups.get(name) ?? [] }, name);
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
  request: SignableRequest,
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  const { path, query = '' } = request.target;
  const read = canonicalHeaderReader(request);
  const headerLines = signedHeaders.map((name) => `${name}:${read(name) ?? ''}\n`);
  return [
    request.method,
    canonicalPath(path),
    canonicalQuery(query),
    headerLines.join(''),
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n');
}

/** Every value of a header in wire order, by lower-case name. */
export function valuesOf(headers: readonly HeaderPair[], lowerCaseName: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === lowerCaseName).map(([, value]) => value);
}

function collapseWhitespace(value: string): string {
  return value.replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '');
}

function encodeBytes(text: string): string {
  return text.replace(RESERVED_BYTE, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function decodeBytes(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** By code unit, as the specification sorts; never by locale. */
function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
