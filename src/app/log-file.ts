/**
 * The log of a proxy in the background. Its processes write to it as to any standard output, and so does Node itself
 * if it must: it stays the same file, which is copied and emptied when it has grown.
 */
import { closeSync, copyFileSync, mkdirSync, openSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 10_000_000;
/** Beside the file itself, and older the higher their number. */
const MAX_OLD_FILES = 3;
const LOOK_EVERY_MS = 5_000;

/** Opens it to be appended to (0600); the caller closes it. Throws what `node:fs` does. */
export function openLogFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return openSync(path, 'a', 0o600);
}

/** Looks at its size from time to time, as long as the process lives. */
export function keepLogBounded(path: string): void {
  setInterval(() => rotateLog(path), LOOK_EVERY_MS).unref();
}

/** Moves what the file holds to `path.1`, and the older ones on, if it is larger than that. Never throws. */
export function rotateLog(path: string, maxBytes = MAX_BYTES): void {
  try {
    if (statSync(path).size <= maxBytes) return;
    rmSync(`${path}.${MAX_OLD_FILES}`, { force: true });
    for (let number = MAX_OLD_FILES - 1; number >= 1; number -= 1) moveOn(`${path}.${number}`, `${path}.${number + 1}`);
    closeSync(openSync(`${path}.1`, 'wx', 0o600));
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  } catch {
    // A disk that is full: the next round tries again.
  }
}

function moveOn(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, to);
}
