/**
 * The price fields of LiteLLM's map (MIT licence), as facts. The map is data in a Python package: it is read as text,
 * and nothing of the package is run.
 */
import { type FactFile, makeFactFile } from '../../src/pricing/fact-file.ts';
import { GUARDRAILS, type MediaLimits, type ModelWindow, type PriceFact } from '../../src/pricing/price-fact.ts';
import { toPicoUsd } from '../../src/pricing/cost.ts';
import { withoutGeography } from '../../src/domain/model-name.ts';
import { isObject, type JsonObject } from '../../src/lib/json.ts';
import { homesOf, type Home, mergeIds } from './homes.ts';

/** What the map has for Bedrock. */
export interface LiteLlmReading {
  readonly file: FactFile;
  /** Every name of a model it knows, geography or region before it (`eu-west-2/meta.llama3-8b-instruct-v1:0`). */
  readonly names: readonly string[];
  /** Fields with a price that nobody reads, and how often. */
  readonly unread: ReadonlyMap<string, number>;
  /** The same price told in two ways. */
  readonly conflicts: readonly string[];
}

interface Entry {
  /** As the map has it. */
  readonly key: string;
  /** Without geography. */
  readonly model: string;
  readonly geography: string | undefined;
  readonly region: string | undefined;
  readonly isMantle: boolean;
  readonly limits: MediaLimits | undefined;
  readonly fields: JsonObject;
}

type Rate = Pick<PriceFact, 'unit' | 'tier' | 'aboveTokens' | 'picoUsd' | 'limits'>;

/** Sold as something else than a call: by the month; by Anthropic's own platform on AWS. */
const NOT_SOLD_BY_USE = /-commitment\/|^bedrock\/claude_platform\//;
const SIZE = /^(\d+|max)-x-(?:\d+|max)\/(\d+|max)-steps\/(?:bedrock\/)?/;
const REGION = /^([a-z]{2}(?:-gov)?-[a-z]+-\d)\//;
const MODEL_ID = /^[a-z0-9-]+\.[a-z0-9][a-z0-9.:-]*$/;
const FIELD = /^(?<base>.+?)(?:_above_(?<thousands>\d+)k_tokens)?(?:_(?<tier>flex|priority|batches|ultrafast))?$/;
const UNITS: Readonly<Record<string, PriceFact['unit']>> = {
  input_cost_per_token: 'input',
  output_cost_per_token: 'output',
  cache_read_input_token_cost: 'cacheRead',
  cache_creation_input_token_cost: 'cacheWrite',
  cache_creation_input_token_cost_above_1hr: 'cacheWrite1h',
  input_cost_per_audio_token: 'inputAudio',
  output_cost_per_audio_token: 'outputAudio',
  output_cost_per_image: 'image',
  input_cost_per_image: 'inputImages',
  input_cost_per_video_per_second: 'inputVideoSeconds',
  input_cost_per_audio_per_second: 'inputAudioSeconds',
};
/** AWS does not sell at this tier, or its price is in another field as well. */
const LEFT_OUT = new Set(['ultrafast', 'input_cost_per_image_token', 'input_cost_per_second', 'cost_per_second']);
/** What contradicts the prices of its neighbours, in GovCloud; an id that no model ever had. */
const MISTAKEN = [
  /^us-gov-(?:east|west)-1\/amazon\.titan-text-(?:express|lite)-v1$/,
  /^us-gov-east-1\/meta\.llama3-8b-/,
  /claude-3-7-sonnet-20240620/,
];

