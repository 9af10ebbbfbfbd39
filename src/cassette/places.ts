/**
 * Places in a request, as the rules of a cassette name them: `/messages/0/text ~ /\d+/ = customer`. Read here, and
 * found in JSON. Pure.
 */
import { ProxyError } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import { quote } from '../lib/printable.ts';

/** A place that is written down. */
export interface Place {
  /** As it was written. */
  readonly text: string;
  /** `everywhere`: every text of requests and responses, for a pattern. */
  readonly target: 'body' | 'path' | 'query' | 'everywhere';
  /** Into the body: members, with `*` for any and `**` for any number of them. Empty: all of it. */
  readonly pointer: readonly string[];
  /** With the flag `g`; undefined: all that stands there is meant. */
  readonly pattern: RegExp | undefined;
  /** Of what is put there. */
  readonly name: string | undefined;
}

const PLACE = /^(path|query|body|everywhere|\/.*?)(?: ~ \/(.+)\/([imsu]*))?(?: = ([a-z][a-z0-9]{0,30}))?$/s;
const MAX_LENGTH = 1_000;
const FORM =
  'It is a JSON pointer, `path`, `query`, `body` or `everywhere`, ' +
  'with ` ~ /pattern/` and ` = name` after it if need be.';

/** Reads a place of `cassette.json`. Throws ERR_BAD_OPTION. */
export function parsePlace(text: unknown): Place {
  const [, target = '', source, flags = '', name] = (typeof text === 'string' && PLACE.exec(text)) || [];
  if (typeof text !== 'string' || target === '' || text.length > MAX_LENGTH) {
    throw new ProxyError('ERR_BAD_OPTION', `No place of a request: ${quote(String(text))}.`, { hint: FORM });
  }
  const pointer = target.startsWith('/') ? target.slice(1).split('/').map(unescapeSegment) : [];
  const isWord = target === 'path' || target === 'query' || target === 'everywhere';
  const pattern = parsePattern(source, flags);
  if (target === 'everywhere' && pattern === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', '`everywhere` wants a pattern.', { hint: FORM });
  }
  return { text, target: isWord ? target : 'body', pointer, pattern, name };
}

function parsePattern(source: string | undefined, flags: string): RegExp | undefined {
  if (source === undefined) return undefined;
  try {
    return new RegExp(source, `g${flags}`);
  } catch (error) {
    throw new ProxyError('ERR_BAD_OPTION', `No regular expression: ${quote(source)}.`, { cause: error });
  }
}

/** RFC 6901, section 4. */
function unescapeSegment(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** A JSON pointer (RFC 6901) of members and indices. */
export function toPointer(segments: readonly string[]): string {
  return segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** What a place is to have no more. */
export const GONE: unique symbol = Symbol('gone');

/**
 * The value with whatever stands at a place changed; what is not changed is the same object. A member that is GONE is
 * left out, an element is null then, so that the others keep their index.
 */
export function mapPlace(value: unknown, pointer: readonly string[], change: (value: unknown) => unknown): unknown {
  const changed = mapBelow(value, pointer, closeStates(pointer, new Set([0])), change);
  return changed === GONE ? null : changed;
}

/** `states`: how far the pointer may have come. Several, because of `**`. */
function mapBelow(
  value: unknown,
  pointer: readonly string[],
  states: ReadonlySet<number>,
  change: (value: unknown) => unknown,
): unknown {
  if (states.has(pointer.length)) return change(value);
  if (states.size === 0) return value;
  const mapMember = (member: unknown, segment: string): unknown =>
    mapBelow(member, pointer, step(pointer, states, segment), change);
  if (Array.isArray(value)) {
    return value.map((item, index) => {
      const changed = mapMember(item, String(index));
      return changed === GONE ? null : changed;
    });
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([name, member]) => [name, mapMember(member, name)] as const);
  return Object.fromEntries(members.filter(([, member]) => member !== GONE));
}

function step(pointer: readonly string[], states: ReadonlySet<number>, segment: string): ReadonlySet<number> {
  const next = new Set<number>();
  for (const state of states) {
    const wanted = pointer[state];
    if (wanted === '**') next.add(state);
    else if (wanted === '*' || wanted === segment) next.add(state + 1);
  }
  return closeStates(pointer, next);
}

/** `**` may be none. What is added while a set is walked through is walked through too. */
function closeStates(pointer: readonly string[], states: Set<number>): ReadonlySet<number> {
  for (const state of states) if (pointer[state] === '**') states.add(state + 1);
  return states;
}

/** The value with every text within changed, names of members excepted. */
export function mapTexts(value: unknown, change: (text: string, name: string | undefined) => string): unknown {
  const map = (below: unknown, name: string | undefined): unknown => {
    if (typeof below === 'string') return change(below, name);
    if (Array.isArray(below)) return below.map((item: unknown) => map(item, name));
    if (!isObject(below)) return below;
    return Object.fromEntries(Object.entries(below).map(([member, inner]) => [member, map(inner, member)]));
  };
  return map(value, undefined);
}

/** Every text within a value, with the pointer to it. */
export function listTexts(value: unknown): { readonly pointer: string; readonly text: string }[] {
  const found: { pointer: string; text: string }[] = [];
  const look = (below: unknown, segments: readonly string[]): void => {
    if (typeof below === 'string') found.push({ pointer: toPointer(segments), text: below });
    else if (Array.isArray(below)) below.forEach((item, index) => look(item, [...segments, String(index)]));
    else if (isObject(below)) for (const [name, inner] of Object.entries(below)) look(inner, [...segments, name]);
  };
  look(value, []);
  return found;
}
