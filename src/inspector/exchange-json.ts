/**
 * An exchange as JSON, without the bytes of its bodies, and back: a line of an export and a row of the file have it.
 * Who reads it may have got it from a stranger: every value is looked at. Pure.
 */
import { rowFromJson, rowToJson } from '../domain/ledger-columns.ts';
import type { HeaderPair } from '../http/message.ts';
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonObject } from '../lib/json.ts';
import type {
  Exchange,
  ExchangeEnd,
  ExchangeTimes,
  KeptBody,
  KeptMessage,
  KeptSigning,
  Layer,
  Omission,
} from './exchange.ts';
import type { BodyHead } from './stored-body.ts';

/** Which body of an exchange. */
export type BodySlot = Layer | 'clientStream';

/** Layers and the client's stream by the names that they have in JSON. */
export const SLOT_NAMES = {
  clientRequest: 'client_request',
  signedRequest: 'signed_request',
  upstreamResponse: 'upstream_response',
  clientResponse: 'client_response',
  clientStream: 'client_stream',
} as const satisfies Record<BodySlot, string>;

/** The four messages, in their order. */
export const LAYERS: readonly Layer[] = ['clientRequest', 'signedRequest', 'upstreamResponse', 'clientResponse'];

const TIMES = {
  authenticatedMs: 'authenticated_ms',
  bodyReadMs: 'body_read_ms',
  admittedMs: 'admitted_ms',
  signedMs: 'signed_ms',
  sentMs: 'sent_ms',
  headMs: 'head_ms',
  firstByteMs: 'first_byte_ms',
  lastByteMs: 'last_byte_ms',
  endedMs: 'ended_ms',
} as const satisfies Record<keyof ExchangeTimes, string>;

const SIGNING_TEXTS = {
  accessKeyId: 'access_key_id',
  scope: 'scope',
  payloadHash: 'payload_hash',
  canonicalRequest: 'canonical_request',
  stringToSign: 'string_to_sign',
} as const satisfies Partial<Record<keyof KeptSigning, string>>;

const SCHEMES: readonly KeptSigning['scheme'][] = ['sigv4', 'bearer', 'oauth', 'none'];
const ENDS: readonly ExchangeEnd[] = ['open', 'complete', 'cut', 'client-gone', 'refused'];
const OMISSIONS: readonly Omission[] = ['off', 'opt-out', 'size', 'memory', 'evicted', 'failed', 'sanitized'];

/** All of an exchange; `describeBody` adds to what is said of a body how its bytes are kept. */
export function exchangeToJson(
  exchange: Exchange,
  describeBody: (body: KeptBody, slot: BodySlot) => JsonObject,
): JsonObject {
  const { row, times, layers, clientStream, signing, conversation, attempt } = exchange;
  const toBody = (body: KeptBody | undefined, slot: BodySlot): JsonObject | null =>
    body === undefined ? null : { ...bodyToJson(body), ...describeBody(body, slot) };
  const messages = LAYERS.map((layer) => {
    const message = layers[layer];
    return [SLOT_NAMES[layer], message === undefined ? null : messageToJson(message, toBody(message.body, layer))];
  });
  return {
    id: exchange.id,
    sequence: exchange.sequence,
    end: exchange.end,
    is_streamed: row.isStreamed,
    row: rowToJson(row),
    times: renameKnown(times, TIMES),
    layers: Object.fromEntries(messages),
    client_stream: toBody(clientStream, 'clientStream'),
    signing: signing === undefined ? null : signingToJson(signing),
    conversation: conversation === undefined ? null : { ...conversation, previous: conversation.previous ?? null },
    attempt: attempt ?? null,
    failed_attempts: exchange.failedAttempts,
    omitted: exchange.omitted ?? null,
    parent: exchange.parent ?? null,
    is_edited: exchange.isEdited,
    is_pinned: exchange.isPinned,
    note: exchange.note ?? null,
  };
}

function bodyToJson({ sizeBytes, sha256, hole }: BodyHead): JsonObject {
  return {
    size_bytes: sizeBytes,
    sha256: sha256 ?? null,
    hole: hole === undefined ? null : { at: hole.at, size_bytes: hole.sizeBytes, why: hole.why },
  };
}

