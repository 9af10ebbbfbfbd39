/**
 * Makes up a value that fits a JSON Schema, for the tools the offline Bedrock calls. Pure; knows the keywords that
 * tools use, and gives a plain text for a schema that it does not understand.
 */
import { asObject, asTexts, isObject } from '../../lib/json.ts';

/** Deeper values are null: no real tool nests that deep, and a hostile schema could nest for ever. */
const MAX_DEPTH = 8;

/** A value that fits; an object has its required properties, or all if none is required. */
export function sampleOfSchema(schema: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) return null;
  const rules = asObject(schema);
  if ('const' in rules) return rules['const'];
  if ('default' in rules) return rules['default'];
  if (Array.isArray(rules['enum']) && rules['enum'].length > 0) return rules['enum'][0];
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
    const choices = rules[keyword];
    if (Array.isArray(choices) && choices.length > 0) return sampleOfSchema(choices[0], depth + 1);
  }
  switch (typeOf(rules)) {
    case 'object':
      return sampleObject(rules, depth);
    case 'array':
      return 'items' in rules ? [sampleOfSchema(rules['items'], depth + 1)] : [];
    case 'integer':
    case 'number':
      return typeof rules['minimum'] === 'number' ? rules['minimum'] : 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return 'sample'.padEnd(typeof rules['minLength'] === 'number' ? Math.min(rules['minLength'], 1000) : 0, '.');
  }
}

function typeOf(rules: Readonly<Record<string, unknown>>): unknown {
  const { type } = rules;
  if (Array.isArray(type)) return type[0];
  return type ?? (isObject(rules['properties']) ? 'object' : undefined);
}

function sampleObject(rules: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  const properties = asObject(rules['properties']);
  const required = asTexts(rules['required']);
  const names = required.length > 0 ? required : Object.keys(properties);
  return Object.fromEntries(names.map((name) => [name, sampleOfSchema(properties[name], depth + 1)]));
}
