/**
 * The price of one model out of what several sources say of it. Unit by unit: what is said of the nearest place counts,
 * and of two that speak of the same place the more trustworthy one; beside it, as a ceiling, the most expensive of all
 * sources. Pure.
 */
import { partitionOf, type PlaceKey } from './price-key.ts';
import {
  type MediaVariant,
  type ModelPrice,
  type PicoUsd,
  type PriceOrigin,
  type Tier,
  TOKEN_RATES,
  type TokenRate,
} from './cost.ts';
import { withHourWrites } from './price-data.ts';
import type { FactUnit, PriceFact, PriceScope, PriceTeller } from './price-fact.ts';
import { PIECE_UNITS } from '../domain/units.ts';
import { chooseVariant } from './variant.ts';

/** A fact, and with which data it came. */
export interface KnownFact {
  readonly fact: PriceFact;
  readonly kind: Exclude<PriceOrigin['kind'], 'file'>;
}

/** What is looked for in the facts of one model. */
export interface RateKey extends PlaceKey {
  readonly tier: Tier;
  /** In UTC, `2026-11-28`. */
  readonly day: string;
  readonly variant: MediaVariant | undefined;
}

/** A fact that speaks of a key. */
export interface ExplainedFact extends KnownFact {
  /** Whether it is the price, or a part of it; the others only raise the ceiling. */
  readonly isUsed: boolean;
  /** Of the called region, or of a place that it is in: no other region's. */
  readonly isNear: boolean;
}

/**
 * Whose word counts of two for the same place. AWS's own first; LiteLLM last, because it has the global price of
 * Claude as its in-region one.
 */
const TRUST: readonly PriceTeller[] = ['aws', 'genai-prices', 'litellm'];
/** AWS bills a geography's profile at the price of the region that is called: each stands in for the other. */
const SIBLINGS: Readonly<Record<PriceScope, readonly PriceScope[]>> = {
  region: ['region', 'geo'],
  geo: ['geo', 'region'],
  global: ['global'],
};
/**
 * Without one of them, what is known of caches or of the output is no price: whoever reckons with it would take the
 * input for free.
 */
const SOLD_BY: readonly FactUnit[] = [
  ...(['input', 'inputAudio', 'image', 'request', 'videoSeconds', 'searchQueries'] as const),
  ...(['inputVideoSeconds', 'inputAudioSeconds', 'inputImages'] as const),
];
const TOKEN_UNITS: ReadonlySet<string> = new Set(Object.values(TOKEN_RATES));

/** Ascending by `aboveTokens`. */
type Steps = readonly { readonly aboveTokens: number; readonly price: PicoUsd; readonly known: KnownFact }[];

/** What one source says of one unit for one place and scope. */
interface Quote {
  readonly unit: FactUnit;
  readonly place: string;
  readonly source: PriceTeller;
  /** Lower is nearer; undefined: it is of another region of the same partition. */
  readonly distance: number | undefined;
  readonly steps: Steps;
  readonly known: readonly KnownFact[];
}

interface Choice {
  readonly steps: Steps;
  readonly ceiling: Steps;
  /** Where the price is of, if not of the called region. */
  readonly assumedRegion: string | undefined;
}

/** The price; undefined if no source has one. */
export function priceOf(facts: readonly KnownFact[], key: RateKey): ModelPrice | undefined {
  const choices = chooseByUnit(facts, key);
  if (!SOLD_BY.some((unit) => choices.has(unit)) && ![...choices.keys()].some(isOfGuardrails)) return undefined;
  const all = [...choices.values()];
  const head = (choices.get('input') ?? choices.get('output') ?? all[0])?.steps[0]?.known;
  if (head === undefined) return undefined;
  const assumedRegion = all.find((choice) => choice.assumedRegion !== undefined)?.assumedRegion;
  const { source, model, asOf } = head.fact;
  const origin = { kind: head.kind, source, name: model, asOf, ...(assumedRegion && { assumedRegion }) };
  const readPrice = (stepsOf: (choice: Choice) => Steps): ModelPrice => {
    return { ...withHourWrites(toPrice(choices, stepsOf), key.model), origin };
  };
  const price = readPrice(({ steps }) => steps);
  const isDisputed = all.some(({ steps, ceiling }) => compareSteps(steps, ceiling) !== 0);
  return isDisputed ? { ...price, ceiling: readPrice(({ ceiling }) => ceiling) } : price;
}

