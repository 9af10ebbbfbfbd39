/**
 * What is wrong with the files of a cassette: secrets and what is not scrubbed, broken files and hashes, links, age,
 * and what the last run did not play. Never repeats what it found. Pure, on what `check-files.ts` has read.
 */
import { asObject, asTexts, isObject, type JsonObject, measureJson } from '../lib/json.ts';
import { printable } from '../lib/printable.ts';
import { listTexts, toPointer } from './places.ts';
import { parseRules } from './rules.ts';
import { findNamedSecret, findSecrets, type SecretFinding } from './secrets.ts';

/** One thing that was found in a file. */
export interface CassetteFinding {
  /** Its path within the cassette. */
  readonly file: string;
  /** `unused` alone is no problem by itself. */
  readonly kind: 'secret' | 'personal' | 'broken' | 'hash' | 'age' | 'unused';
  readonly message: string;
}

/** A file as it was read. */
export interface CassetteFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What a check is told besides the files. */
export interface CheckOptions {
  readonly nowMs: number;
  /** Undefined: however old. */
  readonly maxAgeMs: number | undefined;
  /** Whether a recording gives the bytes of its hash; one without a hash is `edited`, no problem. May throw. */
  readonly verifyHash?: (file: CassetteFile) => 'exact' | 'edited' | 'broken';
}

const MAX_DEPTH = 300;
/** Members that hold bytes in base64. */
const BASE64_MEMBER = /^(?:base64|raw|bytes|data)$/;
const BASE64 = /^[A-Za-z0-9+/]{16,}={0,2}$/;
const DAY_MS = 86_400_000;

/** Everything that is wrong, file by file. */
export function checkFiles(files: readonly CassetteFile[], options: CheckOptions): readonly CassetteFinding[] {
  return files.flatMap((file) => {
    if (!file.path.endsWith('.json')) return checkBlob(file);
    const json = readJson(file.bytes);
    if (json === undefined) {
      return [
        { file: file.path, kind: 'broken' as const, message: 'is no JSON object' },
        ...findSecrets(Buffer.from(file.bytes).toString()).map((found) => toFinding(file.path, '', found)),
      ];
    }
    const name = file.path.split('/').at(-1);
    if (name === '.last-run.json') return checkLastRun(file.path, json);
    const found = lintJson(file.path, json);
    return [
      ...found,
      ...(name === 'cassette.json' ? checkRules(file.path, json, options) : checkRecording(file, json, options)),
    ];
  });
}

/** Whether a path within a cassette is a recording's. */
export function isRecordingPath(path: string): boolean {
  return path.endsWith('.json') && !/(?:^|\/)(?:cassette|\.last-run)\.json$/.test(path);
}

