/**
 * The first half of admission, before the body is read: what the head alone decides, and the slot and the request that
 * count for the key. Whoever is over its limits uploads nothing. The second half is `admit`.
 */
import { unlessAborted } from '../lib/deadline.ts';
import type { Principal } from '../domain/principal.ts';
import { ProxyError } from '../lib/errors.ts';
import type { RateGrant, RateLimits } from './rates.ts';
import { checkRegion, checkScope, type ReachedRoute } from './scope.ts';

/**
 * Throws ERR_SCOPE and ERR_REGION_NOT_ALLOWED if that is certain already, ERR_TOO_MANY_PARALLEL and ERR_REQUEST_RATE.
 * `routes`: all that the request may turn out to be. What it gives is ended by the caller if `admit` does not get it.
 * Undefined: nothing is counted.
 */
export function enter(
  principal: Principal,
  routes: readonly ReachedRoute[],
  rates: RateLimits,
): RateGrant | Promise<RateGrant> | undefined {
  if (principal.kind !== 'key') return undefined;
  const { keyId, policy } = principal;
  const refusals = routes.map((route) => {
    try {
      checkScope(policy, route);
      checkRegion(policy, route);
      return undefined;
    } catch (error) {
      return error;
    }
  });
  if (refusals.every((refusal) => refusal instanceof ProxyError)) throw refusals[0];
  return rates.enter(keyId, policy);
}

/** Waits for another process to count, as long as somebody waits here: a grant that comes later is ended. */
export async function untilEntered(entering: Promise<RateGrant>, signal: AbortSignal): Promise<RateGrant> {
  return unlessAborted(signal, entering).catch((error: unknown) => {
    // As for everybody who leaves in the middle: the request counts.
    if (signal.aborted) entering.then((grant) => grant.finish(0)).catch(() => {});
    throw error;
  });
}