function messageToJson(message: KeptMessage, body: JsonObject | null): JsonObject {
  const { method, authority, target, httpVersion, status, headers } = message;
  return {
    ...(method === undefined ? {} : { method }),
    ...(authority === undefined ? {} : { authority }),
    ...(target === undefined ? {} : { target }),
    ...(httpVersion === undefined ? {} : { http_version: httpVersion }),
    ...(status === undefined ? {} : { status }),
    headers,
    body,
  };
}

function signingToJson(signing: KeptSigning): JsonObject {
  const { scheme, signedHeaders } = signing;
  return {
    scheme,
    ...renameKnown(signing, SIGNING_TEXTS),
    ...(signedHeaders === undefined ? {} : { signed_headers: signedHeaders }),
  };
}

/** What an object has of these members, by their names in JSON. */
function renameKnown(object: object, names: Readonly<Record<string, string>>): JsonObject {
  const found = Object.entries(object).flatMap(([member, value]) => {
    const name = names[member];
    return name === undefined || value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(found);
}

/**
 * The exchange that a JSON value says. `readBody` gets what is said of a body, and makes it. Throws ERR_BAD_OPTION that
 * names the place.
 */
export function exchangeFromJson(
  json: unknown,
  readBody: (head: BodyHead, json: JsonObject, slot: BodySlot) => KeptBody,
): Exchange {
  const whole = objectAt(json, '');
  const row = rowFromJson(objectAt(whole['row'], '/row'));
  if (typeof row === 'string') throw wrongAt(`/row/${row}`, 'is not what a row has');
  const toBody = (value: unknown, slot: BodySlot, place: string): KeptBody | undefined =>
    value === null || value === undefined ? undefined : readBody(bodyAt(value, place), objectAt(value, place), slot);
  const messages = objectAt(whole['layers'], '/layers');
  const layers = LAYERS.flatMap((layer) => {
    const name = SLOT_NAMES[layer];
    const place = `/layers/${name}`;
    const value = messages[name] ?? undefined;
    if (value === undefined) return [];
    const message = objectAt(value, place);
    return [[layer, { ...messageAt(message, place), body: toBody(message['body'], layer, `${place}/body`) }]];
  });
  return {
    id: textAt(whole['id'], '/id'),
    sequence: countAt(whole['sequence'], '/sequence'),
    row: { ...row, isStreamed: whole['is_streamed'] === true },
    end: wordAt(whole['end'], ENDS, '/end'),
    times: timesAt(objectAt(whole['times'], '/times')),
    layers: Object.fromEntries(layers) as Exchange['layers'],
    clientStream: toBody(whole['client_stream'], 'clientStream', '/client_stream'),
    signing: maybe(whole['signing'], '/signing', signingAt),
    conversation: maybe(whole['conversation'], '/conversation', conversationAt),
    attempt: maybe(whole['attempt'], '/attempt', attemptAt),
    failedAttempts: textsAt(whole['failed_attempts'], '/failed_attempts'),
    omitted: maybe(whole['omitted'], '/omitted', (value, place) => wordAt(value, OMISSIONS, place)),
    parent: maybe(whole['parent'], '/parent', textAt),
    isEdited: whole['is_edited'] === true,
    isPinned: whole['is_pinned'] === true,
    note: maybe(whole['note'], '/note', textAt),
  };
}

/** A value that is not what an exchange has there. */
export function wrongAt(place: string, what: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `${place === '' ? 'It' : place} ${what}.`);
}

function messageAt(message: JsonObject, place: string): Omit<KeptMessage, 'body'> {
  return {
    method: maybe(message['method'], `${place}/method`, textAt),
    authority: maybe(message['authority'], `${place}/authority`, textAt),
    target: maybe(message['target'], `${place}/target`, textAt),
    httpVersion: maybe(message['http_version'], `${place}/http_version`, textAt),
    status: maybe(message['status'], `${place}/status`, countAt),
    headers: headersAt(message['headers'], `${place}/headers`),
  };
}

function headersAt(value: unknown, place: string): readonly HeaderPair[] {
  if (!Array.isArray(value) || !value.every(isPair)) throw wrongAt(place, 'is no list of headers');
  // Each was looked at.
  return value as HeaderPair[];
}

function isPair(pair: unknown): boolean {
  return Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string');
}

function bodyAt(value: unknown, place: string): BodyHead {
  const body = objectAt(value, place);
  const hole = maybe(body['hole'], `${place}/hole`, (found, at) => {
    const { at: offset, size_bytes: size, why } = objectAt(found, at);
    return {
      at: countAt(offset, `${at}/at`),
      sizeBytes: countAt(size, `${at}/size_bytes`),
      why: wordAt(why, OMISSIONS, `${at}/why`),
    };
  });
  const sizeBytes = countAt(body['size_bytes'], `${place}/size_bytes`);
  if (hole !== undefined && hole.at + hole.sizeBytes > sizeBytes) throw wrongAt(`${place}/hole`, 'is beyond its end');
  const sha256 = maybe(body['sha256'], `${place}/sha256`, textAt);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) throw wrongAt(`${place}/sha256`, 'is no SHA-256');
  return { sizeBytes, sha256, hole };
}

