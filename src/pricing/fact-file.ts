/**
 * The file that keeps the facts of one source: of the snapshot in `prices/`, and of what `prices update` fetched. JSON
 * with a line for each model, place and tier, so that a change of a price is a change of a line. Pure: texts in, values
 * out. A file that is not whole is refused whole.
 *
 *     "amazon.nova-pro-v1:0": { "window": [300000, 10000], "prices": {
 *       "us-east-1 us-west-2 / region geo / standard": { "input": 800000, "output": 3200000, "input>200000": 1600000 }
 *
 * Prices are pico-dollars of one unit. Of images and videos the unit has its limits behind it: `image|premium|1024|`
 * (quality, pixels of the longer side, steps). A price that holds from a day on has it last: `input@2026-08-21`. A
 * model whose facts are of another day than the file says so (`asOf`).
 */
import { withoutGeography } from '../domain/model-name.ts';
import { isObject } from '../lib/json.ts';
import type { PicoUsd, Tier } from './cost.ts';
import { indexModels } from './price-data.ts';
import type {
  FactSource,
  FactUnit,
  MediaLimits,
  ModelWindow,
  PriceFact,
  PriceFacts,
  PriceScope,
  PriceTeller,
} from './price-fact.ts';

/** One source with its facts. */
export interface FactFile extends FactSource {
  /** Ids without geography. */
  readonly models: readonly string[];
  /** Empty of a model that it does not have. */
  readonly readFacts: (model: string) => readonly PriceFact[];
  readonly readWindow: (model: string) => ModelWindow | undefined;
}

const TELLERS: ReadonlySet<string> = new Set<PriceTeller>(['aws', 'litellm', 'genai-prices']);
const SCOPES: readonly PriceScope[] = ['region', 'geo', 'global'];
const TIERS: readonly Tier[] = ['standard', 'flex', 'priority', 'batch', 'optimized', 'reserved'];
const PLACE = /^(?:\*|[a-z][a-z0-9-]*)$/;
/** Unit, limits of a picture (quality, side, steps) or a step of the input. */
const UNIT = /^([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z]+)?)(?:\|([a-z0-9-]*)\|(\d{0,9})\|(\d{0,9})|>(\d{1,9}))?$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** A source whose facts are at hand. */
export function makeFactFile(
  source: FactSource,
  facts: Iterable<PriceFact>,
  windows: ReadonlyMap<string, ModelWindow>,
): FactFile {
  const byModel = Map.groupBy(facts, ({ model }) => model);
  return {
    ...source,
    models: [...new Set([...byModel.keys(), ...windows.keys()])],
    readFacts: (model) => byModel.get(model) ?? [],
    readWindow: (model) => windows.get(model),
  };
}

/** The text of a file with these facts; always the same for the same facts. */
export function formatFactFile({ teller, title, asOf, models, readFacts, readWindow }: FactFile): string {
  const entries = models.toSorted().map((model) => {
    const facts = readFacts(model);
    const day = facts[0]?.asOf ?? asOf;
    const { contextTokens = null, maxOutputTokens = null } = readWindow(model) ?? {};
    const hasWindow = contextTokens !== null || maxOutputTokens !== null;
    const members = [
      ...(day === asOf ? [] : [`"asOf": "${day}"`]),
      ...(hasWindow ? [`"window": [${contextTokens}, ${maxOutputTokens}]`] : []),
      `"prices": {\n${formatRows(facts).join(',\n')} }`,
    ];
    return `${JSON.stringify(model)}: { ${members.join(', ')} }`;
  });
  const head = Object.entries({ teller, title, asOf }).map(([name, value]) => `"${name}": ${JSON.stringify(value)},\n`);
  return `{\n${head.join('')}"models": {\n${entries.join(',\n')}\n} }\n`;
}

