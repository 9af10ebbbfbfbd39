/**
 * Reads the files of a cassette for a check, which finds what is wrong with them instead of failing. Follows no link.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import type { CassetteFile, CassetteFinding } from './check.ts';

/** As a recording may have them: no response of Bedrock is larger. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 20_000;
const MAX_DEPTH = 6;

/** The files of a cassette, and what is wrong with those that cannot be read. */
export interface ReadFiles {
  readonly files: readonly CassetteFile[];
  readonly findings: readonly CassetteFinding[];
}

/** Reads recordings, rules and blobs, those of sub-directories too. Throws ERR_BAD_OPTION if there is no directory. */
export function readCassetteFiles(directory: string): ReadFiles {
  const files: CassetteFile[] = [];
  const findings: CassetteFinding[] = [];
  const look = (folder: string, depth: number): void => {
    for (const name of readdirSync(join(directory, folder)).toSorted()) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if ((name.startsWith('.') && name !== '.last-run.json') || files.length + findings.length >= MAX_FILES) continue;
      const stats = lstatSync(join(directory, path));
      const refuse = (message: string): unknown => findings.push({ file: path, kind: 'broken', message });
      if (stats.isSymbolicLink()) refuse('is a link, which is not followed');
      else if (stats.isDirectory()) {
        if (depth < MAX_DEPTH) look(path, depth + 1);
        else refuse('is nested too deep');
      } else if (!/\.(?:json|bin)$/.test(name)) continue;
      else if (!stats.isFile()) refuse('is no file');
      else if (stats.size > MAX_FILE_BYTES) refuse('is too large');
      else files.push({ path, bytes: readFileSync(join(directory, path)) });
    }
  };
  try {
    look('', 0);
  } catch (error) {
    throw new ProxyError('ERR_BAD_OPTION', 'The cassette cannot be read.', {
      hint: 'Name a directory with recordings.',
      detail: `${directory}: ${findCode(error) ?? 'unknown'}`,
      cause: error,
    });
  }
  return { files, findings };
}
