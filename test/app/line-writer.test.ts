import { PassThrough, Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { createLineWriter } from '../../src/app/line-writer.ts';

/** A stream that notes each write. */
function aSink(): { stream: Writable; writes: string[] } {
  const writes: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      writes.push(text);
      done();
    },
  });
  return { stream, writes };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('writes once per turn of the event loop, however many lines there are', async () => {
  const { stream, writes } = aSink();
  const lines = createLineWriter(stream);
  for (const line of ['a', 'b', 'c']) lines.write(line);
  expect(writes).toEqual([]);
  await turn();
  expect(writes).toEqual(['a\nb\nc\n']);
  lines.write('d');
  await turn();
  expect(writes).toEqual(['a\nb\nc\n', 'd\n']);
});

it('writes waiting lines at once when it is flushed, and not a second time', async () => {
  const { stream, writes } = aSink();
  const lines = createLineWriter(stream);
  lines.write('a');
  lines.flush();
  expect(writes).toEqual(['a\n']);
  await turn();
  lines.flush();
  expect(writes).toEqual(['a\n']);
});

it('goes on after its reader has left', async () => {
  const stream = new PassThrough();
  const lines = createLineWriter(stream);
  stream.destroy(new Error('EPIPE'));
  await new Promise((resolve) => stream.once('close', resolve));
  lines.write('a');
  await turn();
  lines.write('b');
  lines.flush();
});
