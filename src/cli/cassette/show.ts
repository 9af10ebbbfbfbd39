/** `cassette show`. */
import { formatFields, printData } from '../../app/print.ts';
import { readCassette, numberOf } from '../../cassette/directory.ts';
import { describeBytes, encodePayload } from '../../cassette/payloads.ts';
import type { NamedRecording, RecordedBody, RecordedResponse } from '../../cassette/recording.ts';
import { ProxyError } from '../../lib/errors.ts';
import { formatMs } from '../../lib/format.ts';
import { printable, quote } from '../../lib/printable.ts';

interface ShowInput {
  readonly directory: string;
  readonly recording: string;
  readonly json: boolean;
}

/** A line of a body, or a frame; the file has all of it. */
const MAX_LINE_LENGTH = 2000;
const MAX_LINES = 2000;

/** Prints it, safe for a terminal. Throws ERR_BAD_OPTION. */
export async function showRecording({ directory, recording, json }: ShowInput): Promise<void> {
  const { recordings } = await readCassette(directory);
  const found = find(recordings, recording.replace(/\.json$/, ''));
  if (json) return printData(JSON.stringify(found.recording));
  printData(formatRecording(found));
}

function find(recordings: readonly NamedRecording[], sought: string): NamedRecording {
  const exact = recordings.filter(({ name }) => name === sought);
  const numbered = /^\d+$/.test(sought)
    ? recordings.filter(({ name }) => !name.includes('/') && numberOf(name) === Number(sought))
    : recordings.filter(({ name }) => name.startsWith(sought));
  const [found, other] = exact.length > 0 ? exact : numbered;
  if (found === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', `There is no recording ${quote(sought)}.`, {
      hint: 'bedrock-proxy cassette list shows those that are there.',
    });
  }
  if (other === undefined) return found;
  throw new ProxyError('ERR_BAD_OPTION', `${quote(sought)} may be ${found.name} or ${other.name}.`, {
    hint: 'Give more of the name.',
  });
}

function formatRecording({ name, recording: { request, response } }: NamedRecording): string {
  const query = request.query === undefined ? '' : `?${request.query}`;
  const head = formatFields([
    ['recording', printable(name, MAX_LINE_LENGTH)],
    ['operation', printable(`${request.service} ${request.operation || '(unknown)'}`, MAX_LINE_LENGTH)],
    ['request', printable(`${request.method} ${request.path}${query}`, MAX_LINE_LENGTH)],
    ['status', `${response.status}, ${response.end}`],
    ['first byte', formatMs(response.firstByteMs)],
    ['hash', response.sha256 ?? 'none: the file was edited'],
  ]);
  return [
    head,
    section('Request', [...formatHeaders(request.headers), ...formatBody(request.body)]),
    section('Response', [...formatHeaders(response.headers), ...formatBody(response.body), ...formatPieces(response)]),
  ].join('\n\n');
}

function section(title: string, lines: readonly string[]): string {
  const left = lines.length - MAX_LINES;
  const shown = lines.slice(0, MAX_LINES).map((line) => `  ${printable(line, MAX_LINE_LENGTH)}`);
  return [title, ...shown, ...(left > 0 ? [`  … and ${left} more lines`] : [])].join('\n');
}

function formatHeaders(headers: readonly (readonly [string, string])[]): readonly string[] {
  return headers.map(([name, value]) => `${name}: ${value}`);
}

function formatBody(body: RecordedBody | undefined): readonly string[] {
  if (body === undefined) return [];
  if ('blob' in body) return [`the bytes in blobs/${body.blob}`];
  if ('json' in body) return JSON.stringify(body.json, undefined, 2).split('\n');
  const bytes = encodePayload(body);
  const described = describeBytes(bytes);
  return 'text' in described ? described.text.split('\n') : [`${bytes.length} bytes that are no text`];
}

/** What came bit by bit, with its times; what the client sent in the meantime has an arrow. */
function formatPieces({ frames, events, chunks, sentFrames, sentChunks }: RecordedResponse): readonly string[] {
  const came = [...(frames ?? []), ...(events ?? []), ...(chunks ?? [])].map((item) => ({ item, arrow: ' ' }));
  const sent = [...(sentFrames ?? []), ...(sentChunks ?? [])].map((item) => ({ item, arrow: '>' }));
  return [...came, ...sent]
    .toSorted((one, other) => one.item[0] - other.item[0])
    .map(({ item: [atMs, ...rest], arrow }) => {
      const words = rest.map((part) => (typeof part === 'string' ? part : JSON.stringify(part)));
      return `${arrow}${atMs.toFixed(1).padStart(9)} ms  ${words.join('  ')}`;
    });
}
