/**
 * The connection of a stream in both directions: straight or through a forward proxy, over TLS (ALPN `h2`) or in
 * cleartext as its origin says. It stands before anything of the request is sent, so that it may be tried again.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { findDescriptorShortage } from '../../lib/descriptors.ts';
import { findCode } from '../../lib/errno.ts';
import { ProxyError, toAbortError } from '../../lib/errors.ts';
import { TCP_KEEP_ALIVE_MS } from '../../lib/keep-alive.ts';
import { isUnknownAuthority, runTrusting, trustedBy, untrusted } from './trust.ts';
import { openTunnel, type TunnelOptions } from './tunnel.ts';

/** How a connection is made, and who may call it off. */
export interface DialOptions extends TunnelOptions {
  readonly signal: AbortSignal;
}

/**
 * A connection that stands; the caller owns it. Throws ERR_UPSTREAM_UNREACHABLE, ERR_UPSTREAM_UNTRUSTED, and the reason
 * of `signal` if that fires.
 */
export async function dialHttp2(origin: string, options: DialOptions): Promise<Socket> {
  try {
    return await runTrusting(() => dialOnce(origin, options));
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    if (options.signal.aborted) throw toAbortError(options.signal);
    const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
    const code = findCode(cause) ?? cause.name;
    throw isUnknownAuthority(cause) ? untrusted(code, cause) : unreachable(code, cause);
  }
}

async function dialOnce(origin: string, options: DialOptions): Promise<Socket> {
  const tunnel = await openTunnel(origin, options);
  const { protocol, hostname, port } = new URL(origin);
  const isTls = protocol === 'https:';
  const host = hostname.replace(/^\[(.+)\]$/, '$1');
  const to = { host, port: port === '' ? (isTls ? 443 : 80) : Number(port) };
  if (!isTls && tunnel !== undefined) return tunnel;
  const socket = isTls ? openTls(to, tunnel, options) : connectTcp(to);
  await untilConnected(socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS), isTls ? 'secureConnect' : 'connect', options);
  return socket;
}

function openTls(to: { host: string; port: number }, tunnel: Socket | undefined, { network }: DialOptions): TLSSocket {
  const name = isIP(to.host) === 0 ? { servername: to.host } : {};
  const under = tunnel === undefined ? {} : { socket: tunnel };
  return connectTls({ ...trustedBy(network?.caBundle), ...to, ...name, ...under, ALPNProtocols: ['h2'] });
}

function untilConnected(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  { connectTimeoutMs, signal }: DialOptions,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onGone = (): void => reject(toAbortError(signal));
  const onError = (error: Error): void => reject(error);
  const onClose = (): void => reject(unreachable('closed'));
  const timer = setTimeout(() => reject(unreachable('connect timeout')), connectTimeoutMs);
  signal.addEventListener('abort', onGone, { once: true });
  socket.once(event, resolve).once('error', onError).once('close', onClose);
  if (signal.aborted) onGone();
  return promise
    .catch((thrown: unknown) => {
      socket.on('error', () => {}).destroy();
      throw thrown;
    })
    .finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onGone);
      socket.off(event, resolve).off('error', onError).off('close', onClose);
    });
}

/** ERR_UPSTREAM_UNREACHABLE, for this reason. */
export function unreachable(code: string, cause?: Error): ProxyError {
  const shortage = findDescriptorShortage(cause);
  if (shortage !== undefined) return shortage;
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `The upstream cannot be reached over HTTP/2 (${code}).`, {
    hint: 'Check the network, the region and --endpoint-url of the proxy.',
    detail: code,
    cause,
  });
}
