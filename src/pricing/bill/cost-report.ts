/**
 * The lines of a report of AWS's Data Exports in CSV: Cost and Usage Report 2.0, the report before it, and FOCUS. The
 * names of the columns are AWS's (AWS Data Exports user guide: table dictionaries of CUR 2.0 and FOCUS 1.0, columns of
 * Legacy CUR). No I/O.
 */
import { parseJsonObject, asText } from '../../lib/json.ts';
import { quote } from '../../lib/printable.ts';
import { badBill } from './bill-error.ts';
import { type BillLine, type BillSpan, isBedrock, kindOfCharge, MAX_DAY_MS } from './bill-line.ts';
import type { CsvRecord } from './csv.ts';
import { type Decimal, parseDecimal } from './decimal.ts';

/** Names of a column, the strongest first: of CUR 2.0 (and of the older report in Parquet), of Legacy CUR, of FOCUS. */
const COLUMNS = {
  start: ['line_item_usage_start_date', 'lineItem/UsageStartDate', 'ChargePeriodStart'],
  end: ['line_item_usage_end_date', 'lineItem/UsageEndDate', 'ChargePeriodEnd'],
  kind: ['line_item_line_item_type', 'lineItem/LineItemType', 'ChargeCategory'],
  service: ['line_item_product_code', 'lineItem/ProductCode', 'x_ServiceCode', 'ServiceName'],
  product: ['product_product_name', 'product/ProductName', 'ServiceName'],
  usageType: ['line_item_usage_type', 'lineItem/UsageType', 'x_UsageType'],
  description: ['line_item_line_item_description', 'lineItem/LineItemDescription', 'ChargeDescription'],
  resource: ['line_item_resource_id', 'lineItem/ResourceId', 'ResourceId'],
  region: ['product_region_code', 'product/regionCode', 'product/region', 'product_region', 'RegionId'],
  amount: ['line_item_usage_amount', 'lineItem/UsageAmount', 'ConsumedQuantity', 'PricingQuantity'],
  unit: ['pricing_unit', 'pricing/unit', 'ConsumedUnit', 'PricingUnit'],
  cost: ['line_item_unblended_cost', 'lineItem/UnblendedCost', 'BilledCost'],
  netCost: ['line_item_net_unblended_cost', 'lineItem/NetUnblendedCost'],
  currency: ['line_item_currency_code', 'lineItem/CurrencyCode', 'BillingCurrency'],
  /** A map as JSON: `{"product_name":"Claude Sonnet 4.5 (Amazon Bedrock Edition)"}`. */
  productMap: ['product'],
} as const;
type Column = keyof typeof COLUMNS;

const REQUIRED: readonly Column[] = ['start', 'service', 'usageType', 'cost'];
const DAY_MS = 86_400_000;

/** Reads records by the head of their file. */
export interface CostReport {
  /**
   * `line` is undefined if it is not Bedrock's, `span` if it is not about use. Throws ERR_BAD_OPTION with the line, and
   * the column by its name.
   */
  readRecord(record: CsvRecord): { readonly line: BillLine | undefined; readonly span: BillSpan | undefined };
}

/** `head` as it stands in the file. Throws ERR_BAD_OPTION if it is of no such report. */
export function openCostReport(head: readonly string[], path: string): CostReport {
  const places = new Map(
    (Object.keys(COLUMNS) as Column[]).map((column) => [column, findColumn(head, COLUMNS[column])] as const),
  );
  const missing = REQUIRED.filter((column) => places.get(column) === undefined);
  if (missing.length > 0) {
    const names = missing.map((column) => COLUMNS[column].join(' or '));
    throw badBill(path, 'line 1', `there is no column ${names.join(', and none ')}`, BILL_FORMATS);
  }
  const twice = head.find((name, at) => name !== '' && head.indexOf(name) !== at && isKnown(name));
  if (twice !== undefined) throw badBill(path, 'line 1', `two columns are named ${quote(twice)}`);
  return {
    readRecord: ([fields, line]) => {
      const text: FieldReader = (column) => fields[places.get(column) ?? -1] ?? '';
      return readFields(text, (column, problem) => {
        const at = places.get(column) ?? 0;
        return badBill(path, `line ${line}, column ${at + 1} (${head[at] ?? ''})`, problem);
      });
    },
  };
}

