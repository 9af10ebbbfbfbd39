import { describe, expect, it } from 'vitest';
import { type Cli, type CliResult, openCli } from '../../helpers/cli.ts';

type Fields = Readonly<Record<string, string>>;

const parse = ({ stdout }: CliResult): unknown => JSON.parse(stdout);

async function generate(cli: Cli, alias: string): Promise<Fields> {
  return parse(await cli.run(['key', 'generate', '--json', '--alias', alias])) as Fields;
}

describe('key rotate', () => {
  it.each(['id', 'alias', 'key', 'access_key_id'])('rotates a key by its %s', async (by) => {
    const cli = await openCli();
    const made = await generate(cli, 'alice');
    const result = await cli.run(['key', 'rotate', made[by] ?? '', '--json']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const printed = parse(result) as Fields;
    expect(printed).toMatchObject({
      id: expect.stringMatching(/^vk_/),
      alias: 'alice',
      key: expect.stringMatching(/^sk-/),
      access_key_id: expect.stringMatching(/^BRPX/),
      rotated: { id: made['id'], ends_at: expect.stringMatching(/Z$/) },
    });
    expect(printed['key']).not.toBe(made['key']);
    const listed = parse(await cli.run(['key', 'list', '--json'])) as Fields[];
    expect(listed.map(({ id, state }) => [id, state])).toEqual([
      [made['id'], 'revoked'],
      [printed['id'], 'active'],
    ]);
  });

  it('shows with a grace time when the old key ends, and in `key list` that it is ending', async () => {
    const cli = await openCli();
    const made = await generate(cli, 'alice');
    const { stdout, stderr } = await cli.run(['key', 'rotate', 'alice', '--grace', '10m']);
    expect(stdout).toMatch(/^key +sk-/);
    expect(stderr).toMatch(new RegExp(`The old key ${made['id']} \\(sk-….{4}\\) works until .*Z\\.`));
    const table = (await cli.run(['key', 'list'])).stdout;
    expect(table).toMatch(/ending (9|10) min /);
    expect(table).toMatch(/active .*\n$/);
    const [old, fresh] = parse(await cli.run(['key', 'list', '--json'])) as Fields[];
    expect(old).toMatchObject({ state: 'ending', alias: 'alice' });
    expect(Date.parse(old?.['ends_at'] ?? '') - Date.parse(fresh?.['created_at'] ?? '')).toBe(600_000);
    expect(fresh).toMatchObject({ state: 'active', ends_at: null, alias: 'alice' });
  });

  it('prints the rotated key alone with --quiet', async () => {
    const cli = await openCli();
    await generate(cli, 'alice');
    const { stdout, stderr } = await cli.run(['key', 'rotate', 'alice', '-q']);
    expect(stdout).toMatch(/^sk-[\w-]{43}\n$/);
    expect(stderr).toBe('');
  });

  it('leaves `env` and `key revoke` with the new key under the alias', async () => {
    const cli = await openCli();
    const made = await generate(cli, 'alice');
    const fresh = parse(await cli.run(['key', 'rotate', 'alice', '--grace', '1h', '--json'])) as Fields;
    const told = parse(await cli.run(['env', '--json', '--region', 'us-east-1'])) as { variables: Fields };
    expect(told.variables['AWS_SECRET_ACCESS_KEY']).toBe(fresh['key']);
    expect(parse(await cli.run(['key', 'revoke', 'alice', '--json']))).toMatchObject({ id: fresh['id'] });
    const ending = parse(await cli.run(['key', 'revoke', 'alice', '--json']));
    expect(ending).toMatchObject({ id: made['id'], state: 'revoked', already_revoked: false });
    expect(Date.parse((ending as Fields)['ends_at'] ?? '')).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    { args: ['alice', '--grace', 'soon'], code: 2, says: '--grace must be a time of up to 90d' },
    { args: ['bob'], code: 1, says: 'There is no key "bob"' },
    { args: [], code: 2, says: "missing required argument 'key'" },
  ])('fails to rotate and makes nothing: $args', async ({ args, code, says }) => {
    const cli = await openCli();
    await generate(cli, 'alice');
    const result = await cli.run(['key', 'rotate', ...args]);
    expect([result.code, result.stdout]).toEqual([code, '']);
    expect(result.stderr).toContain(says);
    expect(parse(await cli.run(['key', 'list', '--json']))).toHaveLength(1);
  });
});
