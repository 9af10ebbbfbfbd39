/**
 * Makes a request ready, once: the headers that may pass, the body, and the client's OAuth token if the upstream takes
 * it. Host, region, credentials and signature belong to the attempt.
 */
import type { Principal } from '../domain/principal.ts';
import type { Body } from '../http/body.ts';
import type { HeaderPair } from '../http/message.ts';
import type { Route } from '../routing/route.ts';
import { selectUpstreamHeaders } from './headers.ts';
import { addRequestMetadata } from './request-metadata.ts';
import type { PreparedRequest } from './upstream.ts';

/** What `prepare` needs to know besides the request. */
export interface PrepareOptions {
  /** Our name in `Via`; undefined if no loop is possible. */
  readonly viaName: string | undefined;
  /** The client's OAuth token as an `Authorization` value, if it brought one that is not ours. */
  readonly oauthAuthorization: string | undefined;
  /** Whom AWS's invocation logs are to name; undefined: nobody. */
  readonly toldPrincipal: Principal | undefined;
}

/** Pure. The request is not changed, and the body is not read. Throws as `addRequestMetadata` does. */
export function prepare(
  headers: readonly HeaderPair[],
  route: Route,
  body: Body,
  { viaName, oauthAuthorization, toldPrincipal }: PrepareOptions,
): PreparedRequest {
  const selected = selectUpstreamHeaders(headers, { viaName, keepsTarget: route.keepsTarget });
  return {
    route,
    headers: toldPrincipal === undefined ? selected : addRequestMetadata(selected, route, toldPrincipal),
    body,
    oauthAuthorization: route.takesOauth ? oauthAuthorization : undefined,
  };
}
