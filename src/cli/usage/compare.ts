/**
 * Lays the ledger's sums beside a bill's: the same model, region, tier and day on both sides, under AWS's names. What
 * only one side has is a line too. Pure.
 */
import type { UsageGroup } from '../../domain/ledger.ts';
import type { PriceBook } from '../../pricing/cost.ts';
import type { Bill, BillGroup } from '../../pricing/bill/bill.ts';
import { toNanoUsd } from '../../pricing/bill/decimal.ts';
import { TOKEN_KINDS, type TokenKind } from '../../pricing/bill/sold-usage.ts';
import { type AwsSide, type Cause, CENT_NANO_USD, findCauses, type OurSide, sumTokens } from './causes.ts';
import { type ComparedModel, openModelNames } from './model-names.ts';
import { findUnitPrices } from './unit-prices.ts';

/** What a comparison can be grouped by. */
export const COMPARISON_GROUPINGS = ['model', 'region', 'tier', 'day'] as const;
/** One of them. */
export type ComparisonGrouping = (typeof COMPARISON_GROUPINGS)[number];

/** The groupings of the ledger, in the order in which `compareWithBill` wants the names of its groups. */
export const LEDGER_GROUPINGS = ['model', 'region', 'tier', 'day'] as const;

/** One line. */
export interface ComparedGroup {
  /** One for each grouping. */
  readonly names: readonly string[];
  readonly ours: OurSide;
  readonly aws: AwsSide;
  /** The largest first; none if the difference is below a cent. */
  readonly causes: readonly Cause[];
}

/** All lines, and all of them together. */
export interface Comparison {
  readonly groups: readonly ComparedGroup[];
  readonly total: ComparedGroup;
}

const DAY_MS = 86_400_000;
/** AWS: a bill may lack the last day, and parts of the one before. */
const LATE_DAYS = 2;

interface Names extends ComparedModel {
  readonly region: string;
  readonly tier: string;
  readonly day: string;
}

/** One model, region and tier, which has one price; and one day, if it is grouped by day. */
interface Cell {
  readonly names: Names;
  readonly ours: Sums<OurSide>;
  readonly aws: Sums<AwsSide>;
  /** Nano-dollars, by the names that requests have. */
  readonly called: Map<string, number>;
  /** Tokens by day. */
  readonly days: Map<string, { ours: number; aws: number }>;
}

type Sums<Side> = {
  -readonly [Name in keyof Side]: Side[Name] extends number | boolean ? Side[Name] : Record<TokenKind, number>;
};

/** How a comparison is made. */
export interface ComparisonOptions {
  readonly by: readonly ComparisonGrouping[];
  /** Of all models that are known, without geographies. */
  readonly modelIds: readonly string[];
  readonly prices: PriceBook;
}

/**
 * `groups` are by LEDGER_GROUPINGS. By a grouping that the bill does not tell, all is one line. The largest difference
 * comes first, days the oldest first.
 */
export function compareWithBill(bill: Bill, groups: readonly UsageGroup[], options: ComparisonOptions): Comparison {
  const { by } = options;
  const lateFrom = bill.hasDays ? dayBefore(bill.span?.endMs ?? 0) : undefined;
  const cells = fillCells(bill, groups, options)
    .filter(({ ours, aws }) => ours.unpriced > 0 || !isNothing(ours) || !isNothing(aws))
    .map((cell) => {
      const causes = findCauses(cell.ours, cell.aws, countLateTokens(cell, lateFrom));
      return {
        ...cell,
        causes: causes.map((cause) => tellPrices(cause, cell, options.prices, bill.span?.startMs ?? 0)),
      };
    });
  const lines = Map.groupBy(cells, ({ names }) => JSON.stringify(by.map((grouping) => names[grouping])));
  const compared = [...lines].map(([names, parts]) => addUp(JSON.parse(names) as string[], parts));
  const dayAt = by.indexOf('day');
  const byDay = (a: ComparedGroup, b: ComparedGroup): number =>
    (a.names[dayAt] ?? '').localeCompare(b.names[dayAt] ?? '');
  const ordered = compared.toSorted(byDifference);
  return { groups: dayAt === -1 ? ordered : ordered.toSorted(byDay), total: addUp([], cells) };
}

