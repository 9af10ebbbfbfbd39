/** What a key may do, said when it is made and changed later; and how it is blocked, shown and deleted. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/domain/store.ts';
import { type Cli, type CliResult, openCli } from '../../helpers/cli.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';

type Fields = Readonly<Record<string, unknown>>;

const parse = ({ stdout }: CliResult): Fields => JSON.parse(stdout) as Fields;
const textOf = ({ stdout, stderr }: CliResult): string => stdout + stderr;

const ALL_FLAGS =
  `--expires 2999-12-31 --models *claude* amazon.nova-* --models a.b,c.d --scope all --regions us-east-1 EU-*
  --budget 25.5 --budget-window 7d --rpm 60 --tpm 100000 --max-parallel 4 --tag team=search env=dev --note CI --allow-unpriced`.split(
    /\s+/,
  );
const ALL_LIMITS = {
  expires_at: '3000-01-01T00:00:00.000Z',
  models: ['*claude*', 'amazon.nova-*', 'a.b', 'c.d'],
  scope: 'all',
  regions: ['us-east-1', 'eu-*'],
  budget_usd: '25.5',
  budget_window: '7d',
  budget_timezone: null,
  allow_unpriced: true,
  rpm: 60,
  tpm: 100_000,
  max_parallel: 4,
  tags: { team: 'search', env: 'dev' },
  note: 'CI',
};

async function generate(cli: Cli, ...flags: string[]): Promise<Fields> {
  return parse(await cli.run(['key', 'generate', '--json', ...flags]));
}

async function withStore<T>({ databasePath }: Cli, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqliteStore(databasePath);
  return work(store).finally(() => store.close());
}

describe('key generate', () => {
  it('generates a key with every limit, and shows it', async () => {
    const cli = await openCli();
    expect(await generate(cli, '--alias', 'alice', ...ALL_FLAGS)).toMatchObject({ alias: 'alice', ...ALL_LIMITS });
    expect(parse(await cli.run(['key', 'show', 'alice', '--json']))).toMatchObject(ALL_LIMITS);
    const [row] = await withStore(cli, (store) => store.listKeys());
    expect(row?.policy.budget).toEqual({
      limitNanoUsd: 25_500_000_000,
      windowMs: 604_800_000,
      anchorMs: row?.createdAtMs,
    });
  });

  it('prints the limits of a generated key in words', async () => {
    const cli = await openCli();
    const { stdout } = await cli.run(['key', 'generate', '--budget', '5', '--models', '*haiku*', '--rpm', '1000']);
    const names = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(names.slice(3)).toEqual([
      ['models', '*haiku*'],
      ['budget', '$5.00'],
      ['unpriced', 'refused'],
      ['rpm', '1,000'],
      [''],
    ]);
  });

  it.each([
    { flags: ['--budget-window', '7d'], says: '--budget-window needs a --budget' },
    { flags: ['--expires', '1999-01-01'], says: '--expires must lie in the future' },
    { flags: ['--models', ''], says: '--models must be a list' },
    { flags: ['--scope', 'most'], says: "option '--scope <scope>' argument 'most' is invalid" },
    { flags: ['--regions', 'us_east'], says: '--regions must be patterns of AWS regions' },
    { flags: ['--budget', '-1'], says: '--budget must be dollars' },
    { flags: ['--budget', '1', '--budget-window', 'year'], says: '--budget-window must be total, day, week, month or' },
    {
      flags: ['--budget', '1', '--budget-window', 'day', '--budget-timezone', 'Mars'],
      says: '--budget-timezone must be a time zone such as Europe/Berlin or UTC, not "Mars".',
    },
    { flags: ['--rpm', '0'], says: '--rpm must be a whole number from 1' },
    { flags: ['--tpm', 'x'], says: '--tpm must be a whole number from 1' },
    { flags: ['--max-parallel', '1.5'], says: '--max-parallel must be a whole number from 1' },
    { flags: ['--tag', 'a b=c'], says: '--tag must have names' },
    { flags: ['--tag', 'team='], says: '--tag team= has no value' },
    { flags: ['--note', 'two\nlines'], says: '--note must be one line' },
  ])('refuses to generate a key with $flags, and makes nothing', async ({ flags, says }) => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['key', 'generate', ...flags]);
    expect([code, stdout, existsSync(cli.databasePath)]).toEqual([2, '', false]);
    expect(stderr).toContain(`error: ${says}`);
  });

  it('says that a pattern matches less than was probably meant', async () => {
    const cli = await openCli();
    const flags = ['--models', 'claude-haiku', '*nova*', 'amazon.nova-lite-v1:0', 'abcdef123456'];
    const { stderr } = await cli.run(['key', 'generate', '-q', ...flags]);
    expect(stderr.match(/^note: .*$/gm)).toEqual([expect.stringContaining('*claude-haiku* matches all that hold it')]);
  });
});

describe('key update', () => {
  it('changes what is named of a key and nothing else', async () => {
    const cli = await openCli();
    await generate(cli, '--alias', 'alice', ...ALL_FLAGS);
    const flags = [
      '--budget',
      '50',
      '--rpm',
      'none',
      '--no-allow-unpriced',
      '--tag',
      'env=',
      'who=me',
      '--alias',
      'al',
    ];
    const { rpm, ...terms } = { ...ALL_LIMITS, budget_usd: '50', allow_unpriced: false, alias: 'al' };
    expect(parse(await cli.run(['key', 'update', 'alice', '--json', ...flags]))).toMatchObject({
      ...terms,
      rpm: null,
      tags: { team: 'search', who: 'me' },
    });
    expect(rpm).toBe(60);
  });

  it.each([
    { flags: ['--expires', 'never'], changed: { expires_at: null } },
    { flags: ['--models', 'any'], changed: { models: [] } },
    { flags: ['--models', '*'], changed: { models: [] } },
    { flags: ['--regions', 'any'], changed: { regions: [] } },
    { flags: ['--budget', 'none'], changed: { budget_usd: null, budget_window: null, budget_timezone: null } },
    { flags: ['--budget-window', 'total'], changed: { budget_window: 'total' } },
    { flags: ['--rpm', 'none', '--tpm', 'none'], changed: { rpm: null, tpm: null } },
    { flags: ['--max-parallel', 'none'], changed: { max_parallel: null } },
    { flags: ['--scope', 'default'], changed: { scope: 'default' } },
    { flags: ['--note', ''], changed: { note: null } },
  ])('takes away a limit with $flags', async ({ flags, changed }) => {
    const cli = await openCli();
    await generate(cli, '--alias', 'alice', ...ALL_FLAGS);
    const shown = parse(await cli.run(['key', 'update', 'alice', '--json', ...flags]));
    expect(shown).toMatchObject({ ...ALL_LIMITS, ...changed });
  });

  it.each([
    { args: ['alice'], code: 2, says: 'Nothing is to change.' },
    { args: ['alice', '--budget', 'none', '--budget-window', '7d'], code: 2, says: '--budget-window needs a --budget' },
    { args: ['alcie', '--rpm', '1'], code: 1, says: 'hint: Did you mean alice?' },
    { args: ['alice', '--alias', ''], code: 2, says: '--alias must be a name' },
    { args: ['alice', '--alias', 'bob'], code: 1, says: 'alias "bob"' },
    { args: ['--models', 'x', 'alice'], code: 2, says: "missing required argument 'key'" },
    { args: ['carol', '--rpm', '1'], code: 1, says: 'was revoked' },
  ])('refuses to update with $args', async ({ args, code, says }) => {
    const cli = await openCli();
    for (const alias of ['alice', 'bob', 'carol']) await generate(cli, '--alias', alias);
    await cli.run(['key', 'revoke', 'carol']);
    const result = await cli.run(['key', 'update', ...args]);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(result.stderr).toContain(says);
  });

  it('changes windows from a length to the calendar, to another zone, and back', async () => {
    const cli = await openCli();
    await generate(cli, '--alias', 'alice', ...ALL_FLAGS);
    const update = async (...flags: string[]): Promise<readonly unknown[]> => {
      const shown = parse(await cli.run(['key', 'update', 'alice', '--json', ...flags]));
      return [shown['budget_usd'], shown['budget_window'], shown['budget_timezone']];
    };
    const inTokyo = ['--budget-window', 'month', '--budget-timezone', 'Asia/Tokyo'];
    expect(await update(...inTokyo)).toEqual(['25.5', 'month', 'Asia/Tokyo']);
    expect(await update('--budget', '7')).toEqual(['7', 'month', 'Asia/Tokyo']);
    expect(await update('--budget-window', 'day')).toEqual(['7', 'day', 'Asia/Tokyo']);
    expect(await update('--budget-timezone', 'UTC')).toEqual(['7', 'day', 'UTC']);
    expect(await update('--budget-window', '1mo')).toEqual(['7', '30d', null]);
    const { code, stderr } = await cli.run(['key', 'update', 'alice', '--budget-timezone', 'UTC']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--budget-timezone needs a --budget-window of day, week or month.'),
    ]);
  });

  it('gives an expired key more time', async () => {
    const cli = await openCli();
    const { id } = await generate(cli, '--alias', 'alice', '--expires', '1h');
    await withStore(cli, (store) => store.updateKey(String(id), { expiresAtMs: 1 }, 1));
    expect((await cli.run(['key', 'list'])).stdout).toContain('  expired  ');
    expect((await cli.run(['env', '--key', 'alice'])).stderr).toMatch(/has expired\.\nhint: .*--expires 30d/);
    await cli.run(['key', 'update', 'alice', '--expires', '30d']);
    expect((await cli.run(['key', 'list'])).stdout).toContain('  active 30 d  ');
  });
});

describe('key block and unblock', () => {
  it('blocks a key and lets it back, and does not fail the second time', async () => {
    const cli = await openCli();
    const { id } = await generate(cli, '--alias', 'alice');
    const shown = `${String(id)} (alice)`;
    const commands = ['block', 'block', 'unblock', 'unblock'].map((name) => ['key', name, 'alice']);
    const said: string[] = [];
    for (const command of commands) said.push(textOf(await cli.run(command)));
    expect(said).toEqual([
      `Blocked ${shown}; \`bedrock-proxy key unblock alice\` takes it back.\n`,
      `${shown} was blocked already.\n`,
      `Unblocked ${shown}.\n`,
      `${shown} was not blocked.\n`,
    ]);
    expect(parse(await cli.run(['key', 'block', 'alice', '--json']))).toMatchObject({ id, state: 'blocked' });
    const refused = await cli.run(['env', '--key', 'alice']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is blocked')]);
    expect(textOf(await cli.run(['key', 'show', 'alice']))).toMatch(
      /^state +blocked \(since \d{4}-\d\d-\d\d \d\d:\d\dZ\)$/m,
    );
  });

  it.each(['block', 'unblock'])('leaves a revoked key alone by `key %s`', async (name) => {
    const cli = await openCli();
    await generate(cli, '--alias', 'alice');
    await cli.run(['key', 'revoke', 'alice']);
    const { code, stderr } = await cli.run(['key', name, 'alice']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('was revoked: it stays as it is')]);
  });
});

describe('key delete', () => {
  it.each(['id', 'alias', 'key', 'access_key_id'])('deletes a key by its %s, and forgets it', async (by) => {
    const cli = await openCli();
    const made = await generate(cli, '--alias', 'alice');
    const { code, stdout, stderr } = await cli.run(['key', 'delete', String(made[by])]);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toBe(`Deleted ${String(made['id'])} (alice) for good; what it did stays in the ledger.\n`);
    expect(JSON.parse((await cli.run(['key', 'list', '--json'])).stdout)).toEqual([]);
    expect((await cli.run(['key', 'delete', 'alice'])).code).toBe(1);
  });

  it('prints the deletion of a key as JSON', async () => {
    const cli = await openCli();
    const { id } = await generate(cli, '--alias', 'alice');
    expect(parse(await cli.run(['key', 'delete', 'alice', '--json']))).toEqual({ id, alias: 'alice', deleted: true });
  });
});

const show = async (cli: Cli): Promise<Fields> => {
  const { stdout } = await cli.run(['key', 'show', 'alice']);
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ) as Fields;
};

describe('key show', () => {
  it('shows the midnight, in the zone of the machine that made the key, at which a budget begins anew', async () => {
    const cli = await openCli();
    const flags = ['--alias', 'alice', '--budget', '100', '--budget-window', 'day'];
    const { ended } = cli.spawn(['key', 'generate', '--json', ...flags], { env: { TZ: 'Asia/Kathmandu' } });
    expect(parse(await ended)).toMatchObject({
      budget_window: 'day',
      budget_timezone: expect.stringMatching(/^Asia\/Kat/),
    });
    expect(await show(cli)).toMatchObject({
      budget: expect.stringMatching(/^\$100\.00 per day \(Asia\/Kath?mandu\)$/),
      spent: '$0 in this window',
      left: '$100.00',
      resets: expect.stringMatching(/ 18:15Z \(in /),
    });
    expect((await cli.run(['key', 'list'])).stdout).toContain('  $100.00 per day  ');
  });

  it('shows what a key spent, what is reserved, what is left, and when that begins anew', async () => {
    const cli = await openCli();
    const { id } = await generate(cli, '--alias', 'alice', '--budget', '2', '--budget-window', '1d');
    const nowMs = Date.now();
    await withStore(cli, async (store) => {
      const keyId = String(id);
      const row = { keyId, startedAtMs: nowMs, costNanoUsd: 500_000_000, chargedNanoUsd: 500_000_000 };
      const [key] = await store.listKeys();
      if (key?.policy.budget === undefined) throw new Error('no budget');
      const { budget } = key.policy;
      await store.reserve({ id: 'a', keyId, amountNanoUsd: 1, budget, nowMs, ifLost: aLedgerRow({ id: 'a', ...row }) });
      await store.settle(aLedgerRow({ id: 'a', ...row }));
      const ifLost = aLedgerRow({ id: 'b', ...row });
      await store.reserve({ id: 'b', keyId, amountNanoUsd: 250_000_000, budget, nowMs, ifLost });
    });
    expect(await show(cli)).toMatchObject({
      state: 'active',
      scope: 'default (calls models and agents, reads the rest)',
      budget: '$2.00 per 1d',
      spent: '$0.50 in this window',
      'spent in all': '$0.50',
      reserved: '$0.25 for requests under way',
      left: '$1.25',
      resets: expect.stringMatching(/Z \(in 24 h\)$/),
    });
    expect(parse(await cli.run(['key', 'show', 'alice', '--json']))['spend']).toMatchObject({
      total_usd: '0.5',
      window_usd: '0.5',
      reserved_usd: '0.25',
      left_usd: '1.25',
      resets_at: expect.stringMatching(/Z$/),
    });
    expect((await cli.run(['key', 'list'])).stdout).toMatch(/active +\$0\.50 {2}\$2.00 per 1d {2}never\n$/);
  });

  it('shows nothing left of a budget that was overspent, and no less', async () => {
    const cli = await openCli();
    const { id } = await generate(cli, '--alias', 'alice', '--budget', '1');
    await withStore(cli, (store) =>
      store.settle(aLedgerRow({ keyId: String(id), costNanoUsd: 3e9, chargedNanoUsd: 3e9, startedAtMs: Date.now() })),
    );
    expect(await show(cli)).toMatchObject({ spent: '$3.00', left: '$0' });
  });

  it.each(['show', 'block', 'delete', 'revoke'])(
    'makes no database to find nothing in it by `key %s`',
    async (name) => {
      const cli = await openCli();
      const { code, stderr } = await cli.run(['key', name, 'alice']);
      expect([code, existsSync(cli.databasePath)]).toEqual([1, false]);
      expect(stderr).toContain('There is no key "alice"');
    },
  );

  it('never shows the key', async () => {
    const cli = await openCli();
    const { key } = await generate(cli, '--alias', 'alice');
    const shown = [await cli.run(['key', 'show', String(key)]), await cli.run(['key', 'show', 'alice', '--json'])];
    expect(shown.map(textOf).join('')).not.toContain(String(key).slice(3, 20));
  });
});

it('keeps the list of keys within 100 columns', async () => {
  const cli = await openCli();
  await generate(
    cli,
    '--alias',
    'a-very-long-alias-of-forty-letters-and-on',
    ...ALL_FLAGS,
    '--expires',
    '99d',
    '--budget-window',
    '30d',
  );
  const lines = (await cli.run(['key', 'list'])).stdout.split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});
