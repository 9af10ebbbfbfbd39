/**
 * What Bedrock's models cost: the owner's price file first, then data that `prices update` fetched, then the data this
 * program came with. The only file that knows the library, which takes 25 ms to load: import this file when prices are
 * needed. The library's data and its choice by date are used; its search by name and its arithmetic (floating point)
 * are not.
 */
import { findCode } from '../lib/errno.ts';
import { calcPrice, findProvider, type ModelInfo, REMOTE_DATA_JSON_URL } from '@pydantic/genai-prices';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { MAX_MODEL_LENGTH, parseModelName } from '../domain/model-name.ts';
import type { ModelPrice, PriceBook, PriceMoment, PriceOrigin } from './cost.ts';
import { indexModels, readPriceRecord } from './price-data.ts';
import { findInPriceFile, type PriceFile, readPriceFile, type Tier } from './price-file.ts';
import { BEDROCK_PROVIDER, parseRefreshed, type PublishedModel } from './price-refresh.ts';

/** Where the library's authors publish their data. */
export const PUBLISHED_PRICES_URL: string = REMOTE_DATA_JSON_URL;

/** Where prices come from. */
export interface PriceOptions {
  /** Path of the owner's price file; undefined: none. */
  readonly priceFile: string | undefined;
  /** Path of what `prices update` wrote; it may be missing. Undefined: not looked for. */
  readonly refreshedFile: string | undefined;
  /** Told, in one sentence, where the refreshed file is there but cannot be used: the built-in data count then. */
  readonly warn: (message: string) => void;
}

/** Where `prices update` keeps its data: beside the key database. */
export function refreshedPricesPath(databasePath: string): string {
  return join(dirname(databasePath), 'prices.json');
}

/** Throws ERR_BAD_OPTION where the price file cannot be read, or is wrong at some place, which is named. */
export async function loadPrices(options: PriceOptions): Promise<PriceBook> {
  const file = options.priceFile === undefined ? undefined : await readPriceFile(options.priceFile);
  const refreshed =
    options.refreshedFile === undefined ? undefined : await readRefreshed(options.refreshedFile, options.warn);
  return new Prices(file, refreshed === undefined ? [builtIn()] : [refreshed, builtIn()]);
}

/** A price book of such models alone; `fetchedAtMs` is what it says of their origin. */
export function bookOf(models: readonly PublishedModel[], fetchedAtMs: number): PriceBook {
  return new Prices(undefined, [
    openSource(models, (name) => ({ kind: 'refreshed', source: 'genai-prices', name, asOf: dayOf(fetchedAtMs) })),
  ]);
}

