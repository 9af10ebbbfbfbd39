/**
 * What may be shown to others of an exchange: how its bodies are built, sizes, times and errors, without what a prompt
 * or a response says, and without who sent it. Bodies are JSON again, event streams are event streams again, with
 * their times; what cannot be taken apart is left out. Pure.
 */
import { describeResponseBody, encodeResponseBody, formOf, type TimedBytes } from '../cassette/proof.ts';
import type { RecordedChunk, RecordedEvent, RecordedFrame, RecordedOddFrame } from '../cassette/recording.ts';
import { createScrubber } from '../cassette/scrub.ts';
import { maskSecrets } from '../cassette/secrets.ts';
import { findHeader, type HeaderPair } from '../http/message.ts';
import { isObject, measureJson } from '../lib/json.ts';
import type { Exchange, KeptBody, KeptMessage, KeptSigning } from './exchange.ts';
import { LAYERS } from './exchange-json.ts';
import { makeBody } from './stored-body.ts';

/** Headers whose values say nothing about people. Of all others there are name and length. */
const KEPT_HEADER = new RegExp(
  [
    '^(?:host|:authority|content-(?:type|length|encoding)|accept(?:-encoding|-language)?|user-agent|date|server|via',
    'connection|transfer-encoding|expect|upgrade|sec-websocket-version|retry-after|request-id',
    'x-amzn-(?!bedrock-request-)',
    'x-amz-(?:date|content-sha256|target|request-id|id-2|bedrock-)|anthropic-(?:beta|version)|openai-(?:beta|version)',
    'amz-sdk-|x-stainless-|x-bedrock-proxy-(?:request-id|cost|error|fault|overhead|upstream|attempt))',
  ].join('|'),
  'i',
);
/** Members whose values are words of an API. */
const KEPT_MEMBER = new RegExp(
  [
    '^(?:role|type|model(?:_?id)?|object|status|event|code|__type|ttl|effort|format|media_type|anthropic_version',
    'stop_?reason|finish_?reason|stopReason|finishReason|service_?tier|serviceTier|performanceConfigLatency',
    'id|tool_use_id|tool_call_id|call_id|toolUseId)$',
  ].join('|'),
);
const WORD = /^[\w.:/-]{1,100}$/;
const MEMBER_NAME = /^[A-Za-z_$][\w:.$-]{0,63}$/;
/** Below these is what a model or a tool made of a prompt, or how somebody's tools look. */
const OPAQUE_MEMBER = /^(?:input|arguments|json|(?:input_?)?schema|inputSchema|parameters|metadata|requestMetadata)$/;
const MAX_DEPTH = 200;
const MAX_LINES = 500_000;
const [LF, CR] = [0x0a, 0x0d];

/** Takes texts out of one exchange after the other; stand-ins for the same e-mail address are the same. */
export function createSanitizer(salt: string): (exchange: Exchange) => Exchange {
  const scrubber = createScrubber({ scrub: [], salt });
  const cleaner: Cleaner = {
    text: (text) => maskWhoever(scrubber.text(text)),
    target: (target) => maskWhoever(scrubber.path(target.split('?')[0] ?? '')),
  };
  return (exchange) => sanitize(exchange, cleaner);
}

/** Secrets, and what may be the number of an account. */
function maskWhoever(text: string): string {
  return maskSecrets(text).replaceAll(/(?<!\d)\d{12}(?!\d)/g, '000000000000');
}

interface Cleaner {
  /** Without accounts, addresses and secrets. */
  readonly text: (text: string) => string;
  /** A raw path, without its query. */
  readonly target: (target: string) => string;
}

