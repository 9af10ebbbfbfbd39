/** The scripts of `completion` in the shells themselves, as far as this machine has them. */
import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { openCli } from '../../helpers/cli.ts';

const MAIN = new URL('../../../src/cli/main.ts', import.meta.url).href;
/** As bash has it, unless told otherwise. */
const WORDBREAKS = ' \t\n"\'@><=;|&(:';

/** A line, what is offered for it, and how bash gets it, which replaces what comes after the last colon only. */
const ROWS = [
  { line: 'bedrock-proxy prices li', offers: ['list'] },
  { line: 'bedrock-proxy key show ', offers: ['alice'] },
  { line: 'bedrock-proxy usage --key al', offers: ['alice'] },
  { line: 'bedrock-proxy start --profile ', offers: ['default', 'dev'] },
  { line: 'bedrock-proxy start --log-format j', offers: ['json'] },
  { line: 'bedrock-proxy start --region ap-south-', offers: ['ap-south-1', 'ap-south-2'] },
  { line: 'bedrock-proxy prices show us.amazon.nova-premier-', offers: ['us.amazon.nova-premier-v1:0'] },
  {
    line: 'bedrock-proxy prices show us.amazon.nova-premier-v1:',
    offers: ['us.amazon.nova-premier-v1:0'],
    inBash: ['0'],
  },
];

/** A home with a program on the path, a key, one whose name a shell would act on, and two profiles. */
async function openHome() {
  const cli = await openCli();
  for (const alias of ['alice', 'a;b']) await cli.run(['key', 'generate', '--quiet', '--alias', alias]);
  await mkdir(join(cli.home, '.aws'));
  await writeFile(
    join(cli.home, '.aws', 'config'),
    '[default]\nregion = eu-west-1\n[profile dev]\nregion = us-east-1\n',
  );
  const runner = join(cli.home, 'run.mjs');
  await writeFile(runner, `const { run } = await import(${JSON.stringify(MAIN)}); await run(process.argv);`);
  const program = join(cli.home, 'bedrock-proxy');
  const node = `'${process.execPath}' --disable-warning=ExperimentalWarning`;
  await writeFile(program, `#!/bin/sh\nexec ${node} '${runner}' "$@"\n`);
  await chmod(program, 0o755);
  const env = { PATH: `${cli.home}:${process.env['PATH']}`, HOME: cli.home, XDG_DATA_HOME: join(cli.home, 'data') };
  const script = async (shell: string): Promise<string> => (await cli.run(['completion', shell])).stdout;
  const run = async (shell: string, args: readonly string[]): Promise<string[]> => {
    const { stdout } = await promisify(execFile)(shell, args, { env, cwd: cli.home });
    return stdout.split('\n').filter((line) => line !== '');
  };
  return { script, run };
}

function has(shell: string): boolean {
  try {
    execFileSync(shell, ['-c', 'exit 0'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

it.runIf(has('bash'))('completes in bash', async () => {
  const { script, run } = await openHome();
  const text = await script('bash');
  for (const { line, offers, inBash } of ROWS) {
    const given = `COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$2; _bedrock_proxy; printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(await run('bash', ['-c', `${text}\n${given}`, 'bash', line, WORDBREAKS])).toEqual(inBash ?? offers);
  }
});

it.runIf(has('zsh'))('completes in zsh', async () => {
  const { script, run } = await openHome();
  // What a completion of zsh calls works in a terminal only: here it tells what it was called with.
  const text = `compdef() { }; _files() { }; compadd() { print -l -- "\${values[@]}" }\n${await script('zsh')}`;
  for (const { line, offers } of ROWS) {
    const given = 'words=("${(@s: :)1}") CURRENT=${#words}; _bedrock_proxy';
    expect(await run('zsh', ['-f', '-c', `${text}\n${given}`, 'zsh', line])).toEqual(offers);
  }
});

it.runIf(has('fish'))('completes in fish', async () => {
  const { script, run } = await openHome();
  const text = await script('fish');
  for (const { line, offers } of ROWS) {
    const lines = await run('fish', ['--no-config', '-c', `${text}\ncomplete -C '${line}'`]);
    expect(lines.map((each) => each.split('\t')[0])).toEqual(offers);
  }
});

it.runIf(has('pwsh'))('completes in PowerShell', async () => {
  const { script, run } = await openHome();
  const text = await script('powershell');
  for (const { line, offers } of ROWS) {
    const ask = `(TabExpansion2 -inputScript '${line}' -cursorColumn ${line.length}).CompletionMatches.CompletionText`;
    expect(await run('pwsh', ['-NoProfile', '-c', `${text}\n${ask}`])).toEqual(offers);
  }
});

it('offers nothing that a shell would act on, and names of files where they belong', async () => {
  const cli = await openCli();
  await cli.run(['key', 'generate', '--quiet', '--alias', 'a;b']);
  expect(await cli.run(['__complete', 'fish', 'key', 'show', ''])).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await cli.run(['__complete', 'fish', 'start', '--prices', ''])).stdout).toBe(':\n');
});

it('says nothing if a configuration file is wrong', async () => {
  const cli = await openCli();
  const answer = await cli.run(['__complete', 'fish', 'key', 'show', ''], { BEDROCK_PROXY_CONFIG: '/missing.json' });
  expect(answer).toEqual({ code: 0, stdout: '', stderr: '' });
});
