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

  it('leaves `env` with the new key under the alias', async () => {
    const cli = await openCli();
    await generate(cli, 'alice');
    const fresh = parse(await cli.run(['key', 'rotate', 'alice', '--grace', '1h', '--json'])) as Fields;
    const told = parse(await cli.run(['env', '--json', '--region', 'us-east-1'])) as { variables: Fields };
    expect(told.variables['AWS_SECRET_ACCESS_KEY']).toBe(fresh['key']);
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

describe('a key that was rotated and still works', () => {
  interface Listed {
    readonly id: string;
    readonly state: string;
    readonly models: readonly string[];
  }

  /** The old key, ending in an hour, and its successor. */
  async function rotated(): Promise<{ cli: Cli; old: string; fresh: string; list: () => Promise<Listed[]> }> {
    const cli = await openCli();
    const { id: old = '' } = await generate(cli, 'alice');
    const { id: fresh = '' } = parse(await cli.run(['key', 'rotate', 'alice', '--grace', '1h', '--json'])) as Fields;
    return { cli, old, fresh, list: async () => parse(await cli.run(['key', 'list', '--json'])) as Listed[] };
  }

  const statesOf = (rows: readonly Listed[]): string[] => rows.map(({ state }) => state);

  it('is blocked, unblocked and revoked with its successor by their alias', async () => {
    const { cli, old, fresh, list } = await rotated();
    expect((await cli.run(['key', 'block', 'alice'])).stderr).toContain(`Blocked ${fresh} (alice) and ${old} (alice);`);
    expect(statesOf(await list())).toEqual(['blocked', 'blocked']);
    expect((await cli.run(['key', 'block', 'alice'])).stderr).toContain('was blocked already');
    await cli.run(['key', 'unblock', 'alice']);
    expect(statesOf(await list())).toEqual(['ending', 'active']);
    expect(parse(await cli.run(['key', 'revoke', 'alice', '--json']))).toMatchObject({ id: fresh, also: [old] });
    expect(statesOf(await list())).toEqual(['revoked', 'revoked']);
  });

  it('ends at once when its alias is rotated at once', async () => {
    const { cli, old, fresh, list } = await rotated();
    const { stdout } = await cli.run(['key', 'rotate', 'alice', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ rotated: { id: fresh }, also: [old] });
    expect(statesOf(await list())).toEqual(['revoked', 'revoked', 'active']);
  });

  it.each([
    { name: 'by its id, at once', by: 'id' as const, grace: '0' },
    { name: 'by its alias, with a grace time', by: 'alias' as const, grace: '10m' },
  ])('is told of when its successor is rotated $name', async ({ by, grace }) => {
    const { cli, old, fresh, list } = await rotated();
    const { stderr } = await cli.run(['key', 'rotate', by === 'id' ? fresh : 'alice', '--grace', grace]);
    expect(stderr).toContain(`note: ${old} (alice) still works`);
    expect(statesOf(await list())[0]).toBe('ending');
  });

  it('is limited, renamed and deleted with its successor by their alias', async () => {
    const { cli, old, fresh, list } = await rotated();
    await cli.run(['key', 'update', 'alice', '--models', 'x*', '--alias', 'bob']);
    expect((await list()).map(({ models }) => models)).toEqual([['x*'], ['x*']]);
    expect(parse(await cli.run(['key', 'delete', 'bob', '--json']))).toMatchObject({ id: fresh, also: [old] });
    expect(await list()).toEqual([]);
  });

  it.each(['block', 'revoke', 'delete', 'update'])(
    'is named if its successor alone was meant: key %s by id',
    async (verb) => {
      const { cli, old, fresh } = await rotated();
      const flags = verb === 'update' ? ['--rpm', '1'] : [];
      const { code, stderr } = await cli.run(['key', verb, fresh, ...flags]);
      expect([code, stderr]).toEqual([0, expect.stringContaining(`note: ${old} (alice) still works; `)]);
      expect(parse(await cli.run(['key', 'show', old, '--json']))).toMatchObject({ state: 'ending', rpm: null });
    },
  );

  it('is in the JSON of what its successor alone was meant by', async () => {
    const { cli, old, fresh } = await rotated();
    expect(parse(await cli.run(['key', 'revoke', fresh, '--json']))).toMatchObject({ id: fresh, still_working: [old] });
    expect(parse(await cli.run(['key', 'revoke', old, '--json']))).not.toHaveProperty('still_working');
  });
});
