/** Reads a file line by line, whatever its size. */
import { createReadStream } from 'node:fs';
import { findCode } from './errno.ts';
import { ProxyError } from './errors.ts';

/** As long as a line may be. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Its lines without their ends. Throws ERR_BAD_OPTION if it cannot be read, or if a line of it is too long. */
export async function* readLines(file: string): AsyncGenerator<Buffer, void> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  const take = (last: Buffer): Buffer => {
    const line = Buffer.concat([...held, last]);
    held = [];
    heldBytes = 0;
    return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  };
  try {
    for await (const read of createReadStream(file)) {
      let chunk: Buffer = read;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE)) {
        yield take(chunk.subarray(0, end));
        chunk = chunk.subarray(end + 1);
      }
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes > MAX_LINE_BYTES) throw new ProxyError('ERR_BAD_OPTION', `A line of ${file} is too long.`);
    }
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw new ProxyError('ERR_BAD_OPTION', `${file} cannot be read (${findCode(thrown) ?? 'unknown'}).`, {
      hint: 'Name a file with one exchange on each line.',
      cause: thrown,
    });
  }
  if (heldBytes > 0) yield take(Buffer.alloc(0));
}