/** The facts that speak of a key, unit by unit, the one that counts most first. */
export function explainPrice(facts: readonly KnownFact[], key: RateKey): readonly ExplainedFact[] {
  const used = new Set([...chooseByUnit(facts, key).values()].flatMap(({ steps }) => steps.map(({ known }) => known)));
  const quotes = [...quotesByUnit(facts, key).values()].flat();
  return quotes.flatMap(({ known, distance }) =>
    known.map((one) => ({ ...one, isUsed: used.has(one), isNear: distance !== undefined })),
  );
}

function chooseByUnit(facts: readonly KnownFact[], key: RateKey): ReadonlyMap<FactUnit, Choice> {
  const choices = new Map<FactUnit, Choice>();
  for (const [unit, quotes] of quotesByUnit(facts, key)) {
    const near = quotes.filter(({ distance }) => distance !== undefined);
    const choice = chooseNear(near) ?? chooseElsewhere(quotes);
    if (choice !== undefined) choices.set(unit, choice);
  }
  return choices;
}

/** `quotes` as they are preferred. */
function chooseNear(quotes: readonly Quote[]): Choice | undefined {
  const [first] = quotes.filter(isWhole);
  if (first === undefined) return undefined;
  // A source that knows no price of long inputs does not deny that there is one.
  const others =
    first.steps.length > 1 ? [] : (quotes.find(({ steps }) => steps.some(isLong))?.steps.filter(isLong) ?? []);
  const base = first.steps[0]?.price ?? 0;
  const steps = [...first.steps, ...others.map((step) => ({ ...step, price: Math.max(base, step.price) }))];
  const bySource = Map.groupBy(quotes.filter(isWhole), ({ source }) => source);
  const nearest = [...bySource.values()].flatMap(([quote]) => (quote === undefined ? [] : [quote.steps]));
  return { steps, ceiling: maxOf([steps, ...nearest]), assumedRegion: undefined };
}

/** Nobody knows what the region that is called charges: the most expensive of the others. */
function chooseElsewhere(quotes: readonly Quote[]): Choice | undefined {
  const [first] = quotes.filter(isWhole).toSorted((a, b) => compareSteps(b.steps, a.steps));
  if (first === undefined) return undefined;
  const steps = maxOf([first.steps, ...quotes.map((quote) => quote.steps.filter(isLong))]);
  return { steps, ceiling: steps, assumedRegion: first.place };
}

function quotesByUnit(facts: readonly KnownFact[], key: RateKey): ReadonlyMap<FactUnit, readonly Quote[]> {
  const scopes = SIBLINGS[key.scope];
  const inPartition = new Map<string, boolean>();
  const isInPartition = (place: string): boolean => {
    const isIn = inPartition.get(place) ?? partitionOf(place) === key.partition;
    inPartition.set(place, isIn);
    return isIn;
  };
  const fitting = facts.filter(
    ({ fact: { tier, scope, place, from } }) =>
      tier === key.tier &&
      scopes.includes(scope) &&
      (key.places.includes(place) || isInPartition(place)) &&
      (from === undefined || from <= key.day),
  );
  const groups = Map.groupBy(fitting, ({ fact: { unit, place, scope, source } }) =>
    [unit, place, scope, source].join(' '),
  );
  const quotes = [...groups.values()].flatMap((known) => readQuote(known, key));
  return Map.groupBy(quotes.toSorted(byPreference), (quote) => quote.unit);
}

