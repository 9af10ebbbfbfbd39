/**
 * `prices show` and `prices list`, run as their users do: what is printed, and where it comes from.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatRefreshed } from '../../../src/pricing/price-refresh.ts';
import { factFileOf } from '../../helpers/price-facts.ts';
import { openCli } from '../../helpers/cli.ts';

const MINE = {
  models: {
    'amazon.nova-lite*': { input_mtok: 0.05, tiers: { flex: { input_mtok: 0.025, output_mtok: 0.1 } } },
    'stability.*': { image: 0.04, request: 0.00001 },
  },
};

async function openWithFile() {
  const cli = await openCli();
  const file = join(cli.home, 'mine.json');
  await writeFile(file, JSON.stringify(MINE));
  return { cli, file };
}

async function refresh(databasePath: string): Promise<void> {
  await mkdir(dirname(databasePath), { recursive: true });
  const file = factFileOf('aws', {
    'amazon.nova-pro-v1:0': { 'us-east-1 / region geo / standard': { input: 700_000, output: 3_000_000 } },
  });
  const fetchedAtMs = Date.UTC(2026, 9, 1);
  const text = formatRefreshed({ fetches: [{ url: 'https://x.example/', etag: undefined, fetchedAtMs, file }] });
  await writeFile(join(dirname(databasePath), 'prices.json'), text);
}

describe('prices show', () => {
  it('prints the price in force and where it comes from', async () => {
    const { code, stdout, stderr } = await (await openCli()).run(['prices', 'show', 'us.anthropic.claude-opus-5']);
    expect(stdout.split('\n')).toEqual([
      'model           us.anthropic.claude-opus-5',
      'region          us-east-1',
      'input           5.5 USD per million tokens',
      'output          27.5 USD per million tokens',
      'cache read      0.55 USD per million tokens',
      'cache write     6.875 USD per million tokens',
      'cache write 1h  11 USD per million tokens',
      'web searches    0.01 USD each',
      expect.stringMatching(/^source {10}built in, from [a-z-]+ of \d{4}-\d\d-\d\d, "anthropic\.claude-opus-5"$/),
      '',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('prints what long inputs cost', async () => {
    const { stdout } = await (await openCli()).run(['prices', 'show', 'us.openai.gpt-5.6-luna']);
    expect(stdout).toContain(
      'input         0.22 USD per million tokens\n              0.44 for requests with more than 272000 input tokens\n',
    );
  });

  it('prints a price as JSON of a stable shape, steps as the published data have them', async () => {
    const { stdout } = await (await openCli()).run(['prices', 'show', 'us.openai.gpt-5.6-luna', '--json']);
    expect(JSON.parse(stdout)).toEqual({
      model: 'us.openai.gpt-5.6-luna',
      region: 'us-east-1',
      tier: 'standard',
      source: {
        kind: 'built-in',
        entry: 'openai.gpt-5.6-luna',
        source: 'genai-prices',
        as_of: expect.stringMatching(/^\d{4}-/),
      },
      input_mtok: { base: 0.22, tiers: [{ start: 272_000, price: 0.44 }] },
      output_mtok: { base: 1.32, tiers: [{ start: 272_000, price: 1.98 }] },
      cache_read_mtok: { base: 0.022, tiers: [{ start: 272_000, price: 0.044 }] },
      cache_write_mtok: { base: 0.275, tiers: [{ start: 272_000, price: 0.55 }] },
      units: expect.any(Object),
      facts: expect.any(Array),
    });
  });

  it.each([
    { tier: 'standard', input: 0.05 },
    { tier: 'flex', input: 0.025 },
  ])('shows the price of the price file, by tier: $tier', async ({ tier, input }) => {
    const { cli, file } = await openWithFile();
    const { stdout } = await cli.run([
      'prices',
      'show',
      'us.amazon.nova-lite-v1:0',
      '--tier',
      tier,
      '--prices',
      file,
      '--json',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      tier,
      input_mtok: input,
      source: { kind: 'file', entry: 'amazon.nova-lite*' },
    });
  });

  it('takes the price file from the environment, and shows what is sold by the piece', async () => {
    const { cli, file } = await openWithFile();
    const { stdout } = await cli.run(['prices', 'show', 'stability.sd3-5-large-v1:0'], { BEDROCK_PROXY_PRICES: file });
    expect(stdout).toBe(
      'model    stability.sd3-5-large-v1:0\nregion   us-east-1\nimage    0.04 USD each\nrequest  0.00001 USD each\nsource   price file, "stability.*"\n',
    );
  });

  it('shows the price that was fetched', async () => {
    const cli = await openCli();
    await refresh(cli.databasePath);
    const { stdout } = await cli.run(['prices', 'show', 'amazon.nova-pro-v1:0']);
    expect(stdout).toMatch(
      /^input {8}0\.7 USD.*\noutput {7}3 USD.*\n(?:.*\n)*source {7}fetched, from aws of 2026-10-01, "amazon\.nova-pro-v1:0"$/m,
    );
  });

  it.each([
    {
      args: ['amazon.titan-embed-text-v9:0'],
      message: 'No price is known for amazon.titan-embed-text-v9:0 (us-east-1).',
    },
    {
      args: ['amazon.nova-lite-v1:0', '--tier', 'reserved'],
      message: 'No price is known for amazon.nova-lite-v1:0 (us-east-1, reserved).',
    },
    { args: ['amazon.nova-lite-v1:0', '--tier', 'optimized'], message: '(us-east-1, optimized)' },
  ])('fails to show a price that there is not: $args', async ({ args, message }) => {
    const { code, stdout, stderr } = await (await openCli()).run(['prices', 'show', ...args]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('--prices FILE');
  });

  it('refuses a price file that is wrong, and names the place', async () => {
    const cli = await openCli();
    const file = join(cli.home, 'mine.json');
    await writeFile(file, '{"models":{"x.y":{"input_mtok":"3"}}}');
    const { code, stderr } = await cli.run(['prices', 'show', 'x.y', '--prices', file]);
    expect(code).toBe(2);
    expect(stderr).toContain('models["x.y"].input_mtok must be a price in USD');
  });

  it('refuses a tier that is none', async () => {
    const { code, stderr } = await (await openCli()).run(['prices', 'show', 'x.y', '--tier', 'turbo']);
    expect(code).toBe(2);
    expect(stderr).toContain('turbo');
  });
});

describe('prices list', () => {
  it('says that no model is called so', async () => {
    const result = await (await openCli()).run(['prices', 'list', 'nope']);
    expect(result).toEqual({ code: 0, stdout: '', stderr: 'No model with a price is called *nope* in us-east-1.\n' });
  });

  it('lists a price for every model, in the order of the alphabet', async () => {
    const { stdout, stderr } = await (await openCli()).run(['prices', 'list']);
    const [header, ...lines] = stdout.trim().split('\n');
    expect(header).toMatch(/^MODEL +INPUT +OUTPUT +CACHE READ +CACHE WRITE +CACHE WRITE 1H +SOURCE$/);
    expect(lines.length).toBeGreaterThan(90);
    expect(lines).toEqual(lines.toSorted());
    expect(lines).toContainEqual(
      expect.stringMatching(/^anthropic\.claude-opus-5 +5\.5 +27\.5 +0\.55 +6\.875 +11 +[a-z-]+$/),
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/^openai\.gpt-5\.6-luna +0\.22\+ +1\.32\+ +0\.022\+ +0\.275\+ +- +genai-prices$/),
    );
    expect(stderr).toContain('USD per million tokens');
  });

  it.each([
    { pattern: 'nova-micro', models: ['amazon.nova-micro-v1:0'] },
    { pattern: 'amazon.nova-m*', models: ['amazon.nova-micro-v1:0'] },
    { pattern: 'nova-m*', models: [] },
  ])('lists prices by a part of the name or a pattern: $pattern', async ({ pattern, models }) => {
    const { stdout } = await (await openCli()).run(['prices', 'list', pattern, '--json']);
    expect((JSON.parse(stdout) as { model: string }[]).map(({ model }) => model)).toEqual(models);
  });

  it('lists the price file’s entries and what was fetched', async () => {
    const { cli, file } = await openWithFile();
    await refresh(cli.databasePath);
    const { stdout } = await cli.run(['prices', 'list', '--prices', file, '--json']);
    const rows = JSON.parse(stdout) as { model: string; source: { kind: string }; image?: number }[];
    expect(rows.find(({ model }) => model === 'stability.*')).toEqual({
      model: 'stability.*',
      source: { kind: 'file', entry: 'stability.*' },
      image: 0.04,
      request: 0.00001,
    });
    expect(rows.filter(({ model }) => model === 'amazon.nova-pro-v1:0').map(({ source }) => source.kind)).toEqual([
      'refreshed',
    ]);
  });

  it('warns of fetched prices that are damaged, and goes on without', async () => {
    const cli = await openCli();
    await refresh(cli.databasePath);
    await writeFile(join(dirname(cli.databasePath), 'prices.json'), '{');
    const { code, stdout, stderr } = await cli.run(['prices', 'list', 'nova-pro']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^amazon\.nova-pro-v1:0 +0\.8 /m);
    expect(stderr).toMatch(/^warning: .*prices\.json is not used/);
  });
});

describe('prices check', () => {
  it('says that a price file is right, and which of its entries match nothing', async () => {
    const cli = await openCli();
    const file = join(cli.home, 'mine.json');
    const models = { 'amazon.nova-*': 1, 'amazon.nova-pro-v1:0': 1, 'amazon.nowa-*': 1, 'arn:aws:bedrock:*': 1 };
    const entries = Object.keys(models).map((name) => [name, { input_mtok: 1 }]);
    await writeFile(file, JSON.stringify({ models: Object.fromEntries(entries), guardrail_units: { x: 1 } }));
    expect(await cli.run(['prices', 'check', file])).toEqual({
      code: 0,
      stdout: `${file} is right: 4 entries, 1 guardrail units\nwarning: "amazon.nowa-*" matches no model that is known here\n`,
      stderr: '',
    });
    const { stdout } = await cli.run(['prices', 'check', file, '--json']);
    expect(JSON.parse(stdout)).toEqual({ file, entries: 4, guardrail_units: 1, unmatched: ['amazon.nowa-*'] });
  });

  it.each([
    { text: '{"models":{"x":{"input_mtok":-1}}}', message: 'models["x"].input_mtok must be a price in USD' },
    { text: '{', message: 'the file must be JSON' },
  ])('names what is wrong with $text', async ({ text, message }) => {
    const cli = await openCli();
    const file = join(cli.home, 'mine.json');
    await writeFile(file, text);
    const { code, stderr } = await cli.run(['prices', 'check', file]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

it('shows what another source says of the same price, and none of another region', async () => {
  const cli = await openCli();
  await mkdir(dirname(cli.databasePath), { recursive: true });
  const fetches = (['aws', 'litellm'] as const).map((teller, index) => ({
    url: `https://${teller}.example/`,
    etag: undefined,
    fetchedAtMs: 0,
    file: factFileOf(teller, {
      'amazon.nova-pro-v1:0': {
        'us-east-1 / region geo / standard': { input: 700_000 + index, output: 3_000_000 },
        'us-west-2 / region geo / standard': { input: 900_000, output: 3_000_000 },
      },
    }),
  }));
  await writeFile(join(dirname(cli.databasePath), 'prices.json'), formatRefreshed({ fetches }));
  const { stdout, stderr } = await cli.run(['prices', 'show', 'amazon.nova-pro-v1:0', '--region', 'us-east-1']);
  expect(stdout).toContain('litellm of 2026-10-01: input 0.700001\n');
  expect(stdout).not.toContain('0.9');
  expect(stderr).toBe('A budget reckons with the dearest of them.\n');
});
