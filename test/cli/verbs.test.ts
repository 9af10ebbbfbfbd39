import { describe, expect, it } from 'vitest';
import { findVerb } from '../../src/cli/verbs.ts';
import { findMeant } from '../../src/lib/nearest-name.ts';
import { openCli } from '../helpers/cli.ts';

describe('did you mean', () => {
  it.each([
    { args: ['key', 'ls'], hint: '`bedrock-proxy key list`' },
    { args: ['key', 'rm', 'alice'], hint: '`bedrock-proxy key delete`' },
    { args: ['key', 'create'], hint: '`bedrock-proxy key generate`' },
    { args: ['key', 'info', 'alice'], hint: '`bedrock-proxy key show`' },
    { args: ['ls'], hint: '`bedrock-proxy key list`' },
    { args: ['version'], hint: '`bedrock-proxy --version`' },
    { args: ['env', '--for', 'claude'], hint: '--for claude-code' },
    { args: ['env', '--shell', 'power'], hint: '--shell powershell' },
    { args: ['key', 'generate', '--scope', 'inferences'], hint: '--scope inference' },
    { args: ['usage', '--by', 'modle'], hint: '--by model' },
    { args: ['key', 'generate', 'alice'], hint: '`bedrock-proxy key generate --alias alice`' },
    { args: ['stop', '4001'], hint: '`bedrock-proxy stop --port 4001`' },
    { args: ['env', 'claude-code'], hint: '`bedrock-proxy env --for claude-code`' },
    { args: ['completion', 'fsh'], hint: 'fish' },
    { args: ['key', 'lst'], hint: 'list' },
  ])('asks $hint after $args', async ({ args, hint }) => {
    const { code, stderr } = await (await openCli()).run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(`hint: ${args[1] === 'lst' ? '' : 'Did you mean '}`);
    expect(stderr).toContain(hint);
  });

  it('finds no verb among commands that it does not know, and nothing in the prototype', () => {
    expect(findVerb('ls', ['check', 'backup'])).toBeUndefined();
    expect(findVerb('constructor', ['list'])).toBeUndefined();
  });

  it('takes a beginning or a part for a name only if it is that of one', () => {
    expect(findMeant('go', ['go', 'goose'])).toBe('go');
    expect(findMeant('a', ['aider', 'anthropic'])).toBeUndefined();
    expect(findMeant('', ['aider'])).toBeUndefined();
  });
});

describe('short and general flags', () => {
  it.each([['-v'], ['-V'], ['--version']])('prints the version after %s', async (flag) => {
    const { code, stdout } = await (await openCli()).run([flag]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
  });

  it('takes -p and -r, and names the long flag in an error', async () => {
    const cli = await openCli();
    const { stdout } = await cli.run(['env', '-p', '4321', '-r', 'eu-west-1', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      url: 'http://localhost:4321/bedrock',
      variables: { AWS_REGION: 'eu-west-1' },
    });
    expect((await cli.run(['env', '-p', 'x'])).stderr).toContain('--port must be');
  });

  it('takes --no-color before and after any command', async () => {
    const cli = await openCli();
    for (const args of [
      ['--no-color', 'key', 'list'],
      ['key', 'list', '--no-color'],
    ])
      expect((await cli.run(args)).code).toBe(0);
  });
});
