/**
 * Server-sent events as the offline Bedrock writes them, and failures on demand in the middle of them. Pure.
 */
import { asText, parseJsonObject } from '../../lib/json.ts';
import type { Reply } from './reply.ts';

const SSE_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };

/** One event; OpenAI's chat completions have no names. */
export function sseEvent(content: string, name?: string): Buffer {
  return Buffer.from(`${name === undefined ? '' : `event: ${name}\n`}data: ${content}\n\n`);
}

/** A stream of events. */
export function sseReply(chunks: readonly Buffer[]): Reply {
  return { status: 200, headers: SSE_HEADERS, chunks, isStream: true, ending: 'end', isSlow: false };
}

/**
 * What a fault made of a reply, in the shape of another API: `refuse` writes an error, `fail` the event that stands for
 * an exception frame of AWS.
 */
export function reshapeFault(
  faulted: Reply,
  reply: Reply,
  shape: {
    readonly refuse: (status: number, message: string, headers: Readonly<Record<string, string>>) => Reply;
    readonly fail: (message: string) => Buffer;
  },
): Reply {
  if (faulted.status !== 200) {
    const { 'retry-after': retryAfter } = faulted.headers;
    const message = asText(parseJsonObject(Buffer.concat(faulted.chunks))?.['message']);
    return shape.refuse(faulted.status, message, retryAfter === undefined ? {} : { 'retry-after': retryAfter });
  }
  const last = faulted.chunks.at(-1);
  if (!faulted.isStream || last === undefined || reply.chunks.includes(last)) return faulted;
  return { ...faulted, chunks: [...faulted.chunks.slice(0, -1), shape.fail('The stream failed, as was asked for.')] };
}
