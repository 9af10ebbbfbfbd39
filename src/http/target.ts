/**
 * The request target, taken apart once where the request comes in. Raw text throughout: never decoded, never
 * normalised, because it is what a signature covers and what is sent on.
 */

/** An origin-form target (RFC 9112, section 3.2.1). */
export interface RequestTarget {
  /** All of it, exactly as it stood on the wire. */
  readonly raw: string;
  /** Up to the first `?`. */
  readonly path: string;
  /** What follows that `?`; undefined if there is none, empty if nothing follows it. */
  readonly query: string | undefined;
}

/** Splits at the first `?`, and nothing else. */
export function parseTarget(raw: string): RequestTarget {
  const mark = raw.indexOf('?');
  return mark === -1
    ? { raw, path: raw, query: undefined }
    : { raw, path: raw.slice(0, mark), query: raw.slice(mark + 1) };
}

/** The reverse. */
export function joinTarget(path: string, query: string | undefined): RequestTarget {
  return { raw: query === undefined ? path : `${path}?${query}`, path, query };
}

/**
 * The pairs of a raw query in wire order, each split at its first `=`, nothing decoded; what is empty between two `&`
 * is no pair. Those who decode them differ: a signature covers bytes, AWS's signer takes UTF-8 alone, and in a form `+`
 * is a space.
 */
export function splitQuery(rawQuery: string): [name: string, value: string | undefined][] {
  return rawQuery
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      return equals === -1 ? [pair, undefined] : [pair.slice(0, equals), pair.slice(equals + 1)];
    });
}
