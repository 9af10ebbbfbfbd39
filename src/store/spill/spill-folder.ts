/**
 * The files of rows that wait for a database: one row a line, as JSON. Each process writes files of its own, which its
 * name leads to; those of processes that are gone, another one takes over. Files are small, and removed one by one when
 * their rows are in the database. State: which files there are, and what is in them.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { WallClock } from '../../lib/clock.ts';
import { findCode } from '../../lib/errno.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { LedgerRow } from '../../domain/ledger.ts';
import type { ProcessSpace } from '../../keys/exec-key.ts';

/** What all files of a process have together, at most: some two million rows. */
const MAX_BYTES = 1024 ** 3;
/** A file that is larger is followed by another one: it is read at once, on the event loop. */
const FILE_BYTES = 1024 ** 2;
/** The files of a process of another machine, or container, that has not touched them for so long are nobody's. */
const ABANDONED_MS = 60_000;
const NAME = /^([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-(\d+)\.ndjson$/;
const REFUSED_NAME = 'refused.ndjson';

/** Where rows wait, and who writes them there. */
export interface SpillFolderOptions {
  /** Of one database; made if it is missing. */
  readonly path: string;
  readonly space: ProcessSpace;
  readonly pid: number;
  readonly nowMs: WallClock;
  readonly maxBytes?: number | undefined;
  readonly fileBytes?: number | undefined;
}

/** A file that is not written any more. */
export interface SpillFile {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
}

interface OpenFile extends SpillFile {
  readonly handle: FileHandle;
  rows: number;
  bytes: number;
}

/** The rows of a file, and the lines that are none. */
export interface SpilledRows {
  readonly rows: readonly LedgerRow[];
  readonly damaged: readonly string[];
}

/** All methods reject with what `node:fs` throws, and with ERR_STORE_UNAVAILABLE if there is no room. */
export class SpillFolder {
  readonly path: string;
  readonly #options: SpillFolderOptions;
  /** No other process has it: the number of a process comes again. */
  readonly #nonce = randomBytes(4).toString('hex');
  /** Oldest first. */
  #files: SpillFile[] = [];
  #open: OpenFile | undefined;
  #lastNumber = 0;
  /** One thing at a time is done to files. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(options: SpillFolderOptions) {
    this.path = options.path;
    this.#options = options;
  }

  /** How many rows wait. */
  get rows(): number {
    return this.#files.reduce((sum, { rows }) => sum + rows, this.#open?.rows ?? 0);
  }

  get #bytes(): number {
    return this.#files.reduce((sum, { bytes }) => sum + bytes, this.#open?.bytes ?? 0);
  }

  /** Once it resolves, a kill, or a loss of power, loses nothing of them. */
  append(rows: readonly LedgerRow[]): Promise<void> {
    return this.#alone(async () => {
      const lines = toLines(rows);
      if (this.#bytes + lines.length > (this.#options.maxBytes ?? MAX_BYTES)) throw spillFull(this.path);
      const file = (await this.#findWritable()) ?? (await this.#create());
      try {
        await file.handle.appendFile(lines);
        await file.handle.datasync();
      } catch (error) {
        // Half a line must not be followed by another one.
        await file.handle.truncate(file.bytes).catch(() => {});
        await this.#closeOpen();
        throw error;
      }
      file.rows += rows.length;
      file.bytes += lines.length;
      if (file.bytes >= (this.#options.fileBytes ?? FILE_BYTES)) await this.#closeOpen();
    });
  }

  /** The oldest files, as many as have `rows` rows together, but one at least; none if no row waits. */
  oldest(rows: number): Promise<readonly SpillFile[]> {
    return this.#alone(async () => {
      let found = 0;
      const before = (file: SpillFile): boolean => {
        const isWanted = found < rows;
        found += file.rows;
        return isWanted;
      };
      if (this.#files.reduce((sum, file) => sum + file.rows, 0) < rows) await this.#closeOpen();
      return this.#files.filter(before);
    });
  }

  /** None of a file that is gone: somebody took us for dead, and has it now. */
  async read({ path }: SpillFile): Promise<SpilledRows> {
    const lines = (await readIfThere(path)).split('\n');
    // What follows the last end of a line was never promised to anybody.
    const parsed = lines.slice(0, -1).map((line) => ({ line, row: parseRow(line) }));
    return {
      rows: parsed.flatMap(({ row }) => row ?? []),
      damaged: parsed.flatMap(({ line, row }) => (row === undefined ? line : [])),
    };
  }

  /** The file has these rows only; without any, it is removed. */
  keep(file: SpillFile, rows: readonly LedgerRow[]): Promise<void> {
    return this.#alone(async () => {
      const index = this.#files.indexOf(file);
      if (rows.length === 0) {
        await rm(file.path, { force: true });
        this.#files.splice(index, 1);
        return;
      }
      const lines = toLines(rows);
      const draft = `${file.path}.new`;
      await writeDurably(draft, 'w', lines);
      await rename(draft, file.path);
      this.#files.splice(index, 1, { path: file.path, rows: rows.length, bytes: lines.length });
    });
  }

  /** Puts away what the database will never take, for a person to look at. */
  async refuse(lines: readonly string[]): Promise<string> {
    const path = join(this.path, REFUSED_NAME);
    await writeDurably(path, 'a', Buffer.from(lines.map((line) => `${line}\n`).join('')));
    return path;
  }

  /** Takes over the files of processes that are gone. Returns the number of rows in them. */
  adopt(nowMs: number): Promise<number> {
    return this.#alone(async () => {
      const adopted: SpillFile[] = [];
      for (const name of (await listFolder(this.path)).toSorted()) {
        const path = join(this.path, name);
        if (!(await this.#isAbandoned(name, path, nowMs))) continue;
        const mine = this.#newPath();
        // Of several that try, one finds it.
        if (!(await succeeds(rename(path, mine)))) continue;
        const bytes = await readFile(mine);
        adopted.push({ path: mine, rows: countLines(bytes), bytes: bytes.length });
      }
      this.#files = [...adopted, ...this.#files];
      return adopted.reduce((sum, { rows }) => sum + rows, 0);
    });
  }

  /** Tells other machines that this process is alive. */
  async touch(): Promise<void> {
    const now = this.#options.nowMs() / 1_000;
    const paths = [...this.#files, ...(this.#open === undefined ? [] : [this.#open])].map(({ path }) => path);
    await Promise.all(paths.map((path) => utimes(path, now, now).catch(() => {})));
  }

  /** What is in the files stays there. */
  close(): Promise<void> {
    return this.#alone(() => this.#closeOpen());
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }

  /** The open file, unless somebody who took us for dead has it now. */
  async #findWritable(): Promise<OpenFile | undefined> {
    if (this.#open === undefined || (await succeeds(stat(this.#open.path)))) return this.#open;
    await this.#open.handle.close();
    this.#open = undefined;
    return undefined;
  }

  async #create(): Promise<OpenFile> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    const path = this.#newPath();
    const handle = await open(path, 'ax', 0o600);
    this.#open = { path, handle, rows: 0, bytes: 0 };
    await syncFolder(this.path);
    return this.#open;
  }

  async #closeOpen(): Promise<void> {
    const file = this.#open;
    if (file === undefined) return;
    const { path, rows, bytes } = file;
    // Whoever counts the rows meanwhile finds them in one of the two places.
    this.#open = undefined;
    if (rows > 0) this.#files.push({ path, rows, bytes });
    await file.handle.close();
    if (rows === 0) await rm(path, { force: true });
  }

  #newPath(): string {
    this.#lastNumber += 1;
    const { space, pid } = this.#options;
    return join(this.path, `${space.tag}-${pid}-${this.#nonce}-${String(this.#lastNumber).padStart(8, '0')}.ndjson`);
  }

  async #isAbandoned(name: string, path: string, nowMs: number): Promise<boolean> {
    const [, tag, pid, nonce] = NAME.exec(name) ?? [];
    if (tag === undefined || nonce === this.#nonce) return false;
    const { space, pid: ownPid } = this.#options;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: nowMs }));
    if (tag !== space.tag) return nowMs - mtimeMs > ABANDONED_MS;
    return Number(pid) === ownPid || mtimeMs < space.bootedAtMs || !space.isAlive(Number(pid));
  }
}

