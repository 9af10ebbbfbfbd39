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

/** How much there is to read in a JSON text. */
export interface JsonExtent {
  /** Of objects and lists within each other. */
  readonly depth: number;
  /** Members and elements, or one more. */
  readonly values: number;
}

/**
 * Before it is parsed, which costs by the value and not by the byte, as does what looks at the values then. Of bytes
 * that are no JSON it says something.
 */
export function measureJson(json: Uint8Array): JsonExtent {
  let isText = false;
  let open = 0;
  let depth = 0;
  let values = 0;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === 0x22) isText = !isText;
    else if (isText) at += byte === 0x5c ? 1 : 0;
    else if (byte === 0x2c) values += 1;
    else if (byte === 0x7b || byte === 0x5b) {
      values += 1;
      open += 1;
      depth = Math.max(depth, open);
    } else if (byte === 0x7d || byte === 0x5d) open -= 1;
  }
  return { depth, values };
}
