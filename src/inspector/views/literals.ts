/**
 * JSON as source code of Python and JavaScript, with bytes where an operation takes bytes. What stands in it may come
 * from anybody: it becomes a literal, and never anything else. Pure.
 */
import { isObject } from '../../lib/json.ts';

/** How a language writes what JSON has. */
export interface LiteralStyle {
  readonly words: { readonly null: string; readonly true: string; readonly false: string };
  /** Bytes of what is given in base64: an expression of one. */
  readonly decode: (base64: string) => string;
  /** By which inner lines are indented further. */
  readonly step: string;
  /** The name of a member before its colon. */
  readonly name: (name: string) => string;
}

/** Python. Its strings know all escapes of JSON. */
export const PYTHON: LiteralStyle = {
  words: { null: 'None', true: 'True', false: 'False' },
  decode: (base64) => `base64.b64decode(${base64})`,
  step: '    ',
  name: printText,
};

/** JavaScript. A member of this name would set the prototype, if it were not computed. */
export const JAVASCRIPT: LiteralStyle = {
  words: { null: 'null', true: 'true', false: 'false' },
  decode: (base64) => `Buffer.from(${base64}, 'base64')`,
  step: '  ',
  name: (name) => (name === '__proto__' ? '["__proto__"]' : printText(name)),
};

/** Where in a value bytes are, as BLOB_FIELDS has it: steps are names, `*`, and `[]` for elements. */
export type BlobSteps = readonly (readonly string[])[];

/** Reads paths like `content[].image.source.bytes`. */
export function readBlobPaths(paths: readonly string[]): BlobSteps {
  return paths.map((path) => path.replaceAll('[]', '.[]').split('.'));
}

/** Prints a value, its inner lines indented by this much. */
export function printLiteral(value: unknown, style: LiteralStyle, blobs: BlobSteps, indent: string): string {
  if (typeof value === 'string')
    return blobs.some((steps) => steps.length === 0) ? style.decode(printText(value)) : printText(value);
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return style.words[value ? 'true' : 'false'];
  const inner = `${indent}${style.step}`;
  if (Array.isArray(value)) {
    const elements = value.map((item) => printLiteral(item, style, below(blobs, '[]'), inner));
    return wrap(elements, ['[', ']'], { indent, inner });
  }
  if (!isObject(value)) return style.words.null;
  const members = Object.entries(value).map(
    ([name, item]) => `${style.name(name)}: ${printLiteral(item, style, below(blobs, name), inner)}`,
  );
  return wrap(members, ['{', '}'], { indent, inner });
}

/** Where in a value bytes are: names of members, and numbers of elements. */
export function findBlobs(value: unknown, blobs: BlobSteps): readonly (readonly (string | number)[])[] {
  if (blobs.length === 0) return [];
  const within = (step: string | number, item: unknown): readonly (readonly (string | number)[])[] =>
    findBlobs(item, below(blobs, typeof step === 'number' ? '[]' : step)).map((path) => [step, ...path]);
  if (Array.isArray(value)) return value.flatMap((item, at) => within(at, item));
  if (isObject(value)) return Object.entries(value).flatMap(([name, item]) => within(name, item));
  return typeof value === 'string' && blobs.some((steps) => steps.length === 0) ? [[]] : [];
}

function below(blobs: BlobSteps, step: string): BlobSteps {
  const isElement = step === '[]';
  return blobs.flatMap(([first, ...rest]) => (first === step || (first === '*' && !isElement) ? [rest] : []));
}

function wrap(
  parts: readonly string[],
  [open, close]: readonly [string, string],
  { indent, inner }: { readonly indent: string; readonly inner: string },
): string {
  if (parts.length === 0) return `${open}${close}`;
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close}`;
}

/** The escapes of JSON are those of both languages; other line ends than LF are escaped, too. */
export function printText(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