/** One line for each tier and each set of prices, with the places and the scopes that share it. */
function formatRows(facts: readonly PriceFact[]): string[] {
  const rows = Map.groupBy(facts, ({ place, scope, tier }) => `${tier} ${scope} ${place}`);
  const priced = [...rows.values()].flatMap((row) =>
    row.slice(0, 1).map((head) => ({ head, prices: formatPrices(row) })),
  );
  const ofOnePlace = Map.groupBy(priced, ({ head, prices }) => `${head.tier} ${head.place} ${prices}`);
  const scoped = [...ofOnePlace.values()].flatMap((row) => {
    const scopes = SCOPES.filter((scope) => row.some(({ head }) => head.scope === scope)).join(' ');
    return row.slice(0, 1).map((first) => ({ ...first, scopes }));
  });
  const merged = Map.groupBy(scoped, ({ head, scopes, prices }) => `${head.tier} ${scopes} ${prices}`);
  const lines = [...merged.values()].flatMap((row) => {
    const places = row.map((one) => one.head.place).toSorted();
    return row
      .slice(0, 1)
      .map(({ head, scopes, prices }): [string, string] => [`${places.join(' ')} / ${scopes} / ${head.tier}`, prices]);
  });
  return lines
    .toSorted(([one], [other]) => (rankRow(one) < rankRow(other) ? -1 : 1))
    .map(([key, prices]) => `  ${JSON.stringify(key)}: ${prices}`);
}

function rankRow(key: string): string {
  const [places, scopes, tier] = key.split(' / ');
  return `${TIERS.findIndex((name) => name === tier)} ${scopes} ${places}`;
}

function formatPrices(facts: readonly PriceFact[]): string {
  const prices = facts.map((fact): [string, PicoUsd] => [formatUnit(fact), fact.picoUsd]).toSorted(byKey);
  return `{ ${prices.map(([unit, picoUsd]) => `${JSON.stringify(unit)}: ${picoUsd}`).join(', ')} }`;
}

function formatUnit({ unit, limits, aboveTokens, from }: PriceFact): string {
  const kind = limits === undefined ? '' : `|${limits.quality ?? ''}|${limits.maxSide ?? ''}|${limits.maxSteps ?? ''}`;
  return `${unit}${aboveTokens === 0 ? '' : `>${aboveTokens}`}${kind}${from === undefined ? '' : `@${from}`}`;
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}

/**
 * What `formatFactFile` wrote. Throws Error with the reason if it is something else, or not all of it. The facts of a
 * model are read when they are asked for, so that a start costs little: what came from outside has to be checked with
 * `checkFactFile` before it is used.
 */
export function openFactFile(text: string): FactFile {
  return readFactFile(parseJson(text));
}

/** The same, of a value that was parsed as JSON. */
export function readFactFile(file: unknown): FactFile {
  if (!isObject(file) || !isObject(file['models'])) throw new Error('it has no models');
  const { teller, title } = file;
  if (!isTeller(teller) || typeof title !== 'string') throw new Error('it does not say who told the prices');
  const asOf = readDay(file['asOf']);
  const entries = new Map(Object.entries(file['models']));
  const known = new Map<string, readonly PriceFact[]>();
  return {
    teller,
    title,
    asOf,
    models: [...entries.keys()],
    readFacts: (model) => {
      const facts = known.get(model) ?? readRows(entries.get(model), { model, source: teller, asOf });
      if (entries.has(model)) known.set(model, facts);
      return facts;
    },
    readWindow: (model) => parseWindow(entries.get(model), model),
  };
}

/** Throws Error with the reason if anything in the file is no price. */
export function checkFactFile({ models, readFacts, readWindow }: FactFile): void {
  for (const model of models) {
    readFacts(model);
    readWindow(model);
  }
}

type FactOrigin = Pick<PriceFact, 'model' | 'source' | 'asOf'>;

function readRows(entry: unknown, origin: FactOrigin): readonly PriceFact[] {
  if (entry === undefined) return [];
  if (!isObject(entry) || !isObject(entry['prices'])) throw new Error(`it has no prices for ${origin.model}`);
  const of = { ...origin, asOf: readDay(entry['asOf'] ?? origin.asOf) };
  return Object.entries(entry['prices']).flatMap(([key, prices]) => readRow(key, prices, of));
}

