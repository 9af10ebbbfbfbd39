/**
 * `prices show` and `prices list`: the prices that a server would use if it started now.
 */
import { resolve } from 'node:path';
import { matchesGlob } from '../../lib/glob.ts';
import { readDatabasePath } from '../../config/config.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { ModelPrice, PriceBook, TokenRate } from '../../pricing/cost.ts';
import { loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';
import { type Flags, findSetting } from '../../config/options.ts';
import { each, perMillion, PIECES, priceToJson, RATES, shortRate } from './price-format.ts';
import { formatFields, formatTable, printData, printJson, printTalk } from '../../app/print.ts';

interface ShowInput extends Flags {
  readonly model: string;
  readonly tier: string | undefined;
  readonly json: boolean;
}

interface ListInput extends Flags {
  /** A part of the name if it has no star. */
  readonly pattern: string | undefined;
  readonly json: boolean;
}

/** Whose prices are shown. */
const REGION = 'us-east-1';

/** `prices show`. Throws ERR_UNPRICED where there is none. */
export async function showPrice(input: ShowInput): Promise<void> {
  const { model, tier = 'standard' } = input;
  const book = await openPriceBook(input);
  const price = book.find(model, {
    atMs: Date.now(),
    region: REGION,
    serviceTier: tier === 'optimized' ? undefined : tier,
    latency: tier === 'optimized' ? tier : undefined,
  });
  if (price === undefined) {
    throw new ProxyError('ERR_UNPRICED', `No price is known for ${model}${tier === 'standard' ? '' : ` (${tier})`}.`, {
      hint: 'Give one with --prices FILE, or see whether `bedrock-proxy prices update` brings it.',
    });
  }
  const source = describeOrigin(price);
  if (input.json) return printJson({ model, tier, source: source.json, ...priceToJson(price) });
  printData(
    formatFields([
      ['model', model],
      ...(tier === 'standard' ? [] : [['tier', tier] as const]),
      ...RATES.flatMap(({ words, field }) => describeRate(words, price[field])),
      ...PIECES.flatMap((field) => describePiece(field, price[field])),
      ['source', source.words],
    ]),
  );
}

/** `prices list`. */
export async function listPrices(input: ListInput): Promise<void> {
  const { pattern } = input;
  const book = await openPriceBook(input);
  const glob = pattern === undefined ? '*' : pattern.includes('*') ? pattern : `*${pattern}*`;
  const found = book
    .list({ atMs: Date.now(), region: REGION, serviceTier: undefined, latency: undefined })
    .filter(({ name }) => matchesGlob(glob, name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (input.json) {
    return printJson(
      found.map(({ name, price }) => ({ model: name, source: describeOrigin(price).json, ...priceToJson(price) })),
    );
  }
  if (found.length === 0) return printTalk(`No model with a price is called ${glob}.`);
  const columns = RATES.slice(0, 5);
  const rows = found.map(({ name, price }) => [
    name,
    ...columns.map(({ field }) => shortRate(price[field])),
    price.origin?.kind ?? '',
  ]);
  printData(formatTable(['model', ...columns.map(({ words }) => words), 'source'], rows));
  printTalk('USD per million tokens; - is not known, + more for long inputs (see `prices show`).');
}

async function openPriceBook(input: Flags): Promise<PriceBook> {
  const file = findSetting('prices', input, process.env);
  return loadPrices({
    priceFile: file === undefined ? undefined : resolve(file.value),
    refreshedFile: refreshedPricesPath(readDatabasePath(input, process.env)),
    warn: (message) => printTalk(`warning: ${message}`),
  });
}

function describeOrigin({ origin }: ModelPrice): { readonly words: string; readonly json: object } {
  if (origin === undefined) return { words: 'unknown', json: {} };
  const { kind, source, name, asOf } = origin;
  if (kind === 'file') return { words: `price file, "${name}"`, json: { kind, entry: name } };
  const words = kind === 'built-in' ? 'built in' : 'fetched';
  return { words: `${words}, from ${source} of ${asOf}, "${name}"`, json: { kind, source, entry: name, as_of: asOf } };
}

function describeRate(words: string, rate: TokenRate | undefined): [string, string][] {
  if (rate === undefined) return [];
  if (typeof rate === 'number') return [[words, `${perMillion(rate)} USD per million tokens`]];
  return [
    [words, `${perMillion(rate.base)} USD per million tokens`],
    ...rate.steps.map(({ aboveTokens, price }): [string, string] => [
      '',
      `${perMillion(price)} for requests with more than ${aboveTokens} input tokens`,
    ]),
  ];
}

function describePiece(words: string, pico: number | undefined): [string, string][] {
  return pico === undefined ? [] : [[words, `${each(pico)} USD each`]];
}
