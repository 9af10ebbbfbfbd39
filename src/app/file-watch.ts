/**
 * Notices that files of the owner have changed while the server runs. Polls: a rename is no event on every file system.
 * Reads nothing of them.
 */
import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 2_000;

/** What is watched, and who is told. */
export interface FileWatchOptions {
  /** They may be missing. */
  readonly files: readonly string[];
  /** One of them is another than before. Not called again before it has ended. Must not reject. */
  readonly onChange: () => Promise<void>;
  readonly lookEveryMs?: number | undefined;
}

/** State: what the files were when they were looked at last. `open` looks for the first time. */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #state: string;
  #isLooking = false;

  /** To be awaited before the files are read: what changes meanwhile is seen by the first look. */
  static async open(options: FileWatchOptions): Promise<FileWatch> {
    return new FileWatch(options, await readState(options.files));
  }

  private constructor(options: FileWatchOptions, state: string) {
    this.#options = options;
    this.#state = state;
    this.#timer = setInterval(() => void this.look(), options.lookEveryMs ?? LOOK_EVERY_MS).unref();
  }

  /** Looks now. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const state = await readState(this.#options.files);
      if (state === this.#state) return;
      this.#state = state;
      await this.#options.onChange();
    } finally {
      this.#isLooking = false;
    }
  }

  /** Nothing is looked at any more. */
  close(): void {
    clearInterval(this.#timer);
  }
}

/** What tells one state of the files from another. */
async function readState(files: readonly string[]): Promise<string> {
  const states = files.map(async (file) => {
    const found = await stat(file, { bigint: true }).catch(() => undefined);
    return found === undefined ? '' : [found.dev, found.ino, found.size, found.mtimeNs].join(':');
  });
  return (await Promise.all(states)).join(' ');
}
