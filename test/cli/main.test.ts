import { describe, expect, it } from 'vitest';
import { OPTIONS } from '../../src/config/options.ts';
import { openCli } from '../helpers/cli.ts';

describe('help', () => {
  it('begins the help with examples and ends it with the exit codes', async () => {
    const { code, stdout, stderr } = await (await openCli()).run(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Examples:\n  \$ bedrock-proxy start/);
    expect(stdout.indexOf('Examples:')).toBeLessThan(stdout.indexOf('Usage:'));
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 used wrongly');
  });

  it('names in the help of start every option with its default and variables', async () => {
    const { code, stdout } = await (await openCli()).run(['start', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:/);
    const text = stdout.replaceAll(/\s+/g, ' ');
    for (const spec of Object.values(OPTIONS)) {
      expect(text).toContain(spec.flag);
      expect(text).toContain(`env: ${spec.env.join(', ')}`);
      if ('default' in spec) expect(text).toContain(`default: ${spec.default};`);
    }
    expect(text).toContain('BEDROCK_PROXY_MASTER_KEY');
  });

  it.each([[['key', '--help']], [['key', 'generate', '--help']], [['help', 'key']]])(
    'begins the help of %j with examples',
    async (args) => {
      const { code, stdout } = await (await openCli()).run(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Examples:\n  \$ bedrock-proxy key generate/);
    },
  );

  it('fits every help into 80 columns', async () => {
    const cli = await openCli();
    const look = async (...path: string[]): Promise<void> => {
      const { stdout } = await cli.run([...path, '--help']);
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
      const commands = stdout.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
      const names = [...commands.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => name);
      for (const name of names) if (name !== 'help') await look(...path, name);
    };
    await look();
  });

  it.each(['key update', 'key show', 'usage', 'logs', 'credential-process'])(
    'begins the help of "%s" with examples',
    async (words) => {
      const { code, stdout } = await (await openCli()).run([...words.split(' '), '--help']);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Examples:\n  \$ bedrock-proxy /);
      expect(stdout).toContain(`Usage: bedrock-proxy ${words} `);
    },
  );

  it('shows with each command of a group examples of that one alone', async () => {
    const cli = await openCli();
    for (const words of ['key list', 'key show', 'key delete', 'key rotate', 'prices check', 'db restore']) {
      const { stdout } = await cli.run([...words.split(' '), '--help']);
      const examples = stdout.split('\nUsage:')[0]?.match(/^ {2}\$ .*/gm) ?? [];
      expect(examples.length, words).toBeGreaterThan(0);
      for (const example of examples) expect(example).toContain(`bedrock-proxy ${words}`);
    }
  });

  it('is that of the command that `help` names, below a group too', async () => {
    const cli = await openCli();
    const [asked, own] = [await cli.run(['help', 'key', 'rotate']), await cli.run(['key', 'rotate', '--help'])];
    expect(asked).toEqual(own);
    expect(asked.stdout).toContain('Usage: bedrock-proxy key rotate ');
  });

  it('refuses the help of what is no command', async () => {
    expect(await (await openCli()).run(['help', 'statsu'])).toEqual({
      code: 2,
      stdout: '',
      stderr: "error: unknown command 'statsu'.\nhint: Did you mean status?\n",
    });
  });

  it('says of an option of start what it does in the command that takes it', async () => {
    const cli = await openCli();
    for (const words of ['env', 'exec', 'top', 'doctor', 'models', 'chat']) {
      const text = (await cli.run([words, '--help'])).stdout.replaceAll(/\s+/g, ' ');
      expect(text, words).not.toMatch(/speak TLS as well|port to listen on|address to listen on/);
      if (words !== 'exec') expect(text, words).not.toContain('answer from a Bedrock');
    }
  });

  it.each([
    { args: ['key', 'list', '--db', ''], hint: 'See `bedrock-proxy key list --help`.' },
    { args: ['env', '--port', 'x'], hint: 'See `bedrock-proxy env --help`.' },
    { args: ['exec', 'python3', '-p', 'x'], hint: 'Options of the command that it runs stand behind --: ' },
    { args: ['exec', 'python3', '-c', 'x'], hint: 'Options of the command that it runs stand behind --: ' },
    { args: ['exec', '-p', 'x', '--', 'python3'], hint: 'See `bedrock-proxy exec --help`.' },
  ])('is where the hint at a bad option of $args leads', async ({ args, hint }) => {
    const { code, stderr } = await (await openCli()).run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(`hint: ${hint}`);
  });

  it('prints the help on stderr, as a misuse, if there is no command', async () => {
    const { code, stdout, stderr } = await (await openCli()).run([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: bedrock-proxy');
  });
});

it.each(['--version', '-V'])('prints the version and nothing else for %s', async (flag) => {
  const { code, stdout, stderr } = await (await openCli()).spawn([flag]).ended;
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe('a command line that is wrong', () => {
  it.each([
    { args: ['strat'], says: "unknown command 'strat'.", hint: 'Did you mean start?' },
    { args: ['start', '--prot', '1'], says: "unknown option '--prot'.", hint: 'Did you mean --port?' },
    { args: ['key', 'revok'], says: "unknown command 'revok'.", hint: 'Did you mean revoke?' },
    {
      args: ['key', 'revoke'],
      says: "missing required argument 'key'.",
      hint: 'See `bedrock-proxy key revoke --help`.',
    },
    {
      args: ['start', '--port'],
      says: "option '-p, --port <number>' argument missing.",
      hint: 'See `bedrock-proxy start --help`.',
    },
    {
      args: ['key', 'generate', '--scope', 'some'],
      says: "option '--scope <scope>' argument 'some' is invalid. Allowed choices are inference, default, all.",
      hint: 'See `bedrock-proxy key generate --help`.',
    },
    { args: ['key', 'list', 'x'], says: 'too many arguments', hint: 'See `bedrock-proxy key list --help`.' },
    {
      args: ['start', '--port', 'x'],
      says: '--port must be a whole number from 0 to 65535, not "x".',
      hint: 'See `bedrock-proxy start --help`.',
    },
  ])('says why $args is wrong, gives a hint, ends with 2', async ({ args, says, hint }) => {
    const { code, stdout, stderr } = await (await openCli()).run(args);
    expect([code, stdout]).toEqual([2, '']);
    const [error, second, ...rest] = stderr.split('\n');
    expect(error).toContain(`error: ${says}`);
    expect(error).not.toContain('..');
    expect([second, rest]).toEqual([`hint: ${hint}`, ['']]);
  });

  it('shows a stack only with --debug', async () => {
    const cli = await openCli();
    const args = ['key', 'list', '--db', cli.home];
    expect((await cli.run(args)).stderr).not.toContain('    at ');
    expect((await cli.run(['--debug', ...args])).stderr).toContain('    at ');
  });
});

it('ends without a word when nobody reads its output', async () => {
  const cli = await openCli();
  const running = cli.spawn(['key', 'list', '--json']);
  running.child.stdout?.destroy();
  expect(await running.ended).toEqual({ code: 0, stdout: '', stderr: '' });
});

it('keeps colours and everything else but the result out of a pipe', async () => {
  const { code, stdout, stderr } = await (await openCli()).spawn(['key', 'revoke', 'nobody']).ended;
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toBe(
    'error: There is no key "nobody" in this database.\nhint: See `bedrock-proxy key list` for ids and aliases.\n',
  );
});
