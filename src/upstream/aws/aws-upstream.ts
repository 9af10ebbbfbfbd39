/**
 * Amazon Bedrock as an upstream: signs an attempt with the owner's credentials, and sends it as what it is, a request
 * with a body or an event stream both ways. Nothing that is signed is edited after the signature.
 */
import { unlessAborted } from '../../lib/deadline.ts';
import { inferenceProfilesOf, type Principal } from '../../domain/principal.ts';
import { findHeader, type HeaderPair } from '../../http/message.ts';
import { useInferenceProfile } from '../../routing/inference-profile.ts';
import type { Route } from '../../routing/route.ts';
import type { Attempt, ResponseObserver, Upstream, Way } from '../upstream.ts';
import { refuseUnknownUpstreams } from '../bound-upstreams.ts';
import { authorizeRequest, type UpstreamAuthority } from './authorize.ts';
import type { BidirectionalForwarder, SignedEventStream } from './bidirectional.ts';
import { findFacts } from '../../operations/find-facts.ts';
import { areCredentialsRefused, haveCredentialsExpired, isSamePair } from './credentials.ts';
import type { Forwarder, SignedRequest } from './forward.ts';
import type { AwsCredentials } from './sign.ts';
import type { SigningClock } from './signing-clock.ts';

/** The parts of an upstream that speaks as AWS does. */
export interface AwsUpstreamOptions {
  readonly name: string;
  /** Throws if nothing can sign for it. */
  readonly authorityOf: (principal: Principal) => UpstreamAuthority;
  readonly forwarder: Forwarder;
  readonly bidirectional: BidirectionalForwarder;
  readonly clock: SigningClock;
}

/** Puts the parts together. The caller closes them. */
export function createAwsUpstream(options: AwsUpstreamOptions): Upstream {
  const { name, authorityOf, forwarder, bidirectional, clock } = options;
  return {
    name,
    findWays: findOnlyWay,
    send: async (attempt, observer, policy) => {
      const { clientRequest, clientResponse, prepared, checkFrame, holdBytes, judge } = attempt;
      const { signal } = clientRequest;
      const parts = { authority: authorityOf(attempt.principal), clock };
      const signed = await unlessAborted(signal, sign(attempt, parts));
      observer.onSigned(signed);
      const watched = learnFromResponses(observer, signed, parts);
      if (prepared.route.streaming === 'bidirectional') {
        const client = { clientRequest, clientResponse, checkFrame, holdBytes };
        await bidirectional.relay(signed, client, watched, policy);
        return undefined;
      }
      const signAnew = (status: number, headers: readonly HeaderPair[]) =>
        unlessAborted(signal, signDifferently(attempt, { signed, status, headers }, parts));
      return forwarder.forward({ ...signed, signAnew, judge }, { clientResponse, signal }, watched, policy);
    },
  };
}

/** A key that is bound to upstreams by name does not get the only one, which has none. */
function findOnlyWay(route: Route, principal: Principal): readonly [Way] {
  refuseUnknownUpstreams(principal, []);
  return [{ upstream: undefined, route: useInferenceProfile(route, inferenceProfilesOf(principal)) }];
}

interface SigningParts extends Pick<AwsUpstreamOptions, 'clock'> {
  readonly authority: UpstreamAuthority;
}

interface Signed extends SignedRequest, SignedEventStream {
  /** Undefined if a token was sent. */
  readonly credentials: AwsCredentials | undefined;
  readonly signedAtMs: number;
}

async function sign({ clientRequest, prepared }: Attempt, { authority, clock }: SigningParts): Promise<Signed> {
  const { method, upgrade } = clientRequest;
  const { route, body, headers, oauthAuthorization } = prepared;
  const { origin, upstreamTarget: target, region, signingName } = route;
  const signedAtMs = clock.nowMs();
  const unsigned = { ...route, method, target, headers, oauthAuthorization, bodySha256: body.sha256 };
  const { credentials, headers: signedHeaders } = await authorizeRequest(
    { ...unsigned, signingDate: new Date(signedAtMs) },
    authority,
  );
  const signedWith = credentials === undefined ? undefined : { credentials, region, signingName };
  const { response: responseShape } = findFacts(route.service, route.operation);
  const sent = { method, origin, target: target.raw, headers: signedHeaders, body, upgrade, responseShape };
  return { ...sent, signedWith, credentials, signedAtMs };
}

interface Refusal {
  readonly signed: Signed;
  readonly status: number;
  readonly headers: readonly HeaderPair[];
}

/**
 * AWS has refused the signature, and billed nothing: signs anew, if the clock was wrong or the credentials are others
 * by now. Undefined if the same signature would come out.
 */
async function signDifferently(
  attempt: Attempt,
  { signed, status, headers }: Refusal,
  parts: SigningParts,
): Promise<Signed | undefined> {
  if (signed.credentials === undefined) return undefined;
  if (parts.clock.learn(status, headers, signed.signedAtMs)) return sign(attempt, parts);
  const errorType = errorTypeOf(headers);
  if (!areCredentialsRefused(status, errorType)) return undefined;
  const { credentials } = parts.authority;
  const isFirst = credentials.invalidate(signed.credentials, haveCredentialsExpired(errorType));
  // Of many that are refused at once one looks them up; the others wait for it.
  const again = await sign(attempt, parts);
  if (!isSamePair(again.credentials, signed.credentials)) return again;
  // They may be renewed before the next request, which looks once more.
  if (isFirst) credentials.forget();
  return undefined;
}

/** Credentials that AWS calls expired or unknown are looked up anew for the next request; a wrong clock is learned. */
function learnFromResponses(
  observer: ResponseObserver,
  { signedAtMs, credentials }: Signed,
  { authority, clock }: SigningParts,
): ResponseObserver {
  return {
    ...observer,
    onHead: (status, headers) => {
      observer.onHead(status, headers);
      const isClockWrong = clock.learn(status, headers, signedAtMs);
      if (isClockWrong || credentials === undefined) return;
      const errorType = errorTypeOf(headers);
      if (!areCredentialsRefused(status, errorType)) return;
      authority.credentials.invalidate(credentials, haveCredentialsExpired(errorType));
    },
  };
}

function errorTypeOf(headers: readonly HeaderPair[]): string | undefined {
  return findHeader(headers, 'x-amzn-errortype')?.replace(/:.*$/s, '');
}
