/**
 * How each shell writes "set this variable" and "forget that one". Pure; values are quoted so that no shell finds
 * anything to expand in them.
 */
import { posix, win32 } from 'node:path';
import { ProxyError } from '../../lib/errors.ts';
import { PLAIN_WORD, quotePosix, quotePowerShell } from '../../lib/shell-quote.ts';
import type { Environment } from '../../config/options.ts';
import type { ClientSettings } from './client-settings.ts';

/** The shells whose syntax is known. */
export const SHELLS = ['bash', 'zsh', 'fish', 'powershell', 'cmd'] as const;
/** A shell whose syntax is known. */
export type ShellName = (typeof SHELLS)[number];

/**
 * The user's shell by $SHELL; PowerShell on a Windows that sets none. Undefined where it is one we cannot write for
 * (csh, nu).
 */
export function detectShell(environment: Environment, platform: NodeJS.Platform): ShellName | undefined {
  const path = environment['SHELL'] ?? '';
  if (path === '') return platform === 'win32' ? 'powershell' : 'bash';
  const name = (platform === 'win32' ? win32 : posix).basename(path).replace(/\.exe$/i, '');
  if (name === 'fish' || name === 'zsh') return name;
  if (name === 'pwsh' || name === 'powershell') return 'powershell';
  return /^(ba|da|a|k|mk)?sh$/.test(name) ? 'bash' : undefined;
}

/** One line per variable, unsetting first, without a line break at the end. */
export function formatShellLines({ set, unset }: Pick<ClientSettings, 'set' | 'unset'>, shell: ShellName): string {
  const dialect = DIALECTS[shell];
  return [...unset.map(dialect.unset), ...set.map(([name, value]) => dialect.set(name, dialect.quote(value)))].join(
    '\n',
  );
}

/** The command that takes the lines in; `command` prints them. */
export function formatEvaluation(command: string, shell: ShellName): string {
  if (shell === 'fish') return `${command} | source`;
  if (shell === 'cmd') return `for /f "delims=" %i in ('${command}') do @%i`;
  return shell === 'powershell' ? `${command} | Out-String | Invoke-Expression` : `eval "$(${command})"`;
}

interface Dialect {
  readonly quote: (value: string) => string;
  readonly set: (name: string, quoted: string) => string;
  readonly unset: (name: string) => string;
}

const POSIX: Dialect = {
  quote: quotePosix,
  set: (name, quoted) => `export ${name}=${quoted}`,
  unset: (name) => `unset ${name}`,
};

const DIALECTS: Readonly<Record<ShellName, Dialect>> = {
  bash: POSIX,
  zsh: POSIX,
  fish: {
    quote: (value) => (PLAIN_WORD.test(value) ? value : `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`),
    // The semicolons let `eval (…)`, which joins lines with spaces, work as well as `| source`.
    set: (name, quoted) => `set -gx ${name} ${quoted};`,
    unset: (name) => `set -e ${name};`,
  },
  powershell: {
    quote: quotePowerShell,
    set: (name, quoted) => `$env:${name} = ${quoted}`,
    unset: (name) => `Remove-Item -Path Env:${name} -ErrorAction SilentlyContinue`,
  },
  cmd: {
    // `for /f` takes a line as it is, the prompt does not: what one of them would act on has no way to be written.
    quote: (value) => {
      if (!/[&|<>^%!\r\n]/.test(value)) return value;
      throw new ProxyError('ERR_BAD_OPTION', 'A value has a character that cmd would act on.', {
        hint: 'Use --shell powershell, or --json.',
      });
    },
    set: (name, quoted) => `set ${name}=${quoted}`,
    unset: (name) => `set ${name}=`,
  },
};
