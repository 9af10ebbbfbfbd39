import { Writable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ClientResponse } from '../../src/http/message.ts';
import { EventStream } from '../../src/inspector-api/events.ts';

/** A client that takes what it likes, and its stream. */
function openStream(take: (text: string) => boolean): { stream: EventStream; sink: Writable; leave: () => void } {
  const sink = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      if (take(chunk)) done();
    },
  });
  const leaving = new AbortController();
  const clientResponse = { start: () => sink, dropRequestBody: () => {} } as unknown as ClientResponse;
  const stream = new EventStream({ signal: leaving.signal }, clientResponse);
  onTestFinished(() => stream.close());
  return { stream, sink, leave: () => leaving.abort() };
}

describe('a stream of events', () => {
  it('writes name and data of each, on lines of their own', () => {
    let written = '';
    const { stream } = openStream((text) => {
      written += text;
      return true;
    });
    stream.send({ event: 'upsert', cursor: 3, note: 'one\ntwo' });
    expect(written).toBe(':\n\nevent: upsert\ndata: {"cursor":3,"note":"one\\ntwo"}\n\n');
  });

  it('cuts off a reader who takes nothing, at a megabyte', () => {
    const { stream, sink } = openStream(() => false);
    let count = 0;
    stream.onClose(() => (count += 1));
    let sent = 0;
    while (!stream.isOver && sent < 5_000) {
      stream.send({ event: 'upsert', text: 'x'.repeat(1_000) });
      sent += 1;
    }
    expect(sent).toBeGreaterThan(900);
    expect(sent).toBeLessThan(1_100);
    expect([sink.destroyed, count]).toEqual([true, 1]);
  });

  it('is over when its client has left, and tells so once, later listeners too', () => {
    const { stream, leave } = openStream(() => true);
    const told: string[] = [];
    stream.onClose(() => told.push('before'));
    leave();
    stream.close();
    stream.onClose(() => told.push('after'));
    expect(told).toEqual(['before', 'after']);
  });
});
