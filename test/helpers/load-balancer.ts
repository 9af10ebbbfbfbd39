/**
 * The load balancers of this machine, each started with its file of docs/load-balancers/ in front of two proxies; but
 * for the ports it is that file.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { findClosedPort } from './ports.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const FILES = fileURLToPath(new URL('../../docs/load-balancers', import.meta.url));

/** One that people run. */
export interface LoadBalancer {
  readonly name: string;
  /** Undefined if this machine has none. */
  readonly program: string | undefined;
  /** Whether it speaks HTTP/2 in clear text, and to the proxies. */
  readonly hasHttp2: boolean;
  /** Whether it asks the proxies whether they are ready. */
  readonly asksReadiness: boolean;
  readonly file: string;
  /** The command line for a file in a folder that it may write to. */
  readonly args: (file: string, folder: string) => readonly string[];
  /** What an ordinary user has to change besides the ports. */
  readonly adapt?: (text: string, folder: string) => string;
}

/** All that docs/load-balancers/ has a file for. */
export const LOAD_BALANCERS: readonly LoadBalancer[] = [
  {
    name: 'nginx',
    program: findProgram('nginx'),
    hasHttp2: false,
    asksReadiness: false,
    file: 'nginx.conf',
    args: (file, folder) => ['-c', file, '-p', folder, '-g', `daemon off; pid ${join(folder, 'pid')};`],
    adapt: (text, folder) => text.replace('http {\n', `http {\n${nginxFolders(folder)}`),
  },
  {
    name: 'HAProxy',
    program: findProgram('haproxy'),
    hasHttp2: true,
    asksReadiness: true,
    file: 'haproxy.cfg',
    args: (file) => ['-db', '-f', file],
  },
  {
    name: 'Envoy',
    program: findProgram('envoy'),
    hasHttp2: true,
    asksReadiness: true,
    file: 'envoy.yaml',
    args: (file) => ['-c', file, '--log-level', 'error', '--use-dynamic-base-id'],
  },
];

function findProgram(name: string): string | undefined {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/opt/homebrew/bin',
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Its own places for files are root's. */
function nginxFolders(folder: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [`access_log off;`, ...kinds.map((kind) => `${kind}_temp_path ${join(folder, kind)};`)].join('\n');
}

/** Starts it for the test that runs, before proxies on these ports; resolves with its port when that is open. */
export async function startLoadBalancer(balancer: LoadBalancer, proxyPorts: readonly number[]): Promise<number> {
  const { program = '', file, args, adapt = (text) => text } = balancer;
  const folder = await makeTemporaryFolder();
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'logs'));
  const port = await findClosedPort();
  const [one, two] = proxyPorts;
  const text = readFileSync(join(FILES, file), 'utf8')
    .replaceAll(/\b8080\b/g, String(port))
    .replaceAll(/\b4000\b/g, String(one))
    .replaceAll(/\b4001\b/g, String(two));
  const path = join(folder, file);
  writeFileSync(path, adapt(text, folder));
  const child = spawn(program, args(path, folder), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (said += part));
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  while (!(await isOpen(port))) {
    if (child.exitCode !== null) throw new Error(`${balancer.name} does not start: ${said}`);
    await delay(20);
  }
  return port;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
