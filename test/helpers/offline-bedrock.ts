/**
 * The offline Bedrock for tests, and the settings with which clients of the AWS SDK reach it under AWS's own host
 * names: HTTP/1.1, every name resolved to this machine.
 */
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { randomUUID } from 'node:crypto';
import { Agent, request as openRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import {
  startOfflineBedrock,
  type OfflineBedrock,
  type OfflineBedrockOptions,
} from '../../src/upstream/offline/server.ts';
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, signWithSdk, type RequestToSign } from './sigv4-signing.ts';

export const RUNTIME_HOST = 'bedrock-runtime.us-east-1.amazonaws.com';

/** Without pauses; the clock is the real one, as the clients' is. */
export function startForTest(options: Partial<OfflineBedrockOptions> = {}): Promise<OfflineBedrock> {
  const keys = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY };
  return startOfflineBedrock({ ...keys, nowMs: Date.now, newId: randomUUID, pacingMs: 0, ...options });
}

/** Resolves every name to 127.0.0.1. */
export const lookupLoopback: LookupFunction = (_hostname, options, callback) => {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

/** Settings for a client of the AWS SDK. `service` is the host's first label. */
export function sdkSettings(port: number, service = 'bedrock-runtime', region = 'us-east-1') {
  return {
    region,
    endpoint: `http://${service}.${region}.amazonaws.com:${port}`,
    credentials: { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ lookup: lookupLoopback }) }),
  };
}

export interface RawResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Signs a request by the real clock, and gives the whole response. */
export async function sendSigned(port: number, toSign: RequestToSign): Promise<RawResponse> {
  const incoming = await openSigned(port, toSign);
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) };
}

/** The same, but gives the response as soon as its headers are there. */
export async function openSigned(port: number, toSign: RequestToSign): Promise<IncomingMessage> {
  const { request } = await signWithSdk({ host: RUNTIME_HOST, atMs: Date.now(), ...toSign });
  return new Promise((resolve, reject) => {
    const outgoing = openRequest({
      host: '127.0.0.1',
      port,
      method: request.method,
      path: request.target.raw,
      headers: request.headers.flat(),
      agent: false,
    });
    outgoing.once('error', reject);
    outgoing.once('response', resolve);
    outgoing.end(toSign.body);
  });
}
