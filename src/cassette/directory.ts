/**
 * A cassette on the disk: a directory with one JSON file for each exchange, `cassette.json` with its rules, and the
 * folder `blobs`. It may come from a stranger with a clone: links are not followed, names lead nowhere else, and what
 * is read has bounds.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { link, mkdir, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import { encodeResponseBody, measureBody, type OpenBlob } from './proof.ts';
import type { NamedRecording, RecordedResponse, Recording } from './recording.ts';
import { type CassetteRules, DEFAULT_RULES, parseRules } from './rules.ts';
import { parseRecording } from './shape.ts';

/** What a cassette may have. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_ALL_BYTES = 1024 * 1024 * 1024;
const MAX_RECORDINGS = 20_000;
const MAX_DEPTH = 4;

/** The name of the folder with bodies that are no text. */
export const BLOBS = 'blobs';
/** The file with the rules. */
const RULES_FILE = 'cassette.json';
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** A cassette as it was read. */
export interface LoadedCassette {
  readonly directory: string;
  readonly rules: CassetteRules;
  /** In the order of their names: numbers by their value. */
  readonly recordings: readonly NamedRecording[];
  readonly openBlob: OpenBlob;
}

/** Reads all of it, to play it. Throws ERR_BAD_OPTION, for a recording that is not what its hash says too. */
export async function loadCassette(directory: string): Promise<LoadedCassette> {
  const read = await readCassette(directory);
  for (const named of read.recordings) requireIntact(named, read.openBlob);
  return read;
}

/** Reads all of it, to look at it; a directory that is not there has no recordings. Throws ERR_BAD_OPTION. */
export async function readCassette(directory: string): Promise<LoadedCassette> {
  const openBlob = createBlobReader(directory);
  const rules = readRules(directory);
  const names = await listRecordings(directory, '', 0);
  if (names.length > MAX_RECORDINGS) throw unusable(directory, `has more than ${MAX_RECORDINGS} recordings`);
  let sizeBytes = 0;
  const recordings = names.map((name): NamedRecording => {
    const bytes = readPlainFile(join(directory, `${name}.json`));
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_ALL_BYTES) throw unusable(directory, 'has more than a gigabyte of recordings');
    return { name, recording: parseRecording(bytes, `${name}.json`) };
  });
  return { directory, rules, recordings, openBlob };
}

/** Whether a response has the bytes of its hash; `edited`: it has no hash any more. Throws ERR_BAD_OPTION. */
export function verifyResponse(response: RecordedResponse, openBlob: OpenBlob): 'exact' | 'edited' | 'broken' {
  const measured = measureBody(encodeResponseBody(response, openBlob));
  if (response.sha256 === undefined) return 'edited';
  return measured.sha256 === response.sha256 ? 'exact' : 'broken';
}

/** Throws ERR_BAD_OPTION if the bytes of a response are not those of its hash. */
function requireIntact({ name, recording: { response } }: NamedRecording, openBlob: OpenBlob): void {
  if (verifyResponse(response, openBlob) !== 'broken') return;
  throw new ProxyError('ERR_BAD_OPTION', `The recording ${name}.json is not what was recorded: its hash is wrong.`, {
    hint: 'If it was edited on purpose, remove `sha256` from it; else record it anew.',
  });
}

/** The rules of a cassette; the usual ones if it has none. Throws ERR_BAD_OPTION. */
function readRules(directory: string): CassetteRules {
  const path = join(directory, RULES_FILE);
  if (!existsSync(path)) return DEFAULT_RULES;
  try {
    return parseRules(JSON.parse(readPlainFile(path).toString()));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) throw unusable(directory, `has a ${RULES_FILE} that is no JSON`);
    throw thrown;
  }
}

