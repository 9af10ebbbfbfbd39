/**
 * Reads JSON that somebody else wrote. Tolerant: a value of another type than expected reads as nothing; who minds has
 * to check.
 */

/** A JSON object, not looked into. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The JSON object in a body; undefined if the body is anything else. */
export function parseJsonObject(body: Uint8Array): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** True for a JSON object; arrays and null are none. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is an object, else an empty one. */
export function asObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** The objects in a list; nothing if the value is no list. */
export function asObjects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** The value if it is text, else the empty text. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The texts in a list; nothing if the value is no list. */
export function asTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** The value if it is a whole number of at least `least`, else the fallback. */
export function asCount(value: unknown, least: number, fallback: number): number {
  return Number.isSafeInteger(value) && Number(value) >= least ? Number(value) : fallback;
}
