/**
 * A line of AWS's bill, whatever file it stood in, and which lines are Bedrock's. Pure.
 */
import type { Decimal } from './decimal.ts';

/** What a line charges for; `fee` is what is neither by use nor one of the others. */
export type ChargeKind = 'usage' | 'credit' | 'refund' | 'discount' | 'tax' | 'fee';

/** A time of a bill. */
export interface BillSpan {
  readonly startMs: number;
  /** Not included. */
  readonly endMs: number;
}

/** The longest that a day may be, with its first and last hour. */
export const MAX_DAY_MS = 25 * 3_600_000;

/** What a line says; text is empty if the file does not have it. */
export interface BillLine extends BillSpan {
  readonly kind: ChargeKind;
  /** AWS's code or name of the service, and the name of the product, which for models of the Marketplace is theirs. */
  readonly service: string;
  readonly product: string;
  readonly usageType: string;
  readonly description: string;
  /** ARN. */
  readonly resource: string;
  readonly region: string;
  /** Of `unit` (`1K tokens`); undefined if the file has no usage. */
  readonly amount: Decimal | undefined;
  readonly unit: string;
  /** Dollars before discounts. */
  readonly cost: Decimal;
  /** Dollars after discounts; undefined if the file does not have them. */
  readonly netCost: Decimal | undefined;
}

/** How AWS names products of the Marketplace that Bedrock serves: `Claude Sonnet 4.5 (Amazon Bedrock Edition)`. */
const EDITION = '(Amazon Bedrock Edition)';
const BEDROCK_SERVICE = /^Amazon ?Bedrock/;
const BEDROCK_ARN = /^arn:aws[a-z-]*:bedrock/;
/** What the Marketplace meters for Bedrock, if no product is named: its codes say nothing (`4a524th30q694o538`). */
const MARKETPLACE_TOKENS = /(?:^|-)MP:.*(?:TokenCount|_tokens?_|Tokens-Units)/i;

/** Whether a line is Bedrock's. A file that names no services is taken for one of Bedrock alone. */
export function isBedrock(line: Pick<BillLine, 'service' | 'product' | 'resource' | 'usageType'>): boolean {
  const { service, product, resource, usageType } = line;
  if (service === '' && product === '') return true;
  return (
    BEDROCK_SERVICE.test(service) ||
    BEDROCK_SERVICE.test(product) ||
    service.includes(EDITION) ||
    product.includes(EDITION) ||
    BEDROCK_ARN.test(resource) ||
    (product === '' && MARKETPLACE_TOKENS.test(usageType))
  );
}

/** Types of line items (CUR), categories of charges (FOCUS) and types of records (Cost Explorer). */
const KINDS: Readonly<Record<string, ChargeKind>> = {
  '': 'usage',
  Usage: 'usage',
  DiscountedUsage: 'usage',
  SavingsPlanCoveredUsage: 'usage',
  Credit: 'credit',
  Refund: 'refund',
  Tax: 'tax',
};

/** By AWS's word for it: `Usage`, `EdpDiscount`, … */
export function kindOfCharge(type: string): ChargeKind {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  return kind ?? (type.endsWith('Discount') ? 'discount' : 'fee');
}