function toLines(rows: readonly LedgerRow[]): Buffer {
  return Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

function parseRow(line: string): LedgerRow | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isLedgerRow(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What we wrote ourselves: JSON leaves out what is undefined, and so do rows. */
function isLedgerRow(value: unknown): value is LedgerRow {
  if (typeof value !== 'object' || value === null) return false;
  const { id, startedAtMs, requests, chargedNanoUsd, tags }: Partial<Record<keyof LedgerRow, unknown>> = value;
  return (
    typeof id === 'string' &&
    [startedAtMs, requests, chargedNanoUsd].every((each) => typeof each === 'number') &&
    typeof tags === 'object'
  );
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, end + 1)) lines += 1;
  return lines;
}

async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (findCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (findCode(error) === 'ENOENT') return '';
    throw error;
  }
}

async function writeDurably(path: string, flag: 'w' | 'a', bytes: Buffer): Promise<void> {
  const handle = await open(path, flag, 0o600);
  try {
    await handle.appendFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** The name of a new file is durable too; Windows has no such thing. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

function spillFull(path: string): ProxyError {
  return new ProxyError('ERR_STORE_UNAVAILABLE', 'The rows that wait for the database fill all that they may have.', {
    hint: 'Bring the database back: they are taken in then.',
    detail: path,
  });
}
