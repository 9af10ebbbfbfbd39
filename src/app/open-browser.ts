/** Opens a page in the user's browser, as far as there is one. */
import { execFile } from 'node:child_process';
import { withoutSecrets } from '../config/config.ts';

const TIMEOUT_MS = 5_000;

/** Whether somebody sits at a screen here: not in CI, over SSH or without a display. */
export function hasBrowser(environment: NodeJS.ProcessEnv, platform = process.platform): boolean {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  if (isSet('CI') || isSet('SSH_CONNECTION')) return false;
  return platform === 'win32' || platform === 'darwin' || isSet('DISPLAY') || isSet('WAYLAND_DISPLAY');
}

/** Whether it was opened. Other users of this machine can see `url`: it must hold no secret that lasts. */
export function openBrowser(url: string, platform = process.platform): Promise<boolean> {
  const [program, args] =
    platform === 'darwin'
      ? ['open', [url]]
      : platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', url]]
        : ['xdg-open', [url]];
  const env = withoutSecrets(process.env);
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, windowsHide: true }, (error) => resolve(error === null));
    // A browser that was not open yet may be this very process: it lives on.
    setTimeout(() => resolve(true), TIMEOUT_MS).unref();
    child.unref();
  });
}
