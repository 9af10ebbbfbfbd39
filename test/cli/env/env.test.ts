import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { bypassForwardProxy, readServerUrl } from '../../../src/cli/env/env.ts';
import { type Cli, openCli } from '../../helpers/cli.ts';

const REGION = { AWS_REGION: 'eu-west-1' };

interface EnvJson {
  readonly variables: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

async function makeKey(cli: Cli, alias: string): Promise<{ id: string; key: string; accessKeyId: string }> {
  const { stdout } = await cli.run(['key', 'generate', '--alias', alias, '--json']);
  const { id, key, access_key_id: accessKeyId } = JSON.parse(stdout) as Record<string, string>;
  return { id: id ?? '', key: key ?? '', accessKeyId: accessKeyId ?? '' };
}

describe('env', () => {
  it('prints lines that a shell takes in, with the only active key opened', async () => {
    const cli = await openCli();
    const alice = await makeKey(cli, 'alice');
    const { code, stdout, stderr } = await cli.run(['env', '--for', 'claude-code'], { ...REGION, SHELL: '/bin/bash' });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const script = `eval "$LINES"; printf '%s|%s|%s' "$AWS_BEARER_TOKEN_BEDROCK" "$ANTHROPIC_BEDROCK_BASE_URL" "$AWS_REGION"`;
    const shown = spawnSync('sh', ['-c', script], { encoding: 'utf8', env: { LINES: stdout } }).stdout;
    expect(shown).toBe(`${alice.key}|http://localhost:4000/bedrock|eu-west-1`);
  });

  it('prints the pair of the key that --key names, by alias, id, access key id or itself', async () => {
    const cli = await openCli();
    await makeKey(cli, 'alice');
    const bob = await makeKey(cli, 'bob');
    for (const name of ['bob', bob.id, bob.accessKeyId, bob.key]) {
      const { stdout } = await cli.run(['env', '--key', name, '--json', '--port', '4321'], REGION);
      expect(JSON.parse(stdout)).toMatchObject({
        for: null,
        url: 'http://localhost:4321/bedrock',
        key: { id: bob.id, alias: 'bob' },
        variables: {
          AWS_ACCESS_KEY_ID: bob.accessKeyId,
          AWS_SECRET_ACCESS_KEY: bob.key,
          AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://localhost:4321/bedrock',
        },
      });
    }
  });

  it('asks which key if there are several, and never guesses', async () => {
    const cli = await openCli();
    await makeKey(cli, 'alice');
    await makeKey(cli, 'bob');
    const { code, stdout, stderr } = await cli.run(['env']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('There are 2 active keys.');
    expect(stderr).toContain('--key: alice, bob.');
  });

  it('asks the proxy that runs for what the shell does not say, and tells if it is one of another database', async () => {
    const cli = await openCli();
    const proxy = cli.spawn(['start', '--offline', '--port', '0']);
    const [, port = ''] = await proxy.waitFor('stderr', /localhost:(\d+)\/bedrock/);
    const read = async (...args: string[]): Promise<EnvJson> =>
      JSON.parse((await cli.run(['env', '--json', '--port', port, ...args])).stdout) as EnvJson;
    await vi.waitFor(async () => {
      const { variables } = await read();
      expect(variables).toMatchObject({ AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'us-east-1' });
    });
    expect((await read('--region', 'eu-west-1')).variables['AWS_REGION']).toBe('eu-west-1');
    expect((await read('--tls')).notes.join()).toContain('speaks no TLS');
    const other = await read('--db', 'other.db');
    expect(other.variables).not.toHaveProperty('AWS_REGION');
    expect(other.notes[0]).toContain(`The proxy on port ${port} is not one of the database`);
  });

  it('prints placeholders in open mode, without making a database', async () => {
    const cli = await openCli();
    const { stdout } = await cli.run(['env', '--for', 'openai', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      key: { id: null },
      variables: { OPENAI_API_KEY: 'anything', OPENAI_BASE_URL: 'http://localhost:4000/bedrock/openai/v1' },
    });
    expect((await cli.run(['key', 'list', '--json'])).stdout).toBe('[]\n');
  });

  it('knows no key if there is no database, and makes none', async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['env', '--key', 'alice']);
    expect([code, stdout, existsSync(cli.databasePath)]).toEqual([1, '', false]);
    expect(stderr).toContain('There is no key "alice" in this database.');
  });

  it('does not print the master key, and asks for a virtual one', async () => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['env'], { BEDROCK_PROXY_MASTER_KEY: 'sk-the-master' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('key generate');
    expect(stderr).not.toContain('sk-the-master');
  });

  it.each([
    { name: 'revoked', args: ['env', '--key', 'old'], words: 'The key "old" was revoked.' },
    { name: 'unknown', args: ['env', '--key', 'nobody'], words: 'There is no key "nobody" in this database.' },
    { name: 'misspelt', args: ['env', '--key', 'odl'], words: 'Did you mean old?' },
    { name: 'the last one revoked', args: ['env'], words: 'There is no active key.' },
  ])('says so if the key is $name', async ({ args, words }) => {
    const cli = await openCli();
    await makeKey(cli, 'old');
    await cli.run(['key', 'revoke', 'old']);
    const { code, stdout, stderr } = await cli.run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(words);
  });

  it('says so if the server secret is another one', async () => {
    const cli = await openCli();
    await makeKey(cli, 'alice');
    await rm(`${cli.databasePath}.secret`);
    const { code, stderr } = await cli.run(['env']);
    expect(code).toBe(1);
    expect(stderr).toContain('The key alice was sealed under another server secret.');
  });

  it('says on stderr that no region is known', async () => {
    const cli = await openCli();
    const { stdout, stderr } = await cli.run(['env']);
    expect(stdout).not.toContain('REGION');
    expect(stderr).toContain('No AWS region is known');
  });

  it.each([
    { args: ['--for', 'cobol'], words: 'Allowed choices are boto3' },
    { args: ['--shell', 'nu'], words: 'Allowed choices are bash' },
    { args: ['--url', 'ftp://x'], words: '--url must be' },
    { args: ['--port', '0'], words: 'Port 0' },
  ])('refuses `env` $args with 2', async ({ args, words }) => {
    const cli = await openCli();
    const { code, stdout, stderr } = await cli.run(['env', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
  });
});

describe('readServerUrl', () => {
  const here = { host: 'localhost', port: 4000 };
  it.each([
    [undefined, here, 'http://localhost:4000/bedrock'],
    [undefined, { host: '127.0.0.1', port: 4000 }, 'http://127.0.0.1:4000/bedrock'],
    [undefined, { host: '0.0.0.0', port: 80 }, 'http://localhost:80/bedrock'],
    [undefined, { host: '10.0.0.7', port: 4000 }, 'http://10.0.0.7:4000/bedrock'],
    ['https://proxy.example', here, 'https://proxy.example/bedrock'],
    ['http://host.docker.internal:4000/bedrock/', here, 'http://host.docker.internal:4000/bedrock'],
  ])('makes of %j and %j the URL %s', (url, config, expected) => {
    expect(readServerUrl(url, config)).toBe(expected);
  });
});

describe('bypassForwardProxy', () => {
  const url = 'http://localhost:4000/bedrock';
  it.each([
    { name: 'none is set', environment: {}, expected: undefined },
    { name: 'one is set', environment: { HTTP_PROXY: 'http://p' }, expected: 'localhost,127.0.0.1,::1' },
    {
      name: 'others are left out',
      environment: { https_proxy: 'http://p', NO_PROXY: 'a, b' },
      expected: 'a,b,localhost,127.0.0.1,::1',
    },
    {
      name: 'it is left out already',
      environment: { HTTP_PROXY: 'http://p', NO_PROXY: 'x,localhost' },
      expected: undefined,
    },
    { name: 'everything is left out', environment: { HTTP_PROXY: 'http://p', no_proxy: '*' }, expected: undefined },
  ])('keeps clients off a forward proxy: $name', ({ environment, expected }) => {
    const names = expected === undefined ? {} : { NO_PROXY: expected, no_proxy: expected };
    expect(Object.fromEntries(bypassForwardProxy(url, environment))).toEqual(names);
  });
});
