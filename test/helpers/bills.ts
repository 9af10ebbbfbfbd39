/**
 * AWS's bills as its files have them, made by tests: lines by what is used, priced as AWS would, in the columns of Cost
 * and Usage Report 2.0, of Legacy CUR and of FOCUS, and as a response of Cost Explorer.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A line item. Amounts are text, as in AWS's files. */
export interface BillItem {
  readonly start?: string;
  readonly end?: string;
  readonly type?: string;
  /** A code (`AmazonBedrock`), or of the Marketplace one that says nothing. */
  readonly service?: string;
  readonly product?: string;
  readonly usageType?: string;
  readonly amount?: string;
  readonly unit?: string;
  readonly cost?: string;
  readonly netCost?: string;
  readonly region?: string;
  readonly resource?: string;
  readonly description?: string;
  readonly currency?: string;
}

const FIELDS: Readonly<Record<keyof BillItem, string>> = {
  start: '2026-09-01T07:00:00Z',
  end: '2026-09-01T08:00:00Z',
  type: 'Usage',
  service: 'AmazonBedrock',
  product: 'Amazon Bedrock',
  usageType: 'USE1-NovaPro-input-tokens',
  amount: '1',
  unit: '1K tokens',
  cost: '0.0008000000',
  netCost: '',
  region: 'us-east-1',
  resource: '',
  description: '$0.0008 per 1K input tokens, "on demand"',
  currency: 'USD',
};

/** Columns in an order that no reader may count on, beside some that it does not know. */
const CUR2 = {
  identity_line_item_id: 'x7w3a',
  line_item_usage_account_id: '111122223333',
  line_item_line_item_type: 'type',
  line_item_usage_start_date: 'start',
  line_item_usage_end_date: 'end',
  line_item_product_code: 'service',
  line_item_usage_type: 'usageType',
  line_item_operation: 'InvokeModelInference',
  line_item_resource_id: 'resource',
  line_item_usage_amount: 'amount',
  line_item_currency_code: 'currency',
  line_item_unblended_cost: 'cost',
  line_item_net_unblended_cost: 'netCost',
  line_item_line_item_description: 'description',
  product: 'map',
  product_region_code: 'region',
  pricing_unit: 'unit',
} as const;
const LEGACY = {
  'identity/LineItemId': 'x7w3a',
  'lineItem/LineItemType': 'type',
  'lineItem/UsageStartDate': 'start',
  'lineItem/UsageEndDate': 'end',
  'lineItem/ProductCode': 'service',
  'lineItem/UsageType': 'usageType',
  'lineItem/ResourceId': 'resource',
  'lineItem/UsageAmount': 'amount',
  'lineItem/CurrencyCode': 'currency',
  'lineItem/UnblendedCost': 'cost',
  'lineItem/LineItemDescription': 'description',
  'product/ProductName': 'product',
  'product/region': 'region',
  'pricing/unit': 'unit',
} as const;
const FOCUS = {
  BilledCost: 'cost',
  BillingCurrency: 'currency',
  ChargeCategory: 'type',
  ChargeDescription: 'description',
  ChargePeriodStart: 'start',
  ChargePeriodEnd: 'end',
  ConsumedQuantity: 'amount',
  ConsumedUnit: 'unit',
  RegionId: 'region',
  ResourceId: 'resource',
  ServiceName: 'product',
  x_ServiceCode: 'service',
  x_UsageType: 'usageType',
} as const;
const DIALECTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cur2: CUR2,
  legacy: LEGACY,
  focus: FOCUS,
};

/** The text of a file. */
export function billCsv(items: readonly BillItem[], dialect: 'cur2' | 'legacy' | 'focus' = 'cur2'): string {
  const columns = DIALECTS[dialect] ?? {};
  const rows = items.map((item) => {
    const fields: Record<string, string> = { ...FIELDS, ...item };
    fields['map'] = JSON.stringify({ product_name: fields['product'], region: fields['region'] });
    return Object.values(columns).map((field) => quoted(fields[field] ?? field));
  });
  return [Object.keys(columns), ...rows].map((cells) => `${cells.join(',')}\n`).join('');
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A response of Cost Explorer by the day, grouped by such dimensions (`SERVICE`, `USAGE_TYPE`, `REGION`). */
export function costExplorerJson(items: readonly BillItem[], dimensions: readonly string[], page: object = {}): string {
  const valueOf = (fields: Record<keyof BillItem, string>): Readonly<Record<string, string>> => ({
    SERVICE: fields.product,
    USAGE_TYPE: fields.usageType,
    REGION: fields.region,
    RECORD_TYPE: fields.type,
  });
  const days = Map.groupBy(
    items.map((item) => ({ ...FIELDS, ...item })),
    ({ start }) => start.slice(0, 10),
  );
  return JSON.stringify({
    GroupDefinitions: dimensions.map((Key) => ({ Type: 'DIMENSION', Key })),
    ResultsByTime: [...days].map(([day, fields]) => ({
      TimePeriod: { Start: day, End: new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10) },
      Total: {},
      Groups: fields.map((item) => ({
        Keys: dimensions.map((dimension) => valueOf(item)[dimension] ?? ''),
        Metrics: {
          UnblendedCost: { Amount: item.cost, Unit: item.currency },
          UsageQuantity: { Amount: item.amount, Unit: 'N/A' },
        },
      })),
      Estimated: false,
    })),
    DimensionValueAttributes: [],
    ...page,
  });
}

/** Writes a file, packed if its name ends in `.gz`. Returns its path. */
export async function writeBill(folder: string, name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, name.endsWith('.gz') ? gzipSync(content) : content);
  return path;
}
