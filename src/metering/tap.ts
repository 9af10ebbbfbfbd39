/**
 * The tap: watches one response as it passes and says in the end what it used. It never throws, and never changes or
 * delays a byte; a fault of its decoders ends the metering, not the response. What the shapes look like is in
 * `usage-readers.ts`; what usage costs, in `pricing/`.
 */
import { findHeader, type HeaderPair } from '../http/message.ts';
import { ErrorBodyReader } from './error-body.ts';
import { BodyReader, type BodyShape, type ResponseReader } from './usage-json.ts';
import { readChat, readConverse, readInvoke, readInvokePart, readMessage, readResponse } from './usage-readers.ts';
import { readGuardrail, readGuardrailChecks } from './usage-extras.ts';
import { CHAT_SSE, MESSAGE_SSE, RESPONSE_SSE, SseReader, type SseShape } from './usage-sse.ts';
import {
  AGENT_STREAM,
  BIDIRECTIONAL_STREAM,
  CONVERSE_STREAM,
  INVOKE_STREAM,
  StreamReader,
  type StreamShape,
} from './usage-stream.ts';
import type { ResponseShape } from '../operations/facts.ts';
import { findFacts } from '../operations/find-facts.ts';
import { parseModelName, withoutGeography } from '../domain/model-name.ts';
import { UNKNOWN_OPERATION, WholeBody } from './unknown-operation-body.ts';
import { type Count, Tally } from './usage-tally.ts';
import type { PieceUnit, RequestedUnits } from '../domain/units.ts';
import type { Usage } from '../domain/usage.ts';

/** What a response told. */
export interface Reading {
  /** Undefined if nothing was reported. If `complete` is false, it is what was seen until then. */
  readonly usage: Usage | undefined;
  /**
   * `default`, `priority`, `flex`, `reserved`, in AWS's words, lower case; undefined if the response does not say.
   */
  readonly serviceTier: string | undefined;
  /** `standard` or `optimized`; undefined if the response does not say. */
  readonly latency: string | undefined;
  /** The model as the response names it, if only the response knows it: behind an agent or a prompt router. */
  readonly model: string | undefined;
  /**
   * The final usage was seen, nothing of it was nonsense, and it is all that is billed; or the response is a refusal,
   * which uses nothing.
   */
  readonly complete: boolean;
  /** Something is billed besides, of which no count is told, or no price can be known. Then it is not complete. */
  readonly hasUnknownPart: boolean;
  /**
   * Bytes of text that the model wrote, as far as they were seen; for estimating what a response cost that broke off.
   */
  readonly outputBytes: number;
  /**
   * AWS's type of error, if the body tells of a failure: of an error, or behind a good status an exception in a
   * stream, an error event, an operation that AWS does not know.
   */
  readonly errorType: string | undefined;
  /** What a failure says of itself, whatever the status; as it came, its first part. */
  readonly errorMessage: string | undefined;
  /** AWS did nothing: it does not know the operation. */
  readonly isRefused: boolean;
}

/** Watches one response. None of the three throws. */
export interface Tap {
  /** Header names in any case. Called once, before any byte. */
  onStart(status: number, headers: readonly HeaderPair[]): void;
  /** Bytes of the body as they pass, at any split. They must not change afterwards: a small body is read at its end. */
  onBytes(chunk: Buffer): void;
  /** `isWhole`: the response came to its proper end. Called again, it gives the same reading. */
  finish(isWhole: boolean): Reading;
}

/** Which operation's response is watched. */
export interface TapFacts {
  readonly service: string;
  /** AWS's name, as in the table of operations. */
  readonly operation: string | undefined;
  /** As the request names it; undefined if it names none. */
  readonly model?: string | undefined;
  /** What only the request tells. */
  readonly requestedUnits?: RequestedUnits | undefined;
}

