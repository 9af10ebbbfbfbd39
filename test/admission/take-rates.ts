import type { LocalRateGrant, LocalRateLimits, RatePolicy } from '../../src/admission/rates.ts';

/**
 * Both halves of an admission in one, as they follow each other: refused by the second, nothing of the first is left.
 */
export function take(rates: LocalRateLimits, keyId: string, policy: RatePolicy, tokens: number): LocalRateGrant {
  const grant = rates.enter(keyId, policy);
  try {
    grant.addTokens(policy, tokens);
    return grant;
  } catch (error) {
    grant.undo();
    throw error;
  }
}
