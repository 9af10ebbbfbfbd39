/** A fuzz target that reads bills: it refuses them with a place, or gives sums that are those of all their lines. */
import { deepStrictEqual, ok } from 'node:assert';
import { ProxyError } from '../../src/lib/errors.ts';
import { type Bill, BillTally } from '../../src/pricing/bill/bill.ts';
import { readCostExplorer } from '../../src/pricing/bill/cost-explorer.ts';
import { openCostReport } from '../../src/pricing/bill/cost-report.ts';
import { CsvError, CsvReader, type CsvRecord } from '../../src/pricing/bill/csv.ts';
import { type BillItem, billCsv, costExplorerJson } from '../helpers/bills.ts';
import type { FuzzTarget } from './engine.ts';

const PLACE = /^The bill "x" cannot be read at (?:line \d|ResultsByTime\[)|ResultsByTime is missing/;

function sumCsv(text: string, at: number): Bill | string {
  const tally = new BillTally({ sinceMs: undefined, untilMs: undefined });
  const reader = new CsvReader();
  let report: ReturnType<typeof openCostReport> | undefined;
  const take = (records: Iterable<CsvRecord>): void => {
    for (const record of records) {
      const read = report?.readRecord(record);
      report ??= openCostReport(record[0], 'x');
      if (read?.span !== undefined) tally.addSpan(read.span);
      if (read?.line !== undefined) tally.addLine(read.line);
    }
  };
  return unlessBroken(() => {
    take(reader.push(text.slice(0, at)));
    take(reader.push(text.slice(at)));
    take(reader.end());
    return tally.finish();
  });
}

function sumJson(value: unknown): Bill | string {
  const tally = new BillTally({ sinceMs: undefined, untilMs: undefined });
  return unlessBroken(() => {
    for (const line of readCostExplorer(value, 'x').lines) tally.addLine(line);
    return tally.finish();
  });
}

function unlessBroken(read: () => Bill): Bill | string {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof CsvError) return `${thrown.message} ${thrown.line} ${thrown.column}`;
    if (thrown instanceof ProxyError && PLACE.test(thrown.message)) return thrown.message;
    throw thrown;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkSums(bill: Bill | string): void {
  if (typeof bill === 'string') return;
  const costs = [...bill.groups, ...bill.unknown].map(({ cost }) => cost);
  const all = [...costs, ...bill.others.values()].reduce((sum, cost) => sum + cost, 0n);
  ok(all === bill.total, `the parts are ${all}, the whole is ${bill.total}`);
}

const ITEMS: readonly BillItem[] = [{}, { type: 'Credit', cost: '-1.5E-3' }, { usageType: 'USE1-X', netCost: '0' }];

/** A Cost and Usage Report in CSV, or a response of Cost Explorer. */
export const BILL = {
  name: 'bill',
  words: ['"', '""', ',', '\r\n', '-1e-9', '2026-09-01T00:00:00Z', 'USE1-MP:USE1_InputTokenCount-Units', '__proto__'],
  check: (input: Buffer) => {
    const text = input.toString('utf8');
    const value = parse(text);
    if (value !== undefined) checkSums(sumJson(value));
    const whole = sumCsv(text, text.length);
    checkSums(whole);
    deepStrictEqual(sumCsv(text, Math.floor(text.length / 2)), whole);
  },
} satisfies FuzzTarget;

/** Small bills. */
export const BILL_SEEDS: readonly string[] = [
  billCsv(ITEMS),
  billCsv(ITEMS, 'legacy'),
  billCsv(ITEMS, 'focus').replaceAll('\n', '\r\n'),
  costExplorerJson(ITEMS, ['SERVICE', 'USAGE_TYPE']),
  costExplorerJson(ITEMS, ['RECORD_TYPE', 'REGION']),
];