/** The version of the library whose data are built in. */
export async function readBuiltInVersion(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve('@pydantic/genai-prices');
  const text = await readFile(join(dirname(entry), '../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Models, and how to find the one that a name means. */
interface PriceSource {
  readonly models: readonly PublishedModel[];
  readonly find: (name: string) => PublishedModel | undefined;
  readonly originOf: (name: string) => PriceOrigin;
}

function builtIn(): PriceSource {
  // The library's types are wider than what its records hold: the same shape as in the published document.
  const models = (findProvider({ providerId: BEDROCK_PROVIDER })?.models ?? []) as readonly PublishedModel[];
  return openSource(models, (name) => ({ kind: 'built-in', source: 'genai-prices', name }));
}

function openSource(models: readonly PublishedModel[], originOf: PriceSource['originOf']): PriceSource {
  return { models, find: indexModels(models), originOf };
}

/**
 * How a request may say that it is served in the ordinary way; what is asked for as `auto` is answered under its true
 * name.
 */
const STANDARD = new Set([undefined, 'default', 'standard', 'auto', 'standard_only', 'on_demand']);
const TIERS: ReadonlySet<string> = new Set<Tier>(['flex', 'priority', 'batch', 'reserved']);
const MINUTE_MS = 60_000;
/** Names come from clients: so many are remembered, then all forgotten. */
const MAX_REMEMBERED = 2000;

class Prices implements PriceBook {
  readonly #file: PriceFile | undefined;
  readonly #sources: readonly PriceSource[];
  readonly #remembered = new Map<string, { readonly minute: number; readonly price: ModelPrice | undefined }>();

  /** The first source that knows a model decides, even where it has no price for it. */
  constructor(file: PriceFile | undefined, sources: readonly PriceSource[]) {
    this.#file = file;
    this.#sources = sources;
  }

  find(name: string, moment: PriceMoment): ModelPrice | undefined {
    const tier = tierOf(moment);
    if (tier === undefined || name.length > MAX_MODEL_LENGTH) return undefined;
    const key = `${tier} ${name}`;
    const minute = Math.floor(moment.atMs / MINUTE_MS);
    const known = this.#remembered.get(key);
    if (known?.minute === minute) return known.price;
    const price = this.#look(name, tier, moment.atMs);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, { minute, price });
    return price;
  }

  findGuardrail(): ModelPrice | undefined {
    const guardrailUnits = this.#file?.guardrailUnits;
    return guardrailUnits && { guardrailUnits, origin: { kind: 'file', source: 'file', name: 'guardrail_units' } };
  }

  list(atMs: number): { readonly name: string; readonly price: ModelPrice }[] {
    const prices = new Map<string, ModelPrice>();
    const add = (name: string, price: ModelPrice | undefined): void => {
      if (price !== undefined && !prices.has(name)) prices.set(name, price);
    };
    for (const { pattern, prices: tiers } of this.#file?.entries ?? []) add(pattern, tiers.get('standard'));
    for (const { id } of this.#sources.flatMap(({ models }) => models)) {
      const name = id.replace(/^regional\./, '');
      add(name, this.find(name, { atMs, region: '', serviceTier: undefined, latency: undefined }));
    }
    return [...prices].map(([name, price]) => ({ name, price }));
  }

  #look(name: string, tier: Tier, atMs: number): ModelPrice | undefined {
    const modelName = parseModelName(name);
    const own = this.#file && findInPriceFile(this.#file, modelName, tier);
    const price = own ?? (tier === 'standard' ? this.#lookInData(modelName.priceName, atMs) : undefined);
    const guardrailUnits = this.#file?.guardrailUnits;
    if (price === undefined) return undefined;
    const contextTokens = this.#findContextTokens(modelName.priceName);
    return {
      ...price,
      ...(guardrailUnits === undefined ? {} : { guardrailUnits }),
      ...(contextTokens === undefined ? {} : { contextTokens }),
    };
  }

  /** Also of a model whose price is the owner's. */
  #findContextTokens(priceName: string | undefined): number | undefined {
    if (priceName === undefined) return undefined;
    return this.#sources.map(({ find }) => find(priceName)?.context_window).find((window) => window !== undefined);
  }

  #lookInData(priceName: string | undefined, atMs: number): ModelPrice | undefined {
    if (priceName === undefined) return undefined;
    for (const { find, originOf } of this.#sources) {
      const model = find(priceName);
      if (model === undefined) continue;
      const record = recordAt(model, atMs);
      const price = record && readPriceRecord(model.id, record);
      return price && { ...price, origin: originOf(model.id) };
    }
    return undefined;
  }
}

/** Undefined for what is served in two ways at once, or in a way that nobody told us of. */
function tierOf({ serviceTier, latency }: PriceMoment): Tier | undefined {
  const isOptimized = latency === 'optimized';
  if (!isOptimized && !STANDARD.has(latency)) return undefined;
  if (STANDARD.has(serviceTier)) return isOptimized ? 'optimized' : 'standard';
  return !isOptimized && isTier(serviceTier) ? serviceTier : undefined;
}

function isTier(text: string | undefined): text is Tier {
  return text !== undefined && TIERS.has(text);
}

/** The record that is in force. The library chooses by date; handed that model alone, it has nothing to search. */
function recordAt({ id, prices }: PublishedModel, atMs: number): Readonly<Record<string, unknown>> | undefined {
  const model = { id, match: { equals: 'it' }, prices } as ModelInfo;
  const provider = { id: BEDROCK_PROVIDER, name: '', api_pattern: '', models: [model] };
  try {
    return calcPrice({}, 'it', { provider, timestamp: new Date(atMs) })?.model_price;
  } catch {
    // It throws for records that contradict themselves: no price then.
    return undefined;
  }
}

async function readRefreshed(path: string, warn: PriceOptions['warn']): Promise<PriceSource | undefined> {
  try {
    const { models, fetchedAtMs } = parseRefreshed(await readFile(path, 'utf8'));
    return openSource(models, (name) => ({
      kind: 'refreshed',
      source: 'genai-prices',
      name,
      asOf: dayOf(fetchedAtMs),
    }));
  } catch (error) {
    const reason = codeOf(error);
    if (reason === 'ENOENT') return undefined;
    warn(`${path} is not used (${reason}): the built-in prices count. Run \`bedrock-proxy prices update\`.`);
    return undefined;
  }
}

function dayOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10);
}

/** A system error's code, or the message of one of ours. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return findCode(error) ?? error.message;
}