function sanitize(exchange: Exchange, cleaner: Cleaner): Exchange {
  const { row, layers, clientStream, signing } = exchange;
  const clean = (text: string | undefined): string | undefined => (text === undefined ? undefined : cleaner.text(text));
  const cleaned = LAYERS.flatMap((layer) => {
    const message = layers[layer];
    return message === undefined ? [] : [[layer, sanitizeMessage(message, cleaner)]];
  });
  const type = findHeader(layers.clientRequest?.headers ?? [], 'content-type');
  return {
    ...exchange,
    row: {
      ...row,
      keyId: undefined,
      keyLabel: undefined,
      session: undefined,
      agent: undefined,
      tags: {},
      model: clean(row.model),
      inferenceProfile: clean(row.inferenceProfile),
      errorMessage: clean(row.errorMessage),
      path: row.path === undefined ? undefined : cleaner.target(row.path),
    },
    layers: Object.fromEntries(cleaned) as Exchange['layers'],
    clientStream: clientStream && sanitizeBody(clientStream, type, { cleaner, isError: false }),
    signing: signing && sanitizeSigning(signing, cleaner),
    note: undefined,
  };
}

interface Manner {
  readonly cleaner: Cleaner;
  /** What an error says is kept, without accounts and addresses. */
  readonly isError: boolean;
}

function sanitizeMessage(message: KeptMessage, cleaner: Cleaner): KeptMessage {
  const { target, headers, body, status = 0 } = message;
  return {
    ...message,
    ...(target === undefined ? {} : { target: cleaner.target(target) }),
    headers: headers.map(([name, value]) => sanitizeHeader([name, value], cleaner)),
    body: body && sanitizeBody(body, findHeader(headers, 'content-type'), { cleaner, isError: status >= 400 }),
  };
}

function sanitizeHeader([name, value]: HeaderPair, { text }: Cleaner): HeaderPair {
  return [name, KEPT_HEADER.test(name) ? text(value) : maskText(value)];
}

/** The lines of a canonical request are headers, but for the first three. */
function sanitizeSigning(signing: KeptSigning, cleaner: Cleaner): KeptSigning {
  const lines = signing.canonicalRequest?.split('\n').map((line, index) => {
    if (index === 1) return cleaner.target(line);
    if (index === 2) return line === '' ? '' : maskText(line);
    const [, name = '', value] = /^([^:]*):(.*)$/.exec(line) ?? [];
    return value === undefined ? cleaner.text(line) : sanitizeHeader([name, value], cleaner).join(':');
  });
  return { ...signing, canonicalRequest: lines?.join('\n') };
}

function sanitizeBody(body: KeptBody, contentType: string | undefined, manner: Manner): KeptBody {
  if (body.sizeBytes === 0) return body;
  const bytes = body.hole === undefined ? body.read() : undefined;
  const timed = bytes && sanitizeBytes(timeBytes(bytes, body), contentType, manner);
  if (timed === undefined || timed.length === 0) return withoutBytes(body);
  const all = Buffer.concat(timed.map((part) => part.bytes));
  let offset = 0;
  const chunks = timed.map(({ atMs, bytes: { length } }) => {
    offset += length;
    return { offset: offset - length, sizeBytes: length, atMs };
  });
  const head = { sizeBytes: all.length, sha256: undefined, hole: undefined };
  return makeBody(
    head,
    () => all,
    () => chunks,
  );
}

function withoutBytes({ sizeBytes }: KeptBody): KeptBody {
  return makeBody(
    { sizeBytes, sha256: undefined, hole: { at: 0, sizeBytes, why: 'sanitized' } },
    () => Buffer.alloc(0),
    () => [],
  );
}

function timeBytes(bytes: Buffer, body: KeptBody): readonly TimedBytes[] {
  const timed = body.chunks().map(({ offset, sizeBytes, atMs }) => ({
    atMs,
    bytes: bytes.subarray(offset, offset + sizeBytes),
  }));
  const isWhole = timed.reduce((sum, part) => sum + part.bytes.length, 0) === bytes.length;
  return isWhole ? timed : [{ atMs: 0, bytes }];
}

