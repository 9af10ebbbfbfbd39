/**
 * The other routes that a request may take if an upstream throttles or fails: which of them its key allows, and what it
 * may cost there. Pure. An alternative is left out if it is not certain to be allowed and priced; the route that is
 * judged in full is the first one.
 */
import type { KeyPolicy } from '../domain/key.ts';
import type { PriceBook } from '../pricing/cost.ts';
import { mayUseModel } from './models.ts';
import { estimateRequest, type PricedRequest, type RequestEstimate } from './pricing.ts';
import type { ReachedRoute } from './scope.ts';

/** What of the alternatives the request may take. */
export interface Alternatives {
  readonly routes: readonly ReachedRoute[];
  /** Under which names a price is looked up if the model in the path is another one; by that model. */
  readonly renamed: ReadonlyMap<string, readonly string[]>;
  /** The most expensive, by what a budget reckons; undefined: none counts for one. */
  readonly dearest: RequestEstimate | undefined;
}

/** What is known of the request on its first route. */
export interface JudgedRequest {
  readonly route: ReachedRoute;
  /** For each model, the names under which its price is looked up; the one in the path first. */
  readonly models: readonly (readonly string[])[];
  /** Undefined: the key has no limits. */
  readonly policy: KeyPolicy | undefined;
  /** What a budget counts; undefined: none does. */
  readonly priced: PricedRequest | undefined;
}

const NO_ALTERNATIVES: Alternatives = { routes: [], renamed: new Map(), dearest: undefined };

/** The alternatives among `routes`, in their order. */
export function findAlternatives(
  routes: readonly ReachedRoute[],
  { route, models, policy, priced }: JudgedRequest,
  prices: PriceBook,
): Alternatives {
  if (routes.length === 0) return NO_ALTERNATIVES;
  const kept: ReachedRoute[] = [];
  const renamed = new Map<string, readonly string[]>();
  let dearest: RequestEstimate | undefined;
  for (const other of routes) {
    const { modelId, region } = other;
    const isRenamed = modelId !== undefined && modelId !== route.modelId;
    if (isRenamed && policy !== undefined && !mayUseModel(policy, modelId)) continue;
    const namesThere = isRenamed ? [[modelId], ...models.slice(1)] : models;
    const moment = priced && { ...priced.moment, region };
    const estimate = priced && moment && estimateRequest({ ...priced, moment, models: namesThere }, prices);
    if (estimate !== undefined && estimate.costNanoUsd === undefined && policy?.allowUnpriced === false) continue;
    kept.push(other);
    if (isRenamed) renamed.set(modelId, namesThere.flat());
    if (estimate !== undefined && budgetCostOf(estimate) > budgetCostOf(dearest)) dearest = estimate;
  }
  return { routes: kept, renamed, dearest };
}

/** As a budget counts it; 0 if there is nothing to count. */
export function budgetCostOf(estimate: RequestEstimate | undefined): number {
  return estimate === undefined ? 0 : (estimate.costNanoUsd ?? estimate.pricedNanoUsd);
}
