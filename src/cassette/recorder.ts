/**
 * Makes a recording of an exchange that is over, and writes it, one after the other: scrubbed, with its proof. Nobody
 * waits for it but the end of the process.
 */
import { join } from 'node:path';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import { selectClientHeaders } from '../upstream/headers.ts';
import type { Capture } from './capture.ts';
import { BLOBS, hashOf, sealRecording, writeBelow } from './directory.ts';
import { canonicalizeRecorded, keyOf } from './match.ts';
import { describePayload } from './payloads.ts';
import { printRecording } from './print.ts';
import { describeFrames, describeResponseBody, encodeBody, formOf, type OpenBlob, roundMs } from './proof.ts';
import type {
  MatchableRequest,
  RecordedBody,
  RecordedEnd,
  RecordedRequest,
  RecordedResponse,
  Recording,
} from './recording.ts';
import type { CassetteRules } from './rules.ts';
import { createScrubber, type Scrubber } from './scrub.ts';

/** Bytes that are no text, and more than this, go into a file of their own. */
const MAX_INLINE_BYTES = 16 * 1024;
const MAX_SLUG_LENGTH = 50;
/** Only these are kept of a request: whatever a client calls its secret, it is none of them. */
const KEPT_HEADERS =
  /^(?:content-type|accept|anthropic-(?:beta|version)|openai-beta|x-amz-target|x-amzn-bedrock-(?!request-metadata).*)$/i;
/** Of a response. */
const DROPPED_HEADERS: ReadonlySet<string> = new Set(['set-cookie', 'via', 'server', 'date']);

/** What is recorded of a request. */
export function keptHeaders(headers: MatchableRequest['headers']): MatchableRequest['headers'] {
  return headers.filter(([name]) => KEPT_HEADERS.test(name));
}

/** What came, and what the client sent in the meantime. */
export type CapturedResponse = Pick<
  Capture,
  'status' | 'headers' | 'firstByteMs' | 'contentType' | 'received' | 'sent' | 'release'
>;

/** An exchange that is over. */
export interface RecordedExchange {
  readonly request: MatchableRequest;
  readonly capture: CapturedResponse;
  readonly end: RecordedEnd;
  /** Whether the response may come bit by bit. */
  readonly isStream: boolean;
  readonly isBidirectional: boolean;
  /** The sub-directory; empty: none. */
  readonly scope: string;
  /** Its number, or the whole name of the recording that it replaces. */
  readonly place: { readonly number: number } | { readonly replaces: string };
}

/** State: the writes that are not done, and what went wrong with them. */
export class Recorder {
  readonly #directory: string;
  readonly #rules: CassetteRules;
  readonly #scrubber: Scrubber;
  readonly #onProblem: (error: ProxyError) => void;
  #writing: Promise<void> = Promise.resolve();
  recorded = 0;

  constructor(directory: string, rules: CassetteRules, onProblem: (error: ProxyError) => void) {
    this.#directory = directory;
    this.#rules = rules;
    this.#scrubber = createScrubber(rules);
    this.#onProblem = onProblem;
  }

  /** Never throws. The capture is released when it is written. */
  record(exchange: RecordedExchange): void {
    this.#writing = this.#writeNext(this.#writing, exchange);
  }

