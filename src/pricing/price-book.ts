/**
 * What Bedrock's models cost: the owner's price file first, then facts that `prices update` fetched, then those this
 * program came with. Reads the files; which fact counts is decided by `price-rates.ts`.
 */
import { findCode } from '../lib/errno.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_MODEL_LENGTH, parseModelName } from '../domain/model-name.ts';
import type { MediaVariant, ModelPrice, PriceBook, PriceMoment, Tier } from './cost.ts';
import { indexFacts } from './fact-file.ts';
import { type FactSource, GUARDRAILS, type ModelWindow, type PriceFacts } from './price-fact.ts';
import { findInPriceFile, type PriceFile, priceOfEntry, readPriceFile } from './price-file.ts';
import { keyOfPrice } from './price-key.ts';
import { type ExplainedFact, explainPrice, type KnownFact, priceOf, type RateKey } from './price-rates.ts';
import { parseRefreshed } from './price-refresh.ts';
import { readSnapshot } from './snapshot.ts';

/** Where prices come from. */
export interface PriceOptions {
  /** Path of the owner's price file; undefined: none. */
  readonly priceFile: string | undefined;
  /** Path of what `prices update` wrote; it may be missing. Undefined: not looked for. */
  readonly refreshedFile: string | undefined;
  /** Told, in one sentence, if the refreshed file is there but cannot be used: the built-in facts count then. */
  readonly warn: (message: string) => void;
}

/** A price book that says where its prices come from. */
export interface ExplainedBook extends PriceBook {
  /** What was fetched and what is built in, the first counts more. */
  readonly sources: readonly (FactSource & Pick<KnownFact, 'kind'>)[];
  /** What every source says of a price, unit by unit; nothing of the owner's file. Throws never. */
  explain(name: string, moment: PriceMoment): readonly ExplainedFact[];
}

/** Facts, and how they came here. */
export interface FactLayer extends Pick<KnownFact, 'kind'> {
  readonly facts: PriceFacts;
}

/** Where `prices update` keeps its data: in the folder of the key database. */
export function refreshedPricesPath(folder: string): string {
  return join(folder, 'prices.json');
}

/** Throws ERR_BAD_OPTION if the price file cannot be read, or is wrong at some place, which is named. */
export async function loadPrices(options: PriceOptions): Promise<ExplainedBook> {
  const file = options.priceFile === undefined ? undefined : await readPriceFile(options.priceFile);
  const refreshed = options.refreshedFile === undefined ? [] : await readRefreshed(options.refreshedFile, options.warn);
  return bookOf([...refreshed, { kind: 'built-in', facts: readSnapshot() }], file);
}

/** A price book of such facts alone; what comes first counts more. */
export function bookOf(layers: readonly FactLayer[], file?: PriceFile): ExplainedBook {
  return new Prices(file, layers);
}

/**
 * How a request may say that it is served in the ordinary way; what is asked for as `auto` is answered under its true
 * name.
 */
const STANDARD = new Set([undefined, 'default', 'standard', 'auto', 'standard_only', 'on_demand']);
const TIERS: ReadonlySet<string> = new Set<Tier>(['flex', 'priority', 'batch', 'reserved']);
const DAY_MS = 86_400_000;
/** Names come from clients: so many are remembered, then all forgotten. */
const MAX_REMEMBERED = 2000;
const MAX_QUALITY_LENGTH = 64;

interface Remembered {
  readonly day: number;
  readonly price: ModelPrice | undefined;
}

class Prices implements ExplainedBook {
  readonly sources: ExplainedBook['sources'];
  readonly #file: PriceFile | undefined;
  readonly #layers: readonly FactLayer[];
  /** By region, then by tier and name: so a look-up makes one text. */
  readonly #remembered = new Map<string, Map<string, Remembered>>();
  #rememberedCount = 0;

  constructor(file: PriceFile | undefined, layers: readonly FactLayer[]) {
    this.#file = file;
    this.#layers = layers;
    this.sources = layers.flatMap(({ kind, facts }) => facts.sources.map((source) => ({ ...source, kind })));
  }

