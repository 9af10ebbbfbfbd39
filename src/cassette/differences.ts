/**
 * Where two requests differ, for the message of a miss. Both are in their canonical form; what is shown of them is
 * short, printable, and without secrets. Pure.
 */
import { isObject } from '../lib/json.ts';
import { printable } from '../lib/printable.ts';
import type { CanonicalBody, CanonicalRequest } from './match.ts';
import { toPointer } from './places.ts';
import { maskSecrets } from './secrets.ts';

/** One difference. A side that has nothing there is undefined. */
export interface Difference {
  /**
   * A JSON pointer into the body (empty: all of it), or `path`, `query`, `method`, `operation`, `service`, `header x`.
   */
  readonly place: string;
  /** Its segments, if it is a pointer. */
  readonly segments: readonly string[] | undefined;
  readonly request: unknown;
  readonly recorded: unknown;
}

/** What two requests have in common. */
export interface RequestComparison {
  /** In canonical order; of very different requests the first ones. */
  readonly differences: readonly Difference[];
  /** Of all pieces (values that are no objects or lists), how many are equal: from 0 to 1. */
  readonly share: number;
}

const MAX_DIFFERENCES = 100;
/** Pieces looked at: of a longer request, the first ones. */
const MAX_PIECES = 20_000;
const WHOLE_TEXT = 60;
const AROUND = 24;
/** On both sides of a difference. A whole text may be long. */
const MASKED = 10_000;

/** Compares a request with a recorded one. */
export function compareRequests(request: CanonicalRequest, recorded: CanonicalRequest): RequestComparison {
  const differences: Difference[] = [];
  const [mine, theirs] = [outsideBody(request), outsideBody(recorded)];
  for (const place of new Set([...mine.keys(), ...theirs.keys()])) {
    const [one, other] = [mine.get(place), theirs.get(place)];
    if (one !== other) differences.push({ place, segments: undefined, request: one, recorded: other });
  }
  collect(bodyValue(request.body), bodyValue(recorded.body), [], differences);
  return { differences, share: shareOf(listPieces(request), listPieces(recorded)) };
}

/** All that counts besides, as texts by their places. */
function outsideBody({ service, operation, method, path, query, headers }: CanonicalRequest): Map<string, string> {
  return new Map([
    ['service', service],
    ['operation', operation],
    ['method', method],
    ['path', path.join('/')],
    ['query', query.map((pair) => pair.join('=')).join('&')],
    ...headers.map(([name, value]) => [`header ${name}`, value] as const),
  ]);
}

/** What a body is compared as. */
function bodyValue(body: CanonicalBody): unknown {
  if (body.kind === 'json') return body.json;
  if (body.kind === 'text') return body.text;
  return body.kind === 'bytes' ? { bytes: body.sha256 } : undefined;
}

function collect(request: unknown, recorded: unknown, segments: readonly string[], found: Difference[]): void {
  if (found.length >= MAX_DIFFERENCES) return;
  const keys = commonKeys(request, recorded);
  if (keys === undefined) {
    if (request === recorded) return;
    found.push({ place: toPointer(segments), segments, request, recorded });
    return;
  }
  for (const key of keys) collect(memberOf(request, key), memberOf(recorded, key), [...segments, key], found);
}

/** Undefined if they are not two objects or two lists. */
function commonKeys(request: unknown, recorded: unknown): readonly string[] | undefined {
  if (Array.isArray(request) && Array.isArray(recorded)) {
    return Object.keys(request.length > recorded.length ? request : recorded);
  }
  if (!isObject(request) || !isObject(recorded)) return undefined;
  return [...new Set([...Object.keys(request), ...Object.keys(recorded)])].toSorted();
}

function memberOf(value: unknown, key: string): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function listPieces({ path, query, headers, body }: CanonicalRequest): ReadonlySet<string> {
  const pieces = new Set<string>();
  const look = (value: unknown, pointer: string): void => {
    if (pieces.size >= MAX_PIECES) return;
    if (Array.isArray(value)) value.forEach((item, index) => look(item, `${pointer}/${index}`));
    else if (isObject(value)) for (const [name, inner] of Object.entries(value)) look(inner, `${pointer}/${name}`);
    else pieces.add(`${pointer} ${JSON.stringify(value) ?? ''}`);
  };
  look({ path, query, headers, body: bodyValue(body) }, '');
  return pieces;
}

function shareOf(request: ReadonlySet<string>, recorded: ReadonlySet<string>): number {
  const most = Math.max(request.size, recorded.size);
  return most === 0 ? 1 : [...request].filter((piece) => recorded.has(piece)).length / most;
}

/** A difference in words, with a short piece of each side: `/a/0 differs at byte 9 ("…" / "…")`. */
export function describeDifference(difference: Difference): string {
  const [where, request, recorded] = showDifference(difference);
  if (request === undefined) return `${where} (${recorded})`;
  return recorded === undefined ? `${where} (${request})` : `${where} (${request} / ${recorded})`;
}

/** The same in parts; a side that has nothing there is undefined. */
export function showDifference({
  place,
  request,
  recorded,
}: Difference): readonly [where: string, request: string | undefined, recorded: string | undefined] {
  const name = place === '' ? 'the body' : printable(place, 200);
  if (request === undefined) return [`${name} is only in the recording`, undefined, showValue(recorded)];
  if (recorded === undefined) return [`${name} is not in the recording`, showValue(request), undefined];
  if (typeof request !== 'string' || typeof recorded !== 'string') {
    return [`${name} differs`, showValue(request), showValue(recorded)];
  }
  const at = firstDifference(request, recorded);
  const byte = Buffer.byteLength(request.slice(0, at));
  return [`${name} differs at byte ${byte}`, showText(request, at), showText(recorded, at)];
}

/** In code units; never within a pair of surrogates. */
function firstDifference(left: string, right: string): number {
  let at = 0;
  while (at < left.length && at < right.length && left[at] === right[at]) at += 1;
  return at > 0 && /[\uD800-\uDBFF]/.test(left[at - 1] ?? '') ? at - 1 : at;
}

function showText(text: string, at: number): string {
  // Masked before it is cut: of a secret that is cut, the rest has no shape.
  const from = Math.max(0, at - MASKED);
  const near = text.slice(from, at + MASKED);
  const masked = maskSecrets(near);
  const isWhole = near.length === text.length;
  at = masked === near ? at - from : Math.min(at - from, firstDifference(masked, near));
  if (isWhole && masked.length <= WHOLE_TEXT) return JSON.stringify(printable(masked, WHOLE_TEXT));
  const start = Math.max(0, at - AROUND);
  const end = at + AROUND;
  const part = masked.slice(start, end).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, '');
  return JSON.stringify(
    `${start + from > 0 ? '…' : ''}${printable(part)}${end < masked.length || !isWhole ? '…' : ''}`,
  );
}

function showValue(value: unknown): string {
  if (typeof value === 'string') return showText(value, 0);
  return printable(maskSecrets(JSON.stringify(value) ?? ''), WHOLE_TEXT);
}
