/**
 * Amazon Bedrock as an upstream: signs an attempt with the owner's credentials, and sends it as what it is, a request
 * with a body or an event stream both ways. Nothing that is signed is edited after the signature.
 */
import { unlessAborted } from '../../lib/deadline.ts';
import { findHeader } from '../../http/message.ts';
import type { Attempt, ResponseObserver, Upstream } from '../upstream.ts';
import { authorizeRequest, type UpstreamAuthority } from './authorize.ts';
import type { BidirectionalForwarder, SignedEventStream } from './bidirectional.ts';
import { findFacts } from '../../operations/find-facts.ts';
import { areCredentialsRefused } from './credentials.ts';
import type { Forwarder, SignedRequest } from './forward.ts';

/** The parts of an upstream that speaks as AWS does. */
export interface AwsUpstreamOptions {
  readonly name: string;
  readonly authority: UpstreamAuthority;
  readonly forwarder: Forwarder;
  readonly bidirectional: BidirectionalForwarder;
  /** Epoch milliseconds, for signatures. */
  readonly nowMs: () => number;
}

/** Puts the parts together. The caller closes them. */
export function createAwsUpstream({ name, authority, forwarder, bidirectional, nowMs }: AwsUpstreamOptions): Upstream {
  return {
    name,
    send: async (attempt, observer, policy) => {
      const { clientRequest, clientResponse, prepared, checkFrame, holdBytes } = attempt;
      const signed = await unlessAborted(clientRequest.signal, sign(attempt, authority, nowMs));
      observer.onSigned();
      const watched = dropRefusedCredentials(observer, authority);
      await (prepared.route.streaming === 'bidirectional'
        ? bidirectional.relay(signed, { clientRequest, clientResponse, checkFrame, holdBytes }, watched, policy)
        : forwarder.forward(signed, { clientResponse, signal: clientRequest.signal }, watched, policy));
    },
  };
}

async function sign(
  { clientRequest, prepared }: Attempt,
  authority: UpstreamAuthority,
  nowMs: () => number,
): Promise<SignedRequest & SignedEventStream> {
  const { method, upgrade } = clientRequest;
  const { route, body, headers, oauthAuthorization } = prepared;
  const { origin, upstreamTarget: target, region, signingName } = route;
  const { credentials, headers: signedHeaders } = await authorizeRequest(
    { ...route, method, target, headers, oauthAuthorization, bodySha256: body.sha256, signingDate: new Date(nowMs()) },
    authority,
  );
  const signedWith = credentials === undefined ? undefined : { credentials, region, signingName };
  const { response: responseShape } = findFacts(route.service, route.operation);
  return { method, origin, target: target.raw, headers: signedHeaders, body, upgrade, responseShape, signedWith };
}

/** Credentials that AWS calls expired or unknown are looked up anew for the next request. */
function dropRefusedCredentials(observer: ResponseObserver, { credentials }: UpstreamAuthority): ResponseObserver {
  return {
    onSigned: () => observer.onSigned(),
    onSent: () => observer.onSent(),
    onUnsent: () => observer.onUnsent(),
    onHead: (status, headers) => {
      observer.onHead(status, headers);
      const errorType = findHeader(headers, 'x-amzn-errortype')?.replace(/:.*$/s, '');
      if (areCredentialsRefused(status, errorType)) credentials.invalidate();
    },
    onBytes: (chunk) => observer.onBytes(chunk),
    onEnd: () => observer.onEnd(),
    onReadOn: () => observer.onReadOn(),
    onClientBytes: (chunk) => observer.onClientBytes(chunk),
  };
}
