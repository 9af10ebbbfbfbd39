/** Writes small files for their owner alone, such that nobody ever reads half of one. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { findCode } from './errno.ts';

/** Puts `text` in the place of the file at `path`, which appears complete or not at all. Throws what `node:fs` does. */
export function replaceFile(path: string, text: string): void {
  writeDraft(path, text, (draft) => renameSync(draft, path));
}

/**
 * Makes the file at `path`, complete or not at all, but leaves one that is there as it is: of several processes that
 * make it at once the first wins. Read the file afterwards to know what it holds. Throws what `node:fs` does.
 */
export function createFile(path: string, text: string): void {
  writeDraft(path, text, (draft) => {
    try {
      // link(2), unlike rename(2), refuses to replace.
      linkSync(draft, path);
    } catch (error) {
      if (findCode(error) !== 'EEXIST') throw error;
    }
  });
}

/** Makes the folder if it is missing (0700), and the draft beside the file (0600, on the disk before it is named). */
function writeDraft(path: string, text: string, put: (draft: string) => void): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    // `wx`: if others may write in the folder, nobody can have put a link there to receive a secret.
    writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true });
    put(draft);
  } finally {
    rmSync(draft, { force: true });
  }
}
