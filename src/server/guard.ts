/**
 * Second stage of the way: was this request meant for us? Against DNS rebinding (a web page that makes
 * its own name resolve to 127.0.0.1) the Host must be ours; against a web page that simply posts to localhost, a
 * foreign origin is refused. Runs before anything else, on every path. Pure.
 */
import { isIP } from 'node:net';
import { ProxyError } from '../lib/errors.ts';
import { type ClientRequest, findHeader } from '../http/message.ts';
import { isLoopbackName } from '../lib/loopback.ts';

/** What the guard lets pass beside loopback names. */
export interface GuardRules {
  /** The addresses we listen on, as configured. */
  readonly listenHosts: readonly string[];
  /** Host names without port, lower-case, from `--allowed-host`. */
  readonly allowedHosts: readonly string[];
  /** Origins such as `https://tool.example:8080`, lower-case, from `--allowed-origin`. */
  readonly allowedOrigins: readonly string[];
}

/** Names under which containers reach the machine they run on. */
const CONTAINER_HOST_NAMES = ['host.docker.internal', 'host.containers.internal', 'gateway.docker.internal'];
/** Listening here means listening on every address of the machine. */
const WILDCARD_ADDRESSES = ['0.0.0.0', '::'];

/** Throws ERR_HOST_REFUSED, ERR_ORIGIN_REFUSED or ERR_BAD_REQUEST. */
export function guardRequest(clientRequest: ClientRequest, rules: GuardRules): void {
  guardHost(clientRequest, rules);
  guardOrigin(clientRequest, rules);
}

function guardHost({ headers, authority, httpVersion }: ClientRequest, rules: GuardRules): void {
  const hosts = headers.filter(([name]) => name.toLowerCase() === 'host').map(([, value]) => value);
  if (hosts.length > 1 || (httpVersion === '2' && hosts.length === 1 && hosts[0] !== authority)) {
    throw new ProxyError('ERR_BAD_REQUEST', 'The request names more than one host.');
  }
  const name = authority === undefined ? undefined : parseHostName(authority);
  if (name === undefined) throw new ProxyError('ERR_BAD_REQUEST', 'The request has no valid Host header.');
  if (isOurName(name, rules)) return;
  throw new ProxyError('ERR_HOST_REFUSED', `The proxy does not answer to the host name "${name}".`, {
    hint: `If it is yours, start the proxy with --allowed-host ${name}.`,
  });
}

function isOurName(name: string, rules: GuardRules): boolean {
  if (isLoopbackName(name) || CONTAINER_HOST_NAMES.includes(name) || rules.allowedHosts.includes(name)) return true;
  if (rules.listenHosts.some((host) => host.toLowerCase() === name)) return true;
  // An attacker's page reaches us under its own name, never under a bare address.
  return isIP(name) !== 0 && rules.listenHosts.some((host) => WILDCARD_ADDRESSES.includes(host));
}

function guardOrigin({ headers, authority }: ClientRequest, rules: GuardRules): void {
  let isVouchedFor = false;
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'origin') continue;
    const origin = value.toLowerCase();
    isVouchedFor = isOwnOrigin(origin, authority) || rules.allowedOrigins.includes(origin);
    if (isVouchedFor) continue;
    throw new ProxyError(
      'ERR_ORIGIN_REFUSED',
      "Web pages may not call the proxy: they would spend its owner's money.",
      {
        hint: `If this one may, start the proxy with --allowed-origin ${printable(value)}.`,
      },
    );
  }
  const site = findHeader(headers, 'sec-fetch-site')?.toLowerCase();
  // Images and links of any page come without an Origin: an allowed origin does not vouch for them. `same-site` is a
  // page of another port or of another program on this machine.
  if ((site !== 'cross-site' && site !== 'same-site') || isVouchedFor) return;
  throw new ProxyError('ERR_ORIGIN_REFUSED', 'The request was made by a page of another web site.', {
    hint: 'If that page may, start the proxy with --allowed-origin and its origin.',
  });
}

function isOwnOrigin(origin: string, authority: string | undefined): boolean {
  const own = authority?.toLowerCase();
  return own !== undefined && (origin === `http://${own}` || origin === `https://${own}`);
}

/**
 * The name in `name`, `name:port` or `[v6]:port`, lower-case and without brackets; undefined if it is none of these.
 */
function parseHostName(authority: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(authority);
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  return name === '' ? undefined : name;
}

function printable(value: string): string {
  return value.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, 100);
}
