/**
 * The part of a large body that memory does not hold: a temporary file of one request. Readable by its owner alone,
 * without a name from its first moment (if the system allows that), gone when it is released. Keeps bytes, decides
 * nothing.
 */
import { findDescriptorShortage } from '../lib/descriptors.ts';
import { findCode } from '../lib/errno.ts';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ProxyError } from '../lib/errors.ts';

/** Where spools are made, and by which names. */
export interface SpoolDirectory {
  readonly folder: string;
  /** A name that is unique and cannot be guessed. */
  readonly newId: () => string;
}

/** O_EXCL: a link under that name, laid by another user, is never followed. */
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const READ_BYTES = 256 * 1024;

/** One temporary file. State: its handle, and the work that is not done yet. The file is made with the first bytes. */
export class Spool {
  readonly #directory: SpoolDirectory;
  #file: { readonly handle: FileHandle; readonly leftPath: string | undefined } | undefined;
  #sizeBytes = 0;
  #work: Promise<void> = Promise.resolve();
  #released: Promise<void> | undefined;

  constructor(directory: SpoolDirectory) {
    this.#directory = directory;
  }

  /** Appends; one call after the other. Throws ERR_SPOOL if the disk is full or does not take files. */
  write(chunks: readonly Buffer[]): Promise<void> {
    this.#work = this.#work.then(() => this.#append(chunks));
    return this.#work;
  }

  /** All bytes, from the first. Throws if the file is released meanwhile. */
  async *read(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.#sizeBytes;) {
      const size = Math.min(READ_BYTES, this.#sizeBytes - at);
      // Fresh each time: what has been handed on may still wait in a socket.
      const piece = Buffer.allocUnsafeSlow(size);
      const bytesRead = (await this.#file?.handle.read(piece, 0, size, at))?.bytesRead ?? 0;
      if (bytesRead === 0) throw new ProxyError('ERR_INTERNAL', 'The temporary file of the request is cut short.');
      at += bytesRead;
      yield bytesRead === size ? piece : piece.subarray(0, bytesRead);
    }
  }

  /** A part of what was written; shorter at its end. Throws if the file is released meanwhile. */
  async readPart(at: number, sizeBytes: number): Promise<Buffer> {
    const piece = Buffer.allocUnsafeSlow(Math.max(0, Math.min(sizeBytes, this.#sizeBytes - at)));
    const file = this.#file;
    if (file === undefined) throw new ProxyError('ERR_INTERNAL', 'The temporary file of the request is gone.');
    const { bytesRead } = await file.handle.read(piece, 0, piece.length, at);
    return piece.subarray(0, bytesRead);
  }

  /** Closes and removes the file, after what is under way. Never rejects; once is enough, more is harmless. */
  release(): Promise<void> {
    this.#released ??= this.#work.catch(() => {}).then(() => this.#remove());
    return this.#released;
  }

  async #append(chunks: readonly Buffer[]): Promise<void> {
    if (this.#released !== undefined) return;
    const sizeBytes = chunks.reduce((sum, { length }) => sum + length, 0);
    try {
      this.#file ??= await create(this.#directory);
      const { bytesWritten } = await this.#file.handle.writev(chunks, this.#sizeBytes);
      if (bytesWritten !== sizeBytes) throw Object.assign(new Error('a short write'), { code: 'ENOSPC' });
      this.#sizeBytes += sizeBytes;
    } catch (error) {
      throw unwritable(this.#directory.folder, error);
    }
  }

  async #remove(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(() => {});
    if (file?.leftPath !== undefined) await unlink(file.leftPath).catch(() => {});
  }
}

async function create({
  folder,
  newId,
}: SpoolDirectory): Promise<{ handle: FileHandle; leftPath: string | undefined }> {
  const path = join(folder, `bedrock-proxy-${newId()}.body`);
  const handle = await open(path, CREATE, 0o600);
  // Even a killed process leaves nothing behind. Windows may refuse to remove an open file: there it goes at its
  // release.
  const isGone = await unlink(path).then(
    () => true,
    () => false,
  );
  return { handle, leftPath: isGone ? undefined : path };
}

function unwritable(folder: string, cause: unknown): ProxyError {
  const shortage = findDescriptorShortage(cause);
  if (shortage !== undefined) return shortage;
  const code = findCode(cause) ?? 'unknown';
  return new ProxyError('ERR_SPOOL', `The proxy cannot put the large request body into a temporary file (${code}).`, {
    hint: 'On the machine that runs the proxy, make room in its temporary folder or set TMPDIR to another one.',
    detail: `${code} in ${folder}`,
    cause,
  });
}
