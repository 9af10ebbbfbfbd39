/** Exchanges as a capture leaves them, for the tests of who keeps, shows and exports them. */
import { createHash } from 'node:crypto';
import type { Exchange, KeptBody } from '../../src/inspector/exchange.ts';

/** A body of these chunks, one every ten milliseconds from the tenth on. */
export function bodyOf(...chunks: readonly (string | Uint8Array)[]): KeptBody {
  const buffers = chunks.map((chunk) => Buffer.from(chunk as Uint8Array));
  const bytes = Buffer.concat(buffers);
  let offset = 0;
  const kept = buffers.map((buffer, index) => {
    offset += buffer.length;
    return { offset: offset - buffer.length, sizeBytes: buffer.length, atMs: (index + 1) * 10.125 };
  });
  return {
    sizeBytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    hole: undefined,
    read: () => bytes,
    chunks: () => kept,
  };
}

/** A body of which bytes in the middle are not kept. */
export function holedBody(head: string, lost: number, tail: string): KeptBody {
  const bytes = Buffer.from(head + tail);
  return {
    sizeBytes: bytes.length + lost,
    sha256: undefined,
    hole: { at: Buffer.byteLength(head), sizeBytes: lost, why: 'size' },
    read: () => bytes,
    chunks: () => [],
  };
}

/** A Converse that went well, with what the test sets in its place. */
export function keptExchange(overrides: Partial<Exchange> = {}): Exchange {
  const id = overrides.id ?? 'req-1';
  const request = bodyOf('{"messages":[{"role":"user","content":[{"text":"Where is the bug?"}]}]}');
  const response = bodyOf(
    '{"output":{"message":{"role":"assistant","content":[{"text":"In line 7."}]}},',
    '"usage":{}}',
  );
  const target = '/model/us.amazon.nova-lite-v1%3A0/converse';
  const headers = [
    ['Host', 'bedrock-runtime.us-east-1.amazonaws.com'],
    ['Content-Type', 'application/json'],
  ] as const;
  return {
    id,
    sequence: 1,
    row: {
      id,
      requests: 1,
      startedAtMs: Date.UTC(2026, 10, 28, 12, 0, 0, 250),
      principal: 'key',
      keyId: 'key_1',
      keyLabel: 'alice',
      service: 'bedrock-runtime',
      operation: 'Converse',
      region: 'us-east-1',
      upstream: undefined,
      attempts: undefined,
      model: 'us.amazon.nova-lite-v1:0',
      modelAlias: undefined,
      inferenceProfile: undefined,
      status: 200,
      errorCode: undefined,
      errorMessage: undefined,
      cacheVerdict: undefined,
      cacheLostNanoUsd: undefined,
      method: undefined,
      path: undefined,
      upstreamRequestId: 'b1b2b3b4-0000-4000-8000-000000000001',
      usage: { inputTokens: 12, outputTokens: 5 },
      serviceTier: undefined,
      session: 'session-1',
      agent: undefined,
      pricing: 'priced',
      costNanoUsd: 2_100,
      priceSource: 'aws',
      chargedNanoUsd: 2_100,
      partial: false,
      firstByteMs: 10,
      totalMs: 21.5,
      requestBytes: request.sizeBytes,
      responseBytes: response.sizeBytes,
      source: undefined,
      fault: undefined,
      tags: { team: 'blue' },
      userAgent: 'boto3',
      isStreamed: false,
    },
    end: 'complete',
    times: {
      authenticatedMs: 0.1,
      bodyReadMs: 0.4,
      admittedMs: 0.6,
      signedMs: 1,
      sentMs: 1.5,
      headMs: 9,
      endedMs: 21.5,
    },
    layers: {
      clientRequest: {
        method: 'POST',
        authority: 'localhost:4000',
        target: `/bedrock${target}`,
        httpVersion: '1.1',
        headers: [
          ['Host', 'localhost:4000'],
          ['Authorization', 'Bearer …'],
          ['Content-Type', 'application/json'],
          ['X-Customer', 'Erika Mustermann'],
        ],
        body: request,
      },
      signedRequest: {
        method: 'POST',
        authority: 'bedrock-runtime.us-east-1.amazonaws.com',
        target,
        httpVersion: '1.1',
        headers,
        body: undefined,
      },
      upstreamResponse: {
        status: 200,
        httpVersion: '1.1',
        headers: [['Content-Type', 'application/json']],
        body: response,
      },
      clientResponse: {
        status: 200,
        httpVersion: '1.1',
        headers: [
          ['Content-Type', 'application/json'],
          ['x-bedrock-proxy-request-id', id],
        ],
        body: undefined,
      },
    },
    clientStream: undefined,
    signing: {
      scheme: 'sigv4',
      accessKeyId: 'AKIA…WXYZ',
      scope: '20261128/us-east-1/bedrock/aws4_request',
      signedHeaders: ['host', 'x-amz-date'],
      payloadHash: request.sha256,
      canonicalRequest: `POST\n${target}\n\nhost:bedrock-runtime.us-east-1.amazonaws.com\nx-amz-date:20261128T120000Z\n`,
      stringToSign: 'AWS4-HMAC-SHA256\n20261128T120000Z',
    },
    conversation: { id: 'req-0', turn: 2, previous: 'req-0' },
    attempt: undefined,
    failedAttempts: [],
    omitted: undefined,
    parent: undefined,
    isEdited: false,
    isPinned: false,
    note: undefined,
    ...overrides,
  };
}

/** What can be compared of an exchange: its bodies read. */
export function comparable(exchange: Exchange | undefined): unknown {
  if (exchange === undefined) return undefined;
  const layers = Object.entries(exchange.layers);
  return {
    ...exchange,
    layers: Object.fromEntries(layers.map(([layer, message]) => [layer, { ...message, body: readAll(message.body) }])),
    clientStream: readAll(exchange.clientStream),
  };
}

function readAll(body: KeptBody | undefined): unknown {
  return body && { ...body, read: body.read().toString('hex'), chunks: body.chunks() };
}
