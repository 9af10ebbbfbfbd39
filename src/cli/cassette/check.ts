/** `cassette check`. */
import { EXIT_FAILED, formatTable, printData, printJson, terminalWidth } from '../../app/print.ts';
import { type CassetteFile, type CassetteFinding, checkFiles, isRecordingPath } from '../../cassette/check.ts';
import { readCassetteFiles } from '../../cassette/check-files.ts';
import { verifyResponse } from '../../cassette/directory.ts';
import { parseRecording } from '../../cassette/shape.ts';
import { ProxyError } from '../../lib/errors.ts';
import { printable, quote } from '../../lib/printable.ts';

interface CheckInput {
  readonly directory: string;
  readonly maxAge: string | undefined;
  readonly strict: boolean;
  readonly json: boolean;
}

const DAY_MS = 86_400_000;

/** Prints what is found; the exit code is 1 if something is wrong. Throws ERR_BAD_OPTION. */
export async function checkCassette({ directory, maxAge, strict, json }: CheckInput): Promise<void> {
  const maxAgeMs = readMaxAge(maxAge);
  const { files, findings } = readCassetteFiles(directory);
  const all = [...findings, ...checkFiles(files, { nowMs: Date.now(), maxAgeMs, verifyHash: verifyAmong(files) })];
  const recordings = files.filter(({ path }) => isRecordingPath(path)).length;
  const problems = all.filter(({ kind }) => strict || kind !== 'unused').length;
  if (json) printJson({ directory, ok: problems === 0, recordings, problems, findings: all });
  else printData(formatFindings(all, recordings, problems));
  if (problems > 0) process.exitCode = EXIT_FAILED;
}

/** By their names, which are their hashes, blobs of several cassettes are kept apart. */
function verifyAmong(files: readonly CassetteFile[]): (file: CassetteFile) => 'exact' | 'edited' | 'broken' {
  const blobs = new Map(files.map(({ path, bytes }) => [path.split('/').at(-1), bytes]));
  const openBlob = (name: string): Buffer => {
    const bytes = blobs.get(name);
    if (bytes === undefined) throw new ProxyError('ERR_BAD_OPTION', `has no blob ${quote(name)}`);
    return Buffer.from(bytes);
  };
  return ({ path, bytes }) => {
    return verifyResponse(parseRecording(Buffer.from(bytes), path).response, openBlob);
  };
}

function readMaxAge(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, days] = /^(\d{1,5})d?$/.exec(text) ?? [];
  if (days !== undefined) return Number(days) * DAY_MS;
  throw new ProxyError('ERR_BAD_OPTION', `--max-age is no number of days: ${quote(text)}.`, { hint: 'Try 90d.' });
}

function formatFindings(findings: readonly CassetteFinding[], recordings: number, problems: number): string {
  const head = `${countOf(recordings, 'recording')}, ${problems === 0 ? 'no problem' : countOf(problems, 'problem')}`;
  if (findings.length === 0) return head;
  const rows = findings.map(({ file, kind, message }) => [printable(file, 200), kind, printable(message, 300)]);
  return `${head}\n\n${formatTable(['file', 'kind', 'what'], rows, { width: terminalWidth() })}`;
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
