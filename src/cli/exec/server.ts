/**
 * The server for `exec`: the one that runs already, where it takes this key, or a fresh one on a free port, held by a leash:
 * it ends when its IPC channel closes, however `exec` comes to its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { Agent as TlsAgent, get as getByTls } from 'node:https';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isServerProof } from '../../auth/server-proof.ts';
import { MOUNT_PATH } from '../../config/config.ts';
import { ProxyError } from '../../lib/errors.ts';
import { baseUrl } from '../../app/banner.ts';

/** On loopback; a proxy that needs longer has other worries. */
const PROBE_TIMEOUT_MS = 1_000;
const START_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 5_000;
const LAUNCHER = new URL('../../../bin/bedrock-proxy.js', import.meta.url);
/** Set in the server's environment: it ends with its IPC channel. Others who start it with one may let it live on. */
export const LEASH_VARIABLE = 'BEDROCK_PROXY_LEASH';
/** No operation of Bedrock: refused with 404 for those who may come in, and with 401 for others. Nothing leaves the machine. */
const PROBE_PATH = '/bedrock-proxy-probe';

/** Where a proxy is. */
export interface ServerAddress {
  /** With the mount, without trailing slash. */
  readonly url: string;
  /** PEM file of the authority of its certificate, for https; undefined: one that Node knows. */
  readonly caFile: string | undefined;
}

/** The version of the proxy that listens there; undefined where it is another program, or nothing. */
export async function findProxyVersion(server: ServerAddress): Promise<string | undefined> {
  const answer = await ask(new URL('/', server.url), server, undefined);
  if (answer?.status !== 200) return undefined;
  try {
    const { name, version } = JSON.parse(answer.body) as Record<string, unknown>;
    return name === 'bedrock-proxy' && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** What the proxy of this database has and no impostor on its port. */
export interface ServerIdentity {
  readonly serverSecret: Buffer;
  /** As configured. */
  readonly host: string;
  readonly port: number;
}

/** Whether the proxy there proves that it holds the server secret. Shows it nothing; comes before any key is shown. */
export async function provesItself(
  server: ServerAddress,
  { serverSecret, host, port }: ServerIdentity,
): Promise<boolean> {
  const challenge = randomBytes(32).toString('hex');
  const answer = await ask(new URL(`/health/readiness?challenge=${challenge}`, server.url), server, undefined);
  // Behind `localhost` two can have the same port, [::1] and 127.0.0.1, and the one answer for the other.
  if (answer === undefined || !isReachedAs(host, answer.address)) return false;
  try {
    const { proof } = JSON.parse(answer.body) as Record<string, unknown>;
    return isServerProof(proof, serverSecret, challenge, port);
  } catch {
    return false;
  }
}

function isReachedAs(host: string, address: string): boolean {
  if (isIP(host) === 0 || host === '::') return true;
  return host === '0.0.0.0' ? isIP(address) === 4 : host === address;
}

/** Whether the proxy there works on the database that has this key: it takes the key, and does not take any other. */
export async function takesKey(server: ServerAddress, key: string): Promise<boolean> {
  const probe = async (token: string): Promise<number | undefined> =>
    (await ask(new URL(`${server.url}${PROBE_PATH}`), server, token))?.status;
  if ((await probe(key)) !== 404) return false;
  return (await probe(`sk-${randomBytes(32).toString('base64url')}`)) === 401;
}

/** A server of our own. */
export interface StartedServer {
  /** In clear text. */
  readonly url: string;
  end(): Promise<void>;
}

/** Starts one with these arguments of `start` besides its own. Throws ERR_BAD_REQUEST where it does not come up. */
export async function startServerChild(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<StartedServer> {
  const own = ['start', '--port', '0', '--host', '127.0.0.1', '--quiet', '--shutdown-grace', '0'];
  const child = spawn(process.execPath, [fileURLToPath(LAUNCHER), ...own, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...environment, [LEASH_VARIABLE]: '1' },
    // Its own process group: Ctrl-C is for the command, which may live on after it and still need the server.
    detached: true,
    windowsHide: true,
  });
  const port = await untilListening(child);
  return {
    url: baseUrl({ host: '127.0.0.1', port, mountPath: MOUNT_PATH }),
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.disconnect();
      if ((await Promise.race([ended, delay(END_TIMEOUT_MS, 'late', { ref: false })])) === 'late')
        child.kill('SIGKILL');
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

/** Straight to the address, whatever forward proxies the environment names. */
function ask(
  url: URL,
  { caFile }: ServerAddress,
  token: string | undefined,
): Promise<{ status: number; body: string; address: string } | undefined> {
  return new Promise((resolve) => {
    const isTls = url.protocol === 'https:';
    const ca = isTls && caFile !== undefined ? readIfThere(caFile) : undefined;
    const agent = isTls ? new TlsAgent({ keepAlive: false, ca }) : new Agent({ keepAlive: false });
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const request = (isTls ? getByTls : get)(url, { agent, headers, timeout: PROBE_TIMEOUT_MS }, (response) => {
      const address = response.socket.remoteAddress ?? '';
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body, address }),
        () => resolve(undefined),
      );
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
