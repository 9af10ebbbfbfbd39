/**
 * Reads a client's body to its end, because SigV4 needs its hash before the first byte is sent. The bytes are kept as
 * they came, small bodies in memory and large ones in a file, hashed while they arrive, and never parsed. Limits size
 * (before the end is read) and silence (not total time).
 */
import { createHash } from 'node:crypto';
import { clientGone, ProxyError } from '../lib/errors.ts';
import { type ClientRequest, findHeader } from './message.ts';
import { Spool, type SpoolDirectory } from './spool.ts';

/** A body that is complete. */
export interface Body {
  /** All of it; of a spooled one, only the first piece, which is enough to see whether there is any. */
  readonly chunks: readonly Buffer[];
  /** Holds all of a large body; see `releaseBody`. */
  readonly spool?: Spool | undefined;
  readonly sizeBytes: number;
  /** Lower-case hex SHA-256 of all bytes. */
  readonly sha256: string;
}

/** What a body may be. */
export interface BodyLimits {
  readonly maxSizeBytes: number;
  /** Longest silence between two chunks. */
  readonly idleTimeoutMs: number;
  /** Where bodies over MAX_BYTES_IN_MEMORY go; undefined: none is expected, and all stay in memory. */
  readonly spoolDirectory?: SpoolDirectory | undefined;
  /** What all bodies of a server hold in memory together; undefined: not counted. */
  readonly memory?: BodyMemory | undefined;
}

/**
 * Counts what bodies hold in memory, all together, so that many medium ones cannot fill it: over the limit, all that
 * have more than a megabyte go to files.
 */
export class BodyMemory {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isFull(): boolean {
    return this.#usedBytes > this.#maxBytes;
  }

  /** Negative to give back. */
  take(sizeBytes: number): void {
    this.#usedBytes += sizeBytes;
  }
}

/** To be called once for every body that `readBody` gave, when it is sent or no longer needed. */
export function releaseBody({ spool, sizeBytes }: Body, { memory }: BodyLimits): void {
  if (spool === undefined) memory?.take(-sizeBytes);
  else void spool.release();
}

/**
 * Larger bodies go to a file, which adds about a millisecond per MB. Most images and documents are smaller than this.
 */
export const MAX_BYTES_IN_MEMORY = 8 * 1024 * 1024;
/** A file is written in pieces of this size, and each write pauses the client for a moment. */
const SPOOL_PIECE_BYTES = 1024 * 1024;
/** So much of a spooled body is kept in memory as well. */
const HEAD_BYTES = 1024;

/** Lower-case hex SHA-256 of no bytes. */
export const EMPTY_SHA256 = createHash('sha256').digest('hex');

/**
 * Throws ERR_BODY_TOO_LARGE, ERR_BODY_TIMEOUT, ERR_SPOOL, or ERR_CLIENT_GONE if the client leaves in the middle;
 * nothing has to be released then.
 */
export async function readBody(clientRequest: ClientRequest, limits: BodyLimits): Promise<Body> {
  const announced = Number(findHeader(clientRequest.headers, 'content-length') ?? 0);
  if (announced > limits.maxSizeBytes) throw tooLarge(limits.maxSizeBytes);
  const stream = clientRequest.openBody();
  return new Promise((resolve, reject) => {
    const kept = new KeptBytes(limits, announced);
    const idle = setTimeout(() => fail(timedOut(limits.idleTimeoutMs)), limits.idleTimeoutMs);
    let isOver = false;
    const onData = (chunk: Buffer): void => {
      if (kept.sizeBytes + chunk.length > limits.maxSizeBytes) return fail(tooLarge(limits.maxSizeBytes));
      idle.refresh();
      const writing = kept.add(chunk);
      if (writing === undefined) return;
      stream.pause();
      writing.then(goOn, fail);
    };
    const goOn = (): void => {
      if (isOver) return;
      idle.refresh();
      stream.resume();
    };
    const onEnd = (): void => {
      // Node ends the body of an HTTP/2 stream that the client reset as if it were complete, but destroys it first.
      if (stream.destroyed) return onBroken();
      detach();
      kept.finish().then(resolve, fail);
    };
    const onBroken = (cause?: unknown): void => fail(clientGone('The client left in the middle of its body.', cause));
    const detach = (): void => {
      isOver = true;
      clearTimeout(idle);
      stream.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      stream.on('error', () => {});
    };
    const fail = (error: ProxyError): void => {
      detach();
      stream.pause();
      kept.drop();
      reject(error);
    };
    stream.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
}

/** A body as it grows. State: what is in memory, what is in the file, and the hash of both. */
class KeptBytes {
  sizeBytes = 0;
  spool: Spool | undefined;
  readonly #directory: SpoolDirectory | undefined;
  readonly #memory: BodyMemory | undefined;
  readonly #hash = createHash('sha256');
  #head: Buffer | undefined;
  #chunks: Buffer[] = [];
  #bytesInMemory = 0;

  /** `announced`: the size by the client's word; 0 if it gave none. */
  constructor({ spoolDirectory, memory }: BodyLimits, announced: number) {
    this.#directory = spoolDirectory;
    this.#memory = memory;
    if (spoolDirectory !== undefined && announced > MAX_BYTES_IN_MEMORY) this.spool = new Spool(spoolDirectory);
  }

  /** A promise if the next chunk has to wait for the disk. */
  add(chunk: Buffer): Promise<void> | undefined {
    this.sizeBytes += chunk.length;
    this.#bytesInMemory += chunk.length;
    this.#memory?.take(chunk.length);
    this.#hash.update(chunk);
    this.#chunks.push(chunk);
    const limit = this.spool === undefined && this.#memory?.isFull !== true ? MAX_BYTES_IN_MEMORY : SPOOL_PIECE_BYTES;
    return this.#directory === undefined || this.#bytesInMemory <= limit ? undefined : this.#spill(this.#directory);
  }

  /** The body is no longer needed. */
  drop(): void {
    this.#memory?.take(-this.#bytesInMemory);
    this.#bytesInMemory = 0;
    this.#chunks = [];
    void this.spool?.release();
  }

  async finish(): Promise<Body> {
    const { sizeBytes, spool } = this;
    const sha256 = sizeBytes === 0 ? EMPTY_SHA256 : this.#hash.digest('hex');
    if (spool === undefined || this.#directory === undefined) return { chunks: this.#chunks, sizeBytes, sha256 };
    if (this.#chunks.length > 0) await this.#spill(this.#directory);
    return { chunks: this.#head === undefined ? [] : [this.#head], spool, sizeBytes, sha256 };
  }

  #spill(directory: SpoolDirectory): Promise<void> {
    this.spool ??= new Spool(directory);
    const chunks = this.#chunks;
    // A copy: a slice would keep alive what it was cut from.
    this.#head ??= Buffer.from(chunks[0]?.subarray(0, HEAD_BYTES) ?? []);
    this.#chunks = [];
    this.#memory?.take(-this.#bytesInMemory);
    this.#bytesInMemory = 0;
    return this.spool.write(chunks);
  }
}

function tooLarge(maxSizeBytes: number): ProxyError {
  return new ProxyError('ERR_BODY_TOO_LARGE', `The request body is over the proxy's limit of ${maxSizeBytes} bytes.`, {
    hint: 'Start the proxy with a larger --max-body-size.',
  });
}

function timedOut(idleTimeoutMs: number): ProxyError {
  return new ProxyError('ERR_BODY_TIMEOUT', `No byte of the request body came for ${idleTimeoutMs / 1000} seconds.`);
}
