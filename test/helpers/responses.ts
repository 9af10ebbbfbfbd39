/** Responses of Bedrock in their documented shapes, and what a tap makes of them. */
import { readFileSync } from 'node:fs';
import type { RequestedUnits } from '../../src/domain/units.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { createTap, type Reading } from '../../src/metering/tap.ts';
import { eventFrame, exceptionFrame } from './event-frames.ts';

/** One answer. Exactly one of `body`, `events` and `sse` is there. */
export interface RecordedResponse {
  readonly name: string;
  readonly service?: string;
  readonly operation: string;
  readonly status?: number;
  readonly headers?: readonly HeaderPair[];
  /** A JSON response. */
  readonly body?: unknown;
  /** An event stream: type and payload; a `chunk` with `json` is that, in base64. */
  readonly events?: readonly RecordedEvent[];
  /** Server-sent events: name (or none) and data. */
  readonly sse?: readonly { readonly event?: string; readonly data: unknown }[];
  /** What the request asked for, if only the request tells. */
  readonly requestedUnits?: RequestedUnits;
  readonly reading: Partial<Reading>;
}

export interface RecordedEvent {
  readonly type: string;
  readonly json?: unknown;
  readonly payload?: object;
}

/** What is said of a response that says nothing. */
export const NOTHING_READ: Reading = {
  usage: undefined,
  serviceTier: undefined,
  latency: undefined,
  model: undefined,
  complete: true,
  hasUnknownPart: false,
  outputBytes: 0,
  errorType: undefined,
  errorMessage: undefined,
  isRefused: false,
};

/** The responses of one file of test/fixtures/responses. */
export function loadResponses(fileName: string): RecordedResponse[] {
  return JSON.parse(readFileSync(new URL(`../fixtures/responses/${fileName}`, import.meta.url), 'utf8'));
}

export function findResponse(responses: readonly RecordedResponse[], name: string): RecordedResponse {
  const found = responses.find((response) => response.name === name);
  if (found === undefined) throw new Error(`no such response: ${name}`);
  return found;
}

/** The body as it goes over the wire. */
export function bytesOf({ body, events, sse }: RecordedResponse): Buffer {
  if (events !== undefined) return Buffer.concat(events.map(frameOf));
  if (sse !== undefined) return Buffer.from(sse.map(textOf).join(''));
  return Buffer.from(JSON.stringify(body));
}

export function frameOf({ type, json, payload = {} }: RecordedEvent): Buffer {
  if (type.endsWith('Exception')) return exceptionFrame(type, 'It broke.');
  if (json === undefined) return eventFrame(type, payload);
  const bytes = Buffer.from(JSON.stringify(json)).toString('base64');
  return eventFrame(type, { bytes, p: 'abcdefghij' });
}

function textOf({ event, data }: { readonly event?: string; readonly data: unknown }): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`;
}

/** What a tap reads of these chunks. */
export function readChunks(response: RecordedResponse, chunks: readonly Buffer[], isWhole = true): Reading {
  const { service = 'bedrock-runtime', operation, status = 200, headers = [], events, sse, requestedUnits } = response;
  const contentType =
    events !== undefined
      ? 'application/vnd.amazon.eventstream'
      : sse !== undefined
        ? 'text/event-stream; charset=utf-8'
        : 'application/json';
  const tap = createTap({ service, operation, requestedUnits });
  tap.onStart(status, [['Content-Type', contentType], ...headers]);
  for (const chunk of chunks) tap.onBytes(chunk);
  return tap.finish(isWhole);
}

/** The reading of the whole response. */
export function readResponse(response: RecordedResponse, isWhole = true): Reading {
  return readChunks(response, [bytesOf(response)], isWhole);
}

/** The reading at every split in two, and byte by byte; each different one once. */
export function readAtEverySplit(response: RecordedResponse): Reading[] {
  const bytes = bytesOf(response);
  const different = new Map<string, Reading>();
  const note = (chunks: readonly Buffer[]): void => {
    const reading = readChunks(response, chunks);
    different.set(JSON.stringify(reading), reading);
  };
  for (let at = 0; at <= bytes.length; at += 1) note([bytes.subarray(0, at), bytes.subarray(at)]);
  note(Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1)));
  return [...different.values()];
}
