import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { LedgerRow } from '../../../src/domain/ledger.ts';
import { type BillItem, billCsv, costExplorerJson, writeBill } from '../../helpers/bills.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

async function settle(cli: Cli, rows: readonly Partial<LedgerRow>[]): Promise<void> {
  const store = await openSqliteStore(cli.databasePath);
  for (const row of rows) {
    const costNanoUsd = 'costNanoUsd' in row ? row.costNanoUsd : 0;
    await store.settle(aLedgerRow({ startedAtMs: at(1), ...row, costNanoUsd, chargedNanoUsd: costNanoUsd ?? 0 }));
  }
  await store.close();
}

const at = (day: number, hour = 7): number => Date.UTC(2026, 8, day, hour);
const onDay = (day: number): Pick<BillItem, 'start' | 'end'> => ({
  start: new Date(at(day)).toISOString(),
  end: new Date(at(day, 8)).toISOString(),
});

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const SONNET_ID = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
/** As the Marketplace bills it: by the million, under a code that says nothing. */
const sonnet = (usage: string, amount: string, cost: string): BillItem => ({
  service: '4a524th30q694o538qndh9ucht',
  product: 'Claude Sonnet 4.5 (Amazon Bedrock Edition)',
  usageType: `USE1-MP:USE1_${usage}-Units`,
  resource: `arn:aws:bedrock:us-east-1::foundation-model/${SONNET_ID}`,
  amount,
  unit: 'Units',
  cost,
  description: 'AWS Marketplace software usage|us-east-1|Million Tokens',
});
const USD = 1_000_000_000;

/** Nova Pro: AWS has twice the input. Sonnet: AWS takes a tenth more. Nova Lite: has no price here. */
const ROWS: readonly Partial<LedgerRow>[] = [
  { model: 'us.amazon.nova-pro-v1:0', usage: { inputTokens: 5_000_000, outputTokens: 0 }, costNanoUsd: 4 * USD },
  { model: SONNET, usage: { inputTokens: 1_000_000, outputTokens: 100_000 }, costNanoUsd: 4.5 * USD },
  {
    model: 'amazon.nova-lite-v1:0',
    usage: { inputTokens: 2_000_000 },
    pricing: 'unpriced',
    costNanoUsd: undefined,
    serviceTier: 'flex',
  },
  { model: SONNET, pricing: 'free', status: 429, errorCode: 'ERR_REQUEST_RATE' },
];
const BILL: readonly BillItem[] = [
  { amount: '10000', cost: '8.0000000000' },
  sonnet('InputTokenCount', '1.0000000000', '3.3000000000'),
  sonnet('OutputTokenCount', '0.1000000000', '1.6500000000'),
  { usageType: 'USE1-NovaLite-input-tokens-flex', amount: '2000', cost: '0.06' },
  { usageType: 'USE1-NovaLite-ProvisionedThroughput-ModelUnits', amount: '1', unit: 'Hrs', cost: '1.25' },
  { type: 'Credit', usageType: '', amount: '0', cost: '-2.5', description: 'Promotion' },
  { type: 'Tax', usageType: '', amount: '0', cost: '0.7' },
  { service: 'AmazonEC2', product: 'Amazon Elastic Compute Cloud', usageType: 'BoxUsage:m7i.large', cost: '99' },
];

/** Five days of which one is free. */
function billedWithout(free: number): string {
  const days = [1, 2, 3, 4, 5].map((day) => ({ ...onDay(day), amount: '1000', cost: '0.8' }));
  return billCsv(days.with(free - 1, { ...onDay(free), amount: '0', cost: '0' }));
}

const cellsOf = (line = ''): string[] => line.trim().split(/ {2,}/);
const linesOf = (stdout: string): string[] => stdout.trimEnd().split('\n');

async function open(rows: readonly Partial<LedgerRow>[]) {
  const cli = await openCli();
  await settle(cli, rows);
  const compare = async (name: string, content: string, ...args: string[]) =>
    cli.run(['usage', '--compare', await writeBill(cli.home, name, content), ...args]);
  return { cli, compare };
}

const ELSEWHERE = '5.00M tokens did not pass here: $4.00';
const PRICE = 'price of 1M tokens $4.09, AWS $4.50: $0.45';
const UNPRICED = '1 request unpriced here: $0.06';

