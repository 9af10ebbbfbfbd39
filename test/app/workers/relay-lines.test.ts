import { PassThrough, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { relayLines } from '../../../src/app/workers/relay-lines.ts';

function collect(highWaterMark?: number): { writes: string[]; to: Writable; release(): void } {
  const writes: string[] = [];
  let held: (() => void) | undefined;
  const to = new Writable({
    highWaterMark,
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk.toString());
      if (highWaterMark === undefined) done();
      else held = done;
    },
  });
  return { writes, to, release: () => held?.() };
}

it('keeps the lines of two writers whole, wherever their chunks are cut', async () => {
  const { writes, to } = collect();
  const [one, two] = [new PassThrough(), new PassThrough()];
  relayLines(one, to);
  relayLines(two, to);
  for (const [from, text] of [
    [one, 'a1\na2 beg'],
    [two, 'b1 beg'],
    [one, 'ins, '],
    [two, 'ins\nb2'],
    [one, 'ends\n'],
    [two, '\n'],
  ] as const) {
    from.write(text);
    await nextTurn();
  }
  expect(writes).toEqual(['a1\n', 'b1 begins\n', 'a2 begins, ends\n', 'b2\n']);
});

it('drops the beginning of a line whose writer was killed', async () => {
  const { writes, to } = collect();
  const from = new PassThrough();
  relayLines(from, to);
  from.end('whole\nhalf');
  await nextTurn();
  await nextTurn();
  expect(writes).toEqual(['whole\n']);
});

it('waits for a reader that is slow, and not for one that has left', async () => {
  const { to, release } = collect(1);
  const from = new PassThrough();
  relayLines(from, to);
  from.write('one\n');
  await nextTurn();
  expect(from.isPaused()).toBe(true);
  release();
  await nextTurn();
  expect(from.isPaused()).toBe(false);
  from.write('two\n');
  await nextTurn();
  to.destroy(new Error('EPIPE'));
  await nextTurn();
  expect(from.isPaused()).toBe(false);
});
