import { locateFile } from '../../../src/config/database-location.ts';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashKey, unsealKey } from '../../../src/keys/secret.ts';
import { findServerSecret } from '../../../src/keys/server-secret.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { VirtualKeyRow } from '../../../src/domain/key.ts';
import { type Cli, type CliResult, openCli } from '../../helpers/cli.ts';

const ISO_TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

const NO_LIMITS = {
  expires_at: null,
  models: [],
  scope: 'default',
  regions: [],
  upstreams: [],
  budget_usd: null,
  budget_window: null,
  budget_timezone: null,
  allow_unpriced: false,
  rpm: null,
  tpm: null,
  max_parallel: null,
  model_aliases: {},
  profile: null,
  role_arn: null,
  inference_profiles: {},
  tags: {},
  note: null,
};
const NO_SPEND = { total_usd: '0', window_usd: '0', reserved_usd: '0', left_usd: null, resets_at: null };

async function generate(cli: Cli, alias?: string): Promise<Record<string, string>> {
  const { stdout } = await cli.run(['key', 'generate', '--json', ...(alias === undefined ? [] : ['--alias', alias])]);
  return JSON.parse(stdout) as Record<string, string>;
}

async function rowsOf(cli: Cli): Promise<VirtualKeyRow[]> {
  const store = await openSqliteStore(cli.databasePath);
  const rows = await store.listKeys();
  await store.close();
  return rows;
}

const parse = ({ stdout }: CliResult): unknown => JSON.parse(stdout);

it('names the database in an empty state, and says if there is none', async () => {
  const cli = await openCli();
  for (const command of [['key', 'list'], ['key', 'list', '--json'], ['usage'], ['usage', '--json'], ['logs']]) {
    const { code, stderr } = await cli.run([...command, '--db', 'typo.db']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/There is no database at .*typo\.db/);
  }
});

describe('key generate', () => {
  it("prints a generated key's fields on stdout and how to use them on stderr", async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['key', 'generate', '--alias', 'alice']);
    expect(code).toBe(0);
    const fields = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    );
    expect(fields).toEqual({
      key: expect.stringMatching(/^sk-[\w-]{43}$/),
      id: expect.stringMatching(/^vk_[a-z2-7]{16}$/),
      alias: 'alice',
      access_key_id: expect.stringMatching(/^BRPX[A-Z2-7]{16}$/),
    });
    expect(stderr).toContain(`AWS_ACCESS_KEY_ID=${fields.access_key_id})`);
    expect(stderr).toContain('  eval "$(bedrock-proxy env --key alice)"\n');
    const other = join(cli.home, 'my keys.db');
    const made = await cli.run(['key', 'generate', '--alias', 'bob', '--db', other]);
    expect(made.stderr).toContain(`  eval "$(bedrock-proxy env --key bob --db '${other}')"\n`);
    const same = { BEDROCK_PROXY_DB: other };
    const again = await cli.run(['key', 'generate', '--alias', 'eve', '--db', `file:${other}`], same);
    expect(again.stderr).toContain('  eval "$(bedrock-proxy env --key eve)"\n');
    expect((stdout + stderr).split(fields.key ?? '')).toHaveLength(2);
    expect(stderr.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('prints a generated key as JSON of a stable shape, and nothing on stderr', async () => {
    const result = await (await openCli()).run(['key', 'generate', '--json']);
    expect(result.stderr).toBe('');
    const printed = parse(result) as Record<string, string>;
    expect(printed).toEqual({
      id: expect.stringMatching(/^vk_/),
      alias: null,
      key: expect.stringMatching(/^sk-/),
      access_key_id: expect.stringMatching(/^BRPX/),
      secret_access_key: printed['key'],
      created_at: ISO_TIME,
      ...NO_LIMITS,
    });
  });

  it('prints a generated key alone with --quiet, for $(…)', async () => {
    const { stdout, stderr } = await (await openCli()).run(['key', 'generate', '-q']);
    expect(stdout).toMatch(/^sk-[\w-]{43}\n$/);
    expect(stderr).toBe('');
  });

  it('seals the key under the secret beside the database, or under BEDROCK_PROXY_SALT_KEY', async () => {
    const cli = await openCli();
    const first = await generate(cli);
    const saltKey = 'a salt key of my own';
    const second = parse(await cli.run(['key', 'generate', '--json'], { BEDROCK_PROXY_SALT_KEY: saltKey })) as Record<
      string,
      string
    >;
    const [firstRow, secondRow] = await rowsOf(cli);
    const open = (row: VirtualKeyRow | undefined, salt: string | undefined): string | undefined =>
      row && unsealKey(row.sealedKey, row.id, findServerSecret(locateFile(cli.databasePath), salt));
    expect([open(firstRow, undefined), open(firstRow, saltKey)]).toEqual([first['key'], undefined]);
    expect([open(secondRow, undefined), open(secondRow, saltKey)]).toEqual([undefined, second['key']]);
    expect(firstRow?.keySha256).toBe(hashKey(first['key'] ?? ''));
  });

  it('keeps the key out of the database file', async () => {
    const cli = await openCli();
    const { key } = await generate(cli);
    expect((await readFile(cli.databasePath)).includes(key?.slice(3, 30) ?? '')).toBe(false);
  });

  it('refuses to generate a key under an alias that an active key has', async () => {
    const cli = await openCli();
    await generate(cli, 'alice');
    const { code, stdout, stderr } = await cli.run(['key', 'generate', '--alias', 'alice']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      'error: There is an active key with the alias "alice".\nhint: Choose another alias, or revoke that key first.\n',
    );
  });

  it.each(['sk-abc', ''])('refuses the alias "%s" as a misuse, before it makes a database', async (alias) => {
    const cli = await openCli();
    const { code, stderr } = await cli.run(['key', 'generate', '--alias', alias]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: --alias must be a name/);
    await expect(readFile(cli.databasePath)).rejects.toThrow('ENOENT');
  });
});

