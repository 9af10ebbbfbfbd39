/**
 * Who has the port that a server wants, and which one is free.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../config/config.ts';
import type { ServerFacts } from '../auth/server-facts.ts';
import { ProxyError, toProxyError } from '../lib/errors.ts';
import { listAddresses } from '../server/listen.ts';
import { findRunningProxy, type RunningProxy } from './running-proxy.ts';

/** So many ports above the taken one are tried. */
const MAX_TRIES = 50;

/** ERR_ADDRESS_IN_USE with the words that help; another error as it is. */
export async function explainTakenPort(thrown: unknown, config: Config): Promise<ProxyError> {
  const error = toProxyError(thrown);
  if (error.code !== 'ERR_ADDRESS_IN_USE') return error;
  const { hosts, port } = config;
  const [running, free] = await Promise.all([findRunningProxy(config), findFreePort(hosts, port + 1)]);
  const message = error.message.replace(/^Another program/, describeRunning(running, 'Another program'));
  const choice = free === undefined ? 'choose another --port' : `choose another port: --port ${free} is free`;
  return new ProxyError('ERR_ADDRESS_IN_USE', message, {
    hint: `${running.kind === 'ours' ? 'Use that one, or' : 'End it, or'} ${choice}.`,
    cause: error,
  });
}

/** `bedrock-proxy 0.1.0 (offline, of the database …)`. */
export function describeRunning(running: RunningProxy, unknown: string): string {
  switch (running.kind) {
    case 'ours':
      return `A bedrock-proxy ${running.facts.version} (${describeServer(running.facts)})`;
    case 'other':
      return `A bedrock-proxy ${running.version} of another database`;
    case 'none':
      return unknown;
    default:
      return running satisfies never;
  }
}

/** Upstream, region, mode and database of a proxy, in a few words. */
export function describeServer({ isOffline, upstream, region, access, databasePath }: ServerFacts): string {
  const parts = [
    isOffline ? 'offline' : (upstream ?? 'AWS'),
    region ?? 'no default region',
    access === 'open' ? 'open' : 'keys required',
    databasePath,
  ];
  return parts.join(', ');
}

/** The first from `from` on that can be listened on just now; undefined if none of the next ones can. */
export async function findFreePort(hosts: readonly string[], from: number): Promise<number | undefined> {
  const addresses = listAddresses(hosts);
  for (let port = from; port < from + MAX_TRIES && port <= 65_535; port += 1) {
    const taken = await Promise.all(addresses.map(({ host }) => isTaken(host, port)));
    if (!taken.includes(true)) return port;
  }
  return undefined;
}

/** An address that this machine does not have is nobody's. */
async function isTaken(host: string, port: number): Promise<boolean> {
  const server = createServer();
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => resolve(undefined));
  });
  if (failure !== undefined) return failure.code !== 'EADDRNOTAVAIL' && failure.code !== 'EAFNOSUPPORT';
  server.close();
  await once(server, 'close');
  return false;
}
