/**
 * Where the values of a JSON text stand, as a tree of byte spans: for who has to say which bytes of a body something is
 * about, and not only what it is. Deep values are leaves. Pure; not for the way of a request, which never parses.
 */

/** A value: its first byte, and the one after its last. */
export interface JsonNode {
  readonly kind: 'object' | 'array' | 'string' | 'other';
  readonly from: number;
  readonly to: number;
  /** Of an object, in the order of the text; a name that stands there twice is there twice. */
  readonly members: readonly JsonMember[];
  /** Of an array. */
  readonly items: readonly JsonNode[];
}

/** A member of an object. */
export interface JsonMember {
  readonly name: string;
  /** The first byte of its name. */
  readonly from: number;
  readonly value: JsonNode;
}

/** A text that was read. */
export interface JsonTree {
  readonly root: JsonNode;
  /** White space between values, as spans one after the other: from, to, from, to, … */
  readonly blanks: readonly number[];
}

/** What is deeper is a leaf. */
const DEFAULT_DEPTH = 8;
/** More values are nothing that a model reads as a conversation. */
const MAX_NODES = 50_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const NOTHING: readonly never[] = [];

/** Reads a text that a JSON parser would take; of another one it gives undefined, or a tree of some kind. */
export function readJsonTree(text: Buffer, depth = DEFAULT_DEPTH): JsonTree | undefined {
  const reader = new TreeReader(text);
  try {
    const root = reader.read(depth);
    return reader.isAtEnd() ? { root, blanks: reader.blanks } : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** The value of a member, the last of its name as parsers have it; undefined if there is none. */
export function findMember(node: JsonNode | undefined, name: string): JsonNode | undefined {
  return node?.members.findLast((member) => member.name === name)?.value;
}

/** The text of a string; undefined of anything else, and of one that a parser would not take. */
export function readJsonText(text: Buffer, node: JsonNode | undefined): string | undefined {
  if (node?.kind !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text.toString('utf8', node.from, node.to));
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** State: how far it is in the text. Throws SyntaxError where it is none. */
class TreeReader {
  readonly blanks: number[] = [];
  readonly #text: Buffer;
  #at = 0;
  #nodes = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#skipBlanks();
    return this.#at === this.#text.length;
  }

  read(depth: number): JsonNode {
    this.#skipBlanks();
    if ((this.#nodes += 1) > MAX_NODES) throw new SyntaxError('too many values');
    const from = this.#at;
    const byte = this.#text[from];
    if (byte === QUOTE) {
      this.#skipString();
      return this.#leaf('string', from);
    }
    const isContainer = byte === OPEN_OBJECT || byte === OPEN_LIST;
    if (isContainer && depth > 0) return byte === OPEN_LIST ? this.#readList(depth) : this.#readObject(depth);
    if (isContainer) {
      this.#skipContainer();
      return this.#leaf(byte === OPEN_LIST ? 'array' : 'object', from);
    }
    this.#skipWord();
    return this.#leaf('other', from);
  }

  #leaf(kind: JsonNode['kind'], from: number): JsonNode {
    return { kind, from, to: this.#at, members: NOTHING, items: NOTHING };
  }

  #readList(depth: number): JsonNode {
    const from = this.#at;
    const items: JsonNode[] = [];
    this.#at += 1;
    if (!this.#takes(CLOSE_LIST)) {
      do items.push(this.read(depth - 1));
      while (this.#takes(COMMA));
      this.#expect(CLOSE_LIST);
    }
    return { kind: 'array', from, to: this.#at, members: NOTHING, items };
  }

  #readObject(depth: number): JsonNode {
    const from = this.#at;
    const members: JsonMember[] = [];
    this.#at += 1;
    if (!this.#takes(CLOSE_OBJECT)) {
      do members.push(this.#readMember(depth));
      while (this.#takes(COMMA));
      this.#expect(CLOSE_OBJECT);
    }
    return { kind: 'object', from, to: this.#at, members, items: NOTHING };
  }

  #readMember(depth: number): JsonMember {
    this.#skipBlanks();
    const from = this.#at;
    if (this.#text[from] !== QUOTE) throw new SyntaxError('no name');
    this.#skipString();
    const name: unknown = JSON.parse(this.#text.toString('utf8', from, this.#at));
    this.#expect(COLON);
    return { name: String(name), from, value: this.read(depth - 1) };
  }

  #takes(byte: number): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#takes(byte)) throw new SyntaxError('not JSON');
  }

  #skipBlanks(): void {
    const from = this.#at;
    while (isBlank(this.#text[this.#at])) this.#at += 1;
    if (this.#at > from) this.blanks.push(from, this.#at);
  }

  /** From its first quotation mark to after its last. */
  #skipString(): void {
    for (let from = this.#at + 1; ;) {
      const end = this.#text.indexOf(QUOTE, from);
      if (end === -1) throw new SyntaxError('open string');
      let backslashes = 0;
      while (this.#text[end - backslashes - 1] === BACKSLASH) backslashes += 1;
      from = end + 1;
      if (backslashes % 2 === 1) continue;
      this.#at = from;
      return;
    }
  }

  #skipContainer(): void {
    let open = 0;
    do {
      this.#skipBlanks();
      const byte = this.#text[this.#at];
      if (byte === undefined) throw new SyntaxError('open container');
      if (byte === QUOTE) {
        this.#skipString();
        continue;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) open += 1;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) open -= 1;
      this.#at += 1;
    } while (open > 0);
  }

  /** A number, or `true`, `false`, `null`. */
  #skipWord(): void {
    const from = this.#at;
    while (isWord(this.#text[this.#at])) this.#at += 1;
    if (this.#at === from) throw new SyntaxError('not JSON');
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isWord(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const isDigit = byte >= 0x30 && byte <= 0x39;
  const isLetter = (byte >= 0x61 && byte <= 0x7a) || byte === 0x45;
  return isDigit || isLetter || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}
