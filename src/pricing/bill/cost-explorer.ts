/**
 * The lines of a response of Cost Explorer, as `aws ce get-cost-and-usage` prints it (AWS Cost Explorer Service API
 * reference: GetCostAndUsage). It says only what it was grouped by, two things at most. No I/O.
 */
import { asObject, asObjects, asText, asTexts, isObject, type JsonObject } from '../../lib/json.ts';
import { quote } from '../../lib/printable.ts';
import { badBill } from './bill-error.ts';
import { type BillLine, type BillSpan, isBedrock, kindOfCharge } from './bill-line.ts';
import { BILL_FORMATS, findBillTime } from './cost-report.ts';
import { type Decimal, parseDecimal } from './decimal.ts';

/** What a response holds of Bedrock. */
export interface CostExplorerBill {
  readonly lines: readonly BillLine[];
  readonly spans: readonly BillSpan[];
  /** AWS says that amounts may change. */
  readonly isEstimated: boolean;
  /** There are more pages. */
  readonly isCut: boolean;
}

/** Costs before discounts first: they are what prices say. */
const COST_METRICS = ['UnblendedCost', 'NetUnblendedCost', 'BlendedCost', 'AmortizedCost', 'NetAmortizedCost'];
/** A response, or a list of them (its pages). Throws ERR_BAD_OPTION with the place. */
export function readCostExplorer(value: unknown, path: string): CostExplorerBill {
  const pages = Array.isArray(value) ? asObjects(value) : [asObject(value)];
  if (pages.length === 0 || pages.some((page) => !Array.isArray(page['ResultsByTime']))) {
    throw badBill(path, undefined, 'it is no response of Cost Explorer: ResultsByTime is missing', BILL_FORMATS);
  }
  const periods = pages.flatMap((page) => {
    const dimensions = asObjects(page['GroupDefinitions']).map(({ Type, Key }) => (Type === 'TAG' ? '' : asText(Key)));
    return asObjects(page['ResultsByTime']).map((period, at) =>
      readPeriod(period, dimensions, `ResultsByTime[${at}]`, path),
    );
  });
  return {
    lines: periods.flatMap(({ lines }) => lines),
    spans: periods.map(({ span }) => span),
    isEstimated: periods.some(({ isEstimated }) => isEstimated),
    isCut: asText(pages.at(-1)?.['NextPageToken']) !== '',
  };
}

function readPeriod(period: JsonObject, dimensions: readonly string[], place: string, path: string) {
  const { Start, End } = asObject(period['TimePeriod']);
  const [startMs, endMs] = [findBillTime(asText(Start)), findBillTime(asText(End))];
  if (startMs === undefined || endMs === undefined || startMs >= endMs) {
    throw badBill(path, `${place}.TimePeriod`, 'Start and End are no times such as 2026-09-01');
  }
  const span = { startMs, endMs };
  const groups = asObjects(period['Groups']);
  const lines =
    groups.length === 0 && isObject(period['Total']) && dimensions.length === 0
      ? readGroup({ Metrics: period['Total'] }, dimensions, span, `${place}.Total`, path)
      : groups.flatMap((group, at) => readGroup(group, dimensions, span, `${place}.Groups[${at}]`, path));
  return { span, lines, isEstimated: period['Estimated'] === true };
}

function readGroup(
  group: JsonObject,
  dimensions: readonly string[],
  span: BillSpan,
  place: string,
  path: string,
): BillLine[] {
  const keys = asTexts(group['Keys']);
  const keyOf = (dimension: string): string => keys[dimensions.indexOf(dimension)] ?? '';
  const [service, usageType] = [keyOf('SERVICE'), keyOf('USAGE_TYPE')];
  if (!isBedrock({ service, product: '', resource: '', usageType })) return [];
  const metrics = asObject(group['Metrics']);
  const costName = COST_METRICS.find((name) => isObject(metrics[name]));
  if (costName === undefined) throw badBill(path, `${place}.Metrics`, 'there is no UnblendedCost', METRICS_HINT);
  const quantity = asObject(metrics['UsageQuantity']);
  const costMetric = asObject(metrics[costName]);
  if (costMetric['Unit'] !== 'USD') {
    throw badBill(
      path,
      `${place}.Metrics.${costName}`,
      `it is in ${quote(asText(costMetric['Unit']))}, the ledger in USD`,
    );
  }
  const cost = readAmount(costMetric, `${place}.Metrics.${costName}`, path);
  const unit = asText(quantity['Unit']);
  return [
    {
      ...span,
      kind: kindOfCharge(keyOf('RECORD_TYPE')),
      service,
      product: '',
      usageType,
      description: '',
      resource: '',
      region: keyOf('REGION'),
      // Over several usage types it adds tokens to hours.
      amount:
        usageType === '' || quantity['Amount'] === undefined
          ? undefined
          : readAmount(quantity, `${place}.Metrics.UsageQuantity`, path),
      unit: unit === 'N/A' ? '' : unit,
      cost,
      netCost: undefined,
    },
  ];
}

const METRICS_HINT = 'Ask for `--metrics UnblendedCost UsageQuantity`.';

function readAmount(metric: JsonObject, place: string, path: string): Decimal {
  const amount = parseDecimal(asText(metric['Amount']));
  if (amount !== undefined) return amount;
  throw badBill(path, `${place}.Amount`, `${quote(String(metric['Amount']))} is no number in quotation marks`);
}