function readDay(value: unknown): string {
  if (typeof value !== 'string' || !DAY.test(value)) throw new Error('it does not say from when it is');
  return value;
}

function readRow(key: string, prices: unknown, of: FactOrigin): PriceFact[] {
  const [places = '', scopes = '', tier] = key.split(' / ');
  const names = scopes.split(' ');
  const homes = places.split(' ');
  if (!isObject(prices) || !isTier(tier) || !names.every(isScope) || !homes.every((place) => PLACE.test(place))) {
    throw new Error(`it has a row for ${of.model} that is none: ${key}`);
  }
  const units = Object.entries(prices).map(([unit, picoUsd]) => {
    if (!isCount(picoUsd)) throw new Error(`it has a price of ${of.model} that is none: ${unit}`);
    return { ...readUnit(unit), picoUsd };
  });
  return homes.flatMap((place) =>
    names.flatMap((scope) => units.map((unit) => ({ ...of, place, scope, tier, ...unit }))),
  );
}

function readUnit(text: string): Pick<PriceFact, 'unit' | 'limits' | 'aboveTokens' | 'from'> {
  const [timeless = '', from] = text.split('@');
  const [, unit, quality, maxSide = '', maxSteps = '', aboveTokens = '0'] = UNIT.exec(timeless) ?? [];
  if (unit === undefined) throw new Error(`it has a unit that is none: ${text}`);
  // Those of `formatFactFile`; one that nobody knows is a price that nobody asks for.
  const known = {
    unit: unit as FactUnit,
    aboveTokens: Number(aboveTokens),
    ...(from === undefined ? {} : { from: readDay(from) }),
  };
  if (quality === undefined) return known;
  const limits: MediaLimits = {
    ...(quality === '' ? {} : { quality }),
    ...(maxSide === '' ? {} : { maxSide: Number(maxSide) }),
    ...(maxSteps === '' ? {} : { maxSteps: Number(maxSteps) }),
  };
  return { ...known, limits };
}

function parseWindow(entry: unknown, model: string): ModelWindow | undefined {
  const value = isObject(entry) ? entry['window'] : undefined;
  if (value === undefined) return undefined;
  const [contextTokens, maxOutputTokens] = Array.isArray(value) ? (value as unknown[]) : [];
  const isWindow = [contextTokens, maxOutputTokens].every((tokens) => tokens === null || isCount(tokens));
  if (!isWindow) throw new Error(`it has a window of ${model} that is none`);
  return {
    ...(isCount(contextTokens) ? { contextTokens } : {}),
    ...(isCount(maxOutputTokens) ? { maxOutputTokens } : {}),
  };
}

const isTeller = (value: unknown): value is PriceTeller => TELLERS.has(String(value));
const isTier = (value: string | undefined): value is Tier => TIERS.some((tier) => tier === value);
const isScope = (value: string): value is PriceScope => SCOPES.some((scope) => scope === value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}

/** The facts of several files, the more trusted source first. */
export function indexFacts(files: readonly FactFile[]): PriceFacts {
  const indexes = files.map((file) => {
    const models = new Set(file.models);
    // Made when a name is asked for that is not there as it is.
    let findModel: ReturnType<typeof indexModels> | undefined;
    const idOf = (name: string): string => {
      if (models.has(name)) return name;
      findModel ??= indexModels(file.models.map((id) => ({ id })));
      return findModel(name)?.id ?? name;
    };
    return { file, idOf };
  });
  return {
    sources: files.map(({ teller, title, asOf }) => ({ teller, title, asOf })),
    models: [...new Set(files.flatMap(({ models }) => models))].toSorted(),
    find: (name) => {
      const asked = withoutGeography(name);
      return indexes.flatMap(({ file, idOf }) => file.readFacts(idOf(asked)));
    },
    findWindow: (name) => {
      const asked = withoutGeography(name);
      const windows = indexes.map(({ file, idOf }) => file.readWindow(idOf(asked)));
      return windows.find((window) => window !== undefined) ?? {};
    },
  };
}
