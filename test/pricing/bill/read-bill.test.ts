import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Bill, BillTally } from '../../../src/pricing/bill/bill.ts';
import { type BillReading, readBill } from '../../../src/pricing/bill/read-bill.ts';
import { toNanoUsd } from '../../../src/pricing/bill/decimal.ts';
import { type BillItem, billCsv, costExplorerJson, writeBill } from '../../helpers/bills.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const ALWAYS = { sinceMs: undefined, untilMs: undefined };

async function read(name: string, content: string | Uint8Array): Promise<BillReading> {
  return readBill([await writeBill(await makeTemporaryFolder(), name, content)], new BillTally(ALWAYS));
}

const EDITION = 'Claude Sonnet 4.5 (Amazon Bedrock Edition)';
const SONNET: BillItem = {
  service: '4a524th30q694o538qndh9ucht',
  product: EDITION,
  usageType: 'USE1-MP:USE1_OutputTokenCount-Units',
  amount: '0.002645',
  unit: 'Units',
  cost: '0.0436425000',
  description: 'AWS Marketplace software usage|us-east-1|Million Output Tokens',
};
const ITEMS: readonly BillItem[] = [
  { amount: '12.5', cost: '0.01' },
  { start: '2026-09-02T00:00:00Z', end: '2026-09-02T01:00:00Z', amount: '0.001', cost: '8E-7' },
  SONNET,
  { usageType: 'USE1-Frobnicate', cost: '0.3' },
  { type: 'Credit', cost: '-0.05', usageType: '', amount: '0' },
  { service: 'AmazonS3', product: 'Amazon Simple Storage Service', usageType: 'TimedStorage-ByteHrs', cost: '7' },
];
const SUMS = {
  groups: [
    ['NovaPro', 'us-east-1', 'standard', '2026-09-01', 10_000_000, 12_500, 0],
    ['NovaPro', 'us-east-1', 'standard', '2026-09-02', 800, 1, 0],
    [EDITION, 'us-east-1', 'standard', '2026-09-01', 43_642_500, 0, 2_645],
  ],
  unknown: [['USE1-Frobnicate', 300_000_000]],
  others: [['credit', -50_000_000]],
  total: 303_643_300,
};

function sumsOf({ groups, unknown, others, total }: Bill): typeof SUMS {
  return {
    groups: groups.map(({ name, region, tier, day, cost, tokens }) => [
      name,
      region,
      tier,
      day,
      toNanoUsd(cost),
      Number(tokens.input),
      Number(tokens.output),
    ]),
    unknown: unknown.map(({ usageType, cost }) => [usageType, toNanoUsd(cost)]),
    others: [...others].map(([kind, cost]) => [kind, toNanoUsd(cost)]),
    total: toNanoUsd(total),
  };
}

