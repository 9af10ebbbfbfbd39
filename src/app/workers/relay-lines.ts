/**
 * Passes on what several processes write, in whole lines: a pipe that they shared would cut a write of more than 4 KiB
 * in two.
 */
import type { Readable, Writable } from 'node:stream';

const LINE_END = 0x0a;

/** Until `from` ends. What does not end in a line break, because its writer was killed, is dropped. */
export function relayLines(from: Readable, to: Writable): void {
  let rest = Buffer.alloc(0);
  let isBroken = false;
  // A reader that has gone away ends the log, and not the server; the worker must not wait for it.
  to.on('error', () => {
    isBroken = true;
    from.resume();
  });
  from.on('error', () => {});
  from.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(LINE_END) + 1;
    if (end === 0) return void (rest = Buffer.concat([rest, chunk]));
    const lines = rest.length === 0 ? chunk.subarray(0, end) : Buffer.concat([rest, chunk.subarray(0, end)]);
    rest = Buffer.from(chunk.subarray(end));
    if (isBroken || to.write(lines)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}
