/**
 * What of a request counts when its recording is looked for: all of it in its canonical form, after scrubbing, without
 * what the rules leave out. Two requests are the same if their keys are. Pure.
 */
import { createHash } from 'node:crypto';
import { withoutGeography } from '../domain/model-name.ts';
import { splitQuery } from '../http/target.ts';
import { asObject, isObject, type JsonObject, measureJson } from '../lib/json.ts';
import { canonicalJson } from './canonical-json.ts';
import { findSpans, replaceSpans } from './patterns.ts';
import { GONE, mapPlace, mapTexts, type Place } from './places.ts';
import type { MatchableRequest, RecordedBody, RecordedRequest } from './recording.ts';
import type { CassetteRules } from './rules.ts';
import { createScrubber } from './scrub.ts';

/** What of a request counts. */
export interface CanonicalRequest {
  readonly service: string;
  readonly operation: string;
  readonly method: string;
  /** Its segments, decoded once. */
  readonly path: readonly string[];
  /** Decoded once and sorted. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Those that count: lower-case names, sorted. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: CanonicalBody;
}

/** A body as it counts; `sha256`: bytes that are no text. */
export type CanonicalBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly json: unknown }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly sha256: string };

/** Gives the bytes of a file in the folder `blobs`; undefined if it is not there. */
export type ReadBlob = (name: string) => Uint8Array | undefined;

/** Deeper JSON is compared as text. No request of Bedrock has a tenth of it. */
const MAX_DEPTH = 200;
/** What the SDK makes anew for each call, so that AWS knows a retry. */
const IDEMPOTENCY_TOKENS: ReadonlySet<string> = new Set(['clientToken', 'clientRequestToken']);
/** Whose path holds the id of a session that the client chooses: after which segment. */
const SESSION_AFTER: ReadonlyMap<string, string> = new Map([
  ['InvokeAgent', 'sessions'],
  ['InvokeInlineAgent', 'agents'],
]);
const GENERATED_ID = /[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\d{8,}|[0-9a-f]{16,}/i;

/** The SHA-256 of what counts, in hex. */
export function keyOf(canonical: CanonicalRequest): string {
  return createHash('sha256').update(canonicalJson(canonical)).digest('hex');
}

/** What counts of a request that looks for its recording. */
export function canonicalize(request: MatchableRequest, rules: CassetteRules): CanonicalRequest {
  return reduce({ ...request, body: readBytes(request.body) }, rules);
}

/** The same of a recorded one. It is scrubbed again, because people write recordings by hand, and change rules. */
export function canonicalizeRecorded(
  { query = '', body, ...request }: RecordedRequest,
  rules: CassetteRules,
  readBlob: ReadBlob = () => undefined,
): CanonicalRequest {
  return reduce({ ...request, query, body: readRecorded(body, readBlob) }, rules);
}

/** The model that a request names; undefined if it names none. */
export function modelOf({ path, body }: CanonicalRequest): string | undefined {
  const named = path[path.indexOf('model') + 1];
  if (path.includes('model') && named !== undefined) return named;
  const json = body.kind === 'json' ? asObject(body.json) : {};
  return [json['model'], json['modelId']].find((model) => typeof model === 'string');
}

function readRecorded(body: RecordedBody | undefined, readBlob: ReadBlob): CanonicalBody {
  if (body === undefined) return { kind: 'none' };
  if ('json' in body) return { kind: 'json', json: body.json };
  if ('text' in body) return readBytes(Buffer.from(body.text));
  if ('base64' in body) return readBytes(Buffer.from(body.base64, 'base64'));
  const bytes = readBlob(body.blob);
  return bytes === undefined ? { kind: 'bytes', sha256: body.blob } : readBytes(bytes);
}

/** JSON if it is some, else text if it is some. */
function readBytes(bytes: Uint8Array): CanonicalBody {
  if (bytes.length === 0) return { kind: 'none' };
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return (measureJson(bytes).depth <= MAX_DEPTH ? readJson(text) : undefined) ?? { kind: 'text', text };
  } catch {
    return { kind: 'bytes', sha256: createHash('sha256').update(bytes).digest('hex') };
  }
}