/** By kind of token, if the prices are known by which the ledger's rows were made. */
function tellPrices(cause: Cause, { names, ours, aws, called }: Cell, book: PriceBook, atMs: number): Cause {
  if (cause.kind !== 'price') return cause;
  const [name] = [...called].toSorted(([, a], [, b]) => b - a)[0] ?? [''];
  const { region, tier } = names;
  const price = book.find(name, { atMs, region, serviceTier: tier === '' ? undefined : tier, latency: undefined });
  const prices = price && findUnitPrices(ours, aws, price);
  return prices === undefined || prices.length === 0 ? cause : { ...cause, prices };
}

function fillCells(bill: Bill, groups: readonly UsageGroup[], { by, modelIds }: ComparisonOptions): Cell[] {
  const cells = new Map<string, Cell>();
  const cellOf = (full: Names): Cell => {
    const names = {
      model: full.model,
      isGlobal: bill.hasTiers && full.isGlobal,
      region: bill.hasRegions ? full.region : '',
      tier: bill.hasTiers ? full.tier : '',
      day: by.includes('day') ? full.day : '',
    };
    const key = JSON.stringify(Object.values(names));
    const cell = cells.get(key) ?? { names, ours: noneOfOurs(), aws: noneOfAws(), called: new Map(), days: new Map() };
    cells.set(key, cell);
    return cell;
  };
  const called = groups.map(({ names }) => names[0]);
  const models = openModelNames(bill, called, modelIds);
  for (const group of bill.groups) {
    addOfAws(cellOf({ ...group, model: models.ofBill(group.name), tier: toTier(group.tier) }), group);
  }
  for (const group of groups) {
    if (isIdle(group)) continue;
    const [model, region = '', tier = '', day = ''] = group.names;
    addOfOurs(cellOf({ ...models.ofLedger(model), region, tier: toTier(tier), day }), group, day);
  }
  return [...cells.values()];
}

/** What is the usual tier under other names. The ledger does not tell latency apart. */
const TIERS: Readonly<Record<string, string>> = {
  '': 'standard',
  default: 'standard',
  auto: 'standard',
  optimized: 'standard',
};

const toTier = (tier: string): string => (Object.hasOwn(TIERS, tier) ? (TIERS[tier] ?? tier) : tier);

function dayBefore(endMs: number): string {
  return new Date(endMs - LATE_DAYS * DAY_MS).toISOString().slice(0, 10);
}

function isNothing({ costNanoUsd, tokens }: OurSide | AwsSide): boolean {
  return costNanoUsd === 0 && sumTokens(tokens) === 0;
}

/** Nothing was billed for it: refused, or failed. */
function isIdle(group: UsageGroup): boolean {
  const { inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0 } = group;
  const used = inputTokens + outputTokens + cacheReadTokens + cacheWriteTokens;
  return used === 0 && group.costNanoUsd === 0 && group.unpriced === 0 && group.partial === 0;
}

function addOfAws({ aws, days }: Cell, group: BillGroup): void {
  aws.costNanoUsd += toNanoUsd(group.cost);
  aws.pieces += Number(group.pieces);
  aws.hasUsage &&= group.hasUsage;
  let tokens = 0;
  for (const kind of TOKEN_KINDS) {
    const count = Number(group.tokens[kind]);
    aws.tokens[kind] += count;
    aws.tokenCosts[kind] += toNanoUsd(group.tokenCosts[kind]);
    tokens += count;
  }
  dayOf(days, group.day).aws += tokens;
}

function addOfOurs({ ours, days, called }: Cell, group: UsageGroup, day: string): void {
  const [name = ''] = group.names;
  called.set(name, (called.get(name) ?? 0) + group.costNanoUsd);
  ours.costNanoUsd += group.costNanoUsd;
  ours.requests += group.requests;
  ours.unpriced += group.unpriced;
  ours.partial += group.partial;
  const counts = [group.inputTokens, group.outputTokens, group.cacheReadTokens, group.cacheWriteTokens];
  for (const [at, kind] of TOKEN_KINDS.entries()) {
    ours.tokens[kind] += counts[at] ?? 0;
    dayOf(days, day).ours += counts[at] ?? 0;
  }
}

