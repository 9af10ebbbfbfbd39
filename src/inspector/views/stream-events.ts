/**
 * The events of a streamed response as JSON with their times, whatever carries them. Pure.
 */
import { isObject, type JsonObject } from '../../lib/json.ts';
import type { Exchange } from '../exchange.ts';
import { bytesOfFrame, type FrameIndex } from './frame-index.ts';
import { isObjectPayload } from './payload.ts';
import { createDecoder, createReader } from './view-frames.ts';

/** One event of a response. */
export interface StreamEvent {
  /** `:event-type`, or the name of a server-sent event. */
  readonly type: string;
  /** Its payload; of a chunk of InvokeModel, what is in it. */
  readonly json: JsonObject;
  readonly atMs: number;
  readonly isException: boolean;
}

/** Every event of the upstream that is a JSON object. */
export function readEvents(exchange: Exchange, { protocol, spans }: FrameIndex): StreamEvent[] {
  const decode = createDecoder(exchange, protocol);
  const readKept = createReader();
  return spans.flatMap((span): StreamEvent[] => {
    if (span.direction !== 'in') return [];
    const { type, payload } = decode(bytesOfFrame(span, readKept(span.body)));
    if (!isObjectPayload(payload)) return [];
    const { bytes } = payload.json;
    const inner = type === 'chunk' && isObject(bytes) ? bytes : payload.json;
    return [{ type, json: inner, atMs: span.atMs, isException: span.isException }];
  });
}