function readJson(text: string): CanonicalBody | undefined {
  try {
    return { kind: 'json', json: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

type ReadRequest = Omit<MatchableRequest, 'body'> & { readonly body: CanonicalBody };

function reduce({ service, operation, method, ...request }: ReadRequest, rules: CassetteRules): CanonicalRequest {
  const scrubber = createScrubber(rules);
  const rewrite = (target: Place['target'], text: string): string => ignoreIn(text, target, rules.ignore);
  const isIgnored = (target: Place['target']): boolean =>
    rules.ignore.some((place) => place.target === target && place.pattern === undefined);
  const segments = scrubber.path(request.path).split('/').map(decode);
  const path = maskSession(segments, operation).map((segment, index) =>
    rewrite('path', rules.model === 'family' && segments[index - 1] === 'model' ? withoutGeography(segment) : segment),
  );
  const query = splitQuery(scrubber.query(request.query)).map(
    ([name, value = '']) => [decode(name), rewrite('query', decode(value))] as const,
  );
  return {
    service,
    operation,
    method: method.toUpperCase(),
    path: isIgnored('path') ? [] : path,
    query: isIgnored('query') ? [] : query.toSorted(comparePairs),
    headers: countingHeaders(scrubber.headers(request.headers), rules),
    body: reduceBody(request.body, scrubber, rules),
  };
}

function reduceBody(
  body: CanonicalBody,
  scrubber: ReturnType<typeof createScrubber>,
  rules: CassetteRules,
): CanonicalBody {
  if (body.kind === 'text') return { kind: 'text', text: ignoreIn(scrubber.text(body.text), 'body', rules.ignore) };
  if (body.kind !== 'json') return body;
  const scrubbed = scrubber.requestJson(body.json);
  const known = [dropTokens, byModel(rules), byTools(rules), byCachePoints(rules)];
  const reduced = known.reduce((json, step) => step(json), scrubbed);
  return { kind: 'json', json: rules.ignore.reduce(ignorePlace, reduced) };
}

type Step = (json: unknown) => unknown;
const ASIS: Step = (json) => json;

function dropTokens(json: unknown): unknown {
  if (!isObject(json)) return json;
  return Object.fromEntries(Object.entries(json).filter(([name]) => !IDEMPOTENCY_TOKENS.has(name)));
}

function byModel({ model }: CassetteRules): Step {
  if (model === 'exact') return ASIS;
  return (json) => ['model', 'modelId'].reduce((done, name) => mapPlace(done, [name], reduceModel), json);
}

function reduceModel(name: unknown): unknown {
  return typeof name === 'string' ? withoutGeography(name) : name;
}

/** In Converse below `toolConfig`; Anthropic's and OpenAI's APIs have them at the top. */
function byTools({ tools }: CassetteRules): Step {
  if (tools === 'exact') return ASIS;
  return (json) => mapPlace(mapPlace(json, ['toolConfig', 'tools'], reduceTools), ['tools'], reduceTools);
}

function reduceTools(list: unknown): unknown {
  return Array.isArray(list) ? list.map(nameOfTool) : list;
}

/** A tool that has no name is what it is: a cache point, or a tool of the provider's. */
function nameOfTool(tool: unknown): unknown {
  const { name, toolSpec, function: called }: JsonObject = asObject(tool);
  return name ?? asObject(toolSpec)['name'] ?? asObject(called)['name'] ?? tool;
}

function byCachePoints({ cachePoints }: CassetteRules): Step {
  return cachePoints === 'exact' ? ASIS : dropCachePoints;
}

function dropCachePoints(json: unknown): unknown {
  if (Array.isArray(json)) return json.filter((item) => !isCachePoint(item)).map(dropCachePoints);
  if (!isObject(json)) return json;
  const kept = Object.entries(json).filter(([name]) => name !== 'cache_control');
  return Object.fromEntries(kept.map(([name, value]) => [name, dropCachePoints(value)]));
}

function isCachePoint(item: unknown): boolean {
  return isObject(item) && Object.keys(item).length === 1 && isObject(item['cachePoint']);
}

function ignorePlace(json: unknown, { target, pointer, pattern }: Place): unknown {
  if (target !== 'body') return json;
  if (pattern === undefined) return mapPlace(json, pointer, () => GONE);
  const texts = new Set<string>();
  mapPlace(json, pointer, (found) => mapTexts(found, (text) => (texts.add(text), text)));
  const before = [...texts];
  const spans = findSpans(pattern, before);
  const after = new Map(before.map((text, index) => [text, replaceSpans(text, spans[index] ?? [], () => '*')]));
  return mapPlace(json, pointer, (found) => mapTexts(found, (text) => after.get(text) ?? text));
}

/** A text that has no places within. */
function ignoreIn(text: string, target: Place['target'], places: readonly Place[]): string {
  return places.reduce((done, place) => {
    if (place.target !== target || place.pattern === undefined || place.pointer.length > 0) return done;
    return replaceSpans(done, findSpans(place.pattern, [done])[0] ?? [], () => '*');
  }, text);
}

function maskSession(segments: readonly string[], operation: string): readonly string[] {
  const before = SESSION_AFTER.get(operation);
  if (before === undefined) return segments;
  return segments.map((segment, index) =>
    segments[index - 1] === before && GENERATED_ID.test(segment) ? '*' : segment,
  );
}

/** Lists in any order and spacing, as `anthropic-beta` is written by several clients. */
function countingHeaders(
  headers: readonly (readonly [string, string])[],
  { headers: counting }: CassetteRules,
): readonly (readonly [string, string])[] {
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => counting.includes(name))
    .map(
      ([name, value]) =>
        [
          name,
          value
            .split(',')
            .map((part) => part.trim())
            .toSorted()
            .join(','),
        ] as const,
    )
    .toSorted(comparePairs);
}

function comparePairs(left: readonly [string, string], right: readonly [string, string]): number {
  const [one, other] = [canonicalJson(left), canonicalJson(right)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
