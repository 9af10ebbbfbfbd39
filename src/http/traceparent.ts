/**
 * The header `traceparent` (W3C Trace Context, section 3.2). Pure.
 */

/** The span that the client was in when it asked. */
export interface RemoteParent {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for what is no `traceparent`; what a later version of it adds is ignored, as the specification asks. */
export function parseTraceparent(value: string | undefined): RemoteParent | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(value?.trim() ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}