/** What can be compared at all. */
export const BILL_FORMATS =
  'It reads Cost and Usage Reports (2.0, legacy) and FOCUS in CSV, also gzip, and JSON of `aws ce get-cost-and-usage`.';

function findColumn(head: readonly string[], names: readonly string[]): number | undefined {
  return names.map((name) => head.indexOf(name)).find((at) => at !== -1);
}

function isKnown(name: string): boolean {
  return Object.values(COLUMNS).some((names) => (names as readonly string[]).includes(name));
}

type FieldReader = (column: Column) => string;
type BadField = (column: Column, problem: string) => Error;

/** Most lines of a company's bill are not Bedrock's: little is read of them. */
function readFields(text: FieldReader, bad: BadField): ReturnType<CostReport['readRecord']> {
  const startMs = readTime(text, 'start', bad);
  const span = { startMs, endMs: text('end') === '' ? startMs + DAY_MS : readTime(text, 'end', bad) };
  const kind = kindOfCharge(text('kind'));
  const names = {
    service: text('service'),
    product: text('product') || findInMap(text('productMap'), 'product_name'),
    usageType: text('usageType'),
    resource: text('resource'),
  };
  const line = isBedrock(names)
    ? {
        ...span,
        ...names,
        kind,
        region: text('region') || findInMap(text('productMap'), 'region'),
        ...readAmounts(text, bad),
      }
    : undefined;
  // Other services have lines of a whole month, long before it ends.
  const tellsSpan = kind === 'usage' && (line !== undefined || span.endMs - span.startMs <= MAX_DAY_MS);
  return { line, span: tellsSpan ? span : undefined };
}

/** A value of a map, which is JSON or has the form `{name=value, name=value}`; empty if it is not there. */
function findInMap(map: string, name: string): string {
  if (!map.includes(name)) return '';
  const value = parseJsonObject(Buffer.from(map))?.[name];
  if (value !== undefined) return asText(value);
  const [, plain = ''] = new RegExp(`[{ ,]${name}=([^,}]*)`).exec(map) ?? [];
  return plain;
}

function readAmounts(text: FieldReader, bad: BadField) {
  const currency = text('currency');
  if (currency !== '' && currency !== 'USD') throw bad('currency', `it is in ${quote(currency)}, the ledger in USD`);
  const read = (column: Column): Decimal | undefined =>
    text(column) === '' ? undefined : readNumber(text, column, bad);
  return {
    description: text('description'),
    amount: read('amount'),
    unit: text('unit'),
    cost: read('cost') ?? 0n,
    netCost: read('netCost'),
  };
}

/** `2026-09-01T00:00:00Z`, `2026-09-01 00:00:00.000`, `2026-09-01`: in UTC, as all of AWS's. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?:Z| UTC)?)?$/;

/** Undefined if the text is no time. */
export function findBillTime(text: string): number | undefined {
  const [, day, time = '00:00'] = TIME.exec(text) ?? [];
  const timeMs = day === undefined ? Number.NaN : Date.parse(`${day}T${time}Z`);
  return Number.isFinite(timeMs) ? timeMs : undefined;
}

function readTime(text: FieldReader, column: Column, bad: BadField): number {
  const timeMs = findBillTime(text(column));
  if (timeMs !== undefined) return timeMs;
  throw bad(column, `${quote(text(column))} is no time such as 2026-09-01T00:00:00Z`);
}

function readNumber(text: FieldReader, column: Column, bad: BadField): Decimal {
  const value = parseDecimal(text(column));
  if (value !== undefined) return value;
  throw bad(column, `${quote(text(column))} is no number`);
}
