/**
 * What the bodies of a server hold together, in memory and on disk, and how many large ones are under way. Beyond that
 * a body is refused, before it is read as far as its size is known then: nobody can leave the others without room.
 * Counts; what is counted is held by `body.ts`.
 */
import { FairQuota } from '../lib/fair-quota.ts';
import { ProxyError } from '../lib/errors.ts';

/** A body up to this size may stay in memory when that is full, and is no upload. */
export const SMALL_BODY_BYTES = 64 * 1024;
/** Large bodies that one owner may send at once. Each has a connection, and may have a file. */
export const MAX_UPLOADS = 256;

/** How much there is. */
export interface BodyQuotaLimits {
  /** Beyond it bodies go to files, all but SMALL_BODY_BYTES of each. */
  readonly memoryBytes: number;
  /** Asked when nothing of ours is there: what is free may change while the process runs. */
  readonly findDiskBytes: () => number;
}

/**
 * State: what each owner holds. An owner is whoever shares with others: a key, or an address if nobody has proved yet
 * which key it is.
 */
export class BodyQuota {
  readonly #memoryBytes: number;
  readonly #memory: FairQuota;
  readonly #findDiskBytes: () => number;
  #disk: FairQuota;
  readonly #uploads = new Map<string, number>();

  constructor({ memoryBytes, findDiskBytes }: BodyQuotaLimits) {
    this.#memoryBytes = memoryBytes;
    // So much again for the small parts that stay there.
    this.#memory = new FairQuota(2 * memoryBytes);
    this.#findDiskBytes = findDiskBytes;
    this.#disk = new FairQuota(0);
  }

  get memoryUsedBytes(): number {
    return this.#memory.used;
  }

  get diskUsedBytes(): number {
    return this.#disk.used;
  }

  /** Bodies have to go to files, even if they are not large. */
  get isMemoryFull(): boolean {
    return this.#memory.used > this.#memoryBytes;
  }

  /** Whether so much more can be held before bodies have to go to files. */
  hasMemory(owner: string, sizeBytes: number): boolean {
    return this.#memory.used + sizeBytes <= this.#memoryBytes && this.#memory.hasRoom(owner, sizeBytes);
  }

  /** Throws ERR_TOO_MANY_UPLOADS if the small part of a body has no room in memory. */
  checkMemory(owner: string, sizeBytes: number): void {
    if (this.#memory.hasRoom(owner, Math.min(sizeBytes, SMALL_BODY_BYTES))) return;
    throw tooMany('The request bodies of this caller hold all the memory that they may.');
  }

  /** As `addMemory`, but throws ERR_TOO_MANY_UPLOADS if there is no room for more. */
  hold(owner: string, sizeBytes: number): void {
    if (sizeBytes > 0) this.checkMemory(owner, sizeBytes);
    this.addMemory(owner, sizeBytes);
  }

  /** What a body holds in memory; negative to give back. */
  addMemory(owner: string, sizeBytes: number): void {
    this.#memory.add(owner, sizeBytes);
  }

  /** Throws ERR_TOO_MANY_UPLOADS, or ERR_SPOOL if so much is never there. */
  takeDisk(owner: string, sizeBytes: number): void {
    if (this.#disk.used === 0) this.#disk = new FairQuota(this.#findDiskBytes());
    if (this.#disk.take(owner, sizeBytes)) return;
    if (sizeBytes > this.#disk.limit) {
      throw new ProxyError('ERR_SPOOL', 'The proxy has no room for a request body of this size.', {
        hint: 'On the machine that runs the proxy, make room in its temporary folder or set TMPDIR to another one.',
        detail: `${this.#disk.limit} bytes for all bodies`,
      });
    }
    throw tooMany('The large request bodies of this caller hold all the disk that they may.');
  }

  giveBackDisk(owner: string, sizeBytes: number): void {
    this.#disk.add(owner, -sizeBytes);
  }

  /** Throws ERR_TOO_MANY_UPLOADS. */
  beginUpload(owner: string): void {
    const underWay = this.#uploads.get(owner) ?? 0;
    if (underWay >= MAX_UPLOADS) throw tooMany(`This caller is sending ${underWay} large request bodies already.`);
    this.#uploads.set(owner, underWay + 1);
  }

  endUpload(owner: string): void {
    const left = (this.#uploads.get(owner) ?? 0) - 1;
    if (left > 0) this.#uploads.set(owner, left);
    else this.#uploads.delete(owner);
  }
}

function tooMany(message: string): ProxyError {
  return new ProxyError('ERR_TOO_MANY_UPLOADS', message, {
    hint: 'Try again when some of them are over.',
    retryAfterSeconds: 1,
  });
}