/** None if the quote says nothing of that kind of media. */
function readQuote(known: readonly KnownFact[], key: RateKey): readonly Quote[] {
  const [first] = known;
  if (first === undefined) return [];
  const { unit, place, scope, source } = first.fact;
  const byStep = Map.groupBy(inForce(known), ({ fact }) => fact.aboveTokens);
  const steps = [...byStep]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([aboveTokens, ofStep]) => {
      const one = chooseVariant(ofStep, key.variant, ({ fact }) => fact);
      return one === undefined ? [] : [{ aboveTokens, price: one.fact.picoUsd, known: one }];
    });
  const position = key.places.indexOf(place);
  const distance = position === -1 ? undefined : 2 * position + (scope === key.scope ? 0 : 1);
  return [{ unit, place, source, distance, steps, known }];
}

/** Of facts of one source that follow each other, the last. */
function inForce(known: readonly KnownFact[]): readonly KnownFact[] {
  if (known.every(({ fact }) => fact.from === undefined)) return known;
  const latest = new Map<string, KnownFact>();
  for (const one of known) {
    const { aboveTokens, limits, from = '' } = one.fact;
    const name = JSON.stringify([aboveTokens, limits?.quality, limits?.maxSide, limits?.maxSteps]);
    const before = latest.get(name);
    if (before === undefined || (before.fact.from ?? '') <= from) latest.set(name, one);
  }
  return [...latest.values()];
}

function byPreference(a: Quote, b: Quote): number {
  const [nearA, nearB] = [a, b].map(({ distance }) => distance ?? Number.MAX_SAFE_INTEGER) as [number, number];
  return nearA - nearB || TRUST.indexOf(a.source) - TRUST.indexOf(b.source);
}

const isOfGuardrails = (unit: FactUnit): boolean => unit.endsWith('Units');
const isWhole = ({ steps }: Quote): boolean => steps[0]?.aboveTokens === 0;
const isLong = ({ aboveTokens }: Steps[number]): boolean => aboveTokens > 0;

/** Positive if the first is dearer, by its first step that differs. */
function compareSteps(a: Steps, b: Steps): number {
  for (const above of new Set([...a, ...b].map(({ aboveTokens }) => aboveTokens).toSorted((x, y) => x - y))) {
    const difference = (stepAt(a, above)?.price ?? 0) - (stepAt(b, above)?.price ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The dearest of all at each length of input. */
function maxOf(all: readonly Steps[]): Steps {
  const starts = new Set(all.flatMap((steps) => steps.map(({ aboveTokens }) => aboveTokens)));
  return [...starts]
    .toSorted((a, b) => a - b)
    .flatMap((aboveTokens) => {
      const found = all.flatMap((steps) => stepAt(steps, aboveTokens) ?? []);
      const dearest = found.toSorted((a, b) => b.price - a.price)[0];
      return dearest === undefined ? [] : [{ ...dearest, aboveTokens }];
    });
}

function stepAt(steps: Steps, aboveTokens: number): Steps[number] | undefined {
  return steps.findLast((step) => step.aboveTokens <= aboveTokens);
}

function toPrice(choices: ReadonlyMap<FactUnit, Choice>, stepsOf: (choice: Choice) => Steps): ModelPrice {
  const prices: Record<string, TokenRate> = {};
  const units: Record<string, PicoUsd> = {};
  const guardrailUnits: Record<string, PicoUsd> = {};
  for (const [unit, choice] of choices) {
    const steps = stepsOf(choice);
    const [base] = steps;
    if (base === undefined) continue;
    if (TOKEN_UNITS.has(unit)) prices[unit] = toRate(base.price, steps);
    else if (unit === 'image' || unit === 'request') prices[unit] = base.price;
    else if (Object.hasOwn(PIECE_UNITS, unit)) units[unit] = base.price;
    else if (isOfGuardrails(unit)) guardrailUnits[unit] = base.price;
  }
  return {
    ...prices,
    ...(Object.keys(units).length > 0 && { units }),
    ...(Object.keys(guardrailUnits).length > 0 && { guardrailUnits }),
  };
}

function toRate(base: PicoUsd, [, ...steps]: Steps): TokenRate {
  if (steps.length === 0) return base;
  return { base, steps: steps.map(({ aboveTokens, price }) => ({ aboveTokens, price })) };
}