/** Of the text of the map. `asOf` is the day of the package. Throws if it is no such map. */
export function readLiteLlm(text: string, { version, asOf }: { version: string; asOf: string }): LiteLlmReading {
  const map: unknown = JSON.parse(text);
  if (!isObject(map)) throw new Error('this is not the map of prices of LiteLLM');
  const entries = Object.entries(map).flatMap(([key, fields]) => readEntry(key, fields));
  const idsOf = (isMantle: boolean): string[] =>
    entries.filter((entry) => entry.isMantle === isMantle).map(({ model }) => model);
  const canonical = mergeIds(idsOf(false), idsOf(true));
  const unread = new Map<string, number>();
  const book = new Map<string, PriceFact>();
  const conflicts: string[] = [];
  const windows = new Map<string, ModelWindow>();
  // The endpoint that most call decides if the two differ.
  for (const entry of entries.toSorted((one, other) => Number(one.isMantle) - Number(other.isMantle))) {
    const model = canonical(entry.model);
    const rates = readRates(entry, unread);
    for (const home of homesOfEntry(entry, entries)) {
      for (const rate of rates) {
        const fact: PriceFact = { model, ...home, ...rate, source: 'litellm', asOf };
        const key = JSON.stringify({ ...fact, picoUsd: undefined });
        const known = book.get(key);
        if (known === undefined) book.set(key, fact);
        else if (known.picoUsd !== fact.picoUsd) conflicts.push(`${entry.key} ${fact.unit} ${fact.tier}`);
      }
    }
    widen(windows, model, entry.fields);
  }
  const title = `LiteLLM ${version}, model_prices_and_context_window.json`;
  const names = entries.filter(({ limits }) => limits === undefined).map(nameOf);
  return {
    file: makeFactFile({ teller: 'litellm', title, asOf }, book.values(), windows),
    names: [...new Set(names)].toSorted(),
    unread,
    conflicts,
  };
}

