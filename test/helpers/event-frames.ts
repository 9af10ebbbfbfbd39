/** Writes and reads AWS event-stream frames in tests, through the codec of the AWS SDK for JavaScript. */
import { EventStreamCodec, type Message } from '@smithy/eventstream-codec';
import type { ServerResponse } from 'node:http';

const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

/** Starts an event-stream answer; the frames follow with `response.write`. */
export function startEventStream(response: ServerResponse, headers: Record<string, string> = {}): void {
  const all = {
    'content-type': 'application/vnd.amazon.eventstream',
    'x-amzn-requestid': '00000000-0000-4000-8000-000000000002',
    ...headers,
  };
  response.writeHead(200, all);
  response.flushHeaders();
}

/** One frame that says an event: JSON payload, or bytes as they are. */
export function eventFrame(eventType: string, payload: object | Uint8Array): Buffer {
  const headers = { ':event-type': eventType, ':content-type': 'application/json', ':message-type': 'event' };
  return encodeFrame(headers, payload);
}

/** One frame that says a failure in the middle of a stream; the type is lower camel case. */
export function exceptionFrame(exceptionType: string, message: string): Buffer {
  const headers = {
    ':exception-type': exceptionType,
    ':content-type': 'application/json',
    ':message-type': 'exception',
  };
  return encodeFrame(headers, { message });
}

/** One frame with these string headers, in this order. */
function encodeFrame(headers: Record<string, string>, payload: object | Uint8Array): Buffer {
  const entries = Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }] as const);
  const body = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload));
  return Buffer.from(CODEC.encode({ headers: Object.fromEntries(entries), body }));
}

/** Every frame of a whole stream; throws where one is broken or cut short. */
export function decodeFrames(bytes: Buffer): Message[] {
  const frames: Message[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = start + bytes.readUInt32BE(start);
    frames.push(CODEC.decode(bytes.subarray(start, end)));
    start = end;
  }
  return frames;
}