function readJson(bytes: Uint8Array): JsonObject | undefined {
  if (measureJson(bytes).depth > MAX_DEPTH) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function checkBlob({ path, bytes }: CassetteFile): CassetteFinding[] {
  const json = readJson(bytes);
  return json === undefined ? lintBytes(path, '', bytes) : lintJson(path, json);
}

function checkRules(path: string, json: JsonObject, { nowMs, maxAgeMs }: CheckOptions): CassetteFinding[] {
  const found: CassetteFinding[] = [];
  try {
    parseRules(json);
  } catch (error) {
    found.push({ file: path, kind: 'broken', message: error instanceof Error ? error.message : String(error) });
  }
  const recordedMs = Date.parse(String(json['recorded']));
  if (maxAgeMs !== undefined && nowMs - recordedMs > maxAgeMs) {
    const days = Math.floor((nowMs - recordedMs) / DAY_MS);
    found.push({ file: path, kind: 'age', message: `was recorded ${days} days ago` });
  }
  return found;
}

function checkRecording(file: CassetteFile, json: JsonObject, { verifyHash }: CheckOptions): CassetteFinding[] {
  const { path } = file;
  if (json['version'] !== 1 || !isObject(json['request']) || !isObject(json['response'])) {
    return [{ file: path, kind: 'broken', message: 'is no recording of version 1' }];
  }
  try {
    if (verifyHash === undefined || verifyHash(file) !== 'broken') return [];
    return [
      { file: path, kind: 'hash', message: 'its response is not the one of its sha256; without it, it is edited' },
    ];
  } catch (error) {
    return [{ file: path, kind: 'broken', message: printable(error instanceof Error ? error.message : String(error)) }];
  }
}

function checkLastRun(path: string, json: JsonObject): CassetteFinding[] {
  const folder = path.slice(0, -'.last-run.json'.length);
  return asTexts(json['unused']).map((name) => ({
    file: `${folder}${printable(name)}.json`,
    kind: 'unused',
    message: 'was not played in the last run',
  }));
}

function lintJson(file: string, json: JsonObject): CassetteFinding[] {
  const found: CassetteFinding[] = [];
  const look = (value: unknown, segments: readonly string[]): void => {
    const name = segments.at(-1) ?? '';
    if (typeof value === 'string') found.push(...lintText(file, toPointer(segments), name, value));
    else if (Array.isArray(value)) {
      found.push(...lintPair(file, toPointer(segments), value));
      value.forEach((item, index) => look(item, [...segments, String(index)]));
    } else if (isObject(value)) {
      for (const [member, inner] of Object.entries(value)) {
        found.push(...findSecrets(member).map((secret) => toFinding(file, `a name in ${toPointer(segments)}`, secret)));
        look(inner, [...segments, member]);
      }
    }
  };
  look(json, []);
  return [...found, ...lintPieces(file, json, found)];
}

function lintText(file: string, pointer: string, name: string, text: string): CassetteFinding[] {
  const named = findNamedSecret(name, text);
  const found = [...findSecrets(text), ...(named === undefined ? [] : [named])];
  const within = BASE64_MEMBER.test(name) && BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
  return [
    ...found.map((secret) => toFinding(file, pointer, secret)),
    ...(within === undefined ? [] : lintBytes(file, pointer, within)),
  ];
}

/** A header. */
function lintPair(file: string, pointer: string, value: readonly unknown[]): CassetteFinding[] {
  const [name, text] = value;
  if (value.length !== 2 || typeof name !== 'string' || typeof text !== 'string') return [];
  const found = findNamedSecret(name, text);
  return found === undefined ? [] : [toFinding(file, pointer, found)];
}

/** Bytes are never free of what looks like an address. */
function lintBytes(file: string, pointer: string, bytes: Uint8Array): CassetteFinding[] {
  const found = findSecrets(Buffer.from(bytes).toString('latin1')).filter(({ kind }) => kind === 'secret');
  return found.map((secret) => toFinding(file, pointer, secret));
}

/** What a stream brings in pieces: the texts of all frames at the same place, put together. */
function lintPieces(file: string, json: JsonObject, known: readonly CassetteFinding[]): CassetteFinding[] {
  const response = asObject(json['response']);
  const streams = ['frames', 'events', 'chunks'].filter((name) => Array.isArray(response[name]));
  return streams.flatMap((stream) => {
    const items = response[stream] as readonly unknown[];
    const texts = items.flatMap((item) => (Array.isArray(item) ? listTexts(item.at(-1)) : []));
    const together = [...Map.groupBy(texts, ({ pointer }) => pointer)].flatMap(([pointer, pieces]) =>
      findSecrets(pieces.map(({ text }) => text).join('')).map((secret) =>
        toFinding(file, `/response/${stream}/*${pointer}, put together,`, secret),
      ),
    );
    return together.filter(({ message }) => !known.some((other) => isSameThing(other.message, message)));
  });
}

/** Found in one piece already. */
function isSameThing(one: string, other: string): boolean {
  return one.slice(one.indexOf(' holds ')) === other.slice(other.indexOf(' holds '));
}

function toFinding(file: string, where: string, { what, kind }: SecretFinding): CassetteFinding {
  return { file, kind, message: `${where === '' ? 'the file' : printable(where, 200)} holds ${what}` };
}
