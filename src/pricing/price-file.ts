/**
 * The owner's own prices (`--prices FILE`): the format, read strictly, and which of its entries speaks for a model.
 * Pure, but for reading the file. What an entry does not name is unknown; nothing is taken over from another one.
 *
 *     { "models": { "anthropic.claude-*": { "input_mtok": 3, "output_mtok": 15, "tiers": { "flex": {...} },
 *                                           "regions": { "eu-*": { "input_mtok": 3.3 } } } },
 *       "guardrail_units": { "contentPolicyUnits": 0.00015 } }
 */
import { findCode } from '../lib/errno.ts';
import { readFile } from 'node:fs/promises';
import { ProxyError } from '../lib/errors.ts';
import { matchesGlob } from '../lib/glob.ts';
import type { ModelName } from '../domain/model-name.ts';
import { PIECE_UNITS } from '../domain/units.ts';
import { type ModelPrice, type PicoUsd, type PriceMoment, type Tier, TOKEN_RATES, toPicoUsd } from './cost.ts';
import type { MediaLimits } from './price-fact.ts';
import { chooseVariant } from './variant.ts';

/** A price file, read. */
export interface PriceFile {
  /** In the order of the file. */
  readonly entries: readonly PriceEntry[];
  /** Per unit. */
  readonly guardrailUnits: Readonly<Record<string, PicoUsd>> | undefined;
}

/** One entry of a price file: a name or pattern, and its prices. */
export interface PriceEntry {
  /** A name, or a pattern in which `*` stands for any characters. */
  readonly pattern: string;
  /** A tier that is not here has no price in this entry. */
  readonly prices: TierPrices;
  /** What is otherwise in some regions; exact names before patterns. */
  readonly regions: readonly { readonly pattern: string; readonly prices: TierPrices }[];
  readonly maxOutputTokens: number | undefined;
}

type TierPrices = ReadonlyMap<Tier, FilePrice>;

interface FilePrice extends ModelPrice {
  /** By kind; none of them: `image` holds for all. */
  readonly images?: readonly { readonly limits: MediaLimits; readonly picoUsd: PicoUsd }[];
}

/** For which of its prices an entry is asked. */
export interface EntryKey extends Pick<PriceMoment, 'region' | 'variant'> {
  readonly tier: Tier;
}

/** USD each. */
const PER_PIECE = { image: 'image', request: 'request' } as const satisfies Record<string, keyof ModelPrice>;
const PRICE_FIELDS = [...Object.keys(TOKEN_RATES), ...Object.keys(PER_PIECE), 'units', 'images'];
const TIERS = ['flex', 'priority', 'batch', 'reserved', 'optimized'] as const satisfies readonly Tier[];

/** The file at `path`. Throws ERR_BAD_OPTION where it cannot be read, or is wrong at some place, which is named. */
export async function readPriceFile(path: string): Promise<PriceFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = findCode(cause) ?? 'unknown';
    throw new ProxyError('ERR_BAD_OPTION', `The price file (--prices) cannot be read (${code}).`, {
      detail: path,
      cause,
    });
  }
  return parsePriceFile(text);
}

/** The file's text as prices. Throws ERR_BAD_OPTION, naming the place in the file. */
export function parsePriceFile(text: string): PriceFile {
  const file = membersOf(parseJson(text), 'the file', ['models', 'guardrail_units']);
  const { models: ownModels = {}, guardrail_units: ownUnits = {} } = file;
  const models = Object.entries(membersOf(ownModels, 'models'));
  const units = Object.entries(membersOf(ownUnits, 'guardrail_units'));
  return {
    entries: models.map(([name, value]) => parseEntry(name, value)),
    guardrailUnits:
      units.length === 0
        ? undefined
        : Object.fromEntries(units.map(([name, usd]) => [name, parsePrice(usd, at('guardrail_units', name), 12)])),
  };
}

/**
 * The price of the first entry that has one for this tier and region: entries named exactly like a form of the model,
 * the most exact form first, then patterns, in the order of the file.
 */
export function findInPriceFile(file: PriceFile, { forms }: ModelName, key: EntryKey): ModelPrice | undefined {
  const exact = forms.flatMap((form) => file.entries.filter(({ pattern }) => pattern === form));
  const matching = file.entries.filter(({ pattern }) => forms.some((form) => matchesGlob(pattern, form)));
  for (const entry of [...exact, ...matching]) {
    const price = priceOfEntry(entry, key);
    if (price !== undefined) return price;
  }
  return undefined;
}

/** The entry's price, with what it says of the region in place of what it says of all. */
export function priceOfEntry(entry: PriceEntry, { tier, region, variant }: EntryKey): ModelPrice | undefined {
  const regional = entry.regions.find(({ pattern, prices }) => prices.has(tier) && matchesGlob(pattern, region));
  const [everywhere, here] = [entry.prices.get(tier), regional?.prices.get(tier)];
  if (everywhere === undefined && here === undefined) return undefined;
  const { images: _images, ...price } = { ...everywhere, ...here };
  const images = here?.images ?? (here?.image === undefined ? everywhere?.images : undefined) ?? [];
  const image = chooseVariant(images, variant, (one) => one)?.picoUsd;
  const { maxOutputTokens } = entry;
  return { ...price, ...(image !== undefined && { image }), ...(maxOutputTokens !== undefined && { maxOutputTokens }) };
}

