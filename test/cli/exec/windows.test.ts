/** The rules of Windows, checked on any system: what would be started, and with which line. */
import { describe, expect, it } from 'vitest';
import { toWindowsInvocation } from '../../../src/cli/exec/windows.ts';

const FILES = new Set([
  String.raw`C:\tools\npx.cmd`,
  String.raw`C:\node\node.exe`,
  String.raw`C:\a b\run.bat`,
  String.raw`.\local.exe`,
]);
const ENVIRONMENT = {
  Path: String.raw`C:\tools;C:\node;"C:\a b"`,
  PATHEXT: '.COM;.EXE;.BAT;.CMD',
  ComSpec: String.raw`C:\Windows\cmd.exe`,
};

function invoke(file: string, ...args: string[]) {
  return toWindowsInvocation({ file, args, isVerbatim: false }, ENVIRONMENT, (path) => FILES.has(path));
}

describe('toWindowsInvocation', () => {
  it.each([
    { command: 'node', file: String.raw`C:\node\node.exe` },
    { command: 'NODE.EXE', file: 'NODE.EXE' },
    { command: String.raw`.\local`, file: String.raw`.\local.exe` },
    { command: 'missing', file: 'missing' },
  ])('starts $command directly, its arguments as they are', ({ command, file }) => {
    expect(invoke(command, 'a b', '&')).toEqual({ file, args: ['a b', '&'], isVerbatim: false });
  });

  it.each([
    { name: 'plain', args: ['x'], line: String.raw`^^^"x^^^"` },
    { name: 'a blank', args: ['a b'], line: String.raw`^^^"a^^^ b^^^"` },
    { name: 'another command', args: ['a&calc'], line: String.raw`^^^"a^^^&calc^^^"` },
    { name: 'a variable', args: ['%PATH%'], line: String.raw`^^^"^^^%PATH^^^%^^^"` },
    { name: 'a quote', args: ['a"b'], line: String.raw`^^^"a\^^^"b^^^"` },
    { name: 'a last backslash', args: ['a\\'], line: String.raw`^^^"a\\^^^"` },
    { name: 'nothing', args: [''], line: String.raw`^^^"^^^"` },
  ])('has cmd.exe run a batch file without acting on $name', ({ args, line }) => {
    expect(invoke('npx', ...args)).toEqual({
      file: String.raw`C:\Windows\cmd.exe`,
      args: ['/d', '/s', '/c', String.raw`"C:\tools\npx.cmd ${line}"`],
      isVerbatim: true,
    });
  });

  it('escapes blanks in the path of the batch file', () => {
    expect(invoke('run').args.at(-1)).toBe(String.raw`"C:\a^ b\run.bat"`);
  });
});
