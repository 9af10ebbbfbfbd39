/** The prices of Bedrock in `@pydantic/genai-prices` (MIT licence), as facts: those in force on the day `readOn`. */
import { findProvider, type ModelInfo } from '@pydantic/genai-prices';
import { type FactFile, makeFactFile } from '../../src/pricing/fact-file.ts';
import { readGenaiPrices } from '../../src/pricing/genai-prices.ts';
import { mergeIds } from './homes.ts';

/** What the package has for Bedrock, and the names of its models. A model that `ids` has as well gets the id there. */
export function readInstalledPrices(
  { version, asOf, readOn }: Readonly<Record<'version' | 'asOf' | 'readOn', string>>,
  ids: readonly string[],
): {
  readonly file: FactFile;
  readonly names: readonly string[];
} {
  const models = findProvider({ providerId: 'aws' })?.models ?? [];
  const read = readGenaiPrices(
    models.map((model) => ({ ...model, prices: pricesInForce(model.prices, readOn) })),
    asOf,
  );
  const canonical = mergeIds(ids, read.models);
  const facts = read.models.flatMap((id) => read.readFacts(id).map((fact) => ({ ...fact, model: canonical(id) })));
  const windows = new Map(read.models.map((id) => [canonical(id), read.readWindow(id) ?? {}]));
  const title = `@pydantic/genai-prices ${version}`;
  return {
    file: makeFactFile({ teller: 'genai-prices', title, asOf }, facts, windows),
    names: models.map(({ id }) => id.replace(/^regional\./, '')).toSorted(),
  };
}

/** Of dated prices the last that has begun; the history of prices is no part of the snapshot. */
function pricesInForce(prices: ModelInfo['prices'], readOn: string): unknown {
  if (!Array.isArray(prices)) return prices;
  return prices.findLast(({ constraint }) => {
    const from = constraint !== undefined && 'start_date' in constraint ? constraint.start_date : '';
    return String(from) <= readOn;
  })?.prices;
}