/** How an operation may answer; the content type of the response tells which it is. */
interface Shape {
  readonly body?: BodyShape;
  readonly stream?: StreamShape;
  readonly sse?: SseShape;
}

const EVENT_STREAM_TYPE = /^\s*application\/vnd\.amazon\.eventstream\b/i;
const INVOKE_BODY: BodyShape = { readUsage: readInvoke, readPart: readInvokePart };

const SHAPES: Readonly<Record<ResponseShape, Shape>> = {
  converse: { body: { readUsage: readConverse } },
  converseStream: { stream: CONVERSE_STREAM },
  invoke: { body: INVOKE_BODY },
  invokeStream: { stream: INVOKE_STREAM },
  bidirectionalStream: { stream: BIDIRECTIONAL_STREAM },
  guardrail: { body: { readUsage: readGuardrail } },
  guardrailChecks: { body: { readUsage: readGuardrailChecks } },
  agentStream: { stream: AGENT_STREAM },
  chat: { body: { readUsage: readChat }, sse: CHAT_SSE },
  response: { body: { readUsage: readResponse }, sse: RESPONSE_SSE },
  message: { body: { readUsage: readMessage }, sse: MESSAGE_SSE },
};

/**
 * Headers of InvokeModel. Not in AWS's model; `input` is without what caches served or took, as everywhere in AWS's
 * counts.
 */
const COUNT_HEADERS: readonly (readonly [name: string, count: Count])[] = [
  ['x-amzn-bedrock-input-token-count', 'awsInputTokens'],
  ['x-amzn-bedrock-output-token-count', 'awsOutputTokens'],
  ['x-amzn-bedrock-cache-read-input-token-count', 'awsCacheReadTokens'],
  ['x-amzn-bedrock-cache-write-input-token-count', 'awsCacheWriteTokens'],
];

/**
 * A tap for the answer to a call of this operation. Of an operation that reports no usage it reads only whether it
 * failed.
 */
export function createTap({ service, operation, model, requestedUnits }: TapFacts): Tap {
  const { response } = findFacts(service, operation);
  const tally = new Tally();
  tally.mayRepeatCaches = response === 'converseStream' && isOpenai(model);
  tally.hasUnknownPart = model !== undefined && PROMPT_ROUTER.test(model);
  return new ResponseTap(response === undefined ? {} : SHAPES[response], tally, requestedUnits);
}

/**
 * AWS sells the routing by the request, and no source that we have tells its price; the response names the router only
 * in its trace. https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-routing.html
 */
const PROMPT_ROUTER = /^arn:[^/]*:(?:default-)?prompt-router\//;

/**
 * ConverseStream counts the caches of OpenAI's models in the input as well; Converse does not, nor does either for any
 * other family (seen in https://github.com/maximhq/bifrost/pull/6942, not in AWS's documentation).
 */
function isOpenai(model: string | undefined): boolean {
  return withoutGeography(parseModelName(model ?? '').priceName ?? '').startsWith('openai.');
}

/** State: the tally, and the reader of the body while there is anything to read. */
class ResponseTap implements Tap {
  readonly #shape: Shape;
  readonly #tally: Tally;
  readonly #requested: RequestedUnits | undefined;
  #isServed = false;
  #whole: WholeBody | undefined;
  #reader: ResponseReader | undefined;
  #isRefusal = false;
  #tierOfHeader: string | undefined;
  #latencyOfHeader: string | undefined;
  #reading: Reading | undefined;

  constructor(shape: Shape, tally: Tally, requested: RequestedUnits | undefined) {
    this.#shape = shape;
    this.#tally = tally;
    this.#requested = requested;
  }

