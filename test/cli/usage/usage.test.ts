import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { usageToCsv } from '../../../src/cli/usage/usage.ts';
import { formatUsage } from '../../../src/cli/usage/usage-table.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { LedgerRow, UsageGroup, UsageGrouping } from '../../../src/domain/ledger.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

const HOUR_MS = 3_600_000;

async function settle(cli: Cli, rows: readonly Partial<LedgerRow>[]): Promise<void> {
  const store = await openSqliteStore(cli.databasePath);
  for (const row of rows) await store.settle(aLedgerRow({ startedAtMs: Date.now() - HOUR_MS, ...row }));
  await store.close();
}

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
/** Two priced, one of them broken off; one that nobody has a price for; one that failed. */
const ROWS: readonly Partial<LedgerRow>[] = [
  {
    model: SONNET,
    usage: { inputTokens: 1_200, outputTokens: 300, cacheReadTokens: 20_000 },
    costNanoUsd: 12_345_678,
    chargedNanoUsd: 12_345_678,
  },
  { model: SONNET, usage: { inputTokens: 10 }, costNanoUsd: 30_000, chargedNanoUsd: 5_030_000, partial: true },
  { model: 'x.y', pricing: 'unpriced', costNanoUsd: undefined, chargedNanoUsd: 0 },
  { model: 'x.y', pricing: 'free', status: 429, errorCode: 'ERR_REQUEST_RATE', costNanoUsd: 0, chargedNanoUsd: 0 },
];
const NOTES = [
  /^Since \d{4}-\d\d-\d\d \d\d:\d\dZ\.$/,
  /^1 request with no known price: the cost is unknown, not zero, and not added\.$/,
  /^1 request known in part \(partial\): only that part is in the cost\.$/,
  /^Budgets were charged \$0\.005 more, as an estimate of what is not known\.$/,
];

const cellsOf = (line = ''): string[] => line.split(/ {2,}/);

