/**
 * Makes up a value that fits a JSON Schema, for the tools the offline Bedrock calls. Pure; knows the keywords that
 * tools use, and gives a plain text for a schema that it does not understand.
 */
import { asObject, asTexts, isObject, type JsonObject } from '../../lib/json.ts';

/** Deeper values are null: no real tool nests that deep, and a hostile schema could nest for ever. */
const MAX_DEPTH = 12;
const MAX_ITEMS = 8;
const MAX_VALUES = 2000;
/** Below this, a list that may be empty is: a tree of trees ends. */
const LIST_DEPTH = 6;

/** Texts of the formats that clients check. */
const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-01-01',
  'date-time': '2026-01-01T00:00:00Z',
  time: '00:00:00Z',
  duration: 'P1D',
  email: 'sample@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

/** A value that fits; an object has its required properties, or all if none is required. */
export function sampleOfSchema(schema: unknown): unknown {
  return sample(schema, { root: asObject(schema), depth: 0, budget: { left: MAX_VALUES } });
}

interface Place {
  /** The whole schema, which references start from. */
  readonly root: JsonObject;
  readonly depth: number;
  /** Of the whole sample: a reference to itself costs a schema nothing, and doubles its sample. */
  readonly budget: { left: number };
}

function sample(schema: unknown, place: Place): unknown {
  if (place.budget.left-- <= 0 || place.depth > MAX_DEPTH) return null;
  const rules = asObject(schema);
  const inner = { ...place, depth: place.depth + 1 };
  if (typeof rules['$ref'] === 'string') return sample(findReferred(rules['$ref'], place.root), inner);
  if ('const' in rules) return rules['const'];
  if ('default' in rules) return rules['default'];
  if (Array.isArray(rules['enum']) && rules['enum'].length > 0) return rules['enum'][0];
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
    const choices = rules[keyword];
    if (Array.isArray(choices) && choices.length > 0) return sample(choices[0], inner);
  }
  switch (typeOf(rules)) {
    case 'object':
      return sampleObject(rules, inner);
    case 'array':
      return sampleList(rules, inner);
    case 'integer':
    case 'number':
      return sampleNumber(rules);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return sampleText(rules);
  }
}

/** A text of the format, if it is one that clients check. */
function sampleText(rules: JsonObject): string {
  const { format, minLength, maxLength } = rules;
  const known = typeof format === 'string' && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (known !== undefined) return known;
  const text = 'sample'.padEnd(typeof minLength === 'number' ? Math.min(minLength, 1000) : 0, '.');
  return typeof maxLength === 'number' && maxLength >= 0 ? text.slice(0, maxLength) : text;
}

/** One, or the number next to it that the limits allow. */
function sampleNumber({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonObject): number {
  if (typeof minimum === 'number') return minimum;
  if (typeof exclusiveMinimum === 'number') return exclusiveMinimum + 1;
  if (typeof maximum === 'number') return Math.min(1, maximum);
  return typeof exclusiveMaximum === 'number' && exclusiveMaximum <= 1 ? exclusiveMaximum - 1 : 1;
}

function sampleList({ items, minItems, maxItems }: JsonObject, place: Place): unknown[] {
  if (items === undefined || maxItems === 0) return [];
  const least = typeof minItems === 'number' ? Math.min(minItems, MAX_ITEMS) : 0;
  const length = place.depth > LIST_DEPTH ? least : Math.max(1, least);
  return Array.from({ length }, () => sample(items, place));
}

/** What a reference such as `#/$defs/Person` names; anything else names nothing. */
function findReferred(reference: string, root: JsonObject): unknown {
  if (!reference.startsWith('#')) return undefined;
  const parts = reference.slice(1).split('/').slice(1);
  return parts.reduce<unknown>((value, part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }, root);
}

function typeOf(rules: JsonObject): unknown {
  const { type } = rules;
  if (Array.isArray(type)) return type[0];
  return type ?? (isObject(rules['properties']) ? 'object' : undefined);
}

function sampleObject(rules: JsonObject, place: Place): Record<string, unknown> {
  const properties = asObject(rules['properties']);
  const required = asTexts(rules['required']);
  const names = required.length > 0 ? required : Object.keys(properties);
  const object: Record<string, unknown> = {};
  for (const name of names) {
    // What need not be there is left out once the sample is long enough.
    if (place.budget.left <= 0 && required.length === 0) break;
    object[name] = sample(properties[name], place);
  }
  return object;
}
