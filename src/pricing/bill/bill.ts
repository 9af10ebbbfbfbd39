/**
 * What a bill adds up to: what was used of each model, and all the rest of Bedrock's lines apart, so that nothing of
 * the bill is lost. Exact, in memory that does not grow with the number of lines. No I/O.
 */
import { ProxyError } from '../../lib/errors.ts';
import { type BillLine, type BillSpan, type ChargeKind, MAX_DAY_MS } from './bill-line.ts';
import { type Decimal, divideRounded, ONE } from './decimal.ts';
import { readSoldUsage, type SoldUsage, type TokenKind } from './sold-usage.ts';

/** What a bill charges for one model, region, tier and day. */
export interface BillGroup {
  /** As AWS names it on bills, or its id. */
  readonly name: string;
  readonly isGlobal: boolean;
  /** Empty if the bill does not tell it, as are the others. */
  readonly region: string;
  readonly tier: string;
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  cost: Decimal;
  /** Tokens, as whole numbers, by kind, and what they cost. */
  readonly tokens: Record<TokenKind, bigint>;
  readonly tokenCosts: Record<TokenKind, Decimal>;
  /** Images, seconds, queries, … */
  pieces: bigint;
  /** All of its lines told how much was used. */
  hasUsage: boolean;
}

/** Lines of one usage type that nobody knows, or that are sold by the hour or the month. */
export interface UnknownUsage {
  readonly usageType: string;
  readonly product: string;
  cost: Decimal;
  lines: number;
}

/** Of all files together. */
export interface Bill {
  readonly groups: readonly BillGroup[];
  readonly unknown: readonly UnknownUsage[];
  /** Of Bedrock's lines that charge for no use. */
  readonly others: ReadonlyMap<Exclude<ChargeKind, 'usage'>, Decimal>;
  /** By the ARNs of application inference profiles. */
  readonly profiles: ReadonlyMap<string, Pick<BillGroup, 'name' | 'isGlobal'>>;
  /** Everything of Bedrock. */
  readonly total: Decimal;
  /** Everything of Bedrock after discounts; undefined if the files do not tell it. */
  readonly netTotal: Decimal | undefined;
  /** Of the lines about use within the period, of other services those of a day at most; undefined if there is none. */
  readonly span: BillSpan | undefined;
  /** False if a line is of more than a day. */
  readonly hasDays: boolean;
  readonly hasRegions: boolean;
  readonly hasTiers: boolean;
  /** Bedrock's lines. */
  readonly lines: number;
  /** Bedrock's lines that are not within the period. */
  readonly linesOutside: number;
}

const MAX_GROUPS = 200_000;
const MAX_UNKNOWN = 1_000;
const MAX_PROFILES = 10_000;
const PROFILE_ARN = /^arn:aws[a-z-]*:bedrock:[^/]*:application-inference-profile\//;
/** Behind the first thousand. */
const REST = { usageType: '(others)', product: '' };

/** Adds lines up that begin within the period. State: the sums. */
export class BillTally {
  readonly #period: { readonly sinceMs: number | undefined; readonly untilMs: number | undefined };
  readonly #groups = new Map<string, BillGroup>();
  readonly #unknown = new Map<string, UnknownUsage>();
  readonly #others = new Map<Exclude<ChargeKind, 'usage'>, Decimal>();
  readonly #profiles = new Map<string, Pick<BillGroup, 'name' | 'isGlobal'>>();
  /** Usage types are few, and to read one is slow. */
  readonly #sold = new Map<string, SoldUsage | undefined>();
  #total = 0n;
  #discount = 0n;
  #hasNet = false;
  #span: BillSpan | undefined;
  readonly #tells = { days: true, regions: true, tiers: true };
  #lines = 0;
  #linesOutside = 0;

  constructor(period: { sinceMs: number | undefined; untilMs: number | undefined }) {
    this.#period = period;
  }

