/**
 * What the program keeps, as an interface: virtual keys today. Asynchronous, so that a database server can stand behind it
 * later; SQLite (`sqlite.ts`) stands behind it now. Types only.
 */

/** A virtual key at rest: never the key itself. Times are epoch milliseconds. */
export interface VirtualKeyRow {
  /** `vk_` and 16 lower-case characters; safe to show. */
  readonly id: string;
  readonly alias: string | undefined;
  /** Hex SHA-256 of the key. */
  readonly keySha256: string;
  /** The last four characters of the key, for people to recognise it. */
  readonly lastFour: string;
  /** 20 characters, upper case and digits; AWS's own ids never start like ours. */
  readonly accessKeyId: string;
  /** The key itself, sealed with AES-256-GCM under the server secret: SigV4 verification needs it again. */
  readonly sealedKey: Buffer;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | undefined;
  /** From here on it is over, whatever the clock does later. */
  readonly revokedAtMs: number | undefined;
  /** Set where it was rotated with a grace time: it is over as soon as the clock says so. */
  readonly endsAtMs: number | undefined;
}

export type NewVirtualKeyRow = Omit<VirtualKeyRow, 'lastUsedAtMs' | 'revokedAtMs' | 'endsAtMs'>;

/** Every method throws ProxyError ERR_STORE_UNAVAILABLE where the store cannot answer. */
export interface Store {
  /** The key with this hash, revoked ones included, as of now: a change made by another process is seen at once. */
  findKeyBySha256(keySha256: string): Promise<VirtualKeyRow | undefined>;
  findKeyByAccessKeyId(accessKeyId: string): Promise<VirtualKeyRow | undefined>;
  /** True where any key was ever made: a revoked key does not open the proxy again. */
  hasAnyKey(): Promise<boolean>;
  /** Throws ERR_BAD_REQUEST where an active key has the same alias. */
  insertKey(row: NewVirtualKeyRow): Promise<void>;
  /**
   * Stores `successor` and ends the key it follows, both or neither: at `endsAtMs`, or at once where that is undefined. Throws
   * ERR_BAD_REQUEST where that key has an end already.
   */
  rotateKey(id: string, successor: NewVirtualKeyRow, endsAtMs: number | undefined): Promise<void>;
  /** All keys, oldest first. */
  listKeys(): Promise<VirtualKeyRow[]>;
  /** Marks a key revoked; the time of an earlier revocation stays. */
  revokeKey(id: string, revokedAtMs: number): Promise<void>;
  /** Notes that a key was used. Written later and in groups: never waits for the disk. */
  touchKey(id: string, usedAtMs: number): void;
  /** Writes what is still to be written and closes the files. */
  close(): Promise<void>;
}
