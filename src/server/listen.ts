/**
 * On which addresses a server listens, and opening its port on all of them. `localhost` is two addresses, and a client
 * takes whichever it likes: both have to be ours, or another program on this machine gets what is meant for us.
 */
import { type AddressInfo, isIP, type Server } from 'node:net';
import { findCode } from '../lib/errno.ts';

/** An address to listen on. */
export interface ListenAddress {
  /** An IP address, or a name that the system resolves to one. */
  readonly host: string;
  /** Nothing is wrong if the machine does not have it; if another program has the port there, that is told. */
  readonly isOptional: boolean;
}

/** The addresses on which a port was opened. */
export interface OpenedPort {
  readonly port: number;
  /** An address of `localhost` on which another program has this port. */
  readonly heldByOther: string | undefined;
  /** Whether it is open on every address of `localhost` that this machine has. */
  readonly ownsLocalhost: boolean;
}

/** A port could not be opened on one of its addresses. */
export class ListenError extends Error {
  readonly host: string;

  constructor(host: string, cause: unknown) {
    super('The port cannot be opened.', { cause });
    this.host = host;
  }
}

/** IPv6's loopback, where a client that is told `localhost` may look first. */
const LOOPBACK6 = { host: '::1', isOptional: true } as const;

/**
 * What `--host` names, without what another one includes: `0.0.0.0` has all IPv4 addresses, `::` all there are. With
 * 127.0.0.1 for `localhost`, or with `0.0.0.0`, goes ::1.
 */
export function listAddresses(hosts: readonly string[]): readonly ListenAddress[] {
  if (hosts.includes('::')) return [{ host: '::', isOptional: false }];
  const all = hosts.flatMap((host): ListenAddress[] => {
    if (host.toLowerCase() === 'localhost') return [{ host: '127.0.0.1', isOptional: false }, LOOPBACK6];
    return host === '0.0.0.0' ? [{ host, isOptional: false }, LOOPBACK6] : [{ host, isOptional: false }];
  });
  const hasAllIpv4 = hosts.includes('0.0.0.0');
  const needed = all.filter(({ host }) => !hasAllIpv4 || isIP(host) !== 4 || host === '0.0.0.0');
  const required = needed.filter(({ isOptional }) => !isOptional).map(({ host }) => host);
  const addresses = [...new Set(required)].map((host) => ({ host, isOptional: false }));
  return needed.includes(LOOPBACK6) && !required.includes('::1') ? [...addresses, LOOPBACK6] : addresses;
}

/**
 * Opens the port on the first address with `main`, and on each of the others with a server of `another`; port 0 takes
 * one that is free on the first. Throws ListenError, with none of them open.
 */
export async function openPort(
  main: Server,
  another: () => Server,
  { addresses, port }: { readonly addresses: readonly ListenAddress[]; readonly port: number },
): Promise<OpenedPort> {
  const opened: Server[] = [];
  let chosen = port;
  let heldByOther: string | undefined;
  for (const { host, isOptional } of addresses) {
    const server = opened.length === 0 ? main : another();
    try {
      chosen = await listenAt(server, chosen, host);
      opened.push(server);
    } catch (cause) {
      if (isOptional) {
        if (findCode(cause) === 'EADDRINUSE') heldByOther = host;
        continue;
      }
      for (const each of opened) each.close();
      throw new ListenError(host, cause);
    }
  }
  const has = (...hosts: readonly string[]): boolean => addresses.some(({ host }) => hosts.includes(host));
  const triesLocalhost = has('::') || (has('127.0.0.1', '0.0.0.0') && has(LOOPBACK6.host));
  return { port: chosen, heldByOther, ownsLocalhost: triesLocalhost && heldByOther === undefined };
}

function listenAt(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve((server.address() as AddressInfo).port);
    });
  });
}
