/**
 * Breaks a connection so that nobody can take what came for all there was: RST instead of FIN (RFC 9293, section
 * 3.5.2).
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Ends `stream` at once. Over TLS the lack of a closing alert says the same as a reset (RFC 8446, section 6.1). */
export function breakConnection(stream: Duplex): void {
  if (stream.destroyed) return;
  // While the end of the stream is on its way to the kernel, libuv refuses to reset, and Node would never close it.
  const isEnding = stream.writableEnded && !stream.writableFinished && stream.writableLength === 0;
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && !isEnding) stream.resetAndDestroy();
  else stream.destroy();
}
