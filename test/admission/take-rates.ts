import type { LocalRateGrant, LocalRateLimits, RateGrant, RateLimits, RatePolicy } from '../../src/admission/rates.ts';

/**
 * Both halves of an admission in one, as they follow each other: refused by the second, nothing of the first is left.
 */
export async function take(rates: RateLimits, keyId: string, policy: RatePolicy, tokens: number): Promise<RateGrant> {
  const grant = await rates.enter(keyId, policy);
  try {
    await grant.addTokens(policy, tokens);
    return grant;
  } catch (error) {
    grant.undo();
    throw error;
  }
}

/** The same of what this process counts: at once. */
export function takeHere(rates: LocalRateLimits, keyId: string, policy: RatePolicy, tokens: number): LocalRateGrant {
  const grant = rates.enter(keyId, policy);
  try {
    grant.addTokens(policy, tokens);
    return grant;
  } catch (error) {
    grant.undo();
    throw error;
  }
}