function readEntry(key: string, fields: unknown): Entry[] {
  if (!isObject(fields) || !String(fields['litellm_provider']).startsWith('bedrock')) return [];
  if (NOT_SOLD_BY_USE.test(key)) return [];
  const plain = { key, fields, geography: undefined, region: undefined, isMantle: false, limits: undefined };
  if (key === 'bedrock/guardrails') return [{ ...plain, model: GUARDRAILS }];
  const [, side = 'max', steps = 'max'] = SIZE.exec(key) ?? [];
  const limits = {
    ...(side === 'max' ? {} : { maxSide: Number(side) }),
    ...(steps === 'max' ? {} : { maxSteps: Number(steps) }),
  };
  const isSized = SIZE.test(key);
  const name = key.replace(SIZE, '').replace(/^bedrock(?:_mantle|_converse)?\//, '');
  const region = REGION.exec(name)?.[1];
  const id = name.replace(REGION, '');
  const model = withoutGeography(id);
  // Without a provider, or in another service's way to write it: a second name of an entry that is there as well.
  if (
    !MODEL_ID.test(model) ||
    MISTAKEN.some((pattern) => pattern.test(name)) ||
    (isSized && model.startsWith('amazon.'))
  )
    return [];
  const geography = id === model ? undefined : id.slice(0, -model.length - 1);
  const isMantle = key.startsWith('bedrock_mantle/');
  return [{ key, model, geography, region, isMantle, limits: isSized ? limits : undefined, fields }];
}

function nameOf({ model, geography, region }: Entry): string {
  if (region !== undefined) return `${region}/${model}`;
  return geography === undefined ? model : `${geography}.${model}`;
}

/**
 * Where an entry's prices hold. An id without geography that costs less than its profile of the United States has the
 * price of `global.`: AWS bills a model in its region and by the profile of a geography alike.
 */
function homesOfEntry(entry: Entry, entries: readonly Entry[]): readonly Home[] {
  const { model, geography, region } = entry;
  if (region !== undefined) return homesOf(model, { regions: [region] });
  if (geography === 'global') return homesOf(model, { isGlobal: true });
  if (geography !== undefined) {
    const isNeeded = geography === 'us' && !entries.some((other) => isInRegion(other, entry));
    const own: Home[] = [{ place: geography, scope: 'geo' }];
    return isNeeded ? [...own, ...homesOf(model, {})] : own;
  }
  return isGlobalPrice(entry, entries) ? homesOf(model, { isGlobal: true }) : homesOf(model, {});
}

function isInRegion(other: Entry, { model, fields }: Entry): boolean {
  const isBare = other.geography === undefined && other.region === undefined;
  return isBare && sameName(other.model, model) && inputOf(other.fields) >= inputOf(fields);
}

function isGlobalPrice({ model, fields }: Entry, entries: readonly Entry[]): boolean {
  const ofStates = entries.find((other) => other.geography === 'us' && sameName(other.model, model));
  return ofStates !== undefined && inputOf(ofStates.fields) > inputOf(fields);
}

/** `anthropic.claude-haiku-4-5` is how one endpoint calls `anthropic.claude-haiku-4-5-20251001-v1:0`. */
function sameName(one: string, other: string): boolean {
  return withoutVersion(one) === withoutVersion(other);
}

const withoutVersion = (id: string): string => id.replace(/(?:-v\d+)?(?::\d+)?$/, '').replace(/-20\d{6}$/, '');

const inputOf = (fields: JsonObject): number => Number(fields['input_cost_per_token'] ?? 0);

function readRates({ model, limits, fields }: Entry, unread: Map<string, number>): Rate[] {
  const rates: Rate[] = [];
  const add = (rate: Omit<Rate, 'picoUsd'>, usd: unknown): void => {
    const picoUsd = typeof usd === 'number' ? toPicoUsd(Number(usd.toPrecision(12)), 12) : undefined;
    // A zero stands for a price that is in another field; units of guardrails do cost nothing.
    if (picoUsd === undefined || (picoUsd === 0 && model !== GUARDRAILS)) return;
    rates.push({ ...rate, picoUsd });
  };
  for (const [field, value] of Object.entries(fields).filter(([name]) => name.includes('cost'))) {
    const { base = '', thousands, tier: suffix } = FIELD.exec(field)?.groups ?? {};
    const unit = UNITS[base] ?? (base === 'input_cost_per_query' ? queryUnit(fields) : undefined);
    if (suffix === 'ultrafast' || LEFT_OUT.has(base)) continue;
    const common = { tier: tierOf(suffix), aboveTokens: Number(thousands ?? 0) * 1000 };
    if (unit !== undefined) add({ ...common, unit, ...(limits === undefined ? {} : { limits }) }, value);
    else if (field === 'search_context_cost_per_query') add({ ...common, unit: 'webSearches' }, dearest(value));
    else if (field === 'guardrail_cost_per_unit') {
      for (const [name, usd] of Object.entries(value ?? {})) add({ ...common, unit: name as 'Units' }, usd);
    } else unread.set(field, (unread.get(field) ?? 0) + 1);
  }
  return rates;
}

/** A reranking sells by the query; an embedding of text, where it sells by the piece, by the request. */
function queryUnit(fields: JsonObject): PriceFact['unit'] {
  return fields['mode'] === 'rerank' ? 'searchQueries' : 'request';
}

function tierOf(suffix: string | undefined): PriceFact['tier'] {
  if (suffix === undefined) return 'standard';
  return suffix === 'batches' ? 'batch' : (suffix as 'flex' | 'priority');
}

function dearest(value: unknown): number | undefined {
  const prices = isObject(value) ? Object.values(value).filter((price) => typeof price === 'number') : [];
  return prices.length === 0 ? undefined : Math.max(...prices);
}

/** The largest window that an entry of the model names. */
function widen(windows: Map<string, ModelWindow>, model: string, fields: JsonObject): void {
  if (!['chat', 'responses', 'realtime'].includes(String(fields['mode']))) return;
  const known = windows.get(model) ?? {};
  const contextTokens = larger(fields['max_input_tokens'], known.contextTokens);
  const maxOutputTokens = larger(fields['max_output_tokens'], known.maxOutputTokens);
  windows.set(model, {
    ...(contextTokens === 0 ? {} : { contextTokens }),
    ...(maxOutputTokens === 0 ? {} : { maxOutputTokens }),
  });
}

const larger = (value: unknown, other = 0): number => Math.max(other, typeof value === 'number' ? value : 0);
