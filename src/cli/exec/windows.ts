/**
 * How a command is started on Windows without handing it to a shell: programs directly, batch files (npx, and most
 * tools of npm) through cmd.exe, which is the only thing that can run them, with every character escaped that it would
 * act on. Pure.
 */
import { win32 } from 'node:path';
import type { Environment } from '../../config/options.ts';

/** How a command is started: the program and its arguments. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
  /** The arguments are quoted already: Node must not quote them again. */
  readonly isVerbatim: boolean;
}

/** What cmd.exe acts on, even between quotes. */
const CMD_META = /[()\][%!^"`<>&|;, *?]/g;

/** The command as CreateProcess wants it. `exists` tells whether a file is there. */
export function toWindowsInvocation(
  { file, args }: Invocation,
  environment: Environment,
  exists: (path: string) => boolean,
): Invocation {
  const found = findProgram(file, environment, exists);
  if (found === undefined || !/\.(cmd|bat)$/i.test(found)) return { file: found ?? file, args, isVerbatim: false };
  // A batch file hands its arguments on (`%*`) and they are parsed a second time there: escape twice.
  const line = [found.replaceAll(CMD_META, '^$&'), ...args.map((arg) => escapeForCmd(escapeForCmd(quote(arg))))].join(
    ' ',
  );
  return {
    file: read(environment, 'ComSpec') ?? 'cmd.exe',
    args: ['/d', '/s', '/c', `"${line}"`],
    isVerbatim: true,
  };
}

/** As cmd.exe looks: in this order of folders, each with every ending of PATHEXT. */
function findProgram(name: string, environment: Environment, exists: (path: string) => boolean): string | undefined {
  const endings = (read(environment, 'PATHEXT') ?? '.COM;.EXE;.BAT;.CMD').split(';').filter((ending) => ending !== '');
  const hasEnding = endings.some((ending) => name.toLowerCase().endsWith(ending.toLowerCase()));
  const names = hasEnding ? [name] : endings.map((ending) => `${name}${ending.toLowerCase()}`);
  const isPath = /[\\/]/.test(name) || /^[a-z]:/i.test(name);
  const folders = isPath ? [''] : (read(environment, 'PATH') ?? '').split(';').filter((folder) => folder !== '');
  for (const folder of folders) {
    for (const candidate of names) {
      const path = folder === '' ? candidate : win32.join(folder.replaceAll('"', ''), candidate);
      if (exists(path)) return path;
    }
  }
  return undefined;
}

/** Names of variables have no case on Windows; a copy of the environment has lost that. */
function read(environment: Environment, name: string): string | undefined {
  const key = Object.keys(environment).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : environment[key];
}

/** By the rules of the C runtime: backslashes before a quote are doubled, the quote is escaped. */
function quote(argument: string): string {
  const escaped = argument.replaceAll(/(\\*)"/g, String.raw`$1$1\"`).replace(/(\\*)$/, '$1$1');
  return `"${escaped}"`;
}

function escapeForCmd(text: string): string {
  return text.replaceAll(CMD_META, '^$&');
}
