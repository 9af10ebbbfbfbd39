/**
 * The server that `exec` starts where none runs that takes its key: on a free port, held by its IPC channel. It ends
 * when the channel closes, however `exec` comes to its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { baseUrl } from '../../app/banner.ts';
import { SUPERVISED_VARIABLE } from '../../app/parent-channel.ts';
import { MOUNT_PATH } from '../../config/config.ts';
import { within } from '../../lib/deadline.ts';
import { ProxyError } from '../../lib/errors.ts';

const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 5_000;
const LAUNCHER = new URL('../../../bin/bedrock-proxy.js', import.meta.url);

/** A server of our own. */
export interface StartedServer {
  /** In clear text. */
  readonly url: string;
  readonly port: number;
  /** Gives its exit code; undefined if it did not end by itself. */
  end(): Promise<number | undefined>;
}

/** Starts one with these arguments of `start` besides its own. Throws ERR_BAD_REQUEST where it does not come up. */
export async function startServerChild(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<StartedServer> {
  const own = ['start', '--port', '0', '--host', '127.0.0.1', '--quiet', '--shutdown-grace', '0', '--workers', '1'];
  const child = spawn(process.execPath, [fileURLToPath(LAUNCHER), ...own, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...environment, [SUPERVISED_VARIABLE]: '1' },
    // Its own process group: Ctrl-C is for the command, which may live on after it and still need the server.
    detached: true,
    windowsHide: true,
  });
  const port = await untilListening(child);
  return {
    url: baseUrl({ host: '127.0.0.1', port, mountPath: MOUNT_PATH }),
    port,
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? undefined;
      const ended = once(child, 'exit');
      child.disconnect();
      if ((await within(END_TIMEOUT_MS, ended)) === undefined) child.kill('SIGKILL');
      return child.exitCode ?? undefined;
    },
  };
}

async function untilListening(child: ChildProcess): Promise<number> {
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error('ended')));
      child.on('message', (message: unknown) => {
        if (typeof message === 'object' && message !== null && 'listening' in message)
          resolve(Number(message.listening));
      });
    });
  } catch (cause) {
    throw new ProxyError('ERR_BAD_REQUEST', 'The proxy for this command did not start.', {
      hint: 'Its own message, if any, stands above; `bedrock-proxy doctor` tells more.',
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}
