/**
 * Reads a client's body to its end, because SigV4 needs its hash before the first byte is sent. The bytes are kept as
 * they came, small bodies in memory and large ones in a file, hashed while they arrive, and never parsed. Limits size
 * (before the end is read) and silence (not total time).
 *
 * A client may send its body in chunks of single bytes. Each would be an object of its own, some hundred times as large
 * as what the quota counts, so that small ones are joined while they come.
 */
import { createHash } from 'node:crypto';
import { GrowingBuffer } from '../lib/growing-buffer.ts';
import { clientGone, ProxyError, toAbortError, toProxyError } from '../lib/errors.ts';
import { type BodyQuota, SMALL_BODY_BYTES } from './body-quota.ts';
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
  /** What all bodies of a server hold together; undefined: not counted. */
  readonly quota?: BodyQuota | undefined;
}

/** To be called once for every body that `readBody` gave, when it is sent or no longer needed; `owner` as there. */
export function releaseBody({ spool, sizeBytes }: Body, { quota }: BodyLimits, owner = NOBODY): void {
  if (spool === undefined) quota?.addMemory(owner, -sizeBytes);
  else void spool.release().then(() => quota?.giveBackDisk(owner, sizeBytes));
}

/** Owner of bodies that are not counted. */
const NOBODY = '';
/**
 * Larger bodies go to a file, which doubles what they cost. Most images and documents are smaller than this.
 */
const MAX_BYTES_IN_MEMORY = 8 * 1024 * 1024;
/** The same if their size was announced, and memory had room for all of it at that moment. InvokeModel takes 25 MB. */
export const MAX_ANNOUNCED_IN_MEMORY = 32 * 1024 * 1024;
/** A file is written in pieces of this size, and each write pauses the client for a moment. */
const SPOOL_PIECE_BYTES = 1024 * 1024;
/** A smaller chunk is copied to those before it; for a larger one the copy would cost more than its object. */
const SMALL_CHUNK_BYTES = 4 * 1024;
/** No more small chunks are joined to one. */
const JOINED_BYTES = 64 * 1024;
/** So much of a spooled body is kept in memory as well. */
const HEAD_BYTES = 1024;

/** Lower-case hex SHA-256 of no bytes. */
export const EMPTY_SHA256 = createHash('sha256').digest('hex');

/**
 * Throws ERR_BODY_TOO_LARGE, ERR_BODY_TIMEOUT, ERR_SPOOL, ERR_TOO_MANY_UPLOADS, or ERR_CLIENT_GONE if the client leaves
 * in the middle; nothing has to be released then. `owner`: for whom the body counts.
 */
