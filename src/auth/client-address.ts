/**
 * From where a client asks, as far as that can be told: the address of the connection or, if a tunnel or a reverse
 * proxy on this machine brings a request, or one that the owner trusts, the address that it names. Pure.
 */
import type { ClientRequest, HeaderPair } from '../http/message.ts';
import { isLoopbackAddress } from '../lib/loopback.ts';

/**
 * In these, reverse proxies and tunnels name the machine they ask for (RFC 7239, and older practice). First the one
 * that most of them extend or replace: in another, a client may have written what it likes.
 */
const FORWARDED_FOR = ['x-forwarded-for', 'x-real-ip', 'cf-connecting-ip', 'forwarded'] as const;
const LENGTHS: ReadonlySet<number> = new Set(FORWARDED_FOR.map((name) => name.length));
/** An address is never longer. */
const MAX_ADDRESS_LENGTH = 64;

/** Where a client asks from. `other`: another machine, itself or through a tunnel on this one, or a trusted proxy. */
export type ClientAddress =
  | { readonly kind: 'local' }
  | { readonly kind: 'other'; readonly via: 'connection' | 'tunnel'; readonly address: string };

/** Local if the connection comes from this machine and nobody says that another one asks. */
export function findClientAddress(
  { peerAddress, headers }: Pick<ClientRequest, 'peerAddress' | 'headers'>,
  isTrustedProxy: (address: string) => boolean = () => false,
): ClientAddress {
  const isLocal = isLoopbackAddress(peerAddress);
  const isTunnel = isLocal || isTrustedProxy(peerAddress);
  const address = isTunnel ? findForwardedAddress(headers, isTrustedProxy) : undefined;
  if (address !== undefined) return { kind: 'other', via: 'tunnel', address };
  return isLocal ? { kind: 'local' } : { kind: 'other', via: 'connection', address: peerAddress };
}

/**
 * The last address that is not of this machine or of a trusted proxy: each hop adds the one before it. Text that is no
 * address counts too.
 */
function findForwardedAddress(
  headers: readonly HeaderPair[],
  isTrustedProxy: (address: string) => boolean,
): string | undefined {
  const likely = headers.filter(([name]) => LENGTHS.has(name.length));
  if (likely.length === 0) return undefined;
  for (const header of FORWARDED_FOR) {
    const named = likely.filter(([name]) => name.toLowerCase() === header).flatMap(([, value]) => split(header, value));
    const address = named.map(bareAddress).findLast((each) => !isLoopbackAddress(each) && !isTrustedProxy(each));
    if (address !== undefined) return address.slice(0, MAX_ADDRESS_LENGTH);
  }
  return undefined;
}

function split(header: (typeof FORWARDED_FOR)[number], value: string): string[] {
  if (header !== 'forwarded') return value.split(',');
  return [...value.matchAll(/for=([^;,]*)/gi)].map(([, part = '']) => part);
}

/** `"[::1]:4711"`, `127.0.0.1:80` and the like without quotes, brackets and port. */
function bareAddress(text: string): string {
  const bare = text.trim().replaceAll('"', '');
  if (bare.startsWith('[')) return bare.slice(1, bare.indexOf(']'));
  return bare.split(':').length === 2 ? bare.slice(0, bare.indexOf(':')) : bare;
}