  addSpan(span: BillSpan): void {
    if (!this.#isWithin(span)) return;
    const { startMs, endMs } = this.#span ?? span;
    if (this.#span !== undefined && startMs <= span.startMs && endMs >= span.endMs) return;
    this.#span = { startMs: Math.min(startMs, span.startMs), endMs: Math.max(endMs, span.endMs) };
  }

  /** Throws ERR_BAD_OPTION if the bill has more groups than fit into memory. */
  addLine(line: BillLine): void {
    if (!this.#isWithin(line)) {
      this.#linesOutside += 1;
      return;
    }
    this.#lines += 1;
    this.#total += line.cost;
    if (line.netCost !== undefined) {
      this.#hasNet = true;
      this.#discount += line.netCost - line.cost;
    }
    if (line.kind !== 'usage') {
      this.#others.set(line.kind, (this.#others.get(line.kind) ?? 0n) + line.cost);
      return;
    }
    const sold = this.#readOnce(line);
    if (sold === undefined) this.#addUnknown(line);
    else this.#addTo(this.#groupOf(line, sold), line, sold);
  }

  finish(): Bill {
    const { days, regions, tiers } = this.#tells;
    return {
      groups: [...this.#groups.values()],
      unknown: [...this.#unknown.values()],
      others: this.#others,
      profiles: this.#profiles,
      total: this.#total,
      netTotal: this.#hasNet ? this.#total + this.#discount : undefined,
      span: this.#span,
      hasDays: days,
      hasRegions: regions,
      hasTiers: tiers,
      lines: this.#lines,
      linesOutside: this.#linesOutside,
    };
  }

  #isWithin({ startMs }: BillSpan): boolean {
    const { sinceMs, untilMs } = this.#period;
    return (sinceMs === undefined || startMs >= sinceMs) && (untilMs === undefined || startMs < untilMs);
  }

  #readOnce(line: BillLine): SoldUsage | undefined {
    const key = JSON.stringify([line.service, line.product, line.usageType, line.unit, line.resource, line.region]);
    const known = this.#sold.get(key);
    if (known !== undefined || this.#sold.has(key)) return known;
    const sold = readSoldUsage(line);
    if (this.#sold.size >= MAX_GROUPS) this.#sold.clear();
    this.#sold.set(key, sold);
    return sold;
  }

  #groupOf(line: BillLine, { name, tier, isGlobal, region }: SoldUsage): BillGroup {
    const day = new Date(line.startMs).toISOString().slice(0, 10);
    if (line.endMs - line.startMs > MAX_DAY_MS) this.#tells.days = false;
    if (region === '') this.#tells.regions = false;
    if (tier === '') this.#tells.tiers = false;
    if (this.#profiles.size < MAX_PROFILES && PROFILE_ARN.test(line.resource)) {
      this.#profiles.set(line.resource, { name, isGlobal });
    }
    const names = { name, isGlobal, region, tier, day };
    const key = JSON.stringify(Object.values(names));
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= MAX_GROUPS) {
      throw new ProxyError('ERR_BAD_OPTION', `The bill has more than ${MAX_GROUPS} groups.`, {
        hint: 'Narrow it down with --since and --until.',
      });
    }
    const group = { ...names, cost: 0n, tokens: noTokens(), tokenCosts: noTokens(), pieces: 0n, hasUsage: true };
    this.#groups.set(key, group);
    return group;
  }

  #addTo(group: BillGroup, { cost, amount }: BillLine, { kind, perAmount }: SoldUsage): void {
    group.cost += cost;
    if (kind === undefined || amount === undefined || perAmount === undefined) group.hasUsage = false;
    const count = divideRounded((amount ?? 0n) * (perAmount ?? 0n), ONE);
    if (kind === 'piece') group.pieces += count;
    else if (kind !== undefined) {
      group.tokens[kind] += count;
      group.tokenCosts[kind] += cost;
    }
  }

  #addUnknown({ usageType, product, service, cost }: BillLine): void {
    const named = { usageType, product: product || service };
    const isKnown = this.#unknown.has(JSON.stringify(named));
    const name = isKnown || this.#unknown.size < MAX_UNKNOWN ? named : REST;
    const known = this.#unknown.get(JSON.stringify(name));
    if (known === undefined) this.#unknown.set(JSON.stringify(name), { ...name, cost, lines: 1 });
    else {
      known.cost += cost;
      known.lines += 1;
    }
  }
}

function noTokens(): Record<TokenKind, bigint> {
  return { input: 0n, output: 0n, cacheRead: 0n, cacheWrite: 0n };
}
