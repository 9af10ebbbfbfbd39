/** What differs between the prices before an update and after it. Pure. */
import type { ModelPrice, PriceBook, Tier } from '../../pricing/cost.ts';
import { priceToJson } from './price-format.ts';

/** One price that is another one now. */
export interface PriceChange {
  readonly region: string;
  readonly model: string;
  readonly tier: Tier;
  /** `input_mtok`, … */
  readonly price: string;
  /** As the price file has it; null where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

const TIERS: readonly Tier[] = ['standard', 'flex', 'priority', 'batch', 'optimized', 'reserved'];

/** The prices of every tier in a region, by tier and name. */
export type PricesInForce = ReadonlyMap<Tier, ReadonlyMap<string, ModelPrice>>;

/** Every price of a region at a moment. */
export function listInForce(book: PriceBook, region: string, atMs: number): PricesInForce {
  const entries = TIERS.map((tier): [Tier, ReadonlyMap<string, ModelPrice>] => {
    const moment = { atMs, region, ...servedAs(tier) };
    return [tier, new Map(book.list(moment).map(({ name, price }) => [name, price]))];
  });
  return new Map(entries);
}

/** How a request says that it is served in this tier. */
export function servedAs(tier: Tier): {
  readonly serviceTier: string | undefined;
  readonly latency: string | undefined;
} {
  return tier === 'optimized' ? { serviceTier: undefined, latency: tier } : { serviceTier: tier, latency: undefined };
}

/** The changes in a region, by tier, then by model. */
export function findChanges(region: string, before: PricesInForce, after: PricesInForce): PriceChange[] {
  return TIERS.flatMap((tier) => {
    const [old, now] = [before.get(tier), after.get(tier)];
    const models = [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])].toSorted();
    return models.flatMap((model) => {
      const [was, is] = [membersOf(old?.get(model)), membersOf(now?.get(model))];
      const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
      return names
        .map((price) => ({ region, model, tier, price, before: was[price] ?? null, after: is[price] ?? null }))
        .filter((change) => JSON.stringify(change.before) !== JSON.stringify(change.after));
    });
  });
}

function membersOf(price: ModelPrice | undefined): Record<string, unknown> {
  return price === undefined ? {} : priceToJson(price);
}