function timesAt(json: JsonObject): ExchangeTimes {
  const names = Object.entries(TIMES);
  return Object.fromEntries(names.map(([name, key]) => [name, maybe(json[key], `/times/${key}`, numberAt)]));
}

function signingAt(value: unknown, place: string): KeptSigning {
  const json = objectAt(value, place);
  const texts = Object.entries(SIGNING_TEXTS).map(([name, key]) => [name, maybe(json[key], `${place}/${key}`, textAt)]);
  return {
    scheme: wordAt(json['scheme'], SCHEMES, `${place}/scheme`),
    ...(Object.fromEntries(texts) as Omit<KeptSigning, 'scheme' | 'signedHeaders'>),
    signedHeaders: maybe(json['signed_headers'], `${place}/signed_headers`, textsAt),
  };
}

function conversationAt(value: unknown, place: string): NonNullable<Exchange['conversation']> {
  const { id, turn, previous } = objectAt(value, place);
  return {
    id: textAt(id, `${place}/id`),
    turn: countAt(turn, `${place}/turn`),
    previous: maybe(previous, `${place}/previous`, textAt),
  };
}

function attemptAt(value: unknown, place: string): NonNullable<Exchange['attempt']> {
  const { number, previous } = objectAt(value, place);
  return { number: countAt(number, `${place}/number`), previous: textAt(previous, `${place}/previous`) };
}

function maybe<Value>(
  value: unknown,
  place: string,
  read: (value: unknown, place: string) => Value,
): Value | undefined {
  return value === null || value === undefined ? undefined : read(value, place);
}

function objectAt(value: unknown, place: string): JsonObject {
  if (!isObject(value)) throw wrongAt(place, 'is no object');
  return value;
}

function textAt(value: unknown, place: string): string {
  if (typeof value !== 'string') throw wrongAt(place, 'is no text');
  return value;
}

function textsAt(value: unknown, place: string): readonly string[] {
  if (!Array.isArray(value)) throw wrongAt(place, 'is no list');
  return value.map((item, index) => textAt(item, `${place}/${index}`));
}

function numberAt(value: unknown, place: string): number {
  if (!isTime(value)) throw wrongAt(place, 'is no number');
  return value;
}

/** Milliseconds; none of an exchange lasts a year. */
const MAX_TIME_MS = 31_536_000_000;

/** Whether a value is a time within an exchange: JSON can say numbers that are none. */
export function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME_MS;
}

function countAt(value: unknown, place: string): number {
  if (!Number.isSafeInteger(value) || Number(value) < 0) throw wrongAt(place, 'is no whole number');
  return Number(value);
}

function wordAt<Word extends string>(value: unknown, words: readonly Word[], place: string): Word {
  const found = words.find((word) => word === value);
  if (found === undefined) throw wrongAt(place, `is none of ${words.join(', ')}`);
  return found;
}
