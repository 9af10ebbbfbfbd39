/** Under which addresses other machines and containers reach the proxy: what `--host` names besides this machine. */
import { isIP } from 'node:net';
import type { networkInterfaces } from 'node:os';
import { isLoopbackName } from '../lib/loopback.ts';
import { baseUrl } from './banner.ts';

/**
 * The URLs, one for each of `hosts` that is not this machine's own, and for `0.0.0.0` and `::` one for each address
 * that the machine has in a network; without what is valid on one link only.
 */
export function listNetworkUrls(
  hosts: readonly string[],
  { port, mountPath }: { readonly port: number; readonly mountPath: string },
  interfaces: ReturnType<typeof networkInterfaces>,
): readonly string[] {
  const own = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
    .map(({ address }) => address);
  const addresses = hosts.flatMap((host) => {
    if (host === '::') return own.toSorted((one, other) => isIP(one) - isIP(other));
    if (host === '0.0.0.0') return own.filter((address) => isIP(address) === 4);
    return isLoopbackName(host) ? [] : [host];
  });
  return [...new Set(addresses)].map((host) => baseUrl({ host, port, mountPath }));
}
