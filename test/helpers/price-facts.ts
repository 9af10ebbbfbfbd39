/** Books of prices from rows that a test writes down. */
import { type FactFile, indexFacts, openFactFile } from '../../src/pricing/fact-file.ts';
import { bookOf, type ExplainedBook } from '../../src/pricing/price-book.ts';
import { parsePriceFile } from '../../src/pricing/price-file.ts';
import type { PriceTeller } from '../../src/pricing/price-fact.ts';

/** By model: `place … / scope … / tier` to units in pico-dollars, as the files of `prices/` have them. */
export type FactRows = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>>;

/** The facts of one source, as of 1 October 2026. */
export function factFileOf(teller: PriceTeller, rows: FactRows): FactFile {
  const models = Object.fromEntries(Object.entries(rows).map(([model, prices]) => [model, { prices }]));
  return openFactFile(JSON.stringify({ teller, title: `${teller} 1.2.3`, asOf: '2026-10-01', models }));
}

/** A book of built-in facts, and of what was fetched and the owner's file if they are given. */
export function priceBookOf(
  builtIn: readonly FactFile[],
  more: { readonly refreshed?: readonly FactFile[]; readonly priceFile?: object } = {},
): ExplainedBook {
  const refreshed =
    more.refreshed === undefined ? [] : [{ kind: 'refreshed' as const, facts: indexFacts(more.refreshed) }];
  const layers = [...refreshed, { kind: 'built-in' as const, facts: indexFacts(builtIn) }];
  return bookOf(layers, more.priceFile && parsePriceFile(JSON.stringify(more.priceFile)));
}
