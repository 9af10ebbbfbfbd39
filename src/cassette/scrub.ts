/**
 * Takes out of an exchange what says who somebody is, and puts the same stand-in for the same value everywhere. What is
 * scrubbed stays as it is if it is scrubbed again: so a request that is looked up can be scrubbed like one that is
 * recorded. Credentials are not its business: they are taken away before.
 */
import { createHmac } from 'node:crypto';
import { splitQuery } from '../http/target.ts';
import { asObject, asText } from '../lib/json.ts';
import { canonicalJson } from './canonical-json.ts';
import { findSpans, replaceSpans } from './patterns.ts';
import { mapPlace, mapTexts, type Place } from './places.ts';
import type { RecordedBody, RecordedRequest, RecordedResponse } from './recording.ts';
import type { CassetteRules } from './rules.ts';

const ACCOUNT_IN_ARN = /\b(arn:aws[a-z-]{0,20}:[a-z0-9-]{1,40}:[a-z0-9-]{0,40}):\d{12}(?=:)/g;
const ACCOUNT_MEMBER = /^(?:.*account_?id|(?:s3)?bucketowner)$/i;
const ACCOUNT_ID = /^\d{12}$/;
const NO_ACCOUNT = '000000000000';
/** Such as people write, quoted local parts excepted. */
const EMAIL =
  /(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?![A-Za-z0-9])/g;
/** Where Anthropic's clients say for whom they ask. */
const USER_ID = ['metadata', 'user_id'];
const REQUEST_ID_HEADERS: ReadonlySet<string> = new Set([
  'x-amzn-requestid',
  'x-amz-request-id',
  'x-amz-id-2',
  'request-id',
]);
const NO_REQUEST_ID = '00000000-0000-0000-0000-000000000000';
const DEFAULT_NAME = 'scrubbed';
/**
 * Few, so that whoever guesses values finds many that may be meant; enough that two values of a cassette are hardly
 * ever the same.
 */
const DIGITS = 6;

type HeaderList = RecordedRequest['headers'];

/** Scrubs by the rules of one cassette. */
export interface Scrubber {
  /** A text outside of any place: what every text of a response goes through. */
  text(text: string): string;
  /** A JSON value with each text within scrubbed. */
  value(value: unknown): unknown;
  /** The JSON of a request's body, places included. */
  requestJson(value: unknown): unknown;
  /** A raw path or a raw query: percent-encoded parts are looked into. */
  path(rawPath: string): string;
  query(rawQuery: string): string;
  headers(headers: HeaderList): HeaderList;
  request(request: RecordedRequest): RecordedRequest;
  /** Bytes in base64 stay. The hash and the number of bytes are those of before: whoever records counts anew. */
  response(response: RecordedResponse): RecordedResponse;
}

/** The stand-in for a value; the same one for the same value, name and salt. */
function standIn(value: string, name: string, salt: string): string {
  return `${name}-${createHmac('sha256', salt).update(value).digest('hex').slice(0, DIGITS)}`;
}

/** Makes it. What it does with a pattern may throw ERR_CASSETTE_MISS (`findSpans`). */
export function createScrubber({ scrub, salt }: Pick<CassetteRules, 'scrub' | 'salt'>): Scrubber {
  const context = { salt, standIns: standInsOf(scrub) };
  const scrubAs = (target: Place['target'], text: string): string => {
    const places = scrub.filter((place) => place.target === 'everywhere' || place.target === target);
    return untilStable(text, (before) => {
      const done = scrubPlain(before, context);
      return places.reduce((rest, place) => scrubPattern([rest], place, context)[0] ?? rest, done);
    });
  };
  const text = (given: string): string => scrubAs('everywhere', given);
  const value = (given: unknown): unknown =>
    mapTexts(given, (found, name) => (isAccount(found, name) ? NO_ACCOUNT : text(found)));
  const places = scrub.filter(({ target }) => target === 'body');
  const scrubJson = (given: unknown): unknown => {
    const named = mapPlace(value(given), USER_ID, (user) => scrubWhole(user, 'user', context));
    return places.reduce((before, place) => scrubPlace(before, place, context), named);
  };
  const requestJson = (given: unknown): unknown =>
    places.length === 0 ? scrubJson(given) : untilStable(given, scrubJson, canonicalJson);
  const path = (raw: string): string =>
    raw
      .split('/')
      .map((part) => scrubEncoded(part, (found) => scrubAs('path', found)))
      .join('/');
  const query = (raw: string): string =>
    splitQuery(raw)
      .map(([name, part]) =>
        part === undefined ? name : `${name}=${scrubEncoded(part, (found) => scrubAs('query', found))}`,
      )
      .join('&');
  const headers = (given: HeaderList): HeaderList =>
    given.map(([name, found]) => [name, REQUEST_ID_HEADERS.has(name.toLowerCase()) ? NO_REQUEST_ID : text(found)]);
  const request = (given: RecordedRequest): RecordedRequest => ({
    ...given,
    path: path(given.path),
    ...(given.query === undefined ? {} : { query: query(given.query) }),
    headers: headers(given.headers),
    ...(given.body === undefined ? {} : { body: scrubBody(given.body, requestJson, text) }),
  });
  const response = (given: RecordedResponse): RecordedResponse => scrubResponse(given, { headers, text, value });
  return { text, value, requestJson, path, query, headers, request, response };
}

interface ScrubContext {
  readonly salt: string;
  /** Matches every stand-in of the cassette. Split by it, a text has them at the odd places. */
  readonly standIns: RegExp;
}