function parseEntry(name: string, value: unknown): PriceEntry {
  const where = at('models', name);
  // LiteLLM's way to name a model of Bedrock.
  const pattern = name.replace(/^bedrock\//, '');
  if (pattern === '') throw wrong(where, 'has no name');
  const members = membersOf(value, where, [...PRICE_FIELDS, 'tiers', 'regions', 'max_output_tokens']);
  const { regions = {}, max_output_tokens: maxOutput, ...own } = members;
  const regional = Object.entries(membersOf(regions, `${where}.regions`)).map(([region, part]) => {
    const place = `${where}.regions[${JSON.stringify(region)}]`;
    return { pattern: region, prices: parseTiers(membersOf(part, place, [...PRICE_FIELDS, 'tiers']), place, pattern) };
  });
  const prices = regional.length > 0 && Object.keys(own).length === 0 ? new Map() : parseTiers(own, where, pattern);
  return {
    pattern,
    prices,
    regions: regional.toSorted((a, b) => starsOf(a.pattern) - starsOf(b.pattern)),
    maxOutputTokens: maxOutput === undefined ? undefined : parseCount(maxOutput, `${where}.max_output_tokens`),
  };
}

/** 0 for a name, 1 for a pattern. */
function starsOf(pattern: string): number {
  return pattern.includes('*') ? 1 : 0;
}

/** The prices of one place of the file, those of the standard tier among them. Throws if there are none. */
function parseTiers(members: Readonly<Record<string, unknown>>, where: string, pattern: string): TierPrices {
  const { tiers = {}, ...own } = members;
  const prices = new Map<Tier, FilePrice>();
  if (Object.keys(own).length > 0) prices.set('standard', parsePrices(own, where, pattern));
  const parts = membersOf(tiers, `${where}.tiers`, TIERS);
  for (const tier of TIERS) {
    if (!Object.hasOwn(parts, tier)) continue;
    const place = `${where}.tiers.${tier}`;
    const part = membersOf(parts[tier], place, PRICE_FIELDS);
    if (Object.keys(part).length === 0) throw wrong(place, 'must hold a price');
    prices.set(tier, parsePrices(part, place, pattern));
  }
  if (prices.size === 0) throw wrong(where, 'must hold a price');
  return prices;
}

function parsePrices(members: Readonly<Record<string, unknown>>, where: string, pattern: string): FilePrice {
  const prices: Record<string, PicoUsd> = {};
  for (const [name, field] of Object.entries(TOKEN_RATES)) {
    if (Object.hasOwn(members, name)) prices[field] = parsePrice(members[name], `${where}.${name}`, 6);
  }
  for (const [name, field] of Object.entries(PER_PIECE)) {
    if (Object.hasOwn(members, name)) prices[field] = parsePrice(members[name], `${where}.${name}`, 12);
  }
  const units = membersOf(members['units'] ?? {}, `${where}.units`, Object.keys(PIECE_UNITS));
  if (members['units'] !== undefined && Object.keys(units).length === 0)
    throw wrong(`${where}.units`, 'must hold a price');
  const own = Object.entries(units).map(([name, usd]) => [name, parsePrice(usd, `${where}.units.${name}`, 12)]);
  return {
    ...prices,
    ...(own.length > 0 && { units: Object.fromEntries(own) as Record<string, PicoUsd> }),
    ...(members['images'] !== undefined && { images: parseImages(members['images'], `${where}.images`) }),
    origin: { kind: 'file', source: 'file', name: pattern },
  };
}

function parseImages(value: unknown, where: string): NonNullable<FilePrice['images']> {
  if (!Array.isArray(value) || value.length === 0) throw wrong(where, 'must be a list of prices');
  return value.map((item: unknown, index) => {
    const place = `${where}[${index}]`;
    const { price, quality, ...most } = membersOf(item, place, ['quality', 'max_side', 'max_steps', 'price']);
    if (quality !== undefined && typeof quality !== 'string') throw wrong(`${place}.quality`, 'must be text');
    const [maxSide, maxSteps] = ['max_side', 'max_steps'].map((name) =>
      most[name] === undefined ? undefined : parseCount(most[name], `${place}.${name}`),
    );
    const limits = { quality: quality?.toLowerCase(), maxSide, maxSteps };
    return { limits, picoUsd: parsePrice(price, `${place}.price`, 12) };
  });
}

function parseCount(value: unknown, where: string): number {
  if (Number.isSafeInteger(value) && Number(value) > 0) return Number(value);
  throw wrong(where, 'must be a whole number from 1 on');
}

function parsePrice(value: unknown, where: string, decimals: 6 | 12): PicoUsd {
  const pico = typeof value === 'number' ? toPicoUsd(value, decimals) : undefined;
  if (pico === undefined)
    throw wrong(where, `must be a price in USD: a number from 0 on, with at most ${decimals} decimals`);
  return pico;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw wrong('the file', `must be JSON (${error instanceof Error ? error.message : 'unreadable'})`);
  }
}

/** An object's own members; with `allowed`, no others. */
function membersOf(value: unknown, where: string, allowed?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'must be an object');
  const unknown = allowed === undefined ? undefined : Object.keys(value).find((name) => !allowed.includes(name));
  if (unknown !== undefined) {
    throw wrong(
      `${where === 'the file' ? '' : `${where}.`}${unknown}`,
      'is not known here',
      `Known are ${allowed?.join(', ')}.`,
    );
  }
  return value as Readonly<Record<string, unknown>>;
}

const at = (parent: string, name: string): string => `${parent}[${JSON.stringify(name)}]`;

function wrong(where: string, what: string, hint?: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `In the price file (--prices), ${where} ${what}.`, { hint });
}