/** Undefined: they are left out. */
function sanitizeBytes(
  timed: readonly TimedBytes[],
  contentType: string | undefined,
  manner: Manner,
): readonly TimedBytes[] | undefined {
  const form = formOf(contentType, false);
  try {
    if (form === 'whole') return sanitizeJson(timed, manner);
    if (!isCountable(timed)) return undefined;
    const { frames, events, chunks } = describeResponseBody(timed, form);
    const fields = {
      ...(frames === undefined ? {} : { frames: mapSome(frames, (frame) => sanitizeFrame(frame, manner)) }),
      ...(events === undefined ? {} : { events: mapSome(events, (event) => sanitizeEvent(event, manner)) }),
      ...(chunks === undefined ? {} : { chunks: mapSome(chunks, sanitizeChunk) }),
    };
    return encodeResponseBody(fields, () => Buffer.alloc(0));
  } catch {
    // What cannot be taken apart, or not be put together again.
    return undefined;
  }
}

/** Whether it has no more lines than streams of models have: each is an object for a while. */
function isCountable(timed: readonly TimedBytes[]): boolean {
  let lines = 0;
  for (const { bytes } of timed) for (const byte of bytes) if (byte === LF || byte === CR) lines += 1;
  return lines <= MAX_LINES;
}

/** Without those of which nothing is left. */
function mapSome<Item>(items: readonly Item[], change: (item: Item) => Item | undefined): Item[] {
  return items.map(change).filter((item) => item !== undefined);
}

function sanitizeJson(timed: readonly TimedBytes[], manner: Manner): readonly TimedBytes[] | undefined {
  const bytes = Buffer.concat(timed.map((part) => part.bytes));
  if (measureJson(bytes).depth > MAX_DEPTH) return undefined;
  const json: unknown = JSON.parse(bytes.toString());
  const atMs = timed.at(-1)?.atMs ?? 0;
  return [{ atMs, bytes: Buffer.from(JSON.stringify(maskJson(json, '', manner))) }];
}

function sanitizeFrame(frame: RecordedFrame, manner: Manner): RecordedFrame | undefined {
  if (frame.length === 3) return [frame[0], frame[1], maskJson(frame[2], '', manner)];
  const [atMs, odd] = frame;
  const masked = sanitizeOddFrame(odd, manner);
  return masked && [atMs, masked];
}

function sanitizeOddFrame(odd: RecordedOddFrame, manner: Manner): RecordedOddFrame | undefined {
  if ('exception' in odd) {
    return { exception: odd.exception, json: maskJson(odd.json, '', { ...manner, isError: true }) };
  }
  if ('raw' in odd || typeof odd.headers === 'string') return undefined;
  const headers = odd.headers.map(([name, value]): [string, string] => [
    name,
    WORD.test(value) ? value : maskText(value),
  ]);
  if ('json' in odd) return { headers, json: maskJson(odd.json, '', manner) };
  return { headers, text: 'text' in odd ? maskText(odd.text) : `[${odd.base64.length} characters of base64]` };
}

function sanitizeEvent(event: RecordedEvent, manner: Manner): RecordedEvent | undefined {
  if (event.length === 3) return [event[0], event[1], maskJson(event[2], '', manner)];
  return sanitizeChunk(event);
}

/** The end of OpenAI's streams. */
const DONE = /^data: ?\[DONE\](?:\r?\n)*$/;

function sanitizeChunk([atMs, raw]: RecordedChunk): RecordedChunk | undefined {
  return 'text' in raw && DONE.test(raw.text) ? [atMs, raw] : undefined;
}

/** The same JSON with texts as their length, unless they are words of an API. */
function maskJson(value: unknown, member: string, manner: Manner): unknown {
  if (typeof value === 'string') {
    if (manner.isError && /^message$/i.test(member)) return manner.cleaner.text(value);
    return KEPT_MEMBER.test(member) && WORD.test(value) ? manner.cleaner.text(value) : maskText(value);
  }
  // An embedding is what a text says, and so are numbers of tokens.
  if (Array.isArray(value)) {
    return value.every((item) => typeof item === 'number') ? [] : value.map((item) => maskJson(item, member, manner));
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([name, held]): [string, unknown] => [
    MEMBER_NAME.test(name) ? name : maskText(name),
    OPAQUE_MEMBER.test(name) && isObject(held) ? {} : maskJson(held, name, manner),
  ]);
  return Object.fromEntries(members);
}

function maskText(text: string): string {
  return text === '' ? '' : `[${text.length} characters]`;
}
