/**
 * `start --background`: starts the same proxy once more, in a session of its own with a log file for its output, and
 * waits until it listens or has said why it does not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.ts';
import { formatListening } from './announce.ts';
import { openLogFile, rotateLog } from './log-file.ts';
import { BACKGROUND_VARIABLE } from './parent-channel.ts';
import { formatFields, printData, printTalk } from './print.ts';

const LAUNCHER = new URL('../../bin/bedrock-proxy.js', import.meta.url);

interface Listening {
  readonly port: number;
  readonly url: string;
}

/**
 * Gives the exit code: 0 when it listens, that of the proxy if it does not. `askedPort` is what the command line and
 * the environment say.
 */
export async function startInBackground(config: Config, askedPort: number, json: boolean): Promise<number> {
  const log = join(config.dataFolder, 'logs', `proxy-${config.port}.log`);
  rotateLog(log);
  const output = openLogFile(log);
  const fromByte = statSync(log).size;
  const { npm_lifecycle_event: _npm, ...env } = process.env;
  // Of several, the last --port counts.
  const agreed = config.port === askedPort ? [] : ['--port', String(config.port)];
  const args = [...process.argv.slice(2), ...agreed];
  const child = spawn(process.execPath, [fileURLToPath(LAUNCHER), ...args], {
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...env, [BACKGROUND_VARIABLE]: log },
    detached: true,
    windowsHide: true,
  });
  closeSync(output);
  const outcome = await untilListening(child);
  if (typeof outcome === 'number') {
    printTalk(readFileSync(log).subarray(fromByte).toString().trimEnd());
    return outcome;
  }
  const { port, url } = outcome;
  const pid = child.pid ?? 0;
  if (json) printData(formatListening({ port, pid, url, database: config.database.shown, log }));
  else if (!config.quiet) {
    const fields = [
      ['address', url],
      ['process', String(pid)],
      ['log', log],
    ] as const;
    printTalk(
      `The proxy runs in the background; \`bedrock-proxy stop --port ${port}\` ends it.\n${formatFields(fields)}`,
    );
  }
  return 0;
}

/** Its exit code if it ends before it listens. */
function untilListening(child: ChildProcess): Promise<Listening | number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
    child.once('message', (message: unknown) => {
      if (typeof message !== 'object' || message === null || !('listening' in message) || !('url' in message)) return;
      resolve({ port: Number(message.listening), url: String(message.url) });
      child.unref();
    });
  });
}
