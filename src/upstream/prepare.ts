/**
 * Makes a request ready, once: the headers that may pass, the body, and the client's OAuth token if the upstream takes
 * it. Host, region, credentials and signature belong to the attempt.
 */
import type { Body } from '../http/body.ts';
import type { HeaderPair } from '../http/message.ts';
import type { Route } from '../routing/route.ts';
import { selectUpstreamHeaders } from './headers.ts';
import type { PreparedRequest } from './upstream.ts';

/** What `prepare` needs to know besides the request. */
export interface PrepareOptions {
  /** Our name in `Via`; undefined if no loop is possible. */
  readonly viaName: string | undefined;
  /** The client's OAuth token as an `Authorization` value, if it brought one that is not ours. */
  readonly oauthAuthorization: string | undefined;
}

/** Pure. The request is not changed, and the body is not read. */
export function prepare(
  headers: readonly HeaderPair[],
  route: Route,
  body: Body,
  { viaName, oauthAuthorization }: PrepareOptions,
): PreparedRequest {
  return {
    route,
    headers: selectUpstreamHeaders(headers, { viaName, keepsTarget: route.keepsTarget }),
    body,
    oauthAuthorization: route.takesOauth ? oauthAuthorization : undefined,
  };
}
