import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { detectShell, formatEvaluation, formatShellLines, SHELLS } from '../../../src/cli/env/shell-lines.ts';

const NASTY = [
  'plain',
  '',
  "it's",
  'a b  c',
  '$HOME `id` $(id)',
  String.raw`back\slash\'`,
  '"quoted"',
  '‘typographic’',
  '!x;#',
];
const SETTINGS = { set: NASTY.map((value, index) => [`V${index}`, value] as const), unset: ['GONE', 'NEVER_THERE'] };
const SHOW = `${NASTY.map((_, index) => `printf '%s\\0' "$V${index}"`).join('; ')}; printf '%s' "\${GONE-gone}"`;

/** Undefined where the shell is not installed. */
function runShell(shell: string, script: string): string | undefined {
  const { status, stdout, error } = spawnSync(shell, ['-c', script], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], GONE: 'still here' },
  });
  return error === undefined ? `${status}:${stdout}` : undefined;
}

describe('formatShellLines', () => {
  it.each(['bash', 'sh', 'dash', 'zsh'])('gives every value unchanged to a real %s', (shell) => {
    const lines = formatShellLines(SETTINGS, 'bash');
    const shown = runShell(shell, `eval "$(cat <<'LINES'\n${lines}\nLINES\n)"\n${SHOW}`);
    if (shown !== undefined) expect(shown).toBe(`0:${NASTY.map((value) => `${value}\0`).join('')}gone`);
  });

  it('gives every value unchanged to a real fish', () => {
    const show = NASTY.map((_, index) => `printf '%s\\0' "$V${index}"`).join('; ');
    const shown = runShell('fish', `${formatShellLines(SETTINGS, 'fish')}\n${show}; set -q GONE; or printf gone`);
    if (shown !== undefined) expect(shown).toBe(`0:${NASTY.map((value) => `${value}\0`).join('')}gone`);
  });

  it.each([
    { shell: 'bash', set: String.raw`export A='it'\''s $5'`, unset: 'unset B' },
    { shell: 'zsh', set: String.raw`export A='it'\''s $5'`, unset: 'unset B' },
    { shell: 'fish', set: String.raw`set -gx A 'it\'s $5';`, unset: 'set -e B;' },
    { shell: 'powershell', set: "$env:A = 'it''s $5'", unset: 'Remove-Item -Path Env:B -ErrorAction SilentlyContinue' },
  ] as const)('writes shell lines for $shell', ({ shell, set, unset }) => {
    expect(formatShellLines({ set: [['A', "it's $5"]], unset: ['B'] }, shell)).toBe(`${unset}\n${set}`);
  });

  it('writes for cmd what `for /f` and the prompt take as it is, and refuses what one of them would act on', () => {
    const set = [['A', '{"a":"http://localhost:4000"}']] as const;
    expect(formatShellLines({ set, unset: ['B'] }, 'cmd')).toBe('set B=\nset A={"a":"http://localhost:4000"}');
    for (const value of ['x&calc', 'a|b', '%PATH%', 'a^b', 'a\nb', '>f'])
      expect(() => formatShellLines({ set: [['A', value]], unset: [] }, 'cmd')).toThrow(/cmd would act on/);
    expect(formatEvaluation('bedrock-proxy env', 'cmd')).toBe(`for /f "delims=" %i in ('bedrock-proxy env') do @%i`);
  });

  it('doubles every quote that PowerShell takes for a single one', () => {
    expect(formatShellLines({ set: [['A', 'x‘y’z']], unset: [] }, 'powershell')).toBe("$env:A = 'x‘‘y’’z'");
  });

  it('doubles backslashes for fish, which reads them between quotes', () => {
    expect(formatShellLines({ set: [['A', String.raw`a\b`]], unset: [] }, 'fish')).toBe(String.raw`set -gx A 'a\\b';`);
  });

  it('leaves plain values bare, as people write them', () => {
    const set = [['A', 'http://localhost:4000/bedrock']] as const;
    expect(formatShellLines({ set, unset: [] }, 'bash')).toBe('export A=http://localhost:4000/bedrock');
  });
});

describe('detectShell', () => {
  it.each([
    { SHELL: '/bin/bash', platform: 'linux', shell: 'bash' },
    { SHELL: '/bin/sh', platform: 'linux', shell: 'bash' },
    { SHELL: '/usr/bin/dash', platform: 'linux', shell: 'bash' },
    { SHELL: '/bin/zsh', platform: 'darwin', shell: 'zsh' },
    { SHELL: '/opt/homebrew/bin/fish', platform: 'darwin', shell: 'fish' },
    { SHELL: '/usr/bin/pwsh', platform: 'linux', shell: 'powershell' },
    { SHELL: undefined, platform: 'linux', shell: 'bash' },
    { SHELL: undefined, platform: 'win32', shell: 'powershell' },
    { SHELL: String.raw`C:\Program Files\Git\bin\bash.exe`, platform: 'win32', shell: 'bash' },
    { SHELL: '/bin/tcsh', platform: 'linux', shell: undefined },
  ] as const)('takes $SHELL on $platform for $shell', ({ SHELL, platform, shell }) => {
    expect(detectShell({ SHELL }, platform)).toBe(shell);
  });
});

describe('formatEvaluation', () => {
  it('prints how each shell takes the lines in', () => {
    expect(SHELLS.map((shell) => formatEvaluation('x', shell))).toEqual([
      'eval "$(x)"',
      'eval "$(x)"',
      'x | source',
      'x | Out-String | Invoke-Expression',
      `for /f "delims=" %i in ('x') do @%i`,
    ]);
  });
});
