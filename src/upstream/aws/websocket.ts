/**
 * Two connections made one, after both sides have agreed to speak WebSocket: bytes are copied as they come, both ways,
 * and the end of one side ends the other in the same manner.
 */
import type { Duplex } from 'node:stream';
import { breakConnection } from '../../lib/reset.ts';
import { UNREAD_MS, UnreadLimit } from './unread.ts';

/** After the end of one side, the other one may be silent for so long. */
const HALF_OPEN_MS = 30_000;

/** Gets the bytes that pass. Must neither keep nor change them. */
export interface SpliceWatcher {
  onClientBytes(chunk: Buffer): void;
  onUpstreamBytes(chunk: Buffer): void;
}

/**
 * How it ended: undefined if both sides ended in order, otherwise the side whose connection broke first, and its error.
 */
export type SpliceBreak = { readonly side: 'client' | 'upstream'; readonly cause: Error | undefined } | undefined;

/**
 * Copies until both connections are closed, and closes them: an end (FIN) is passed on after the bytes before it, and
 * the other direction goes on; a reset becomes a reset at once. A side that does not take its bytes stops the reading
 * of the other, so memory stays within the buffers of two sockets. Never rejects. Its states:
 * - open: both directions copy; one is paused while the other side takes nothing;
 * - half open: one side has ended (FIN), the other direction goes on; if it is silent for half a minute, both are
 *   reset: WebSocket has no half-open state, and a client that vanished after its end would never be noticed;
 * - unread: the client takes nothing for half an hour; both are reset;
 * - broken (`broken` is set): one side closed out of order, and the other is being reset; the first to break counts;
 * - over (`open` is empty): both are closed, and the promise is resolved, once.
 */
export function splice(
  client: Duplex,
  upstream: Duplex,
  watcher: SpliceWatcher,
  {
    halfOpenMs = HALF_OPEN_MS,
    unreadMs = UNREAD_MS,
  }: { readonly halfOpenMs?: number; readonly unreadMs?: number } = {},
): Promise<SpliceBreak> {
  return new Promise((resolve) => {
    let broken: SpliceBreak;
    let silence: NodeJS.Timeout | undefined;
    const breakBoth = (side: 'client' | 'upstream', why: string): void => {
      broken ??= { side, cause: Object.assign(new Error(why), { code: 'ETIMEDOUT' }) };
      breakConnection(client);
      breakConnection(upstream);
    };
    const unread = new UnreadLimit(unreadMs, () => breakBoth('client', 'took nothing'));
    const onEnd = (side: 'client' | 'upstream') => (): void => {
      silence ??= setTimeout(() => breakBoth(side, 'silent after the other end'), halfOpenMs).unref();
    };
    client.once('end', onEnd('upstream'));
    upstream.once('end', onEnd('client'));
    const open = new Set([client, upstream]);
    const own = (side: 'client' | 'upstream', stream: Duplex, other: Duplex): void => {
      let cause: Error | undefined;
      const onClose = (): void => {
        if (!stream.readableEnded || !stream.writableFinished) {
          broken ??= { side, cause };
          breakConnection(other);
        }
        open.delete(stream);
        if (open.size > 0) return;
        clearTimeout(silence);
        unread.end();
        resolve(broken);
      };
      stream.on('error', (error) => (cause ??= error));
      if (stream.closed) onClose();
      else stream.once('close', onClose);
    };
    own('client', client, upstream);
    own('upstream', upstream, client);
    copy(client, upstream, (chunk) => {
      silence?.refresh();
      watcher.onClientBytes(chunk);
    });
    copy(upstream, client, (chunk) => {
      silence?.refresh();
      watcher.onUpstreamBytes(chunk);
    });
    // After `copy` has written.
    upstream.on('data', () => client.writableNeedDrain && unread.begin(client));
    client.on('drain', () => unread.end());
  });
}

function copy(from: Duplex, to: Duplex, onChunk: (chunk: Buffer) => void): void {
  from.allowHalfOpen = true;
  from.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    if (!to.write(chunk)) from.pause();
  });
  from.once('end', () => to.end());
  to.on('drain', () => from.resume());
  from.resume();
}
