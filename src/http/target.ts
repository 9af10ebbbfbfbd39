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