function dayOf(days: Cell['days'], day: string): { ours: number; aws: number } {
  const known = days.get(day) ?? { ours: 0, aws: 0 };
  days.set(day, known);
  return known;
}

/** Tokens of the last days that AWS has not; none if the bill has no days. */
function countLateTokens({ days }: Cell, from: string | undefined): number {
  const lacking = [...days].map(([day, { ours, aws }]) =>
    from !== undefined && day >= from ? Math.max(0, ours - aws) : 0,
  );
  return lacking.reduce((total, tokens) => total + tokens, 0);
}

function addUp(
  names: readonly string[],
  cells: readonly (Cell & { readonly causes: readonly Cause[] })[],
): ComparedGroup {
  const [ours, aws] = [noneOfOurs(), noneOfAws()];
  for (const cell of cells) {
    addSide(ours, cell.ours);
    addSide(aws, cell.aws);
  }
  const causes =
    Math.abs(aws.costNanoUsd - ours.costNanoUsd) < CENT_NANO_USD
      ? []
      : mergeCauses(cells.flatMap((cell) => cell.causes));
  return { names, ours, aws, causes };
}

function addSide<Side extends OurSide | AwsSide>(into: Sums<Side>, side: Sums<Side>): void {
  for (const name of Object.keys(side) as (keyof Sums<Side>)[]) {
    const [value, known] = [side[name] as unknown, into[name] as unknown];
    if (typeof value === 'boolean') Object.assign(into, { [name]: value && known === true });
    else if (typeof value === 'number') Object.assign(into, { [name]: Number(known) + value });
    else
      for (const kind of TOKEN_KINDS)
        (known as Record<TokenKind, number>)[kind] += (value as Record<TokenKind, number>)[kind];
  }
}

/** Of one kind one, the largest first. Unit prices are told if there is one pair of them. */
function mergeCauses(causes: readonly Cause[]): readonly Cause[] {
  const merged = [...Map.groupBy(causes, ({ kind }) => kind).values()].map((same) => {
    const [first, ...others] = same;
    return first === undefined || others.length === 0 ? same : [others.reduce(addCauses, first)];
  });
  const ordered = merged.flat().toSorted((a, b) => Math.abs(b.nanoUsd) - Math.abs(a.nanoUsd));
  const large = ordered.filter(({ nanoUsd }) => Math.abs(nanoUsd) >= CENT_NANO_USD / 2);
  return large.length > 0 ? large : ordered.slice(0, 1);
}

function addCauses(one: Cause, other: Cause): Cause {
  const total = (name: 'tokens' | 'pieces' | 'requests') =>
    one[name] === undefined && other[name] === undefined ? {} : { [name]: (one[name] ?? 0) + (other[name] ?? 0) };
  return {
    kind: one.kind,
    nanoUsd: one.nanoUsd + other.nanoUsd,
    ...total('tokens'),
    ...total('pieces'),
    ...total('requests'),
  };
}

function byDifference(a: ComparedGroup, b: ComparedGroup): number {
  return Math.abs(differenceOf(b)) - Math.abs(differenceOf(a)) || b.aws.costNanoUsd - a.aws.costNanoUsd;
}

/** AWS's cost less ours, nano-dollars. */
export function differenceOf({ aws, ours }: Pick<ComparedGroup, 'aws' | 'ours'>): number {
  return aws.costNanoUsd - ours.costNanoUsd;
}

/** The same as a percentage of AWS's cost; undefined if that is 0. */
export function percentOf(group: ComparedGroup): number | undefined {
  return group.aws.costNanoUsd === 0 ? undefined : (100 * differenceOf(group)) / group.aws.costNanoUsd;
}

function noneOfOurs(): Sums<OurSide> {
  return { costNanoUsd: 0, tokens: noTokenCounts(), requests: 0, unpriced: 0, partial: 0 };
}

function noneOfAws(): Sums<AwsSide> {
  return { costNanoUsd: 0, tokens: noTokenCounts(), tokenCosts: noTokenCounts(), pieces: 0, hasUsage: true };
}

function noTokenCounts(): Record<TokenKind, number> {
  return { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
}
