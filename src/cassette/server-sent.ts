/**
 * Server-sent events as values that people can read, and back, to the byte. Pure.
 */
import { describeBytes, describePayload, encodePayload } from './payloads.ts';
import type { RecordedEvent } from './recording.ts';

const USUAL = /^(?:event: ([^\r\n]*)\n)?data: ([^\r\n]*)\n\n$/;

/** An event with the blank line that ends it, or what comes in place of one. */
export function describeEvent(bytes: Buffer, atMs: number): RecordedEvent {
  const raw = describeBytes(bytes);
  const [whole, name = null, data = ''] = 'text' in raw ? (USUAL.exec(raw.text) ?? []) : [];
  const payload = whole === undefined ? raw : describePayload(Buffer.from(data));
  return 'json' in payload ? [atMs, name, payload.json] : [atMs, raw];
}

/** The bytes again. */
export function encodeEvent(event: RecordedEvent): Buffer {
  if (event.length === 2) return encodePayload(event[1]);
  const [, name, json] = event;
  const data = encodePayload({ json }).toString();
  return Buffer.from(`${name === null ? '' : `event: ${name}\n`}data: ${data}\n\n`);
}

/** Where events end in a body: after each blank line, and at its end. */
export function findEventEnds(bytes: Buffer): readonly number[] {
  const ends: number[] = [];
  const endings = [createEndings(bytes, '\n\n'), createEndings(bytes, '\r\n\r\n')];
  let from = 0;
  while (from < bytes.length) {
    from = Math.min(...endings.map((endAfter) => endAfter(from)));
    ends.push(from);
  }
  return ends;
}

/** Where the next one of a blank line ends. Offsets must grow, so that each byte is looked at once. */
function createEndings(bytes: Buffer, blank: string): (from: number) => number {
  let found = -1;
  return (from) => {
    if (found < from) found = bytes.indexOf(blank, from);
    if (found === -1) found = bytes.length;
    return Math.min(bytes.length, found + blank.length);
  };
}