describe('key list', () => {
  it('says on stderr that there are no keys, and leaves stdout empty', async () => {
    const { code, stdout, stderr } = await (await openCli()).run(['key', 'list']);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('bedrock-proxy key generate');
  });

  it('lists no keys as [] in JSON', async () => {
    expect(parse(await (await openCli()).run(['key', 'list', '--json']))).toEqual([]);
  });

  it('lists keys by everything but themselves, revoked ones too', async () => {
    const cli = await openCli();
    const alice = await generate(cli, 'alice');
    const nameless = await generate(cli);
    await cli.run(['key', 'revoke', 'alice']);
    const table = await cli.run(['key', 'list']);
    expect(table.stderr).toBe('');
    const [header, ...rows] = table.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(header).toEqual(['ID', 'ALIAS', 'KEY', 'STATE', 'SPENT', 'BUDGET', 'LAST USED']);
    expect(rows).toEqual([
      [alice['id'], 'alice', `sk-…${alice['key']?.slice(-4)}`, 'revoked', '$0', '-', 'never'],
      [nameless['id'], '-', `sk-…${nameless['key']?.slice(-4)}`, 'active', '$0', '-', 'never'],
    ]);
    expect(parse(await cli.run(['key', 'list', '--json']))).toEqual([
      {
        id: alice['id'],
        alias: 'alice',
        key_name: `sk-…${alice['key']?.slice(-4)}`,
        access_key_id: alice['access_key_id'],
        created_at: ISO_TIME,
        updated_at: ISO_TIME,
        last_used_at: null,
        state: 'revoked',
        ends_at: ISO_TIME,
        ...NO_LIMITS,
        spend: NO_SPEND,
      },
      expect.objectContaining({ id: nameless['id'], alias: null, state: 'active', ends_at: null }),
    ]);
  });
});

describe('key revoke', () => {
  it.each(['id', 'alias', 'key'])('revokes a key by its %s', async (by) => {
    const cli = await openCli();
    const made = await generate(cli, 'alice');
    const { code, stdout, stderr } = await cli.run(['key', 'revoke', made[by] ?? '']);
    expect([code, stdout, stderr]).toEqual([0, '', `Revoked ${made['id']} (alice).\n`]);
    expect((await rowsOf(cli))[0]?.revokedAtMs).toBeGreaterThan(0);
  });

  it('reads the key to revoke from standard input, where no process list shows it', async () => {
    const cli = await openCli();
    const { key, id } = await generate(cli);
    const { code, stderr } = await cli.spawn(['key', 'revoke', '-'], { stdin: `${key}\n` }).ended;
    expect([code, stderr]).toEqual([0, `Revoked ${id} (sk-…${key?.slice(-4)}).\n`]);
  });

  it('does not fail to revoke a key the second time', async () => {
    const cli = await openCli();
    const { id } = await generate(cli);
    await cli.run(['key', 'revoke', id ?? '']);
    const again = await cli.run(['key', 'revoke', id ?? '']);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('was revoked already')]);
    const json = await cli.run(['key', 'revoke', id ?? '', '--json']);
    expect(json.stderr).toBe('');
    expect(parse(json)).toMatchObject({ id, state: 'revoked', already_revoked: true });
  });

  it('revokes the active key if a revoked one had the same alias', async () => {
    const cli = await openCli();
    const first = await generate(cli, 'alice');
    await cli.run(['key', 'revoke', 'alice']);
    const second = await generate(cli, 'alice');
    expect(parse(await cli.run(['key', 'revoke', 'alice', '--json']))).toMatchObject({
      id: second['id'],
      already_revoked: false,
    });
    expect(parse(await cli.run(['key', 'revoke', 'alice', '--json']))).toMatchObject({ already_revoked: true });
    expect(first['id']).not.toBe(second['id']);
  });

  it('fails to revoke an unknown name without quoting what may be a key', async () => {
    const cli = await openCli();
    const secret = `sk-${'s3cret'.repeat(6)}`;
    const byKey = await cli.spawn(['key', 'revoke', '-'], { stdin: secret }).ended;
    expect([byKey.code, byKey.stdout]).toEqual([1, '']);
    expect(byKey.stderr).toContain('There is no key sk-…cret in this database.');
    expect(byKey.stderr).not.toContain('s3crets3cret');
    expect((await cli.run(['key', 'revoke', 'bob'])).stderr).toContain('There is no key "bob" in this database.');
  });
});

describe('a database that cannot be read', () => {
  it('ends every command with 2 and names the file if the database cannot be read', async () => {
    const cli = await openCli();
    const path = join(cli.home, 'diary.db');
    await writeFile(path, 'dear diary, '.repeat(100));
    for (const args of [['generate'], ['list'], ['list', '--json'], ['revoke', 'x']]) {
      const { code, stdout, stderr } = await cli.run(['key', ...args, '--db', path]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toBe(
        `error: The key database is not a readable SQLite database. [${path}]\nhint: Name another file with --db, or restore it.\n`,
      );
    }
  });

  it('names the variable that led to a database that cannot be read', async () => {
    const { code, stderr } = await (
      await openCli()
    ).run(['key', 'list'], {
      DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/d',
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: The database .*\[postgres:\/\/u@127.0.0.1:1\/d, from DATABASE_URL\]/);
    expect(stderr).not.toContain('hunter2');
  });
});
