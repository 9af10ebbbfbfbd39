/**
 * Frames of AWS's event stream as the offline Bedrock writes them, through the codec of the AWS SDK. Pure.
 */
import { EventStreamCodec } from '@smithy/eventstream-codec';

const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

const PADDING = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** One event with a JSON payload. */
export function eventFrame(eventType: string, payload: object): Buffer {
  return encode({ ':event-type': eventType, ':content-type': 'application/json', ':message-type': 'event' }, payload);
}

/**
 * One event with a JSON payload and a member `p` of varying length, which Bedrock adds so that the lengths of frames do
 * not reveal the lengths of words. Here the length follows from the payload.
 */
export function paddedEventFrame(eventType: string, payload: object): Buffer {
  const length = (JSON.stringify(payload).length * 7) % PADDING.length;
  return eventFrame(eventType, { ...payload, p: PADDING.slice(0, length + 1) });
}

/** One event `chunk` of bytes: JSON of the model's own, base64 in JSON. */
export function chunkFrame(content: object): Buffer {
  return paddedEventFrame('chunk', { bytes: Buffer.from(JSON.stringify(content)).toString('base64') });
}

/** A failure in the middle of a stream; the type is in lower camel case. */
export function exceptionFrame(exceptionType: string, content: object): Buffer {
  const headers = {
    ':exception-type': exceptionType,
    ':content-type': 'application/json',
    ':message-type': 'exception',
  };
  return encode(headers, content);
}

function encode(headers: Readonly<Record<string, string>>, payload: object): Buffer {
  const entries = Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }] as const);
  const body = Buffer.from(JSON.stringify(payload));
  return Buffer.from(CODEC.encode({ headers: Object.fromEntries(entries), body }));
}
