/**
 * The way out of a corporate network: which hosts are reached through a forward proxy, and the tunnel through it
 * (CONNECT, RFC 9110, section 9.3.6). Every connection to AWS goes this way, http:// endpoints included, so that what
 * the forward proxy sees is a name and ciphertext, and what AWS gets is byte-exact.
 */
import { findDescriptorShortage } from '../../lib/descriptors.ts';
import { findCode } from '../../lib/errno.ts';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { clientGone, ProxyError, toAbortError } from '../../lib/errors.ts';
import { TCP_KEEP_ALIVE_MS } from '../../lib/keep-alive.ts';
import { isUnknownAuthority, runTrusting, trustedBy, untrusted } from './trust.ts';

/** Proxy URLs; empty text if there is none. */
export interface NetworkOptions {
  /** For https:// origins; may hold `user:password@`. Secret. */
  readonly httpsProxy: string;
  /** For http:// origins. */
  readonly httpProxy: string;
  /** Hosts to reach without a proxy, in the syntax of NO_PROXY. */
  readonly noProxy: string;
  /** Certificate authorities to trust in addition, PEM; undefined: none. */
  readonly caBundle: string | undefined;
}

/** Through which forward proxy, and how long to try. */
export interface TunnelOptions {
  readonly network: NetworkOptions | undefined;
  readonly connectTimeoutMs: number;
  /** Gives up at once when it fires. */
  readonly signal?: AbortSignal | undefined;
}

/** True if some origins go through a forward proxy. */
export function hasForwardProxy(network: NetworkOptions | undefined): network is NetworkOptions {
  return network !== undefined && (network.httpProxy !== '' || network.httpsProxy !== '');
}

/**
 * A connection to the origin's host and port through its forward proxy, on which nothing has been sent; undefined if
 * the origin is reached straight. The caller owns it. Throws ERR_UPSTREAM_UNREACHABLE if the proxy cannot be reached or
 * refuses, ERR_UPSTREAM_UNTRUSTED if nobody knows its
 * authority, both naming it, and the reason of `signal` if that fires.
 */
export async function openTunnel(origin: string, options: TunnelOptions): Promise<Socket | undefined> {
  const proxy = findForwardProxy(origin, options.network);
  if (proxy === undefined) return undefined;
  const { hostname, port, protocol } = new URL(origin);
  const target = `${hostname}:${port === '' ? defaultPort(protocol) : port}`;
  return runTrusting(() => connectThrough(new URL(proxy), target, options));
}

/** The URL of the forward proxy for an origin; undefined if it has none or NO_PROXY names its host. */
export function findForwardProxy(origin: string, network: NetworkOptions | undefined): string | undefined {
  if (network === undefined) return undefined;
  const { protocol, hostname, port } = new URL(origin);
  const proxy = protocol === 'https:' ? network.httpsProxy : network.httpProxy;
  if (proxy === '') return undefined;
  const portNumber = port === '' ? defaultPort(protocol) : Number(port);
  return isExempt(bareHost(hostname), portNumber, network.noProxy) ? undefined : proxy;
}

/**
 * NO_PROXY as undici and Node read it: names apart by comma or blank, each with or without a port; a name means itself
 * and its subdomains (a dot before it changes nothing), `*.name` the subdomains alone, `*` everything. No address
 * ranges.
 */
function isExempt(host: string, port: number, noProxy: string): boolean {
  return noProxy.split(/[,\s]+/).some((entry) => {
    const { written, itsPort } = splitEntry(entry);
    if (written === '' || (itsPort !== undefined && Number(itsPort) !== port)) return false;
    if (written === '*') return true;
    const name = written
      .replace(/^\*?\./, '')
      .replace(/\.$/, '')
      .toLowerCase();
    return (host === name && !written.startsWith('*')) || host.endsWith(`.${name}`);
  });
}

/** An IPv6 address has a port only if it stands in brackets. */
function splitEntry(entry: string): { written: string; itsPort: string | undefined } {
  if (isIP(entry) === 6) return { written: entry, itsPort: undefined };
  const [, written = '', itsPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  return { written: written.replace(/^\[(.+)\]$/, '$1'), itsPort };
}

function connectThrough(proxy: URL, target: string, { network, connectTimeoutMs, signal }: TunnelOptions) {
  return new Promise<Socket>((resolve, reject) => {
    const isTls = proxy.protocol === 'https:';
    const host = bareHost(proxy.hostname);
    const request = (isTls ? requestHttps : requestHttp)({
      host,
      port: proxy.port === '' ? defaultPort(proxy.protocol) : Number(proxy.port),
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...authorizationOf(proxy) },
      agent: false,
      ...(isTls && isIP(host) === 0 ? { servername: host } : {}),
      ...(isTls ? trustedBy(network?.caBundle) : {}),
    });
    const timer = setTimeout(() => fail(unreachableProxy(proxy, 'connect timeout')), connectTimeoutMs);
    const detach = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onGone);
    };
    const fail = (error: ProxyError): void => {
      detach();
      request.destroy();
      reject(error);
    };
    const onGone = (): void => fail(signal === undefined ? clientGone() : toAbortError(signal));
    signal?.addEventListener('abort', onGone, { once: true });
    request.on('connect', ({ statusCode = 0, statusMessage = '' }, socket: Socket, head: Buffer) => {
      socket.on('error', () => {});
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy();
        return fail(refused(proxy, target, `${statusCode} ${statusMessage}`.trim()));
      }
      detach();
      socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.on('error', (error) => fail(unreachableProxy(proxy, codeOf(error), error)));
    request.end();
    if (signal?.aborted === true) onGone();
  });
}

/** `Basic` of what stands in the URL (RFC 7617). */
function authorizationOf({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const pair = `${decodeUserinfo(username)}:${decodeUserinfo(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

function decodeUserinfo(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A bare percent sign in a password: take it as it stands.
    return text;
  }
}

function bareHost(hostname: string): string {
  return hostname
    .replace(/^\[(.+)\]$/, '$1')
    .replace(/(.)\.$/, '$1')
    .toLowerCase();
}

function defaultPort(protocol: string): number {
  return protocol === 'https:' ? 443 : 80;
}

function codeOf(error: Error): string {
  return findCode(error) ?? error.name;
}

function refused({ host }: URL, target: string, response: string): ProxyError {
  const message = `The forward proxy ${host} refused to connect to ${target} (${response}).`;
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', message, {
    hint: response.startsWith('407')
      ? 'Give bedrock-proxy its user and password in HTTPS_PROXY: http://user:password@host:port.'
      : 'Have that host allowed there, or name it in NO_PROXY if it can be reached without.',
    detail: response,
  });
}

function unreachableProxy({ host }: URL, code: string, cause?: Error): ProxyError {
  const shortage = findDescriptorShortage(cause);
  if (shortage !== undefined) return shortage;
  if (isUnknownAuthority(cause)) return untrusted(code, cause, `The forward proxy ${host}`);
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `The forward proxy ${host} cannot be reached (${code}).`, {
    hint: 'Check HTTPS_PROXY and NO_PROXY of the environment in which bedrock-proxy was started.',
    detail: code,
    cause,
  });
}