function standInsOf(places: readonly Place[]): RegExp {
  const names = ['user', DEFAULT_NAME, ...places.map(({ name }) => name).filter((name) => name !== undefined)];
  return new RegExp(`(email-[0-9a-f]{6}@example\\.com|(?:${names.join('|')})-[0-9a-f]{${DIGITS}})`);
}

/** Each round; a stand-in never changes, so that there is less left each time. */
const MAX_ROUNDS = 20;

/** Scrubbed until there is nothing left: what stands between two stand-ins may be found only in the next round. */
function untilStable<Value>(
  given: Value,
  scrub: (value: Value) => Value,
  print = (value: Value) => String(value),
): Value {
  let before = given;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const after = scrub(before);
    if (print(after) === print(before)) break;
    before = after;
  }
  return before;
}

function scrubPlain(text: string, { salt, standIns }: ScrubContext): string {
  const withoutAccounts = text.includes('arn:') ? text.replaceAll(ACCOUNT_IN_ARN, `$1:${NO_ACCOUNT}`) : text;
  if (!text.includes('@')) return withoutAccounts;
  const pieces = withoutAccounts.split(standIns);
  const standInFor = (email: string): string => `${standIn(email.toLowerCase(), 'email', salt)}@example.com`;
  return pieces.map((piece, index) => (index % 2 === 1 ? piece : piece.replaceAll(EMAIL, standInFor))).join('');
}

function isAccount(text: string, name: string | undefined): boolean {
  return name !== undefined && ACCOUNT_ID.test(text) && ACCOUNT_MEMBER.test(name);
}

/** All that stands at a place. */
function scrubWhole(value: unknown, name: string, { salt, standIns }: ScrubContext): unknown {
  const isDone = typeof value === 'string' && value !== '' && value.replace(standIns, '') === '';
  if (value === null || isDone) return value;
  return standIn(typeof value === 'string' ? value : canonicalJson(value), name, salt);
}

function scrubPlace(body: unknown, place: Place, context: ScrubContext): unknown {
  const { pointer, pattern, name = DEFAULT_NAME } = place;
  if (pattern === undefined) return mapPlace(body, pointer, (found) => scrubWhole(found, name, context));
  const texts = new Set<string>();
  mapPlace(body, pointer, (found) => mapTexts(found, (text) => (texts.add(text), text)));
  const before = [...texts];
  const after = scrubPattern(before, place, context);
  const done = new Map(before.map((text, index) => [text, after[index] ?? text]));
  return mapPlace(body, pointer, (found) => mapTexts(found, (text) => done.get(text) ?? text));
}

/** One round of it. */
function scrubPattern(
  texts: readonly string[],
  { pattern, name = DEFAULT_NAME }: Place,
  { salt, standIns }: ScrubContext,
): string[] {
  if (pattern === undefined) return [...texts];
  const pieces = texts.map((text) => text.split(standIns));
  const spans = findSpans(pattern, pieces.flat());
  let at = 0;
  return pieces.map((parts) =>
    parts
      .map((piece, index) => {
        const found = spans[at++] ?? [];
        return index % 2 === 1 ? piece : replaceSpans(piece, found, (part) => standIn(part, name, salt));
      })
      .join(''),
  );
}

/** A part that is not percent-encoded UTF-8 is taken as it is. */
function scrubEncoded(raw: string, scrub: (text: string) => string): string {
  let decoded = raw;
  try {
    decoded = decodeURIComponent(raw);
  } catch {
    // As it is.
  }
  const done = scrub(decoded);
  return done === decoded ? raw : encodeURIComponent(done);
}

function scrubBody(
  body: RecordedBody,
  scrubJson: (value: unknown) => unknown,
  scrubText: (text: string) => string,
): RecordedBody {
  if ('json' in body) return { json: scrubJson(body.json) };
  if ('text' in body) return { text: scrubJsonText(body.text, scrubJson) ?? scrubText(body.text) };
  return body;
}

/** JSON that is kept as text, because it is not printed compact: as text, unless there is something to scrub. */
function scrubJsonText(text: string, scrubJson: (value: unknown) => unknown): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const done = scrubJson(value);
    return canonicalJson(done) === canonicalJson(value) ? text : JSON.stringify(done);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function scrubResponse(
  response: RecordedResponse,
  { headers, text, value }: Pick<Scrubber, 'headers' | 'text' | 'value'>,
): RecordedResponse {
  const { body, frames, events, chunks, sentFrames, sentChunks } = response;
  // Of a frame, an event or a chunk, the last element is what it holds.
  const scrubLast = <Item extends readonly [atMs: number, ...unknown[]]>(items: readonly Item[]): readonly Item[] =>
    items.map((item) => {
      const held = item.length === 2 ? scrubOdd(item[1], { text, value }) : value(item.at(-1));
      return [...item.slice(0, -1), held] as unknown as Item;
    });
  return {
    ...response,
    headers: headers(response.headers),
    ...(body === undefined ? {} : { body: scrubBody(body, value, text) }),
    ...(frames === undefined ? {} : { frames: scrubLast(frames) }),
    ...(events === undefined ? {} : { events: scrubLast(events) }),
    ...(chunks === undefined ? {} : { chunks: scrubLast(chunks) }),
    ...(sentFrames === undefined ? {} : { sentFrames: scrubLast(sentFrames) }),
    ...(sentChunks === undefined ? {} : { sentChunks: scrubLast(sentChunks) }),
  };
}

/** Bytes in base64 stay as they are: a pattern that matches within would leave none. */
function scrubOdd(held: unknown, { text, value }: Pick<Scrubber, 'text' | 'value'>): unknown {
  const odd = asObject(held);
  return {
    ...odd,
    ...('json' in odd ? { json: value(odd['json']) } : {}),
    ...('text' in odd ? { text: text(asText(odd['text'])) } : {}),
  };
}
