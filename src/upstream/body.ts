/**
 * Reads a client's body to its end, because SigV4 wants its hash before the first byte is sent. The bytes are kept as they
 * came, hashed while they arrive, and never parsed. Limits size (before the end is read) and silence (not total time).
 */
import { createHash } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import { type ClientRequest, findHeader } from '../exchange.ts';

/** A body that is complete. */
export interface Body {
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;
  /** Lower-case hex SHA-256 of all bytes. */
  readonly sha256: string;
}

/** What a body may be. */
export interface BodyLimits {
  readonly maxSizeBytes: number;
  /** Longest silence between two chunks. */
  readonly idleTimeoutMs: number;
}

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** Throws ERR_BODY_TOO_LARGE, ERR_BODY_TIMEOUT, or ERR_CLIENT_GONE where the client leaves in the middle. */
export async function readBody(clientRequest: ClientRequest, limits: BodyLimits): Promise<Body> {
  const announced = Number(findHeader(clientRequest.headers, 'content-length') ?? 0);
  if (announced > limits.maxSizeBytes) throw tooLarge(limits.maxSizeBytes);
  const stream = clientRequest.openBody();
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const idle = setTimeout(() => fail(timedOut(limits.idleTimeoutMs)), limits.idleTimeoutMs);
    const onData = (chunk: Buffer): void => {
      sizeBytes += chunk.length;
      if (sizeBytes > limits.maxSizeBytes) return fail(tooLarge(limits.maxSizeBytes));
      hash.update(chunk);
      chunks.push(chunk);
      idle.refresh();
    };
    const onEnd = (): void => {
      // Node ends the body of an HTTP/2 stream that the client reset as if it were complete, but destroys it first.
      if (stream.destroyed) return onBroken();
      settle();
      resolve({ chunks, sizeBytes, sha256: sizeBytes === 0 ? EMPTY_SHA256 : hash.digest('hex') });
    };
    const onBroken = (cause?: unknown): void =>
      fail(new ProxyError('ERR_CLIENT_GONE', 'The client left in the middle of its body.', { cause }));
    const settle = (): void => {
      clearTimeout(idle);
      stream.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      stream.on('error', () => {});
    };
    const fail = (error: ProxyError): void => {
      settle();
      stream.pause();
      reject(error);
    };
    stream.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
}

function tooLarge(maxSizeBytes: number): ProxyError {
  return new ProxyError('ERR_BODY_TOO_LARGE', `The request body is over the proxy's limit of ${maxSizeBytes} bytes.`, {
    hint: 'Start the proxy with a larger --max-body-size.',
  });
}

function timedOut(idleTimeoutMs: number): ProxyError {
  return new ProxyError('ERR_BODY_TIMEOUT', `No byte of the request body came for ${idleTimeoutMs / 1000} seconds.`);
}