  find(name: string, moment: PriceMoment): ModelPrice | undefined {
    const tier = tierOf(moment);
    if (tier === undefined || name.length > MAX_MODEL_LENGTH) return undefined;
    const { variant } = moment;
    const usual = this.#recall(`${tier} ${name}`, moment, () =>
      this.#look(name, tier, { ...moment, variant: undefined }),
    );
    // Of nothing else there are kinds.
    if (variant === undefined || (usual?.image ?? usual?.units?.videoSeconds) === undefined) return usual;
    return this.#recall(`${tier} ${nameVariant(variant)} ${name}`, moment, () => this.#look(name, tier, moment));
  }

  findGuardrail(moment: PriceMoment): ModelPrice | undefined {
    return this.#recall(GUARDRAILS, moment, () => this.#lookUpGuardrail(moment));
  }

  list(moment: PriceMoment): { readonly name: string; readonly price: ModelPrice }[] {
    const tier = tierOf(moment);
    if (tier === undefined) return [];
    const prices = new Map<string, ModelPrice>();
    const add = (name: string, price: ModelPrice | undefined): void => {
      if (price !== undefined && !prices.has(name)) prices.set(name, price);
    };
    for (const entry of this.#file?.entries ?? []) add(entry.pattern, priceOfEntry(entry, { ...moment, tier }));
    const ids = new Set(this.#layers.flatMap(({ facts }) => facts.models));
    for (const id of ids) {
      if (id === GUARDRAILS) continue;
      // The profile of a geography costs what the region does.
      for (const name of [id, `global.${id}`]) add(name, this.#look(name, tier, moment));
    }
    return [...prices].map(([name, price]) => ({ name, price }));
  }

  explain(name: string, moment: PriceMoment): readonly ExplainedFact[] {
    const { priceName } = parseModelName(name);
    const tier = tierOf(moment);
    if (priceName === undefined || tier === undefined) return [];
    return explainPrice(this.#factsOf(priceName), rateKeyOf(priceName, tier, moment));
  }

  /** What was found before for the text, the region and the day; else what `look` finds. */
  #recall(text: string, { region, atMs }: PriceMoment, look: () => ModelPrice | undefined): ModelPrice | undefined {
    const day = Math.floor(atMs / DAY_MS);
    let ofRegion = this.#remembered.get(region);
    const known = ofRegion?.get(text);
    if (known?.day === day) return known.price;
    const price = dayOf(atMs) === undefined ? undefined : look();
    if (this.#rememberedCount >= MAX_REMEMBERED) {
      this.#remembered.clear();
      this.#rememberedCount = 0;
    }
    // Looking may have remembered others.
    ofRegion = this.#remembered.get(region) ?? new Map<string, Remembered>();
    this.#remembered.set(region, ofRegion.set(text, { day, price }));
    this.#rememberedCount += 1;
    return price;
  }

  #look(name: string, tier: Tier, moment: PriceMoment): ModelPrice | undefined {
    const modelName = parseModelName(name);
    const { priceName } = modelName;
    const own = this.#file && findInPriceFile(this.#file, modelName, { ...moment, tier });
    const price = own ?? (priceName === undefined ? undefined : this.#lookInFacts(priceName, tier, moment));
    if (price === undefined) return undefined;
    const guardrail = this.findGuardrail(moment);
    const windows = priceName === undefined ? {} : this.#findWindow(priceName);
    const whole = (one: ModelPrice, units: ModelPrice | undefined): ModelPrice => ({
      ...windows,
      ...one,
      ...(units?.guardrailUnits && { guardrailUnits: units.guardrailUnits }),
    });
    const { ceiling = guardrail?.ceiling && price } = price;
    return {
      ...whole(price, guardrail),
      ...(ceiling && { ceiling: whole(ceiling, guardrail?.ceiling ?? guardrail) }),
    };
  }

  #lookUpGuardrail(moment: PriceMoment): ModelPrice | undefined {
    const own = this.#file?.guardrailUnits;
    const known = this.#lookInFacts(GUARDRAILS, 'standard', { ...moment, variant: undefined });
    if (own === undefined) return known;
    const guardrailUnits = { ...known?.guardrailUnits, ...own };
    return { guardrailUnits, origin: { kind: 'file', source: 'file', name: 'guardrail_units' } };
  }

  #lookInFacts(priceName: string, tier: Tier, moment: PriceMoment): ModelPrice | undefined {
    return priceOf(this.#factsOf(priceName), rateKeyOf(priceName, tier, moment));
  }

  /** What was fetched of a place replaces what is built in of the same source and place: it is whole. */
  #factsOf(priceName: string): readonly KnownFact[] {
    const known: KnownFact[] = [];
    const replaced = new Set<string>();
    for (const { facts, kind } of this.#layers) {
      const found = facts.find(priceName).filter(({ source, place }) => !replaced.has(`${source} ${place}`));
      for (const fact of found) known.push({ fact, kind });
      for (const { source, place } of found) replaced.add(`${source} ${place}`);
    }
    return known;
  }

  /** Also of a model whose price is the owner's. */
  #findWindow(priceName: string): ModelWindow {
    return Object.assign(
      {},
      ...this.#layers.map(({ facts }) => facts.findWindow(priceName)).toReversed(),
    ) as ModelWindow;
  }
}

function rateKeyOf(priceName: string, tier: Tier, { atMs, region, variant }: PriceMoment): RateKey {
  return { ...keyOfPrice(priceName, region), tier, day: dayOf(atMs) ?? '', variant };
}

/** One text for one kind of media. A client may write anything there: no word of a model is longer. */
function nameVariant({ width, height, quality, steps }: MediaVariant): string {
  return JSON.stringify([width, height, quality?.slice(0, MAX_QUALITY_LENGTH), steps]);
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

async function readRefreshed(path: string, warn: PriceOptions['warn']): Promise<readonly FactLayer[]> {
  try {
    const { fetches } = parseRefreshed(await readFile(path, 'utf8'));
    // What one update fetched counts together; of two updates the later, whatever addresses they were from.
    const updates = [...Map.groupBy(fetches, ({ fetchedAtMs }) => fetchedAtMs)].toSorted(([a], [b]) => b - a);
    return updates.map(([, of]) => ({ kind: 'refreshed', facts: indexFacts(of.map(({ file }) => file)) }));
  } catch (error) {
    const reason = codeOf(error);
    if (reason === 'ENOENT') return [];
    warn(`${path} is not used (${reason}): the built-in prices count. Run \`bedrock-proxy prices update\`.`);
    return [];
  }
}

/** `2026-11-28`, in UTC; undefined for a time that is none. */
function dayOf(epochMs: number): string | undefined {
  const date = new Date(epochMs);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().slice(0, 10);
}

/** A system error's code, or the message of one of ours. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return findCode(error) ?? error.message;
}
