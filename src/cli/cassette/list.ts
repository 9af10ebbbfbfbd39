/** `cassette list` and `cassette show`. */
import { resolve } from 'node:path';
import { formatTable, printData, printJson, terminalWidth } from '../../app/print.ts';
import { loadCassette } from '../../cassette/directory.ts';
import { encodeResponseBody } from '../../cassette/proof.ts';
import type { NamedRecording, Recording } from '../../cassette/recording.ts';
import { compactBytes, formatMs } from '../../lib/format.ts';
import { ProxyError } from '../../lib/errors.ts';
import { findMeant } from '../../lib/nearest-name.ts';
import { escapeUnprintable, printable } from '../../lib/printable.ts';

interface ListInput {
  readonly directory: string;
  readonly json: boolean;
}

/** Prints a line for each recording. Throws ERR_BAD_OPTION if the cassette cannot be used. */
export async function listCassette({ directory, json }: ListInput): Promise<void> {
  const { recordings } = await loadCassette(resolve(directory));
  const facts = recordings.map(describe);
  if (json) return printJson(facts);
  const rows = facts.map(({ name, operation, status, bytes, frames, end, ms }) => [
    name,
    operation,
    String(status),
    compactBytes(bytes),
    frames === 0 ? '' : String(frames),
    formatMs(ms),
    end === 'complete' ? '' : end,
  ]);
  const header = ['recording', 'operation', 'status', 'size', 'frames', 'time', 'end'];
  printData(
    formatTable(header, rows, { right: new Set(['status', 'size', 'frames', 'time']), width: terminalWidth() }),
  );
}

/** Prints what one recording holds. Throws ERR_BAD_OPTION if there is no such recording. */
export async function showRecording({ directory, name, json }: ListInput & { readonly name: string }): Promise<void> {
  const { recordings, openBlob } = await loadCassette(resolve(directory));
  const wanted = name.replace(/\.json$/, '');
  const found = recordings.find((one) => one.name === wanted) ?? recordings.find((one) => one.name.startsWith(wanted));
  if (found === undefined) throw unknown(wanted, recordings);
  if (json) return printJson(found.recording);
  const { request, response } = found.recording;
  const line = `${request.method} ${request.path}${request.query === undefined ? '' : `?${request.query}`}`;
  const body = request.body === undefined ? [] : [JSON.stringify(request.body)];
  const pieces = [...(response.frames ?? []), ...(response.events ?? []), ...(response.chunks ?? [])];
  const timed = pieces.map(([atMs, ...rest]) => `${atMs.toFixed(1).padStart(9)} ms  ${rest.map(showPart).join('  ')}`);
  const whole =
    response.body === undefined ? [] : encodeResponseBody(response, openBlob).map(({ bytes }) => bytes.toString());
  const lines = [
    line,
    ...showHeaders(request.headers),
    '',
    ...body,
    '',
    `${response.status} after ${formatMs(response.firstByteMs)}, ${response.end}`,
    ...showHeaders(response.headers),
    '',
    ...timed,
    ...whole,
  ];
  printData(lines.map(escapeUnprintable).join('\n'));
}

function showHeaders(pairs: Recording['request']['headers']): string[] {
  return pairs.map(([name, value]) => `${name}: ${value}`);
}

function showPart(part: unknown): string {
  return typeof part === 'string' ? part : JSON.stringify(part);
}

function describe({ name, recording: { request, response } }: NamedRecording) {
  const pieces = response.frames ?? response.events ?? response.chunks ?? [];
  const ms = response.firstByteMs + (pieces.at(-1)?.[0] ?? 0);
  const { operation, path } = request;
  const { status, bytes, end } = response;
  return { name, operation, path, status, bytes, frames: pieces.length, end, ms };
}

function unknown(name: string, recordings: readonly NamedRecording[]): ProxyError {
  const meant = findMeant(
    name,
    recordings.map((recording) => recording.name),
  );
  return new ProxyError('ERR_BAD_OPTION', `The cassette has no recording ${printable(name)}.`, {
    hint: meant === undefined ? 'See `bedrock-proxy cassette list`.' : `Did you mean ${meant}?`,
  });
}