describe('usage --compare', () => {
  it('lays the ledger beside a Cost and Usage Report, with causes, to the cent of the bill', async () => {
    const { compare } = await open(ROWS);
    const { code, stdout, stderr } = await compare('cur.csv', billCsv(BILL));
    expect([code, stderr]).toEqual([0, '']);
    const lines = linesOf(stdout);
    expect(lines.slice(0, 5).map(cellsOf)).toEqual([
      ['MODEL', 'OURS', 'AWS', 'DIFF', '%', 'TOKENS', 'AT AWS', 'LIKELY CAUSE'],
      ['amazon.nova-pro-v1:0', '$4.00', '$8.00', '+$4.00', '+50%', '5.00M', '10.0M', ELSEWHERE],
      ['anthropic.claude-sonnet-4-5', '$4.50', '$4.95', '+$0.45', '+9.1%', '1.10M', '1.10M', PRICE],
      ['amazon.nova-lite-v1:0', '?', '$0.06', '+$0.06', '+100%', '2.00M', '2.00M', UNPRICED],
      ['total', '$8.50 + ?', '$13.01', '+$4.51', '+35%', '8.10M', '13.1M', [ELSEWHERE, PRICE, UNPRICED].join('; ')],
    ]);
    expect(lines.slice(6)).toEqual([
      "From 2026-09-01 00:00Z until 2026-09-02 00:00Z. DIFF: AWS's cost less ours.",
      'Prices that AWS has changed: `bedrock-proxy prices update`.',
      '',
      '$13.01  is compared',
      ' $1.25  is not: not sold by the call, or not known',
      '          USE1-NovaLite-ProvisionedThroughput-ModelUnits: $1.25',
      '-$2.50  credits',
      ' $0.70  taxes',
      '$12.46  Amazon Bedrock on this bill',
    ]);
  });

  it('prints on a terminal of 80 columns what docs/costs.md shows', async () => {
    const { compare } = await open(ROWS);
    onTestFinished(() => void Object.assign(process.stdout, { isTTY: undefined, columns: undefined }));
    Object.assign(process.stdout, { isTTY: true, columns: 80 });
    const { stdout } = await compare('cur.csv.gz', billCsv(BILL));
    const docs = readFileSync(new URL('../../../docs/costs.md', import.meta.url), 'utf8');
    expect(docs).toContain(`usage --compare bedrock-00001.csv.gz\n\`\`\`\n\n\`\`\`text\n${stdout}\`\`\`\n`);
  });

  it.each([
    { name: 'the report before it', file: 'cur.csv.gz', content: billCsv(BILL, 'legacy') },
    { name: 'FOCUS', file: 'focus.csv', content: billCsv(BILL, 'focus') },
    { name: 'Cost Explorer', file: 'ce.json', content: costExplorerJson(BILL, ['SERVICE', 'USAGE_TYPE']) },
  ])('finds the same in $name', async ({ file, content }) => {
    const { compare } = await open(ROWS);
    const lines = linesOf((await compare(file, content)).stdout);
    expect(lines.slice(1, 4).map(cellsOf)).toEqual([
      ['amazon.nova-pro-v1:0', '$4.00', '$8.00', '+$4.00', '+50%', '5.00M', '10.0M', ELSEWHERE],
      ['anthropic.claude-sonnet-4-5', '$4.50', '$4.95', '+$0.45', '+9.1%', '1.10M', '1.10M', PRICE],
      ['amazon.nova-lite-v1:0', '?', '$0.06', '+$0.06', '+100%', '2.00M', '2.00M', UNPRICED],
    ]);
  });

  it('compares what Cost Explorer has by service alone by its money', async () => {
    const { compare } = await open(ROWS);
    const content = costExplorerJson(
      [{ product: 'Claude Sonnet 4.5 (Amazon Bedrock Edition)', cost: '4.95' }, { cost: '8.06' }],
      ['SERVICE'],
    );
    const { stdout } = await compare('ce.json', content, '--json');
    const { groups, not_compared: unknown, bill } = JSON.parse(stdout) as Record<string, Record<string, unknown>[]>;
    expect(groups).toContainEqual(
      expect.objectContaining({
        model: SONNET_ID,
        difference_usd: '0.45',
        causes: [expect.objectContaining({ kind: 'unknown' })],
      }),
    );
    expect(unknown).toEqual([
      expect.objectContaining({ usage_type: null, product: 'Amazon Bedrock', cost_usd: '8.06' }),
    ]);
    expect(bill).toMatchObject({ total_usd: '13.01' });
    const refused = await compare('ce.json', content, '--by', 'model,tier');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--by tier: the bill does not tell it') });
    expect(refused.stderr).toContain('Key=USAGE_TYPE');
  });

  it('groups by model, region, tier and day', async () => {
    const rows = [1, 2].map((day) => ({
      model: 'amazon.nova-pro-v1:0',
      startedAtMs: at(day),
      usage: { inputTokens: 1_000_000 },
      costNanoUsd: 0.8 * USD,
    }));
    const { compare } = await open([...rows, { ...rows[0], region: 'eu-west-1', serviceTier: 'flex' }]);
    const bill = billCsv([
      { ...onDay(1), amount: '1000', cost: '0.8' },
      { ...onDay(2), amount: '2000', cost: '1.6' },
      { ...onDay(1), region: 'eu-west-1', usageType: 'EU-NovaPro-input-tokens-flex', amount: '1000', cost: '0.8' },
    ]);
    const { stdout } = await compare('cur.csv', bill, '--by', 'day,region,tier', '--csv');
    expect(linesOf(stdout).map((line) => line.trim())).toEqual([
      'day,region,tier,requests,unpriced,partial,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,' +
        'aws_input_tokens,aws_output_tokens,aws_cache_read_tokens,aws_cache_write_tokens,' +
        'cost_usd,aws_cost_usd,difference_usd,likely_cause',
      '2026-09-01,us-east-1,standard,1,0,0,1000000,0,0,0,1000000,0,0,0,0.8,0.8,0,',
      '2026-09-01,eu-west-1,flex,1,0,0,1000000,0,0,0,1000000,0,0,0,0.8,0.8,0,',
      '2026-09-02,us-east-1,standard,1,0,0,1000000,0,0,0,2000000,0,0,0,0.8,1.6,0.8,1.00M tokens did not pass here: $0.80',
    ]);
  });

  it('tells the unit prices that differ, if the ledger was made with those that are known', async () => {
    const { cli } = await open([
      { model: SONNET, usage: { inputTokens: 1_000_000, outputTokens: 100_000 }, costNanoUsd: 4.5 * USD },
    ]);
    const paths = [
      await writeBill(
        cli.home,
        'cur.csv',
        billCsv([sonnet('InputTokenCount', '1', '3'), sonnet('OutputTokenCount', '0.1', '2')]),
      ),
      await writeBill(
        cli.home,
        'prices.json',
        JSON.stringify({ models: { [SONNET]: { input_mtok: 3, output_mtok: 15 } } }),
      ),
    ] as const;
    const { stdout } = await cli.run(['usage', '--compare', paths[0]], { BEDROCK_PROXY_PRICES: paths[1] });
    expect(linesOf(stdout)[1]).toContain('price of 1M output $15.00, AWS $20.00: $0.50');
  });

  it('takes what the last two days of the bill lack for not billed yet, and the rest for another account', async () => {
    const row = { model: 'amazon.nova-pro-v1:0', usage: { inputTokens: 1_000_000 }, costNanoUsd: 0.8 * USD };
    const { compare } = await open([1, 2, 3, 4, 5].map((day) => ({ ...row, startedAtMs: at(day) })));
    const lineWithout = async (day: number): Promise<string | undefined> =>
      linesOf((await compare('cur.csv', billedWithout(day))).stdout)[1];
    expect(await lineWithout(5)).toContain('AWS has not billed the last 1.00M tokens yet: $0.80');
    expect(await lineWithout(2)).toContain('1.00M tokens not on this bill, other account?: $0.80');
  });

  it('calls what differs by less than a cent the same', async () => {
    const row = {
      model: 'amazon.nova-pro-v1:0',
      usage: { inputTokens: 1_000_000 },
      costNanoUsd: 0.8 * USD - 9_000_000,
    };
    const { compare } = await open([row]);
    const lines = linesOf((await compare('cur.csv', billCsv([{ amount: '1000', cost: '0.8' }]))).stdout);
    expect(cellsOf(lines[1])).toEqual(['amazon.nova-pro-v1:0', '$0.791', '$0.80', '-', '1.00M', '1.00M']);
  });

  it('takes application inference profiles for the model that AWS bills', async () => {
    const resource = 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/0abcdefghijk';
    const { compare } = await open([{ model: resource, usage: { inputTokens: 1_000_000 }, costNanoUsd: 0.8 * USD }]);
    const lines = linesOf((await compare('cur.csv', billCsv([{ resource, amount: '1000', cost: '0.8' }]))).stdout);
    expect(cellsOf(lines[1])).toEqual(['amazon.nova-pro-v1:0', '$0.80', '$0.80', '-', '1.00M', '1.00M']);
  });

  it('keeps prices of global profiles apart from those of a region', async () => {
    const usage = { inputTokens: 1_000_000 };
    const { compare } = await open([
      { model: 'amazon.nova-2-lite-v1:0', usage, costNanoUsd: 0.33 * USD },
      { model: 'global.amazon.nova-2-lite-v1:0', usage, costNanoUsd: 0.3 * USD },
    ]);
    const bill = billCsv([
      { usageType: 'USE1-Nova2.0Lite-input-tokens', amount: '1000', cost: '0.33' },
      { usageType: 'USE1-Nova2.0Lite-input-tokens-cross-region-global', amount: '2000', cost: '0.6' },
    ]);
    const lines = linesOf((await compare('cur.csv', bill)).stdout);
    expect(cellsOf(lines[1])).toContain('1.00M tokens did not pass here: $0.30');
  });

  it('reads several files, and of them the days that are asked for', async () => {
    const { cli } = await open(ROWS);
    const paths = [
      await writeBill(cli.home, '1.csv', billCsv(BILL)),
      await writeBill(cli.home, '2.csv.gz', billCsv([{ ...onDay(2), amount: '10', cost: '0.008' }])),
    ];
    const run = async (...args: string[]) => {
      const { stdout } = await cli.run(['usage', '--compare', ...paths, '--json', ...args]);
      return JSON.parse(stdout) as { since: string; until: string; bill: object };
    };
    expect(await run()).toMatchObject({ until: '2026-09-03T00:00:00.000Z', bill: { total_usd: '12.468', lines: 8 } });
    expect(await run('--since', '2026-09-02', '--until', '2026-09-02')).toMatchObject({
      since: '2026-09-02T00:00:00.000Z',
      until: '2026-09-03T00:00:00.000Z',
      bill: { total_usd: '0.008', lines: 1, lines_outside: 7 },
    });
    const none = await cli.run(['usage', '--compare', ...paths, '--since', '2026-10-01']);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no usage in these files') });
  });

  it('says where the ledger begins, if the bill is older, and makes no ledger', async () => {
    const { compare } = await open([{ ...ROWS[0], startedAtMs: at(9) }]);
    const bill = billCsv([{}, { ...onDay(9), amount: '5000', cost: '4' }]);
    expect((await compare('cur.csv', bill)).stdout).toContain(
      "The ledger begins 2026-09-09 07:00Z: of the days before, only AWS's side is known.",
    );
    const empty = await openCli();
    const path = await writeBill(empty.home, 'cur.csv', bill);
    const { code, stdout } = await empty.run(['usage', '--compare', path]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('There are no requests in the ledger.')]);
  });

  it.each([
    { args: ['--by', 'key'], says: 'With --compare, --by must be of model, region, tier, day, not "key".' },
    { args: ['--key', 'alice'], says: '--key' },
    { args: ['--json', '--csv'], says: '--csv' },
  ])('refuses $args', async ({ args, says }) => {
    const { compare } = await open([]);
    const { code, stderr } = await compare('cur.csv', billCsv(BILL), ...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });

  it('refuses a broken bill with its place', async () => {
    const { compare } = await open([]);
    const { code, stdout, stderr } = await compare('cur.csv', `${billCsv(BILL)}1,2\n`);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: The bill ".*cur\.csv" cannot be read at line 10, column 1: 2 fields, but 17/);
  });
});
