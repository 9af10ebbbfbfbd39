/**
 * The offline Bedrock: an HTTP/1.1 server on loopback that plays every Bedrock host of AWS, by the Host header. It
 * verifies signatures, gives the same response to the same request, and fails on demand (faults.ts). For development
 * without an AWS account, and for tests. This file does the I/O alone.
 */
import type { WallClock } from '../../lib/clock.ts';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { sha256Hex } from '../../protocol/sigv4/key.ts';
import type { HeaderPair } from '../../http/message.ts';
import { parseTarget } from '../../http/target.ts';
import { admitSignature, refuseSignature, type OfflineKeys } from './authorize.ts';
import { respondToRequest, findPlayedHost, type PlayedHost } from './dispatch.ts';
import { isBedrockRegion } from './places.ts';
import { awsError, type Reply } from './reply.ts';
import type { Script } from './script.ts';
import { createOfflineState, type OfflineState } from './state.ts';

/** What the offline Bedrock is started with. */
export interface OfflineBedrockOptions extends OfflineKeys {
  /** Signatures and dates go by this clock. */
  readonly nowMs: WallClock;
  /** Gives each response its `x-amzn-requestid`. */
  readonly newId: () => string;
  /** The script in force; undefined: none. */
  readonly findScript?: (() => Script | undefined) | undefined;
  /** Pause between the frames of a stream; default 15. 0 sends them as fast as they are taken. */
  readonly pacingMs?: number;
  /** How long `offline.slow-v1:0` waits before it responds, and ten times its pause in a stream; default 2000. */
  readonly slowMs?: number;
}

/** A running offline Bedrock. */
export interface OfflineBedrock {
  /** On 127.0.0.1, plain HTTP/1.1. */
  readonly port: number;
  /** Breaks off requests under way. */
  close(): Promise<void>;
}

const DEFAULT_PACING_MS = 15;
const DEFAULT_SLOW_MS = 2000;

/** Request bodies are at most this long (limits in the AWS models of InvokeModel and InvokeAgentRuntime). */
const MAX_BODY_BYTES = 25_000_000;
const MAX_AGENTCORE_BODY_BYTES = 100_000_000;

/** Starts one on a port of its own. */
export async function startOfflineBedrock(options: OfflineBedrockOptions): Promise<OfflineBedrock> {
  const closing = new AbortController();
  const state = createOfflineState();
  const server = createServer((incoming, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    respond(incoming, options, state)
      .then((reply) => send(reply, response, { options, signal: AbortSignal.any([gone.signal, closing.signal]) }))
      .catch(() => response.destroy());
  });
  // A worker has one of its own, too.
  server.listen({ port: 0, host: '127.0.0.1', exclusive: true });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closing.abort();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Rejects if the client left before its request was complete. */
async function respond(incoming: IncomingMessage, options: OfflineBedrockOptions, state: OfflineState): Promise<Reply> {
  const { method = '', url = '/' } = incoming;
  const target = parseTarget(url);
  const headers = pairsOf(incoming.rawHeaders);
  const authority = incoming.headers.host;
  const played = findPlayedHost(authority ?? '');
  if (played === undefined) {
    return awsError(404, 'UnknownOperationException', `The offline Bedrock does not play ${authority ?? 'no host'}.`);
  }
  if (!isBedrockRegion(played.region)) return noSuchHost(authority ?? '', played.region);
  const admission = admitSignature({ method, target, headers, authority }, options);
  if ('refusal' in admission) return admission.refusal;
  const body = await readBody(incoming, maxBodyBytes(played));
  if (body === undefined) return awsError(413, 'RequestEntityTooLargeException', 'The request body is too large.');
  const nowMs = options.nowMs();
  const check = { keys: options, played, bodySha256Hex: sha256Hex(body), nowMs };
  const request = { method, target, headers, body };
  return (
    refuseSignature(admission.parsed, check) ??
    respondToRequest(request, played, { nowMs, state, script: options.findScript?.() })
  );
}

/** AWS has no words for a host that does not exist: these are its command line's, and no SDK tries again. */
function noSuchHost(authority: string, region: string): Reply {
  const words = `Could not connect to the endpoint URL: "https://${authority}/".`;
  return awsError(400, 'UnknownEndpointException', `${words} AWS has no region ${region} with Bedrock.`);
}

interface Sending {
  readonly options: OfflineBedrockOptions;
  /** Fires when the client has left or the server closes. */
  readonly signal: AbortSignal;
}

async function send(reply: Reply, response: ServerResponse, { options, signal }: Sending): Promise<void> {
  const slowMs = options.slowMs ?? DEFAULT_SLOW_MS;
  const pacingMs = reply.isSlow ? slowMs / 10 : (options.pacingMs ?? DEFAULT_PACING_MS);
  if (reply.isSlow) await wait(slowMs, undefined, { signal });
  response.writeHead(reply.status, headersOf(reply, options));
  response.flushHeaders();
  for (const [index, chunk] of reply.chunks.entries()) {
    if (index > 0 && pacingMs > 0) await wait(pacingMs, undefined, { signal });
    if (!response.write(chunk)) await once(response, 'drain', { signal });
  }
  if (reply.ending === 'end') response.end();
  // The empty write's callback comes when everything before it has left for the socket.
  else if (reply.ending === 'reset') response.write('', () => response.socket?.resetAndDestroy());
}

function headersOf(reply: Reply, options: OfflineBedrockOptions): Record<string, string> {
  const lengthBytes = reply.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  // A response that will not be complete announces more than it has.
  const announcedBytes = reply.ending === 'end' ? lengthBytes : lengthBytes * 2 + 1;
  return {
    date: new Date(options.nowMs()).toUTCString(),
    ...reply.headers,
    ...(reply.isStream ? {} : { 'content-length': String(announcedBytes) }),
    'x-amzn-requestid': options.newId(),
  };
}

/** Undefined if the body is longer than allowed; what is left of it is dropped then. */
async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length;
    if (lengthBytes <= maxBytes) chunks.push(chunk);
  }
  return lengthBytes > maxBytes ? undefined : Buffer.concat(chunks);
}

function maxBodyBytes({ service }: PlayedHost): number {
  return service.id === 'bedrock-agentcore' ? MAX_AGENTCORE_BODY_BYTES : MAX_BODY_BYTES;
}

function pairsOf(rawHeaders: readonly string[]): HeaderPair[] {
  const pairs: HeaderPair[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return pairs;
}
