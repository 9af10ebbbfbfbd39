/**
 * JSON in its canonical form (RFC 8785, JCS): the same text for the same value, whatever the order of members and the
 * spaces in between. Pure.
 */
import { isObject } from '../lib/json.ts';

/**
 * The canonical text of what `JSON.parse` gives. Numbers and texts are written as ECMAScript writes them, and members
 * are sorted by UTF-16 code units, as sections 3.2.2 and 3.2.3 ask. Half of a surrogate pair, which the RFC refuses, is
 * written as its escape.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .toSorted((left, right) => (left < right ? -1 : 1))
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
  return `{${members.join(',')}}`;
}
