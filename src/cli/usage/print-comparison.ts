/**
 * `usage --compare`: reads the owner's bill from AWS and prints it beside the ledger. Reads only; nothing is sent.
 */
import { type DatabaseLocation, readDatabaseLocation } from '../../config/database-location.ts';
import { type Flags, findSetting } from '../../config/options.ts';
import { ProxyError } from '../../lib/errors.ts';
import { quote } from '../../lib/printable.ts';
import { withExistingStore } from '../../app/open-store.ts';
import type { PriceBook } from '../../pricing/cost.ts';
import { loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';
import { readSnapshot } from '../../pricing/snapshot.ts';
import { printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';
import { type Bill, BillTally } from '../../pricing/bill/bill.ts';
import { type BillReading, readBill } from '../../pricing/bill/read-bill.ts';
import { parseGroupings, type PeriodInput, readPeriod } from './ledger-filter.ts';
import { COMPARISON_GROUPINGS, type ComparisonGrouping, compareWithBill, LEDGER_GROUPINGS } from './compare.ts';
import { comparisonToCsv, comparisonToJson } from './comparison-data.ts';
import { formatComparison } from './format-comparison.ts';

interface ComparisonInput extends Flags, PeriodInput {
  readonly compare: readonly string[];
  readonly by: string | undefined;
  readonly json: boolean;
  readonly csv: boolean;
}

const DAY_MS = 86_400_000;

/** Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function printComparison(input: ComparisonInput): Promise<void> {
  const by = parseComparisonGroupings(input.by ?? 'model');
  const reading = await readBill(input.compare, new BillTally(wholeDays(readPeriod(input, 'all', Date.now()))));
  const { bill } = reading;
  checkGroupings(by, bill);
  const period = findPeriod(reading);
  const database = readDatabaseLocation(input, process.env);
  const ledger = await withExistingStore(database, async (store) => {
    const [first] = await store.readLedger({}, { after: 0, limit: 1 });
    const { groups } = await store.sumUsage({ filter: period, by: LEDGER_GROUPINGS });
    return { groups, beginsAtMs: first?.startedAtMs };
  });
  const options = { by, modelIds: readSnapshot().models, prices: await openPrices(database, input) };
  const comparison = compareWithBill(bill, ledger?.groups ?? [], options);
  const report = { by, ledgerBeginsAtMs: ledger?.beginsAtMs, ...period, ...reading, ...comparison };
  if (input.json) return printJson(comparisonToJson(report));
  if (input.csv) return void process.stdout.write(comparisonToCsv(report));
  printData(formatComparison(report, terminalWidth()));
}

function openPrices({ folder }: DatabaseLocation, input: Flags): Promise<PriceBook> {
  const priceFile = findSetting('prices', input, process.env)?.value;
  return loadPrices({
    priceFile,
    refreshedFile: refreshedPricesPath(folder),
    warn: (message) => printTalk(`warning: ${message}`),
  });
}

/** `model,day`. Throws ERR_BAD_OPTION. */
export function parseComparisonGroupings(value: string): readonly ComparisonGrouping[] {
  return parseGroupings(value).map((name) => {
    const known = COMPARISON_GROUPINGS.find((grouping) => grouping === name);
    if (known !== undefined) return known;
    const groupings = COMPARISON_GROUPINGS.join(', ');
    throw new ProxyError('ERR_BAD_OPTION', `With --compare, --by must be of ${groupings}, not ${quote(name)}.`);
  });
}

/** Bills have hours at best, and mostly days. */
function wholeDays({ sinceMs, untilMs }: ReturnType<typeof readPeriod>) {
  return {
    sinceMs: sinceMs === undefined ? undefined : Math.floor(sinceMs / DAY_MS) * DAY_MS,
    untilMs: untilMs === undefined ? undefined : Math.ceil(untilMs / DAY_MS) * DAY_MS,
  };
}

/** The days of the bill. Throws ERR_BAD_OPTION if it has none. */
function findPeriod({ bill }: BillReading): { readonly sinceMs: number; readonly untilMs: number } {
  const period = wholeDays({ sinceMs: bill.span?.startMs, untilMs: bill.span?.endMs });
  if (period.sinceMs !== undefined && period.untilMs !== undefined)
    return { sinceMs: period.sinceMs, untilMs: period.untilMs };
  throw new ProxyError('ERR_BAD_OPTION', '--compare: there is no usage in these files for that time.', {
    hint: 'Leave --since and --until out: then all of the bill is compared.',
  });
}

function checkGroupings(by: readonly ComparisonGrouping[], { hasDays, hasRegions, hasTiers }: Bill): void {
  const lacking = by.find(
    (grouping) =>
      (grouping === 'day' && !hasDays) || (grouping === 'region' && !hasRegions) || (grouping === 'tier' && !hasTiers),
  );
  if (lacking === undefined) return;
  const hint =
    lacking === 'day'
      ? 'Export it by the day or the hour; of Cost Explorer, ask with `--granularity DAILY`.'
      : 'Ask Cost Explorer with `--group-by Type=DIMENSION,Key=SERVICE Type=DIMENSION,Key=USAGE_TYPE`.';
  throw new ProxyError('ERR_BAD_OPTION', `--by ${lacking}: the bill does not tell it for every line.`, { hint });
}