describe('usage', () => {
  it('adds usage up by model, and shows what is unknown as unknown', async () => {
    const cli = await openCli();
    await settle(cli, ROWS);
    const { code, stdout, stderr } = await cli.run(['usage', '--by', 'model']);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.slice(0, 4).map(cellsOf)).toEqual([
      ['MODEL', 'REQUESTS', 'ERRORS', 'INPUT', 'OUTPUT', 'CACHE READ', 'UNPRICED', 'PARTIAL', 'COST'],
      [SONNET, '2', '0', '1.21k', '300', '20.0k', '0', '1', '$0.0124 + ?'],
      ['x.y', '2', '1', '0', '0', '0', '1', '0', '?'],
      ['total', '4', '1', '1.21k', '300', '20.0k', '1', '1', '$0.0124 + ?'],
    ]);
    expect(lines[4]).toBe('');
    expect(lines).toHaveLength(9);
    for (const [at, note] of NOTES.entries()) expect(lines[5 + at]).toMatch(note);
  });

  it('leaves out columns and notes that would say nothing', async () => {
    const cli = await openCli();
    await settle(cli, [{ usage: { inputTokens: 1, outputTokens: 2 } }]);
    const lines = (await cli.run(['usage'])).stdout.trimEnd().split('\n');
    expect(lines.slice(0, -1).map(cellsOf)).toEqual([
      ['KEY', 'REQUESTS', 'INPUT', 'OUTPUT', 'COST'],
      ['a', '1', '1', '2', '$0.000001'],
      ['total', '1', '1', '2', '$0.000001'],
      [''],
    ]);
  });

  it('prints usage as exact JSON of a stable shape', async () => {
    const cli = await openCli();
    await settle(cli, ROWS);
    const { stdout } = await cli.run(['usage', '--json', '--since', '2d']);
    const total = {
      requests: 4,
      errors: 1,
      unpriced: 1,
      partial: 1,
      input_tokens: 1_210,
      output_tokens: 300,
      cache_read_tokens: 20_000,
      cache_write_tokens: 0,
      cost_nano_usd: 12_375_678,
      cost_usd: '0.012375678',
      estimated_nano_usd: 5_000_000,
      estimated_usd: '0.005',
    };
    expect(JSON.parse(stdout)).toEqual({
      by: 'key',
      since: expect.stringMatching(/Z$/),
      until: null,
      groups: [{ name: 'vk_a', label: 'a', ...total }],
      total,
    });
  });

  it.each([
    { by: 'day', names: [expect.stringMatching(/^\d{4}-\d\d-\d\d$/)] },
    { by: 'operation', names: ['Converse'] },
    { by: 'region', names: ['us-east-1'] },
    { by: 'tier', names: ['flex'] },
    { by: 'source', names: ['aws'] },
    { by: 'client', names: ['claude-code'] },
    { by: 'session', names: ['s-1'] },
    { by: 'agent', names: ['a-1'] },
    { by: 'tag', names: ['team=search'] },
    { by: 'tag:team', names: ['search'] },
    { by: 'tag:repo', names: [null] },
  ])('groups usage by $by', async ({ by, names }) => {
    const cli = await openCli();
    const row = { serviceTier: 'flex', priceSource: 'aws', userAgent: 'claude-code', session: 's-1', agent: 'a-1' };
    await settle(cli, [{ tags: { team: 'search' }, ...row }]);
    const { stdout } = await cli.run(['usage', '--by', by, '--json']);
    const { groups } = JSON.parse(stdout) as { groups: { name: string }[] };
    expect(groups.map(({ name }) => name)).toEqual(names);
  });

  it('groups usage by several things, the most expensive first, in JSON and in CSV', async () => {
    const cli = await openCli();
    const cheap = { costNanoUsd: 1, chargedNanoUsd: 1 };
    await settle(cli, [
      { session: 's-1', ...cheap },
      { session: 's-2', keyId: 'vk_b', keyLabel: 'b' },
      { session: 's-2', keyId: 'vk_b', keyLabel: 'b' },
      { session: 's-2' },
    ]);
    const by = ['usage', '--by', 'session,key'];
    const { groups } = JSON.parse((await cli.run([...by, '--json'])).stdout) as { groups: object[] };
    expect(groups).toMatchObject([
      { names: { session: 's-2', key: 'vk_b' }, label: 'b', requests: 2 },
      { names: { session: 's-2', key: 'vk_a' }, label: 'a', requests: 1 },
      { names: { session: 's-1', key: 'vk_a' }, label: 'a', requests: 1 },
    ]);
    const csv = (await cli.run([...by, '--csv', '--limit', '1'])).stdout;
    expect(csv.split('\r\n').map((line) => line.split(',').slice(0, 4))).toEqual([
      ['session', 'key_id', 'label', 'requests'],
      ['s-2', 'vk_b', 'b', '2'],
      [''],
    ]);
    const lines = (await cli.run([...by, '--limit', '1'])).stdout.trimEnd().split('\n');
    expect(lines.slice(0, 3).map((line) => cellsOf(line).slice(0, 3))).toEqual([
      ['SESSION', 'KEY', 'REQUESTS'],
      ['s-2', 'b', '2'],
      ['total', '4', '0'],
    ]);
    expect(lines.at(-1)).toBe('At most 1 lines are shown; the total is that of all.');
  });

  it('lists days in their order, and within a day the most expensive first', async () => {
    const cli = await openCli();
    const [yesterday, dear] = [
      { startedAtMs: Date.now() - 24 * HOUR_MS },
      { costNanoUsd: 9_000, chargedNanoUsd: 9_000 },
    ];
    await settle(cli, [
      { session: 's-1', ...dear, startedAtMs: Date.now() },
      { session: 's-2', ...yesterday },
      { session: 's-3', ...yesterday, ...dear },
    ]);
    const { stdout } = await cli.run(['usage', '--by', 'day,session', '--json']);
    const { groups } = JSON.parse(stdout) as { groups: { names: { session: string } }[] };
    expect(groups.map(({ names }) => names.session)).toEqual(['s-3', 's-2', 's-1']);
  });

  it('sums one session', async () => {
    const cli = await openCli();
    await settle(cli, [{ session: 's-1' }, { session: 's-2' }, { session: 's-1' }, {}]);
    const { stdout } = await cli.run(['usage', '--session', 's-1', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ total: { requests: 2, cost_nano_usd: 2_000 } });
    expect((await cli.run(['usage', '--session', 'nobody'])).stderr).toMatch(/^There are no requests in the ledger/);
  });

  it.each([
    { flags: [], requests: 2 },
    { flags: ['--since', '30m'], requests: 1 },
    { flags: ['--since', 'all'], requests: 3 },
    { flags: ['--until', '30m'], requests: 1 },
    { flags: ['--since', 'all', '--until', '2023-11-14'], requests: 1 },
    { flags: ['--since', '2023-11-14', '--until', '2023-11-14'], requests: 1 },
    { flags: ['--since', 'all', '--until', '2023-11-13'], requests: 0 },
  ])('sums the usage within $flags', async ({ flags, requests }) => {
    const cli = await openCli();
    // 2023-11-14, an hour ago, a minute ago.
    await settle(cli, [{ startedAtMs: 1_700_000_000_000 }, {}, { startedAtMs: Date.now() - 60_000 }]);
    const { total } = JSON.parse((await cli.run(['usage', '--json', ...flags])).stdout) as { total: object };
    expect(total).toMatchObject({ requests });
  });

  it('sums one key: by alias with what it was rotated from, and by id even if it is deleted', async () => {
    const cli = await openCli();
    const made = JSON.parse((await cli.run(['key', 'generate', '--alias', 'alice', '--json'])).stdout) as {
      id: string;
    };
    const next = JSON.parse((await cli.run(['key', 'rotate', 'alice', '--json'])).stdout) as {
      id: string;
      key: string;
      access_key_id: string;
    };
    await settle(cli, [
      { keyId: made.id, keyLabel: 'alice' },
      { keyId: next.id, keyLabel: 'alice' },
      { keyId: 'vk_z' },
      { keyId: undefined, keyLabel: 'anonymous', principal: 'anonymous' },
    ]);
    const count = async (key: string): Promise<unknown> =>
      (JSON.parse((await cli.run(['usage', '--json', '--key', key])).stdout) as { total: { requests: number } }).total
        .requests;
    expect([await count('alice'), await count(made.id)]).toEqual([2, 1]);
    expect([await count(next.key), await count(next.access_key_id)]).toEqual([1, 1]);
    expect([await count('anonymous'), await count('master')]).toEqual([1, 0]);
    expect((await cli.run(['usage'])).stdout).toContain(`alice (${made.id})`);
    await cli.run(['key', 'delete', made.id]);
    expect(await count(made.id)).toBe(1);
    const { code, stderr } = await cli.run(['usage', '--key', 'alcie']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Did you mean alice?')]);
  });

  it('says that there is no usage, and makes no database', async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['usage']);
    expect([code, stdout, existsSync(cli.databasePath)]).toEqual([0, '', false]);
    expect(stderr).toMatch(/^There are no requests in the ledger since .*Z\.\n$/);
    expect(JSON.parse((await cli.run(['usage', '--json'])).stdout)).toMatchObject({
      groups: [],
      total: { requests: 0 },
    });
  });

  it.each([
    { flags: ['--since', 'yesterday'], says: '--since must be a length of time such as 7d or 12h' },
    { flags: ['--until', '2026-02-30'], says: '--until must be a length of time' },
    { flags: ['--since', '1d', '--until', '2d'], says: '--since must lie before --until' },
    { flags: ['--by', 'user'], says: '--by must be of key, model, day, operation, region, upstream, tier, ' },
    { flags: ['--by', 'key,key'], says: '--by must not name a group twice, as "key,key" does.' },
    { flags: ['--by', 'key,'], says: '--by must be of key' },
    { flags: ['--by', 'tag:'], says: '--by must be of key' },
    { flags: ['--by', 'tag:a b'], says: '--by must be of key' },
    { flags: ['--limit', '0'], says: '--limit must be a whole number from 1' },
    { flags: ['--json', '--csv'], says: "option '--json' cannot be used with option '--csv'" },
  ])('refuses `usage` $flags', async ({ flags, says }) => {
    const { code, stdout, stderr } = await (await openCli()).run(['usage', ...flags]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });
});