  async #writeNext(before: Promise<void>, exchange: RecordedExchange): Promise<void> {
    await before;
    try {
      await this.#write(exchange);
      this.recorded += 1;
    } catch (thrown) {
      const detail = findCode(thrown) ?? (thrown instanceof ProxyError ? thrown.message : undefined);
      this.#onProblem(new ProxyError('ERR_INTERNAL', 'An exchange could not be recorded.', { cause: thrown, detail }));
    } finally {
      exchange.capture.release();
    }
  }

  /** Resolves when all is written. */
  flush(): Promise<void> {
    return this.#writing;
  }

  async #write(exchange: RecordedExchange): Promise<void> {
    const { scope, place } = exchange;
    const blobs = new Map<string, Buffer>();
    const recording = this.#make(exchange, blobs);
    for (const [name, bytes] of blobs) {
      await writeBelow(this.#directory, join(BLOBS, name), { text: bytes, replaces: true });
    }
    const name =
      'replaces' in place ? place.replaces : nameOf(place.number, recording.request, this.#keyOf(recording, blobs));
    const file = 'replaces' in place || scope === '' ? `${name}.json` : join(scope, `${name}.json`);
    await writeBelow(this.#directory, file, { text: printRecording(recording), replaces: 'replaces' in place });
  }

  #keyOf({ request }: Recording, blobs: ReadonlyMap<string, Buffer>): string {
    return keyOf(canonicalizeRecorded(request, this.#rules, (name) => blobs.get(name)));
  }

  #make(exchange: RecordedExchange, blobs: Map<string, Buffer>): Recording {
    const openBlob: OpenBlob = (name) => blobs.get(name) ?? Buffer.alloc(0);
    const request = this.#scrubber.request(describeRequest(exchange.request));
    const response = this.#scrubber.response(describeResponse(exchange));
    const moved = {
      version: 1,
      request: { ...request, ...moveBody(request.body, blobs) },
      response: { ...response, ...moveBody(response.body, blobs) },
    } as const;
    return sealRecording(moved, openBlob);
  }
}

function describeRequest({ query, body, headers, ...request }: MatchableRequest): RecordedRequest {
  return {
    ...request,
    ...(query === '' ? {} : { query }),
    headers: keptHeaders(headers),
    ...(body.length === 0 ? {} : { body: describePayload(Buffer.from(body.buffer, body.byteOffset, body.length)) }),
  };
}

function describeResponse({ capture, end, isStream, isBidirectional }: RecordedExchange): RecordedResponse {
  const { status = 200, headers, received, sent, firstByteMs, contentType } = capture;
  const isUpgrade = status === 101;
  const body = describeResponseBody(received, isUpgrade ? 'chunks' : formOf(contentType, isStream));
  const isException =
    end === 'complete' && body.frames?.at(-1)?.length === 2 && isLastException(body.frames.at(-1)?.[1]);
  return {
    status,
    headers: (isUpgrade ? headers : selectClientHeaders(headers)).filter(
      ([name]) => !DROPPED_HEADERS.has(name.toLowerCase()),
    ),
    firstByteMs: roundMs(firstByteMs),
    ...body,
    ...(isBidirectional && sent.length > 0 ? { sentFrames: describeFrames(sent) } : {}),
    ...(isUpgrade && sent.length > 0 ? { sentChunks: describeResponseBody(sent, 'chunks').chunks ?? [] } : {}),
    end: isException ? 'exception' : end,
    bytes: 0,
  };
}

function isLastException(frame: unknown): boolean {
  return typeof frame === 'object' && frame !== null && 'exception' in frame;
}

/** Text stays where a review sees it, and where it was scrubbed. */
function moveBody(body: RecordedBody | undefined, blobs: Map<string, Buffer>): { readonly body?: RecordedBody } {
  if (body === undefined) return {};
  if (!('base64' in body)) return { body };
  const bytes = encodeBody(body, () => Buffer.alloc(0));
  if (bytes.length <= MAX_INLINE_BYTES) return { body };
  const name = `${hashOf(bytes)}.bin`;
  blobs.set(name, bytes);
  return { body: { blob: name } };
}

/** `001-converse-stream-claude-sonnet-4-5-7f3a91`. */
function nameOf(number: number, { operation, path, method }: RecordedRequest, key: string): string {
  const words = operation === '' ? method : operation.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '-');
  const [, model = ''] = /\/model\/([^/]+)/.exec(path) ?? [];
  const short = decode(model)
    .replace(/^.*\//, '')
    .replace(/^(?:[a-z-]+\.)+/, '');
  const parts = [String(number).padStart(3, '0'), slugOf(words), slugOf(short), key.slice(0, 6)];
  return parts.filter((part) => part !== '').join('-');
}

function slugOf(text: string): string {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join('-').slice(0, MAX_SLUG_LENGTH).replace(/-$/, '');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
