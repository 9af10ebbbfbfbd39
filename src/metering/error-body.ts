/**
 * What a refusal of AWS says: type and message out of the body of an error, of whichever of its front ends. Pure, and
 * bounded: a copy of the first bytes is read when they have passed.
 */
import { asObject } from '../lib/json.ts';
import type { ResponseReader } from './usage-json.ts';
import type { Tally } from './usage-tally.ts';

/** What is kept of a body. AWS's errors are some hundred bytes. */
const MAX_BYTES = 4096;

/** A member of JSON that may be cut anywhere: its name, and its text as far as it goes. */
const MESSAGE = /"[Mm]essage"\s*:\s*"((?:[^"\\]|\\.)*)/s;
const TYPE = /"__type"\s*:\s*"([^"\\]*)"/;

/** What an error says of itself; undefined is what it does not say, or not as text. */
export interface ErrorWords {
  readonly type: string | undefined;
  readonly message: string | undefined;
}

/**
 * Reads `{"message"}` or `{"Message"}` with `__type`, as AWS writes it, and `{"error":{"type","message"}}`, as OpenAI
 * and Anthropic do. Only the first 4 KiB are looked at.
 */
export function readErrorBody(json: Buffer): ErrorWords {
  const text = json.subarray(0, MAX_BYTES).toString();
  const body = asObject(parseJson(text) ?? readPart(text));
  const error = asObject(body['error']);
  const message = [body['message'], body['Message'], error['message'], body['error']].find(isText);
  const type = [body['__type'], error['type'], error['code'], body['code']].find(isText);
  return { type: type?.replace(/^.*#/s, '').replace(/:.*$/s, ''), message };
}

/** The body of a response that is an error. State: its first bytes, as a copy. */
export class ErrorBodyReader implements ResponseReader {
  readonly #tally: Tally;
  readonly #kept: Buffer[] = [];
  #roomBytes = MAX_BYTES;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  read(chunk: Buffer): void {
    if (this.#roomBytes === 0) return;
    const piece = Buffer.from(chunk.subarray(0, this.#roomBytes));
    this.#roomBytes -= piece.length;
    this.#kept.push(piece);
  }

  finish(): void {
    const { type, message } = readErrorBody(Buffer.concat(this.#kept));
    if (type !== undefined) this.#tally.putError(type);
    this.#tally.putErrorMessage(message);
  }
}

/** Of a body that is longer than what is kept. */
function readPart(text: string): unknown {
  const escaped = MESSAGE.exec(text)?.[1];
  return { __type: TYPE.exec(text)?.[1], message: escaped && parseJson(`"${escaped.replace(/\\u[^"]{0,3}$/, '')}"`) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
