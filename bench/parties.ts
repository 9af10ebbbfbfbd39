/**
 * The processes of a bench run: the upstream, the bare proxy, and bedrock-proxy as users start it. Starts them, asks
 * them for their memory and processor time, ends them.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Usage } from './probe.ts';

/** A server of the same requests: AWS itself, or a proxy before it. */
export interface Party {
  readonly name: 'direct' | 'bare' | 'proxied';
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** The same for HTTP/2 with prior knowledge; undefined if the party does not speak it. */
  readonly http2Origin: string | undefined;
  /** Before the path of every operation. */
  readonly mountPath: string;
  usage(options: { afterGc: boolean }): Promise<Usage>;
}

export interface Parties extends AsyncDisposable {
  readonly direct: Party;
  readonly bare: Party;
  readonly proxied: Party;
  /** The virtual key that `proxied` needs; the others do not look at it. */
  readonly key: string;
}

/** Where the launcher is, and a folder for databases. */
export interface Installation {
  readonly launcher: string;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A user's environment without the user's settings: no profile, no proxy, AWS keys that are worth nothing. */
export async function makeInstallation(): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-bench-'));
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(aws_|bedrock_proxy_|litellm_|https?_proxy|all_proxy|database_url|node_options)/i.test(name),
  );
  const environment = {
    ...Object.fromEntries(kept),
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    AWS_CONFIG_FILE: join(folder, 'no-config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_REGION: 'us-east-1',
    BEDROCK_PROXY_DB: join(folder, 'keys.db'),
  };
  return { launcher: fileURLToPath(new URL('../bin/bedrock-proxy.js', import.meta.url)), folder, environment };
}

/** Starts all three. `profileFolder`: bedrock-proxy writes a V8 processor profile there when it ends. */
export async function startParties(installation: Installation, profileFolder: string | undefined): Promise<Parties> {
  const { launcher, environment } = installation;
  const children: ChildProcess[] = [];
  const run = (script: string, args: string[], execArgv: string[] = []): ChildProcess => {
    const child = startProbed({ script, args, execArgv, environment });
    children.push(child);
    return child;
  };
  const key = await promisify(execFile)(process.execPath, [launcher, 'key', 'generate', '--quiet'], {
    env: environment,
  });

  const upstream = run(fileURLToPath(new URL('./upstream.ts', import.meta.url)), []);
  const upstreamPorts = await isReady(upstream);
  const upstreamOrigin = `http://127.0.0.1:${upstreamPorts.port}`;
  const bare = run(fileURLToPath(new URL('./bare-proxy.ts', import.meta.url)), [upstreamOrigin]);
  const { port: barePort } = await isReady(bare);
  const port = await findFreePort();
  const profiling = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  const args = ['start', '--quiet', '--port', String(port), '--endpoint-url', upstreamOrigin];
  const proxied = run(launcher, args, profiling);
  await untilPortResponds(port, proxied);
  const proxiedOrigin = `http://127.0.0.1:${port}`;
  return {
    key: key.stdout.trim(),
    direct: {
      name: 'direct',
      origin: upstreamOrigin,
      http2Origin: `http://127.0.0.1:${upstreamPorts.http2Port}`,
      mountPath: '',
      usage: usageOf(upstream),
    },
    bare: {
      name: 'bare',
      origin: `http://127.0.0.1:${barePort}`,
      http2Origin: undefined,
      mountPath: '',
      usage: usageOf(bare),
    },
    proxied: {
      name: 'proxied',
      origin: proxiedOrigin,
      http2Origin: proxiedOrigin,
      mountPath: '/bedrock',
      usage: usageOf(proxied),
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(children.toReversed().map(stopChild));
    },
  };
}

interface Start {
  readonly script: string;
  readonly args: readonly string[];
  readonly execArgv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

function startProbed({ script, args, execArgv, environment }: Start): ChildProcess {
  const probe = new URL('./probe.ts', import.meta.url).href;
  return fork(script, args, {
    env: environment,
    execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc', '--import', probe, ...execArgv],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

interface Ports {
  readonly port: number;
  readonly http2Port?: number;
}

async function isReady(child: ChildProcess): Promise<Ports> {
  const gone = once(child, 'exit').then(() => Promise.reject(new Error(`${child.spawnargs[1]} ended at once`)));
  return (await Promise.race([nextMessage(child, 'ready'), gone])) as Ports;
}

function usageOf(child: ChildProcess): Party['usage'] {
  return async ({ afterGc }) => {
    const usage = nextMessage(child, 'usage');
    child.send({ usageAfterGc: afterGc });
    return (await usage) as Usage;
  };
}

/** The content of the next message of this name; bedrock-proxy has messages of its own, which do not count. */
function nextMessage(child: ChildProcess, name: 'ready' | 'usage'): Promise<unknown> {
  return new Promise((resolve) => {
    const onMessage = (message: Readonly<Record<string, unknown>>): void => {
      if (message[name] === undefined) return;
      child.off('message', onMessage);
      resolve(message[name]);
    };
    child.on('message', onMessage);
  });
}

/** A port on which no program listens now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Tries until a connection opens; rejects when the child has ended instead. */
export async function untilPortResponds(port: number, child: ChildProcess): Promise<void> {
  while (!(await doesRespond(port))) {
    if (child.exitCode !== null) throw new Error(`bedrock-proxy ended with exit code ${child.exitCode}`);
    await delay(1);
  }
}

function doesRespond(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (responses: boolean): void => {
      socket.destroy();
      resolve(responses);
    };
    socket.once('connect', () => finish(true)).once('error', () => finish(false));
  });
}

/** Ends a child with SIGTERM, which lets a profile be written, and with SIGKILL if that is not enough. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(killer);
}
