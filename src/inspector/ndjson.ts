/**
 * Exchanges as lines of JSON (NDJSON), one on each, with their bytes: what an export has and `inspect open` and
 * `cassette import` read again. A first line says what the file is; it may be missing. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonObject, measureJson } from '../lib/json.ts';
import type { Exchange, KeptBody, KeptChunk } from './exchange.ts';
import { exchangeFromJson, exchangeToJson, isTime, wrongAt } from './exchange-json.ts';
import type { ExportHead } from './export-head.ts';
import { type BodyHead, countKept, makeBody } from './stored-body.ts';

/** The name of the format, in each line. */
const FORMAT = 'bedrock-proxy-exchange';
const VERSION = 1;
/** JSON in JSON is not as deep, whatever a model was asked: bodies are texts here. */
const MAX_DEPTH = 50;

/** The first line, with its line end. */
export function printExportHead({ version, exportedAtMs, isSanitized, dropped }: ExportHead): string {
  const exported = new Date(exportedAtMs).toISOString();
  const head = { format: `${FORMAT}s`, version: VERSION, by: `bedrock-proxy ${version}`, exported };
  return `${JSON.stringify({ ...head, sanitized: isSanitized, dropped })}\n`;
}

/** A line, with its line end. Bytes are text if they are UTF-8, else base64: those before a hole and after it. */
export function printExchange(exchange: Exchange): string {
  const json = exchangeToJson(exchange, (body) => ({
    ...describeBytes(body.read()),
    chunks: body.chunks().map(({ offset, sizeBytes, atMs }) => [offset, sizeBytes, Math.round(atMs * 1000) / 1000]),
  }));
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...json })}\n`;
}

function describeBytes(bytes: Buffer): JsonObject {
  return isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString('base64') };
}

/** Every exchange in a text. Throws ERR_BAD_OPTION that names line and place. */
export function readExchanges(text: string): Exchange[] {
  return text.split('\n').flatMap((line, index) => {
    const exchange = readExchangeLine(Buffer.from(line), `line ${index + 1}`);
    return exchange === undefined ? [] : [exchange];
  });
}

/**
 * Whether a line is of this format. It is looked at only so far as is needed: other lines may be something else that
 * somebody else understands.
 */
export function isExchangeLine(line: Uint8Array): boolean {
  return Buffer.from(line.buffer, line.byteOffset, Math.min(line.length, 100)).includes(`"${FORMAT}`);
}

/** Whether a line is the first of an export whose texts were taken out. */
export function readIsSanitized(line: Uint8Array): boolean {
  if (!Buffer.from(line.buffer, line.byteOffset, Math.min(line.length, 100)).includes(`"${FORMAT}s"`)) return false;
  return parse(line)['sanitized'] === true;
}

/** The exchange of a line; undefined for a blank one and for the first. Throws ERR_BAD_OPTION that names the place. */
export function readExchangeLine(line: Uint8Array, place: string): Exchange | undefined {
  if (line.every((byte) => byte <= 0x20)) return undefined;
  try {
    if (measureJson(line).depth > MAX_DEPTH) throw wrongAt('its JSON', 'is too deep');
    const json = parse(line);
    if (json['format'] === `${FORMAT}s`) {
      requireVersion(json);
      return undefined;
    }
    if (json['format'] !== FORMAT) throw wrongAt('/format', `is not ${FORMAT}`);
    requireVersion(json);
    return exchangeFromJson(json, readBody);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new ProxyError('ERR_BAD_OPTION', `The exchange of ${place} cannot be read: ${error.message}`, {
      hint: error.hint ?? 'It was cut or edited; export it again.',
    });
  }
}

function parse(line: Uint8Array): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(line).toString());
  } catch {
    throw wrongAt('', 'is no JSON');
  }
  if (!isObject(json)) throw wrongAt('', 'is no object');
  return json;
}

function requireVersion({ version }: JsonObject): void {
  if (version === VERSION) return;
  const hint = Number(version) > VERSION ? 'A newer bedrock-proxy wrote it: update.' : undefined;
  throw new ProxyError('ERR_BAD_OPTION', `/version is not ${VERSION}.`, { hint });
}

function readBody(head: BodyHead, { text, base64, chunks }: JsonObject): KeptBody {
  const isText = typeof text === 'string';
  if (!isText && typeof base64 !== 'string') throw wrongAt('a body', 'has neither text nor base64');
  const bytes = isText ? Buffer.from(text) : Buffer.from(String(base64), 'base64');
  if (bytes.length !== countKept(head)) throw wrongAt('a body', 'has not as many bytes as it says');
  const read = readChunks(chunks ?? [], head.sizeBytes);
  return makeBody(
    head,
    () => bytes,
    () => read,
  );
}

function readChunks(value: unknown, sizeBytes: number): readonly KeptChunk[] {
  if (!Array.isArray(value)) throw wrongAt('chunks', 'is no list');
  return value.map((item: unknown) => {
    const [offset, size, atMs]: readonly unknown[] = Array.isArray(item) ? item : [];
    const isChunk = Number.isSafeInteger(offset) && Number.isSafeInteger(size) && isTime(atMs);
    if (!isChunk || Number(offset) < 0 || Number(size) < 0 || Number(offset) + Number(size) > sizeBytes) {
      throw wrongAt('chunks', 'has one that is none');
    }
    return { offset: Number(offset), sizeBytes: Number(size), atMs };
  });
}

/** The lines of an export, the first one included. */
export function* exportNdjson(exchanges: Iterable<Exchange>, head: ExportHead): Generator<string, void> {
  yield printExportHead(head);
  for (const exchange of exchanges) yield printExchange(exchange);
}
