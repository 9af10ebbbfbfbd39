/**
 * TLS in front of both protocol servers, on the port that also speaks clear text: takes a socket whose first byte was
 * that of a TLS handshake, and gives it on decrypted, with the protocol that ALPN chose (RFC 7301). Part of `listener`.
 */
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';

/** First byte of a TLS handshake record (RFC 8446, section 5.1). No HTTP request begins like that. */
export const TLS_HANDSHAKE = 0x16;

/** At most; a listener with a shorter time-out for heads has it for handshakes, too. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** PEM texts: a chain, leaf first, and its private key. */
export interface TlsKeyPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * A function that takes paused sockets, with everything read so far put back. `handOver` gets each once its handshake
 * is done; sockets whose handshake fails are closed. Throws if the pair is not one (the caller checks it at start).
 */
export function createTlsFront(
  pair: TlsKeyPair,
  handOver: (socket: TLSSocket, isHttp2: boolean) => void,
  timeoutMs: number,
): (socket: Socket) => void {
  const server = createServer({
    cert: pair.cert,
    key: pair.key,
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: Math.min(timeoutMs, HANDSHAKE_TIMEOUT_MS),
  });
  server.on('secureConnection', (socket) => handOver(socket, socket.alpnProtocol === 'h2'));
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return (socket) => void server.emit('connection', socket);
}
