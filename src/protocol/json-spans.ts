/**
 * Where in a JSON text its values stand, byte by byte: for what has to show, compare or cut the very bytes that a
 * client sent. The text must be JSON already (JSON.parse has taken it); of another one this says something, and does
 * not throw. Pure.
 */

/** A value in a JSON text. Its bytes are those from `start` to `end`. */
export interface JsonSpan {
  readonly start: number;
  readonly end: number;
  /** Of an object, by name: of a name that it has twice the last one, as JSON.parse. Undefined: none, or too deep. */
  readonly members: ReadonlyMap<string, JsonSpan> | undefined;
  /** Of a list. Undefined: it is none, or lies too deep. */
  readonly elements: readonly JsonSpan[] | undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Finds the values of a text; those within more than `maxDepth` objects and lists are not told one by one. */
export function readJsonSpans(json: Buffer, maxDepth: number): JsonSpan {
  return new SpanReader(json).readValue(maxDepth);
}

/** The value at this path of names and indices; undefined if there is none, or it is too deep. */
export function findSpan(span: JsonSpan | undefined, path: readonly (string | number)[]): JsonSpan | undefined {
  return path.reduce<JsonSpan | undefined>(
    (within, step) => (typeof step === 'number' ? within?.elements?.[step] : within?.members?.get(step)),
    span,
  );
}

/** State: how far the text is read. */
class SpanReader {
  readonly #json: Buffer;
  #at = 0;

  constructor(json: Buffer) {
    this.#json = json;
  }

  readValue(depth: number): JsonSpan {
    this.#skipBlanks();
    const start = this.#at;
    const first = this.#json[start];
    const isContainer = first === OPEN_BRACE || first === OPEN_BRACKET;
    if (!isContainer || depth <= 0) {
      if (isContainer) this.#skipContainer();
      else this.#skipScalar();
      return { start, end: this.#at, members: undefined, elements: undefined };
    }
    this.#at += 1;
    if (first === OPEN_BRACKET) {
      const elements = this.#readElements(depth - 1);
      return { start, end: this.#at, members: undefined, elements };
    }
    const members = this.#readMembers(depth - 1);
    return { start, end: this.#at, members, elements: undefined };
  }

  #readElements(depth: number): JsonSpan[] {
    const elements: JsonSpan[] = [];
    while (!this.#ends(CLOSE_BRACKET)) {
      elements.push(this.readValue(depth));
      this.#skipBlanks();
      if (this.#json[this.#at] === COMMA) this.#at += 1;
    }
    return elements;
  }

  #readMembers(depth: number): Map<string, JsonSpan> {
    const members = new Map<string, JsonSpan>();
    while (!this.#ends(CLOSE_BRACE)) {
      const start = this.#at;
      this.#skipScalar();
      const name = readName(this.#json.subarray(start, this.#at));
      this.#skipBlanks();
      this.#at += 1;
      members.set(name, this.readValue(depth));
      this.#skipBlanks();
      if (this.#json[this.#at] === COMMA) this.#at += 1;
    }
    return members;
  }

  /** Whether the container is over, and steps over its end. */
  #ends(end: number): boolean {
    this.#skipBlanks();
    const isOver = this.#at >= this.#json.length || this.#json[this.#at] === end;
    if (isOver) this.#at = Math.min(this.#at + 1, this.#json.length);
    return isOver;
  }

  #skipContainer(): void {
    let open = 0;
    do {
      const byte = this.#json[this.#at];
      if (byte === QUOTE) {
        this.#skipScalar();
        continue;
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) open += 1;
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) open -= 1;
      this.#at += 1;
    } while (open > 0 && this.#at < this.#json.length);
  }

  /** A string, a number or a literal; of what is none of these, a byte. */
  #skipScalar(): void {
    if (this.#json[this.#at] === QUOTE) return this.#skipString();
    do this.#at += 1;
    while (this.#at < this.#json.length && !isDelimiter(this.#json[this.#at] ?? 0));
  }

  #skipString(): void {
    let at = this.#at + 1;
    for (;;) {
      const quote = this.#json.indexOf(QUOTE, at);
      if (quote === -1) {
        this.#at = this.#json.length;
        return;
      }
      let backslashes = 0;
      while (this.#json[quote - 1 - backslashes] === BACKSLASH && quote - 1 - backslashes >= at) backslashes += 1;
      at = quote + 1;
      if (backslashes % 2 === 0) break;
    }
    this.#at = at;
  }

  #skipBlanks(): void {
    while (isBlank(this.#json[this.#at])) this.#at += 1;
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDelimiter(byte: number): boolean {
  return isBlank(byte) || byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte === 0x3a;
}

function readName(quoted: Buffer): string {
  const text = quoted.toString();
  if (!text.includes('\\')) return text.slice(1, -1);
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
