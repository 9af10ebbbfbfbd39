/**
 * The raw request target: refuses what could mean two things to two readers, and removes the mount.
 * Pure. Decodes nothing and normalises nothing: what passes here is sent to AWS byte for byte.
 */
import type { RequestTarget } from '../http/target.ts';
import { ProxyError } from '../lib/errors.ts';

/**
 * `.` and `..` as a segment, with their dots and the separators around them raw or encoded. A decoder further on could
 * resolve them and so leave the path that was matched and admitted. `;` ends a segment for servers with path
 * parameters.
 */
const DOT_SEGMENT = /(?:\/|%2f|%5c)(?:\.|%2e){1,2}(?:$|\/|;|%2f|%5c|%3b)/i;
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i;
const CONTROL_ESCAPE = /%(?:[01][0-9a-f]|7f)/i;
const NOT_PRINTABLE = /[^\x21-\x7e]/;

/** Throws ERR_BAD_TARGET for what no AWS client sends and an attacker might. */
export function refuseBadTarget({ path, query }: RequestTarget): void {
  if (!path.startsWith('/')) throw badTarget('path', 'does not start with a slash');
  refuseUnprintable('path', path);
  if (query !== undefined) refuseUnprintable('query', query);
  if (path.includes('\\')) throw badTarget('path', 'holds a backslash');
  if (path.includes('%')) {
    if (BROKEN_ESCAPE.test(path)) throw badTarget('path', 'holds a percent sign without two hexadecimal digits');
    if (CONTROL_ESCAPE.test(path)) throw badTarget('path', 'holds an encoded control character');
  }
  if (DOT_SEGMENT.test(path)) throw badTarget('path', 'holds a dot segment (`.` or `..`, possibly encoded)');
}

/**
 * What follows the mount, starting with one slash; undefined if the path is not below it. The run of slashes after the
 * mount collapses, because an SDK whose endpoint ends in a slash sends two.
 */
export function stripMount(path: string, mountPath: string): string | undefined {
  const mount = mountPath.endsWith('/') ? mountPath.slice(0, -1) : mountPath;
  if (!path.startsWith(mount)) return undefined;
  let start = mount.length;
  if (start === path.length) return '/';
  if (path[start] !== '/') return undefined;
  while (path[start + 1] === '/') start += 1;
  return path.slice(start);
}

/**
 * The query without SigV4 query authentication (`X-Amz-*`, in any case and any encoding of the name), everything else
 * byte for byte. It covers the client's own host and mount, so AWS could only refuse it. Undefined if nothing is left.
 */
export function stripQueryAuthentication(rawQuery: string | undefined): string | undefined {
  // `x` and `%` are what every spelling of such a name starts with.
  if (rawQuery === undefined || !/(?:^|&)[x%]/i.test(rawQuery)) return rawQuery;
  const pairs = rawQuery.split('&');
  const kept = pairs.filter((pair) => !isAuthenticationPair(pair));
  if (kept.length === pairs.length) return rawQuery;
  return kept.length === 0 ? undefined : kept.join('&');
}

function isAuthenticationPair(pair: string): boolean {
  const equals = pair.indexOf('=');
  const name = equals === -1 ? pair : pair.slice(0, equals);
  const decoded = name.replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return decoded.toLowerCase().startsWith('x-amz-');
}

function refuseUnprintable(part: string, text: string): void {
  const at = text.search(NOT_PRINTABLE);
  if (at !== -1) {
    const code = text.charCodeAt(at).toString(16).padStart(2, '0');
    throw badTarget(part, `holds a character that is not printable ASCII (0x${code} at position ${at})`);
  }
  if (text.includes('#')) throw badTarget(part, 'holds a `#`');
}

function badTarget(part: string, what: string): ProxyError {
  return new ProxyError('ERR_BAD_TARGET', `The ${part} of the request target ${what}.`, {
    hint: 'Percent-encode reserved characters in ids and ARNs.',
  });
}
