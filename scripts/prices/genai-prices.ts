/** The prices of Bedrock in `@pydantic/genai-prices` (MIT licence), as facts: those in force on the day `readOn`. */
import { calcPrice, findProvider } from '@pydantic/genai-prices';
import { type FactFile, makeFactFile } from '../../src/pricing/fact-file.ts';
import { readPriceRecord } from '../../src/pricing/price-data.ts';
import { TOKEN_RATES, type TokenRate } from '../../src/pricing/cost.ts';
import type { ModelWindow, PriceFact } from '../../src/pricing/price-fact.ts';
import { homesOf, mergeIds } from './homes.ts';

/** What the package has for Bedrock, and the names of its models. A model that `ids` has as well gets the id there. */
export function readGenaiPrices(
  { version, asOf, readOn }: Readonly<Record<'version' | 'asOf' | 'readOn', string>>,
  ids: readonly string[],
): {
  readonly file: FactFile;
  readonly names: readonly string[];
} {
  const facts: PriceFact[] = [];
  const windows = new Map<string, ModelWindow>();
  const models = findProvider({ providerId: 'aws' })?.models ?? [];
  const canonical = mergeIds(
    ids,
    models.map(({ id }) => withoutScope(id)),
  );
  for (const { id, prices, context_window: contextTokens } of models) {
    const model = canonical(withoutScope(id));
    const one = { id, match: { equals: 'it' }, prices };
    const provider = { id: 'aws', name: '', api_pattern: '', models: [one] };
    const record = calcPrice({}, 'it', { provider, timestamp: new Date(readOn) })?.model_price;
    const price = record && readPriceRecord(id, { ...record });
    if (price === undefined) continue;
    const homes = homesOf(model, { isGlobal: id.startsWith('global.') });
    const rates = Object.values(TOKEN_RATES).flatMap((unit) => stepsOf(price[unit]).map((step) => ({ unit, ...step })));
    const own = homes.flatMap((home) =>
      rates.map((rate) => ({ model, ...home, tier: 'standard', ...rate, source: 'genai-prices', asOf }) as const),
    );
    facts.push(...own);
    if (contextTokens !== undefined) windows.set(model, { contextTokens });
  }
  const title = `@pydantic/genai-prices ${version}`;
  return {
    file: makeFactFile({ teller: 'genai-prices', title, asOf }, facts, windows),
    names: models.map(({ id }) => id.replace(/^regional\./, '')).toSorted(),
  };
}

/** A step of the data that begins at 271,999 is one of AWS's above 272,000 tokens, told one too early. */
function stepsOf(rate: TokenRate | undefined): Pick<PriceFact, 'aboveTokens' | 'picoUsd'>[] {
  if (rate === undefined) return [];
  if (typeof rate === 'number') return [{ aboveTokens: 0, picoUsd: rate }];
  const steps = rate.steps.map(({ aboveTokens, price }) => ({
    aboveTokens: aboveTokens % 1000 === 999 ? aboveTokens + 1 : aboveTokens,
    picoUsd: price,
  }));
  return [{ aboveTokens: 0, picoUsd: rate.base }, ...steps];
}

const withoutScope = (id: string): string => id.replace(/^(?:regional|global)\./, '');