async function listRecordings(directory: string, scope: string, depth: number): Promise<string[]> {
  const entries = await readEntries(join(directory, scope));
  const prefix = scope === '' ? '' : `${scope}/`;
  const files = entries
    .filter((entry) => entry.isFile() && NAME.test(entry.name) && /^\d+.*\.json$/.test(entry.name))
    .map(({ name }) => name.slice(0, -'.json'.length))
    .toSorted((one, other) => numberOf(one) - numberOf(other) || (one < other ? -1 : 1))
    .map((name) => `${prefix}${name}`);
  const folders = entries.filter((entry) => entry.isDirectory() && NAME.test(entry.name) && entry.name !== BLOBS);
  if (depth === MAX_DEPTH) return files;
  const below = folders.map(({ name }) => name).toSorted();
  for (const name of below) files.push(...(await listRecordings(directory, `${prefix}${name}`, depth + 1)));
  return files;
}

async function readEntries(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (findCode(error) === 'ENOENT') return [];
    throw unusable(path, `cannot be read (${findCode(error) ?? 'unknown'})`, error);
  }
}

/** The number that a name of a recording begins with. */
export function numberOf(name: string): number {
  return Number(/^\d+/.exec(name)?.[0] ?? 0);
}

function createBlobReader(directory: string): OpenBlob {
  return (name) => {
    const bytes = readPlainFile(join(directory, BLOBS, name));
    // By its name it cannot be another file that something in the folder leads to.
    if (hashOf(bytes) === name.slice(0, 64)) return bytes;
    throw unusable(directory, `has a file ${BLOBS}/${name} whose hash is another one`);
  };
}

/** No links, no devices, no large files. */
function readPlainFile(path: string): Buffer {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw unusable(path, 'is no file');
    if (stats.size > MAX_FILE_BYTES) throw unusable(path, `has more than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(descriptor);
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const code = findCode(error) ?? 'unknown';
    throw unusable(path, code === 'ELOOP' ? 'is a link, which is not followed' : `cannot be read (${code})`, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function unusable(path: string, what: string, cause?: unknown): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `The cassette cannot be used: ${path} ${what}.`, { cause });
}

/** Lower-case hex SHA-256. */
export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes `cassette.json` if there is none. By its salt, stand-ins of different cassettes say nothing together. */
export function beginCassette(directory: string, version: string, now: Date): void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, RULES_FILE);
  if (existsSync(path)) return;
  const salt = randomBytes(8).toString('hex');
  const json = { version: 1, recorded: now.toISOString().slice(0, 10), proxy: version, salt };
  // `wx`: another process may do the same.
  try {
    writeFileSync(path, `${JSON.stringify(json, undefined, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    if (findCode(error) !== 'EEXIST')
      throw unusable(path, `cannot be written (${findCode(error) ?? 'unknown'})`, error);
  }
}

/**
 * Writes a file below the directory, whole or not at all; `replaces`: whether one of this name may be there. Throws
 * ERR_BAD_OPTION if a link leads out of the directory, and what `node:fs` does.
 */
export async function writeBelow(
  directory: string,
  file: string,
  { text, replaces }: { readonly text: string | Buffer; readonly replaces: boolean },
): Promise<void> {
  const path = join(directory, file);
  await mkdir(dirname(path), { recursive: true });
  const [root, folder] = await Promise.all([realpath(directory), realpath(dirname(path))]);
  if (folder !== root && !folder.startsWith(`${root}${sep}`)) throw unusable(path, 'leads out of it');
  const draft = `${path}.${randomBytes(6).toString('hex')}.draft`;
  try {
    await writeFile(draft, text, { flag: 'wx' });
    if (replaces) await rename(draft, path);
    else await link(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** What `requireIntact` needs of a recording that is to be written: its size and hash counted anew. */
export function sealRecording(recording: Recording, openBlob: OpenBlob): Recording {
  const { bytes: _bytes, sha256: _sha256, ...response } = recording.response;
  return { ...recording, response: { ...response, ...measureBody(encodeResponseBody(response, openBlob)) } };
}
