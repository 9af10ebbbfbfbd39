/**
 * `prices show` and `prices list`: the prices that a server uses, and who says so.
 */
import { resolve } from 'node:path';
import { matchesGlob } from '../../lib/glob.ts';
import { readConfig } from '../../config/config.ts';
import { readDatabaseLocation } from '../../config/database-location.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { ModelPrice, PriceMoment, Tier, TokenRate } from '../../pricing/cost.ts';
import type { PriceFact } from '../../pricing/price-fact.ts';
import { type ExplainedBook, loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';
import type { ExplainedFact } from '../../pricing/price-rates.ts';
import { type Flags, findSetting } from '../../config/options.ts';
import { findPartition } from '../../protocol/region.ts';
import { findRegion } from '../../app/start.ts';
import { formatFields, formatTable, printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';
import { servedAs } from './changes.ts';
import {
  DEFAULT_PRICE_REGION,
  describeFact,
  each,
  factName,
  perMillion,
  PIECES,
  priceToJson,
  RATES,
  shortRate,
  unitWords,
} from './price-format.ts';

interface ServedInput extends Flags {
  readonly region: string | undefined;
  readonly tier: Tier | undefined;
  readonly json: boolean;
}

interface ShowInput extends ServedInput {
  readonly model: string;
}

interface ListInput extends ServedInput {
  /** A part of the name if it has no star. */
  readonly pattern: string | undefined;
  readonly model: string | undefined;
}

/** `prices show`. Throws ERR_UNPRICED where there is none. */
export async function showPrice(input: ShowInput): Promise<void> {
  const { model, tier = 'standard' } = input;
  const [book, moment] = [await openPriceBook(input), await readMoment(input)];
  const price = book.find(model, moment);
  if (price === undefined) {
    const place = `${moment.region}${tier === 'standard' ? '' : `, ${tier}`}`;
    throw new ProxyError('ERR_UNPRICED', `No price is known for ${model} (${place}).`, {
      hint: 'Give one with --prices FILE, or see whether `bedrock-proxy prices update` brings it.',
    });
  }
  const source = describeOrigin(price);
  const told = price.origin?.kind === 'file' ? [] : book.explain(model, moment);
  const differing = findDiffering(told);
  if (input.json) {
    const { region } = moment;
    const facts = told.map(factToJson);
    return printJson({ model, region, tier, source: source.json, ...priceToJson(price), facts });
  }
  printData(
    formatFields([
      ['model', model],
      ['region', moment.region],
      ...(tier === 'standard' ? [] : [['tier', tier] as const]),
      ...RATES.flatMap(({ words, field }) => describeRate(words, price[field])),
      ...PIECES.flatMap((field) => describePiece(field, price[field])),
      ...Object.entries(price.units ?? {}).flatMap(([name, pico]) => describePiece(unitWords(name), pico)),
      ...describeKinds(told),
      ['source', source.words],
      ...differing.map((words, index): [string, string] => [index === 0 ? 'others say' : '', words]),
    ]),
  );
  if (differing.length > 0) printTalk('A budget reckons with the dearest of them.');
}

/** The other prices of images, and of whatever else costs by its kind. */
function describeKinds(facts: readonly ExplainedFact[]): [string, string][] {
  const used = new Set(facts.filter(({ isUsed }) => isUsed).map(({ fact }) => factName(fact)));
  const kinds = facts.filter(({ fact, isNear }) => fact.limits !== undefined && isNear && !used.has(factName(fact)));
  const lines = kinds.map(({ fact }): [string, string] => [factName(fact), `${each(fact.picoUsd)} USD each`]);
  return [...new Map(lines)];
}

/**
 * What other sources say of the same price, one line for each: `litellm of 2026-11-28: input 0.9, output 3.6`.
 */
function findDiffering(facts: readonly ExplainedFact[]): readonly string[] {
  const used = new Set(facts.filter(({ isUsed }) => isUsed).map(({ fact }) => factValue(fact)));
  const others = facts.filter(
    ({ fact, isNear, isUsed }) => isNear && !isUsed && fact.limits === undefined && !used.has(factValue(fact)),
  );
  const bySource = Map.groupBy(others, ({ fact }) => `${fact.source} of ${fact.asOf}`);
  return [...bySource].map(([source, told]) => {
    const prices = new Set(told.map(({ fact }) => describeFact(fact)));
    return `${source}: ${[...prices].join(', ')}`;
  });
}

function factValue({ unit, limits, aboveTokens, picoUsd }: PriceFact): string {
  return JSON.stringify([unit, limits ?? null, aboveTokens, picoUsd]);
}

function factToJson({ fact, kind, isUsed, isNear }: ExplainedFact): object {
  const { unit, limits, place, scope, tier, aboveTokens, picoUsd, source, asOf } = fact;
  return {
    unit,
    ...(limits && { limits }),
    place,
    scope,
    tier,
    above_tokens: aboveTokens,
    pico_usd: picoUsd,
    source,
    as_of: asOf,
    kind,
    used: isUsed,
    other_region: !isNear,
  };
}

/** `prices list`. */
export async function listPrices(input: ListInput): Promise<void> {
  const pattern = input.pattern ?? input.model;
  const [book, moment] = [await openPriceBook(input), await readMoment(input)];
  const glob = pattern === undefined ? '*' : pattern.includes('*') ? pattern : `*${pattern}*`;
  const found = book
    .list(moment)
    .filter(({ name }) => matchesGlob(glob, name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (input.json) {
    return printJson(
      found.map(({ name, price }) => ({ model: name, source: describeOrigin(price).json, ...priceToJson(price) })),
    );
  }
  if (found.length === 0) return printTalk(`No model with a price is called ${glob} in ${moment.region}.`);
  const columns = RATES.slice(0, 5);
  const rows = found.map(({ name, price }) => [
    name,
    ...columns.map(({ field }) => shortRate(price[field])),
    sourceOf(price),
  ]);
  const titles = columns.map(({ words }) => words);
  // The cheaper rates are the rarer ones: models are known by their names.
  const spare = ['source', ...titles.slice(2).toReversed()];
  printData(
    formatTable(['model', ...titles, 'source'], rows, { right: new Set(titles), width: terminalWidth(), spare }),
  );
  const others = '* the price of another region';
  printTalk(`USD per million tokens in ${moment.region}; - is not known, + more for long inputs, ${others}.`);
}

function sourceOf({ origin }: ModelPrice): string {
  return `${origin?.source ?? ''}${origin?.assumedRegion === undefined ? '' : '*'}`;
}

/** The prices that a server with these options would use. Throws ERR_BAD_OPTION for a wrong price file. */
export async function openPriceBook(input: Flags): Promise<ExplainedBook> {
  const file = findSetting('prices', input, process.env);
  return loadPrices({
    priceFile: file === undefined ? undefined : resolve(file.value),
    refreshedFile: refreshedPricesPath(readDatabaseLocation(input, process.env).folder),
    warn: (message) => printTalk(`warning: ${message}`),
  });
}

/** In the region that is asked for, or that of the configuration. */
async function readMoment({ region: asked, tier = 'standard', ...flags }: ServedInput): Promise<PriceMoment> {
  if (asked !== undefined && findPartition(asked) === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', `--region: ${asked} is not an AWS region; one looks like us-east-1.`);
  }
  const region = asked ?? (await findRegion(readConfig(flags, process.env)))?.name ?? DEFAULT_PRICE_REGION;
  return { atMs: Date.now(), region, ...servedAs(tier) };
}

function describeOrigin({ origin }: ModelPrice): { readonly words: string; readonly json: object } {
  if (origin === undefined) return { words: 'unknown', json: {} };
  const { kind, source, name, asOf, assumedRegion } = origin;
  if (kind === 'file') return { words: `price file, "${name}"`, json: { kind, entry: name } };
  const words = `${kind === 'built-in' ? 'built in' : 'fetched'}, from ${source} of ${asOf}, "${name}"`;
  const json = { kind, source, entry: name, as_of: asOf };
  if (assumedRegion === undefined) return { words, json };
  return {
    words: `${words}; of ${assumedRegion}, because none is known for this region`,
    json: { ...json, assumed_region: assumedRegion },
  };
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
