/**
 * Puts text on the clipboard, by the programs that desktops have for it. The text goes through a pipe: everybody on the
 * machine sees a command line.
 */
import { spawn } from 'node:child_process';
import { win32 } from 'node:path';
import type { Environment } from '../../config/options.ts';

/** A clipboard that belongs to a display which is gone does not answer. */
const TIMEOUT_MS = 3_000;

type CopyCommand = readonly [file: string, ...args: string[]];

/** The programs to try here, the likeliest first. */
export function listCopyCommands(platform: NodeJS.Platform, environment: Environment): readonly CopyCommand[] {
  if (platform === 'darwin') return [['/usr/bin/pbcopy']];
  // By its whole path: Windows looks for a bare name in the current folder first.
  if (platform === 'win32') {
    return [[win32.join(environment['SystemRoot'] ?? String.raw`C:\Windows`, 'System32', 'clip.exe')]];
  }
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  return [
    ...(isSet('WAYLAND_DISPLAY') ? [['wl-copy'] as const] : []),
    ...(isSet('DISPLAY')
      ? ([
          ['xclip', '-selection', 'clipboard'],
          ['xsel', '--clipboard', '--input'],
        ] as const)
      : []),
    ...(isSet('WSL_DISTRO_NAME') ? [['clip.exe'] as const] : []),
    ...(isSet('TERMUX_VERSION') ? [['termux-clipboard-set'] as const] : []),
  ];
}

/** Whether one of them took the text. Never rejects. */
export async function copyText(
  text: string,
  commands: readonly CopyCommand[] = listCopyCommands(process.platform, process.env),
): Promise<boolean> {
  for (const command of commands) if (await copyBy(command, text)) return true;
  return false;
}

function copyBy([file, ...args]: CopyCommand, text: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Some of them go on in the background, to serve what they hold: their output must not keep us waiting.
    const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'], timeout: TIMEOUT_MS, windowsHide: true });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
    child.stdin.on('error', () => {});
    child.stdin.end(text);
  });
}