describe('readBill', () => {
  it.each([
    { name: 'cur2.csv', content: billCsv(ITEMS) },
    { name: 'cur2.csv.gz', content: billCsv(ITEMS) },
    { name: 'packed-without-a-suffix', content: gzipSync(billCsv(ITEMS)) },
    { name: 'two-members.csv', content: Buffer.concat([gzipSync(billCsv(ITEMS)), gzipSync('\n')]) },
    { name: 'bom.csv', content: `\uFEFF${billCsv(ITEMS)}` },
    { name: 'legacy.csv', content: billCsv(ITEMS, 'legacy') },
    { name: 'focus.csv', content: billCsv(ITEMS, 'focus') },
  ])('reads $name', async ({ name, content }) => {
    const { bill } = await read(name, content);
    expect(sumsOf(bill)).toEqual(SUMS);
    expect(bill).toMatchObject({ hasDays: true, hasRegions: true, hasTiers: true, lines: 5 });
    expect(bill.span).toEqual({ startMs: Date.UTC(2026, 8, 1, 7), endMs: Date.UTC(2026, 8, 2, 1) });
  });

  it('finds the product in a map of either form', async () => {
    const csv = billCsv([SONNET]);
    const json = `"{""product_name"":""${EDITION}"",""region"":""us-east-1""}"`;
    expect(csv).toContain(json);
    for (const map of [json, `"{region=us-east-1, product_name=${EDITION}}"`]) {
      const { bill } = await read('cur.csv', csv.replace(json, map));
      expect(bill.groups).toMatchObject([{ name: EDITION }]);
    }
  });

  it('reads Cost Explorer by service and usage type', async () => {
    const items = ITEMS.map((item) => ({ ...item, ...(item.type === 'Credit' ? { product: 'Tax' } : {}) }));
    const reading = await read('ce.json', costExplorerJson(items, ['SERVICE', 'USAGE_TYPE']));
    expect(sumsOf(reading.bill)).toEqual({
      ...SUMS,
      groups: expect.arrayContaining(SUMS.groups),
      others: [],
      total: SUMS.total + 50_000_000,
    });
    expect(reading).toMatchObject({ isEstimated: false, isCut: false });
    expect(reading.bill).toMatchObject({ hasDays: true, hasRegions: true, hasTiers: true });
  });

  it('reads Cost Explorer by service alone: what it does not tell is not guessed', async () => {
    const items = [{ cost: '1' }, { ...SONNET, cost: '2' }];
    const { bill } = await read('ce.json.gz', costExplorerJson(items, ['SERVICE']));
    expect(bill).toMatchObject({ hasDays: true, hasRegions: false, hasTiers: false });
    expect(bill.groups).toMatchObject([{ name: EDITION, hasUsage: false }]);
    expect(bill.unknown).toMatchObject([{ usageType: '', product: 'Amazon Bedrock' }]);
  });

  it('reads months, pages and estimates of Cost Explorer', async () => {
    const month = JSON.parse(costExplorerJson([{}], ['USAGE_TYPE', 'REGION'], { NextPageToken: 'more' })) as {
      ResultsByTime: { TimePeriod: object; Estimated: boolean }[];
    };
    const [period] = month.ResultsByTime;
    Object.assign(period ?? {}, { TimePeriod: { Start: '2026-09-01', End: '2026-10-01' }, Estimated: true });
    const reading = await read('ce.json', JSON.stringify(month));
    expect(reading).toMatchObject({ isEstimated: true, isCut: true });
    expect(reading.bill).toMatchObject({ hasDays: false, hasRegions: true });
  });

  it('adds files up, and takes only what begins within the period', async () => {
    const folder = await makeTemporaryFolder();
    const paths = [
      await writeBill(folder, '1.csv', billCsv(ITEMS)),
      await writeBill(folder, '2.csv.gz', billCsv([{ cost: '0.5' }], 'legacy')),
    ];
    const all = await readBill(paths, new BillTally(ALWAYS));
    expect(toNanoUsd(all.bill.total)).toBe(SUMS.total + 500_000_000);
    const second = await readBill(
      paths,
      new BillTally({ sinceMs: Date.UTC(2026, 8, 2), untilMs: Date.UTC(2026, 8, 3) }),
    );
    expect(toNanoUsd(second.bill.total)).toBe(800);
    expect(second.bill).toMatchObject({ lines: 1, linesOutside: 5 });
  });

  it('tells discounts apart where the file does', async () => {
    const { bill } = await read(
      'cur.csv',
      billCsv([
        { cost: '10', netCost: '9.1' },
        { cost: '2', netCost: '' },
      ]),
    );
    expect([bill.total, bill.netTotal ?? 0n].map(toNanoUsd)).toEqual([12_000_000_000, 11_100_000_000]);
  });

  it('knows the end of the bill by its days, not by what other services charge by the month', async () => {
    const month = { service: 'AmazonRoute53', product: 'Amazon Route 53', end: '2026-10-01T00:00:00Z' };
    const day = { service: 'AmazonS3', product: 'S3', start: '2026-09-09T00:00:00Z', end: '2026-09-10T00:00:00Z' };
    const { bill } = await read('cur.csv', billCsv([{}, month, day]));
    expect(bill.span?.endMs).toBe(Date.UTC(2026, 8, 10));
  });

  it('keeps what belongs to an application inference profile', async () => {
    const resource = 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/0abcdefghijk';
    const { bill } = await read('cur.csv', billCsv([{ resource }]));
    expect([...bill.profiles]).toEqual([[resource, { name: 'NovaPro', isGlobal: false }]]);
  });

  const wide = billCsv([{}]).split('\n');
  it.each([
    { name: 'an empty file', content: '', says: 'it is empty' },
    { name: 'Parquet', content: 'PAR1\u0015\u0004', says: 'it is Parquet', hint: /gzip \(CSV\)/ },
    { name: 'a zip archive', content: 'PK\u0003\u0004', says: 'it is a zip archive', hint: /Unpack it/ },
    { name: 'half a gzip', content: gzipSync(billCsv(ITEMS)).subarray(0, 90), says: 'the gzip ends before its end' },
    {
      name: 'a damaged gzip',
      content: Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 255, 255]),
      says: 'the gzip is damaged',
    },
    { name: 'a gzip within a gzip', content: gzipSync(gzipSync(billCsv(ITEMS))), says: 'it is not text in UTF-8' },
    { name: 'bytes', content: Buffer.from([0xff, 0xfe, 0x41, 0, 0x42]), says: 'it is not text in UTF-8' },
    { name: 'another CSV', content: 'a,b\n1,2\n', says: 'at line 1: there is no column line_item_usage_start_date or' },
    {
      name: 'a column twice',
      content: `${wide[0]},line_item_usage_type\n`,
      says: 'two columns are named "line_item_usage_type"',
    },
    { name: 'a short record', content: `${wide[0]}\na,b\n`, says: 'at line 2, column 1: 2 fields, but 17 in the head' },
    {
      name: 'an amount of words',
      content: billCsv([{}, { amount: 'lots' }]),
      says: 'at line 3, column 10 (line_item_usage_amount): "lots" is no number',
    },
    {
      name: 'a time of words',
      content: billCsv([{ start: 'noon' }]),
      says: 'column 4 (line_item_usage_start_date): "noon" is no time',
    },
    {
      name: 'yuan',
      content: billCsv([{ currency: 'CNY' }]),
      says: 'column 11 (line_item_currency_code): it is in "CNY", the ledger in USD',
    },
    { name: 'JSON of another kind', content: '{"files":[]}', says: 'ResultsByTime is missing' },
    { name: 'half of JSON', content: '{"ResultsByTime":\n [}', says: 'it is no JSON (Unexpected token' },
    { name: 'JSON that is nested deep', content: '['.repeat(100_000), says: 'its JSON is nested too deep' },
    {
      name: 'a period of words',
      content: '{"ResultsByTime":[{"TimePeriod":{"Start":"noon"}}]}',
      says: 'at ResultsByTime[0].TimePeriod',
    },
    {
      name: 'a cost that is no text',
      content: costExplorerJson([{}], ['SERVICE']).replace('"Amount":"0.0008000000"', '"Amount":7'),
      says: 'Groups[0].Metrics.UnblendedCost.Amount: "7" is no number',
    },
  ])('refuses $name and says why', async ({ content, says, hint }) => {
    const error: unknown = await read('bill', content).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_BAD_OPTION' });
    expect(String(error)).toContain(says);
    if (hint !== undefined) expect(error).toMatchObject({ hint: expect.stringMatching(hint) });
  });

  it('refuses what is not there, and folders', async () => {
    const folder = await makeTemporaryFolder();
    await mkdir(join(folder, 'sub'));
    await expect(readBill([join(folder, 'none')], new BillTally(ALWAYS))).rejects.toThrow('there is no such file');
    await expect(readBill([join(folder, 'sub')], new BillTally(ALWAYS))).rejects.toThrow('it is a folder');
  });

  it('never repeats what a terminal would act on', async () => {
    const error: unknown = await read('bill', billCsv([{ amount: '\u001b[31mred\u0007' }])).catch(
      (reason: unknown) => reason,
    );
    expect(String(error)).toContain('?[31mred?');
  });

  it('sums a hundred thousand small lines to the cent, in little memory', async () => {
    const [head = '', line = ''] = billCsv([{ amount: '0.001', cost: '0.0000008' }]).split('\n');
    const content = gzipSync(`${head}\n${`${line}\n`.repeat(100_000)}`);
    const { bill } = await read('large.csv', content);
    expect([bill.groups.length, bill.lines, toNanoUsd(bill.total)]).toEqual([1, 100_000, 80_000_000]);
    expect(bill.groups[0]?.tokens.input).toBe(100_000n);
  });
});
