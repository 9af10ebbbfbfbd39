/**
 * Checks what the file of a recording holds, which somebody may have edited, or sent with a clone: every value is what
 * `recording.ts` says before anything is made of it. Pure.
 */
import { ProxyError } from '../lib/errors.ts';
import { isObject, measureJson } from '../lib/json.ts';
import type { Recording } from './recording.ts';

/** JSON in JSON is not as deep, whatever a model was asked. */
const MAX_DEPTH = 500;
const MAX_WAIT_MS = 24 * 60 * 60 * 1000;
const BLOB_NAME = /^[0-9a-f]{64}\.bin$/;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const ENDS: readonly unknown[] = ['complete', 'exception', 'cut', 'reset'];
const BODIES = ['body', 'frames', 'events', 'chunks'];

/** The recording in the bytes of a file. Throws ERR_BAD_OPTION that names the file and the place. */
export function parseRecording(bytes: Buffer, file: string): Recording {
  const wrong = (place: string, what: string): ProxyError =>
    new ProxyError('ERR_BAD_OPTION', `The recording ${file} cannot be used: ${place} ${what}.`, {
      hint: 'Correct the file, or delete it and record it anew.',
    });
  if (measureJson(bytes).depth > MAX_DEPTH) throw wrong('its JSON', 'is too deep');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString());
  } catch {
    throw wrong('it', 'is no JSON');
  }
  const problem = findProblem(json);
  if (problem !== undefined) throw wrong(...problem);
  // All of it has been looked at.
  return json as Recording;
}

type Problem = readonly [place: string, what: string];

function findProblem(json: unknown): Problem | undefined {
  if (!isObject(json)) return ['it', 'is no JSON object'];
  if (json['version'] !== 1) return ['/version', 'is not 1'];
  const { request, response } = json;
  if (!isObject(request)) return ['/request', 'is no object'];
  if (!isObject(response)) return ['/response', 'is no object'];
  return findRequestProblem(request) ?? findResponseProblem(response);
}

function findRequestProblem(request: Readonly<Record<string, unknown>>): Problem | undefined {
  for (const name of ['service', 'operation', 'method', 'path']) {
    if (typeof request[name] !== 'string') return [`/request/${name}`, 'is no text'];
  }
  const { query, headers, body } = request;
  if (query !== undefined && typeof query !== 'string') return ['/request/query', 'is no text'];
  if (!areHeaders(headers)) return ['/request/headers', 'is no list of headers'];
  return body === undefined || isBody(body) ? undefined : ['/request/body', 'is no body'];
}

function findResponseProblem(response: Readonly<Record<string, unknown>>): Problem | undefined {
  const { status, headers, firstByteMs, body, frames, events, chunks, sentFrames, sentChunks } = response;
  const { end, bytes, sha256 } = response;
  const isStatus = Number.isInteger(status) && (status === 101 || (Number(status) >= 200 && Number(status) <= 599));
  const checks: readonly (readonly [place: string, isRight: boolean, what: string])[] = [
    ['status', isStatus, 'is no status'],
    ['headers', areHeaders(headers), 'is no list of headers'],
    ['firstByteMs', isTime(firstByteMs), 'is no time in milliseconds'],
    ['body', body === undefined || isBody(body), 'is no body'],
    ['frames', isListOf(frames, isFrame), 'is no list of frames'],
    ['events', isListOf(events, isEvent), 'is no list of events'],
    ['chunks', isListOf(chunks, isChunk), 'is no list of chunks'],
    ['sentFrames', isListOf(sentFrames, isFrame), 'is no list of frames'],
    ['sentChunks', isListOf(sentChunks, isChunk), 'is no list of chunks'],
    ['end', ENDS.includes(end), 'is none of complete, exception, cut and reset'],
    ['bytes', bytes === undefined || (Number.isSafeInteger(bytes) && Number(bytes) >= 0), 'is no number of bytes'],
    ['sha256', sha256 === undefined || (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)), 'is no SHA-256'],
  ];
  const wrong = checks.find(([, isRight]) => !isRight);
  if (wrong !== undefined) return [`/response/${wrong[0]}`, wrong[2]];
  const bodies = BODIES.filter((name) => response[name] !== undefined);
  return bodies.length > 1 ? ['/response', `has ${bodies.join(' and ')}`] : undefined;
}

function areHeaders(value: unknown): boolean {
  return Array.isArray(value) && value.every(isHeader);
}

function isHeader(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [name, text]: unknown[] = value;
  return typeof name === 'string' && TOKEN.test(name) && typeof text === 'string' && HEADER_VALUE.test(text);
}

function isBody(value: unknown): boolean {
  if (!isObject(value) || Object.keys(value).length !== 1) return false;
  const { blob } = value;
  return typeof blob === 'string' ? BLOB_NAME.test(blob) : isPayload(value);
}

function isPayload(value: Readonly<Record<string, unknown>>): boolean {
  const named = ['json', 'text', 'base64'].filter((name) => Object.hasOwn(value, name));
  const [name = ''] = named;
  return named.length === 1 && (name === 'json' || typeof value[name] === 'string');
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MAX_WAIT_MS;
}

function isListOf(value: unknown, isItem: (item: readonly unknown[]) => boolean): boolean {
  if (value === undefined) return true;
  return Array.isArray(value) && value.every((item) => Array.isArray(item) && isTime(item[0]) && isItem(item));
}

function isFrame(item: readonly unknown[]): boolean {
  const [, frame] = item;
  if (item.length === 3) return isHeaderText(frame);
  if (item.length !== 2 || !isObject(frame)) return false;
  const { raw, exception, headers } = frame;
  if (raw !== undefined) return typeof raw === 'string';
  if (exception !== undefined) return isHeaderText(exception) && Object.hasOwn(frame, 'json');
  return (typeof headers === 'string' || areFrameHeaders(headers)) && isPayload(frame);
}

function areFrameHeaders(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((header) => {
      const [name, text]: readonly unknown[] = Array.isArray(header) ? header : [];
      return typeof name === 'string' && Buffer.byteLength(name) <= 255 && isHeaderText(text);
    })
  );
}

/** As long as a header of a frame can be. */
function isHeaderText(value: unknown): boolean {
  return typeof value === 'string' && Buffer.byteLength(value) <= 65_535;
}

function isEvent(item: readonly unknown[]): boolean {
  if (item.length === 2) return isChunk(item);
  return item.length === 3 && (item[1] === null || (typeof item[1] === 'string' && !/[\r\n]/.test(item[1])));
}

function isChunk(item: readonly unknown[]): boolean {
  const [, raw] = item;
  return item.length === 2 && isObject(raw) && !Object.hasOwn(raw, 'json') && isPayload(raw);
}