const NO_TOTALS = {
  requests: 1,
  errors: 0,
  unpriced: 0,
  partial: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costNanoUsd: 1,
  estimatedNanoUsd: 0,
};
const reportOf = (by: UsageGrouping, groups: readonly Partial<UsageGroup>[]) => ({
  by: [by],
  groups: groups.map((group) => ({ ...NO_TOTALS, names: [undefined], label: undefined, ...group })),
  total: NO_TOTALS,
});

describe('a name that a client made up', () => {
  it.each([['--by', 'model'], ['--by', 'model', '--csv'], ['--by', 'model', '--json'], ['--by', 'tag'], []])(
    'moves no cursor in usage %s %s %s',
    async (...options) => {
      const cli = await openCli();
      const evil = '=\u001b[2J\u202eevil\n\u009b1m';
      await settle(cli, [{ model: evil, keyLabel: evil, tags: { [evil]: evil } }]);
      const { code, stdout } = await cli.run(['usage', ...options.filter((option) => option !== undefined)]);
      expect(code).toBe(0);
      expect(stdout).toContain('evil');
      expect(stdout.replaceAll(/\r?\n/g, '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    },
  );
});

describe('CSV', () => {
  it.each([
    { name: 'plain text', text: 'a b', cell: 'a b' },
    { name: 'nothing', text: undefined, cell: '' },
    { name: 'a comma', text: 'a,b', cell: '"a,b"' },
    { name: 'quotation marks', text: 'a"b', cell: '"a""b"' },
    { name: 'a line break', text: 'a\nb', cell: 'a?b' },
    { name: 'a formula', text: '=1+1', cell: `"'=1+1"` },
    { name: 'a formula with quotation marks', text: '=HYPERLINK("x")', cell: `"'=HYPERLINK(""x"")"` },
    { name: 'a plus', text: '+1', cell: `"'+1"` },
    { name: 'a minus', text: '-1', cell: `"'-1"` },
    { name: 'an at', text: '@SUM(A1)', cell: `"'@SUM(A1)"` },
    { name: 'a tab', text: '\t=1', cell: '?=1' },
    { name: 'what a terminal would act on', text: '\u001b[2J\u202eevil', cell: '?[2J?evil' },
  ])('keeps text in CSV: $name', ({ text, cell }) => {
    const csv = usageToCsv(reportOf('model', [{ names: [text] }]));
    expect(csv).toBe(
      'model,requests,errors,unpriced,partial,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,' +
        `cost_nano_usd,cost_usd,estimated_nano_usd,estimated_usd\r\n${cell},1,0,0,0,0,0,0,0,1,0.000000001,0,0\r\n`,
    );
  });

  it('prints CSV with id and label of a key, and no totals', async () => {
    const cli = await openCli();
    await settle(cli, [{}]);
    const { stdout } = await cli.run(['usage', '--csv']);
    expect(stdout.split('\r\n').map((line) => line.split(',').slice(0, 3))).toEqual([
      ['key_id', 'label', 'requests'],
      ['vk_a', 'a', '1'],
      [''],
    ]);
  });
});

describe('the table', () => {
  const groups = [{ names: [SONNET], ...NO_TOTALS, errors: 1, cacheReadTokens: 1, unpriced: 1, partial: 1 }];
  const report = {
    ...reportOf('model', groups),
    total: { ...NO_TOTALS, errors: 1, cacheReadTokens: 1, unpriced: 1, partial: 1 },
  };
  const headOf = (width: number): string[] => formatUsage(report, width).split('\n').slice(0, 3);

  it.each([80, 100, 120])('fits the table of usage into %i columns', (width) => {
    expect(Math.max(...headOf(width).map((line) => line.length))).toBeLessThanOrEqual(width);
  });

  const LONG = '0192f0c1-2345-7890-abcd-ef0123456789';
  const ALL = {
    ...NO_TOTALS,
    requests: 12_345,
    errors: 1,
    cacheReadTokens: 1,
    cacheWriteTokens: 1,
    unpriced: 1,
    partial: 1,
  };

  it.each<readonly UsageGrouping[]>([
    ['session', 'key'],
    ['session', 'agent'],
    ['model', 'day', 'tier'],
    ['tag:a-name-that-is-longer-than-any-value', 'session', 'model'],
  ])('fits usage by %s and %s into 80 columns', (...by) => {
    const totals = { ...ALL, costNanoUsd: 123_456_789_000 };
    const rows = [{ names: by.map(() => LONG), label: LONG, ...totals }];
    const lines = formatUsage({ by: by.filter((one) => one !== undefined), groups: rows, total: totals }, 80).split(
      '\n',
    );
    expect(Math.max(...lines.slice(0, 3).map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines[0]).toMatch(/REQUESTS.*COST$/);
  });

  it('shows a session whole if it can, because part of it is of no use', () => {
    const totals = { ...NO_TOTALS, errors: 1, unpriced: 1, partial: 1 };
    const [head, line] = formatUsage(
      { by: ['session'], groups: [{ names: [LONG], label: undefined, ...totals }], total: totals },
      80,
    ).split('\n');
    expect(head).not.toContain('UNPRICED');
    expect(line).toContain(LONG);
  });

  it('takes a hundred thousand sessions', () => {
    const many = Array.from({ length: 150_000 }, (_, at) => ({ names: [`s-${at}`], label: undefined, ...NO_TOTALS }));
    expect(formatUsage({ by: ['session'], groups: many, total: NO_TOTALS }, 80)).toContain('s-149999 ');
  });

  it('shortens names if it must, and gives up first what the notes say', () => {
    expect(headOf(200)[1]).toContain(SONNET);
    expect(headOf(200)[0]).toContain('UNPRICED');
    expect(headOf(80)[0]).not.toContain('UNPRICED');
    expect(headOf(80)[1]).toMatch(/^claude-sonnet-4-5 /);
  });
});