  onStart(status: number, headers: readonly HeaderPair[]): void {
    this.#isRefusal = status >= 400;
    // We ask for no encoding; who sends one all the same is not understood.
    const isReadable = (findHeader(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity') === 'identity';
    if (this.#isRefusal && isReadable) this.#reader = new ErrorBodyReader(this.#tally);
    if (status < 200 || status > 299) return;
    this.#isServed = true;
    this.#readHeaders(headers);
    const type = findHeader(headers, 'content-type') ?? '';
    if (/\bjson\b/i.test(type)) this.#whole = new WholeBody();
    if (isReadable) this.#reader = this.#openReader(type);
  }

  onBytes(chunk: Buffer): void {
    this.#whole?.push(chunk);
    this.#guard((reader) => reader.read(chunk));
  }

  finish(isWhole: boolean): Reading {
    this.#reading ??= this.#close(isWhole);
    return this.#reading;
  }

  #close(isWhole: boolean): Reading {
    const tally = this.#tally;
    this.#guard((reader) => reader.finish(isWhole));
    const isRefused = isWhole && tally.sum() === undefined && this.#whole?.isUnknownOperation() === true;
    if (this.#isServed && !isRefused) this.#addRequested();
    const isRead = this.#reader !== undefined && !tally.hasUnread && tally.isFinal && (isWhole || tally.isLast);
    this.#reader = undefined;
    const usage = tally.sum();
    // AWS counted it all before it began to answer; only the class of a cache write is in the body alone.
    const isInHeaders = tally.hasAwsCounts && this.#shape.body !== undefined && !usage?.cacheWriteTokens;
    const isAll = !tally.hasInvalidCounts && !tally.hasUnknownPart;
    return {
      usage,
      serviceTier: this.#tierOfHeader ?? tally.serviceTier,
      latency: this.#latencyOfHeader ?? tally.latency,
      model: tally.model,
      complete: this.#isRefusal || isRefused || ((isRead || isInHeaders) && isAll && usage !== undefined),
      hasUnknownPart: tally.hasUnknownPart && this.#isServed && !isRefused,
      outputBytes: tally.textBytes,
      errorType: isRefused ? UNKNOWN_OPERATION : tally.errorType,
      errorMessage: isRefused ? 'AWS knows no such path: it did nothing.' : tally.errorMessage,
      isRefused,
    };
  }

  #addRequested(): void {
    const { counts = {}, hasUnknown = false, isEstimated = false } = this.#requested ?? {};
    this.#tally.hasUnknownPart ||= hasUnknown;
    for (const [unit, count] of Object.entries(counts)) {
      if (this.#tally.putRequested(unit as PieceUnit, count)) this.#tally.hasUnknownPart ||= isEstimated;
    }
  }

  #readHeaders(headers: readonly HeaderPair[]): void {
    const own = new Tally();
    own.putServiceTier(findHeader(headers, 'x-amzn-bedrock-service-tier'));
    own.putLatency(findHeader(headers, 'x-amzn-bedrock-performanceconfig-latency'));
    this.#tierOfHeader = own.serviceTier;
    this.#latencyOfHeader = own.latency;
    if (this.#shape.body !== INVOKE_BODY) return;
    for (const [name, count] of COUNT_HEADERS) {
      const value = findHeader(headers, name)?.trim();
      if (value === undefined || value === '') continue;
      this.#tally.put(count, /^\d{1,15}$/.test(value) ? Number(value) : NaN);
    }
  }

  #openReader(contentType: string): ResponseReader | undefined {
    const { body, stream, sse } = this.#shape;
    if (sse !== undefined && /^\s*text\/event-stream\b/i.test(contentType)) return new SseReader(sse, this.#tally);
    if (stream !== undefined) return new StreamReader(stream, this.#tally);
    if (body === undefined && EVENT_STREAM_TYPE.test(contentType)) return new StreamReader(new Map(), this.#tally);
    return body === undefined ? undefined : new BodyReader(body, this.#tally);
  }

  /** Runs a step of the reader. One that throws is the last. */
  #guard(step: (reader: ResponseReader) => void): void {
    try {
      if (this.#reader !== undefined) step(this.#reader);
    } catch {
      this.#reader = undefined;
    }
  }
}
