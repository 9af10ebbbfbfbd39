/** Exchanges as the inspector keeps them, made by hand for tests of what looks at them. */
import type { LedgerRow } from '../../src/domain/ledger.ts';
import { sha256Hex } from '../../src/protocol/sigv4/key.ts';
import type { Exchange, KeptBody, KeptMessage } from '../../src/inspector/exchange.ts';
import { loadResponses, type RecordedResponse, bytesOf } from './responses.ts';

/** A body that came in these pieces, ten milliseconds apart, or at these times. */
export function keptBody(
  pieces: readonly (Buffer | string)[],
  {
    times,
    hole,
  }: { readonly times?: readonly number[]; readonly hole?: readonly [at: number, sizeBytes: number] } = {},
): KeptBody {
  const chunks = pieces.map((piece) => Buffer.from(piece));
  const whole = Buffer.concat(chunks);
  let offset = 0;
  const kept = chunks.map((chunk, index) => {
    offset += chunk.length;
    return { offset: offset - chunk.length, sizeBytes: chunk.length, atMs: times?.[index] ?? 100 + index * 10 };
  });
  const [at = 0, holeBytes = 0] = hole ?? [];
  const bytes = hole === undefined ? whole : Buffer.concat([whole.subarray(0, at), whole.subarray(at + holeBytes)]);
  return {
    sizeBytes: whole.length,
    sha256: sha256Hex(whole),
    hole: hole && { at, sizeBytes: holeBytes, why: 'size' },
    read: () => bytes,
    chunks: () => kept,
  };
}

/** The bytes cut in two at an offset. */
export function splitAt(bytes: Buffer, at: number): Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)].filter((piece) => piece.length > 0);
}

/** One byte a piece. */
export function byteByByte(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1));
}

export interface ExchangeParts extends Partial<Omit<Exchange, 'row' | 'layers'>> {
  readonly row?: Partial<Exchange['row']>;
  readonly request?: unknown;
  readonly requestHeaders?: KeptMessage['headers'];
  readonly target?: string;
  readonly status?: number;
  readonly contentType?: string;
  readonly responseHeaders?: KeptMessage['headers'];
  readonly response?: KeptBody | undefined;
  readonly layers?: Exchange['layers'];
}

const ROW: LedgerRow & { readonly isStreamed: boolean } = {
  id: '00000000-0000-4000-8000-000000000001',
  requests: 1,
  startedAtMs: Date.UTC(2026, 10, 28),
  principal: 'key',
  keyId: 'key-1',
  keyLabel: 'alice',
  service: 'bedrock-runtime',
  operation: 'ConverseStream',
  region: 'us-east-1',
  upstream: undefined,
  attempts: undefined,
  model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  modelAlias: undefined,
  inferenceProfile: undefined,
  status: 200,
  errorCode: undefined,
  errorMessage: undefined,
  method: undefined,
  path: undefined,
  upstreamRequestId: undefined,
  usage: undefined,
  serviceTier: undefined,
  session: undefined,
  agent: undefined,
  pricing: 'priced',
  costNanoUsd: 21_300_000,
  priceSource: 'aws',
  chargedNanoUsd: 21_300_000,
  partial: false,
  firstByteMs: 600,
  totalMs: 4_100,
  requestBytes: 100,
  responseBytes: 1_000,
  source: undefined,
  fault: undefined,
  cacheVerdict: undefined,
  cacheLostNanoUsd: undefined,
  tags: {},
  userAgent: 'boto3',
  isStreamed: true,
};

/** An exchange that ended well, if nothing else is said. */
export function keptExchange(parts: ExchangeParts = {}): Exchange {
  const {
    row,
    request,
    requestHeaders,
    target,
    status = 200,
    contentType,
    responseHeaders,
    response,
    layers,
    ...rest
  } = parts;
  const body = request === undefined ? undefined : Buffer.isBuffer(request) ? request : JSON.stringify(request);
  const clientRequest: KeptMessage = {
    method: 'POST',
    authority: '127.0.0.1:4000',
    target: target ?? '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream',
    httpVersion: '1.1',
    headers: requestHeaders ?? [['content-type', 'application/json']],
    body: body === undefined ? undefined : keptBody([body]),
  };
  const type = contentType ?? 'application/vnd.amazon.eventstream';
  return {
    id: ROW.id,
    sequence: 1,
    row: { ...ROW, ...row },
    end: 'complete',
    times: {},
    layers: layers ?? {
      clientRequest,
      signedRequest: { ...clientRequest, authority: 'bedrock-runtime.us-east-1.amazonaws.com', body: undefined },
      upstreamResponse: { status, headers: [['Content-Type', type], ...(responseHeaders ?? [])], body: response },
      clientResponse: { status, headers: [['Content-Type', type], ...(responseHeaders ?? [])], body: undefined },
    },
    clientStream: undefined,
    signing: undefined,
    conversation: undefined,
    attempt: undefined,
    failedAttempts: [],
    omitted: undefined,
    parent: undefined,
    isEdited: false,
    isPinned: false,
    note: undefined,
    ...rest,
  };
}

/** Every response of test/fixtures/responses as an exchange. */
export function recordedExchanges(): {
  readonly name: string;
  readonly recorded: RecordedResponse;
  readonly exchange: Exchange;
}[] {
  return ['json.json', 'sse.json', 'streams.json'].flatMap((file) =>
    loadResponses(file).map((recorded) => ({
      name: recorded.name,
      recorded,
      exchange: exchangeOf(recorded, [bytesOf(recorded)]),
    })),
  );
}

/** A recorded response that came in these pieces. */
export function exchangeOf(recorded: RecordedResponse, pieces: readonly Buffer[]): Exchange {
  const { service = 'bedrock-runtime', operation, status = 200, headers = [], events, sse } = recorded;
  const contentType =
    events !== undefined
      ? 'application/vnd.amazon.eventstream'
      : sse !== undefined
        ? 'text/event-stream'
        : 'application/json';
  return keptExchange({
    row: { service, operation, isStreamed: events !== undefined || sse !== undefined },
    status,
    contentType,
    responseHeaders: headers,
    response: keptBody(pieces),
  });
}