export async function readBody(clientRequest: ClientRequest, limits: BodyLimits, owner = NOBODY): Promise<Body> {
  const announced = Number(findHeader(clientRequest.headers, 'content-length') ?? 0);
  if (announced > limits.maxSizeBytes) throw tooLarge(limits.maxSizeBytes);
  const { signal } = clientRequest;
  const kept = new KeptBytes(limits, { announced, owner });
  const stream = clientRequest.openBody();
  return new Promise((resolve, reject) => {
    const idle = setTimeout(() => fail(timedOut(limits.idleTimeoutMs)), limits.idleTimeoutMs);
    let isOver = false;
    const onData = (chunk: Buffer): void => {
      if (kept.sizeBytes + chunk.length > limits.maxSizeBytes) return fail(tooLarge(limits.maxSizeBytes));
      idle.refresh();
      let writing: Promise<void> | undefined;
      try {
        writing = kept.add(chunk);
      } catch (thrown) {
        return fail(toProxyError(thrown));
      }
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
      // The client does not wait for a disk that hangs either.
      signal.addEventListener('abort', onGone, { once: true });
      const detachSignal = (): void => signal.removeEventListener('abort', onGone);
      void kept.finish().then(resolve, fail).finally(detachSignal);
    };
    const onBroken = (cause?: unknown): void => fail(clientGone('The client left in the middle of its body.', cause));
    const onGone = (): void => fail(toAbortError(signal));
    const detach = (): void => {
      isOver = true;
      clearTimeout(idle);
      signal.removeEventListener('abort', onGone);
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
    // A stream that waits for the disk does not notice.
    signal.addEventListener('abort', onGone, { once: true });
    if (signal.aborted) onGone();
  });
}

/**
 * A body as it grows. State: what is in memory, what is in the file, the hash of both, and what is taken of the quota.
 */
class KeptBytes {
  sizeBytes = 0;
  spool: Spool | undefined;
  readonly #directory: SpoolDirectory | undefined;
  readonly #quota: BodyQuota | undefined;
  readonly #owner: string;
  readonly #hash = createHash('sha256');
  #head: Buffer | undefined;
  #chunks: Buffer[] = [];
  /** Small chunks, which are neither hashed nor among `#chunks` yet. */
  readonly #joined = new GrowingBuffer();
  #bytesInMemory = 0;
  #takenOnDisk = 0;
  #isUpload = false;
  readonly #mostInMemory: number;

  /** `announced`: the size by the client's word; 0 if it gave none. Throws as `readBody` does. */
  constructor({ spoolDirectory, quota }: BodyLimits, { announced, owner }: { announced: number; owner: string }) {
    this.#directory = spoolDirectory;
    this.#quota = quota;
    this.#owner = owner;
    quota?.checkMemory(owner, announced);
    if (announced > SMALL_BODY_BYTES) this.#beginUpload();
    const mayStay = announced <= MAX_ANNOUNCED_IN_MEMORY && quota?.hasMemory(owner, announced) !== false;
    this.#mostInMemory = mayStay ? Math.max(announced, MAX_BYTES_IN_MEMORY) : MAX_BYTES_IN_MEMORY;
    if (spoolDirectory === undefined || announced <= this.#mostInMemory) return;
    try {
      this.#takeDisk(announced);
    } catch (error) {
      this.#endUpload();
      throw error;
    }
    this.spool = new Spool(spoolDirectory);
  }

  /** A promise if the next chunk has to wait for the disk. Throws ERR_TOO_MANY_UPLOADS and ERR_SPOOL. */
  add(chunk: Buffer): Promise<void> | undefined {
    this.sizeBytes += chunk.length;
    this.#bytesInMemory += chunk.length;
    this.#quota?.addMemory(this.#owner, chunk.length);
    if (!this.#isUpload && this.sizeBytes > SMALL_BODY_BYTES) this.#beginUpload();
    // The first one stays as it is: most bodies come in one.
    if (chunk.length < SMALL_CHUNK_BYTES && this.sizeBytes > chunk.length) this.#join(chunk);
    else this.#keep(chunk);
    return this.#directory === undefined || this.#bytesInMemory <= this.#maxBytesInMemory()
      ? undefined
      : this.#spill(this.#directory);
  }

  /** The body is no longer needed. */
  drop(): void {
    this.#endUpload();
    this.#leaveMemory();
    this.#chunks = [];
    this.#joined.take();
    const taken = this.#takenOnDisk;
    void this.spool?.release().then(() => this.#quota?.giveBackDisk(this.#owner, taken));
  }

  async finish(): Promise<Body> {
    const { sizeBytes, spool } = this;
    this.#closeJoined();
    const sha256 = sizeBytes === 0 ? EMPTY_SHA256 : this.#hash.digest('hex');
    const isInMemory = spool === undefined || this.#directory === undefined;
    if (!isInMemory && this.#chunks.length > 0) await this.#spill(this.#directory);
    this.#endUpload();
    if (isInMemory) return { chunks: this.#chunks, sizeBytes, sha256 };
    // What was announced and did not come.
    this.#quota?.giveBackDisk(this.#owner, this.#takenOnDisk - sizeBytes);
    return { chunks: this.#head === undefined ? [] : [this.#head], spool, sizeBytes, sha256 };
  }

  #join(chunk: Buffer): void {
    if (this.#joined.length + chunk.length > JOINED_BYTES) this.#closeJoined();
    this.#joined.append(chunk);
  }

  #closeJoined(): void {
    if (this.#joined.length > 0) this.#push(this.#joined.take());
  }

  #keep(chunk: Buffer): void {
    this.#closeJoined();
    this.#push(chunk);
  }

  #push(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#chunks.push(chunk);
  }

  #maxBytesInMemory(): number {
    if (this.#quota?.isMemoryFull === true) return SMALL_BODY_BYTES;
    return this.spool === undefined ? this.#mostInMemory : SPOOL_PIECE_BYTES;
  }

  #spill(directory: SpoolDirectory): Promise<void> {
    this.#takeDisk(this.sizeBytes);
    this.spool ??= new Spool(directory);
    this.#closeJoined();
    const chunks = this.#chunks;
    // A copy: a slice would keep alive what it was cut from.
    this.#head ??= Buffer.from(chunks[0]?.subarray(0, HEAD_BYTES) ?? []);
    this.#chunks = [];
    this.#leaveMemory();
    return this.spool.write(chunks);
  }

  #leaveMemory(): void {
    this.#quota?.addMemory(this.#owner, -this.#bytesInMemory);
    this.#bytesInMemory = 0;
  }

  /** So much in all. */
  #takeDisk(sizeBytes: number): void {
    if (sizeBytes <= this.#takenOnDisk) return;
    this.#quota?.takeDisk(this.#owner, sizeBytes - this.#takenOnDisk);
    this.#takenOnDisk = sizeBytes;
  }

  #beginUpload(): void {
    this.#quota?.beginUpload(this.#owner);
    this.#isUpload = true;
  }

  #endUpload(): void {
    if (this.#isUpload) this.#quota?.endUpload(this.#owner);
    this.#isUpload = false;
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
