/**
 * Reads single values out of JSON text that passes by in chunks, at any split of the bytes, without building the
 * document: memory does not grow with the text. As strict as RFC 8259, because a text that this scanner and AWS's
 * parser read differently could name a model that is not seen here. Pure, and knows nothing of what the members mean.
 */
import {
  BLOB_NAMES,
  findStop,
  isCompleteNumber,
  isHexDigit,
  isSimpleEscape,
  mayNameBlob,
  numberAfter,
  START_OF_NUMBER,
  STOPS_BLOB,
  STOPS_TEXT,
  Utf8Check,
} from './json-bytes.ts';
import { JsonContainer } from './json-container.ts';
import { isCaseVariant, JsonPaths, type JsonPlace, mayBeMember } from './json-paths.ts';

/** Values and member names with more bytes than this are not kept. AWS's longest names of models have 2,048. */
export const MAX_KEPT_BYTES = 4096;
/** Deeper texts are broken; AWS's parsers stop at 1,000 or before. */
export const MAX_DEPTH = 512;
/**
 * A string of more bytes, with no space, no escape and nothing but ASCII, counts as a blob (base64, a data URL) if a
 * member of BLOB_NAMES holds it, or its array: elsewhere it may be text all the same, whose words something else
 * divides.
 */
export const BLOB_BYTES = 1024;
/**
 * `tooLong`: a string or number of more than MAX_KEPT_BYTES, and its bytes as they stand in the text, escapes and all;
 * `head`: the first HEAD_BYTES of them, one character each.
 */
export type JsonScalar = string | number | boolean | null | { readonly tooLong: number; readonly head: string };
/** What is kept of a value that is not. */
export const HEAD_BYTES = 64;

/** What the next byte may be, outside strings, numbers and literals; and within them. */
const BROKEN = 0;
const VALUE = 1;
const VALUE_OR_END = 2;
const NAME = 3;
const NAME_OR_END = 4;
const COLON = 5;
const COMMA_OR_END = 6;
const NOTHING = 7;
const STRING = 8;
const ESCAPE = 9;
const HEX = 10;
const LITERAL = 11;
const NUMBER = 12;

const LITERALS: readonly { readonly text: string; readonly value: boolean | null }[] = [
  { text: 'true', value: true },
  { text: 'false', value: false },
  { text: 'null', value: null },
];

/** Gets an object or array that stands at a wanted path, built; undefined: one of more than MAX_CONTAINER_BYTES. */
type ContainerListener = (path: string, value: object | undefined) => void;

/**
 * Scans one text. State: what may come next, the containers that are open and which place each of them is, up to
 * MAX_KEPT_BYTES of the name or value that is being read, and up to MAX_CONTAINER_BYTES of a wanted container.
 *
 *   VALUE, VALUE_OR_END   `{` -> NAME_OR_END; `[` -> VALUE_OR_END; `"` -> STRING; or LITERAL, NUMBER
 *   NAME, NAME_OR_END     `"` -> STRING (a name) -> COLON -> VALUE
 *   STRING                `\` -> ESCAPE (`u` -> HEX) -> STRING; `"` ends it
 *   COMMA_OR_END          after a value: `,` -> NAME or VALUE; `}` and `]` -> COMMA_OR_END, the last one -> NOTHING
 *   BROKEN                from anywhere, by a byte that may not come; nothing leads out of it
 */
export class JsonScanner {
  /** Bytes of string values that look like text, as they stand in the text. Member names are not counted. */
  textBytes = 0;
  /** Bytes of string values that look like blobs, and how many there were. */
  blobBytes = 0;
  blobs = 0;
  /** Whether the string that was reported last was one of them. */
  wasBlob = false;
  /** The text begins like an object. */
  isObject = false;
  /** A member that is not wanted has the name of one that is, but for its case: some parsers take it for that one. */
  hasCaseVariant = false;
  /** An object has a wanted member twice, or what holds one: parsers differ in which of the two they take. */
  hasRepeatedMember = false;
  readonly #onValue: (path: string, value: JsonScalar) => void;
  readonly #onContainer: ContainerListener | undefined;
  readonly #onOpen: ((path: string) => void) | undefined;
  readonly #utf8 = new Utf8Check();
  #state = VALUE;
  /** The open containers, outermost first; undefined: nothing that is wanted can be in there. */
  readonly #places: (JsonPlace | undefined)[] = [];
  readonly #areArrays: boolean[] = [];
  /** The wanted members that each open object has had so far; undefined: none. */
  readonly #seen: (JsonPlace[] | undefined)[] = [];
  /** The place of the next value. */
  #place: JsonPlace | undefined;
  #isName = false;
  /** Whether the last name was one of BLOB_NAMES, and whether the string is all that a blob must be, so far. */
  #mayHoldBlob = false;
  #mayBeBlob = false;
  #hasEscape = false;
  #hexLeft = 0;
  #literal = LITERALS[0];
  #number = START_OF_NUMBER;
  #container: JsonContainer | undefined;
  /** Whether the bytes of the name or value are wanted, where they begin in this chunk, and the earlier ones. */
  #isKept = false;
  #start = 0;
  #earlier: Buffer | undefined;
  #earlierBytes = 0;

  /**
   * `onValue` gets every scalar that stands at a wanted path, with the path as it was wanted, in the order of the
   * document and as often as it occurs (a repeated member is reported each time), before it is known whether the whole
   * is well formed. `onContainer` gets the objects and arrays there; of what is in them nothing is reported. Without
   * it, `onOpen` gets the paths at which one begins.
   */
  constructor(
    wanted: readonly string[] | JsonPaths,
    onValue: (path: string, value: JsonScalar) => void,
    onContainer?: ContainerListener,
    onOpen?: (path: string) => void,
  ) {
    this.#place = (wanted instanceof JsonPaths ? wanted : new JsonPaths(wanted)).root;
    this.#onValue = onValue;
    this.#onContainer = onContainer;
    this.#onOpen = onOpen;
  }

  /** The bytes so far are the beginning of no JSON text (or of one that is too deep). Nothing is read after that. */
  get isBroken(): boolean {
    return this.#state === BROKEN;
  }

  /** Never throws; whatever the listeners throw passes through. */
  push(chunk: Uint8Array): void {
    if (this.#state === BROKEN) return;
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    // Parsers differ in what they make of overlong forms: `m\xC1\xAFdel` is `model` to some.
    if (!this.#utf8.push(bytes)) return this.#break();
    let at = 0;
    while (at < bytes.length && this.#state !== BROKEN) {
      if (this.#state === STRING) at = this.#readString(bytes, at);
      else if (this.#state === NUMBER) at = this.#readNumber(bytes, at);
      else at = this.#readByte(bytes, at);
    }
    if (this.#state >= STRING) this.#keepFor(bytes);
    this.#container?.keep(bytes, bytes.length);
  }

  /**
   * The text has ended. True if it was exactly one well-formed value, white space around it allowed. A string that
   * was cut short is counted as text or blob.
   */
  finish(): boolean {
    const isBareNumber = this.#state === NUMBER && this.#places.length === 0;
    if (isBareNumber && isCompleteNumber(this.#number)) this.#endNumber(Buffer.alloc(0), 0);
    if (this.#state >= STRING && this.#state <= HEX && !this.#isName) this.#countString(this.#earlierBytes);
    const isWhole = this.#state === NOTHING && this.#utf8.isWhole;
    if (!isWhole) this.#break();
    return isWhole;
  }

  #break(): void {
    this.#state = BROKEN;
    this.#earlier = undefined;
    this.#container = undefined;
  }

  /** One byte outside strings and numbers, or one of an escape or literal. Returns where to go on. */
  #readByte(bytes: Buffer, at: number): number {
    const byte = bytes[at] ?? 0;
    if (this.#state >= STRING) this.#readInner(byte);
    else if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1;
    else if (this.#state <= VALUE_OR_END) this.#readValueStart(byte, bytes, at);
    else if (this.#state <= NAME_OR_END) this.#readNameStart(byte, bytes, at);
    else if (this.#state === COLON) this.#state = byte === 0x3a ? VALUE : BROKEN;
    else if (this.#state === COMMA_OR_END) this.#readSeparator(byte, bytes, at);
    else this.#break();
    return at + 1;
  }

  #readInner(byte: number): void {
    if (this.#state === LITERAL) return this.#readLiteral(byte);
    if (this.#state === HEX) {
      if (!isHexDigit(byte)) return this.#break();
      this.#hexLeft -= 1;
      if (this.#hexLeft === 0) this.#state = STRING;
      return undefined;
    }
    this.#hexLeft = 4;
    if (byte === 0x75) this.#state = HEX;
    else this.#state = isSimpleEscape(byte) ? STRING : BROKEN;
    return undefined;
  }

  #readValueStart(byte: number, bytes: Buffer, at: number): void {
    if (byte === 0x22) return this.#startString(at, false);
    if (byte === 0x7b) return this.#open(false, at);
    if (byte === 0x5b) return this.#open(true, at);
    if (byte === 0x5d && this.#state === VALUE_OR_END) return this.#close(true, bytes, at);
    const number = numberAfter(START_OF_NUMBER, byte);
    if (number !== undefined) {
      this.#number = number;
      this.#startKept(at, this.#isReported());
      this.#state = NUMBER;
      return undefined;
    }
    this.#literal = LITERALS.find(({ text }) => text.charCodeAt(0) === byte);
    this.#earlierBytes = 1;
    this.#state = this.#literal === undefined ? BROKEN : LITERAL;
    return undefined;
  }

  #readNameStart(byte: number, bytes: Buffer, at: number): void {
    if (byte === 0x22) return this.#startString(at, true);
    if (byte === 0x7d && this.#state === NAME_OR_END) return this.#close(false, bytes, at);
    return this.#break();
  }

  #readSeparator(byte: number, bytes: Buffer, at: number): void {
    const isArray = this.#areArrays.at(-1) === true;
    if (byte !== 0x2c) return byte === (isArray ? 0x5d : 0x7d) ? this.#close(isArray, bytes, at) : this.#break();
    this.#state = isArray ? VALUE : NAME;
    if (isArray) this.#place = this.#places.at(-1)?.element;
    return undefined;
  }

  #open(isArray: boolean, at: number): void {
    const depth = this.#places.length;
    if (depth >= MAX_DEPTH) return this.#break();
    if (depth === 0) this.isObject = !isArray;
    if (this.#isReported()) this.#openWanted(depth, at);
    this.#places.push(this.#place);
    this.#areArrays.push(isArray);
    if (this.#place !== undefined) this.#seen[depth] = undefined;
    this.#state = isArray ? VALUE_OR_END : NAME_OR_END;
    this.#place = this.#place?.element;
    return undefined;
  }

  #openWanted(depth: number, at: number): void {
    const paths = this.#place?.reports ?? [];
    if (this.#onContainer === undefined) {
      for (const path of paths) this.#onOpen?.(path);
      return;
    }
    this.#container = new JsonContainer(paths, depth, at);
    this.#place = undefined;
  }

  #close(isArray: boolean, bytes: Buffer, at: number): void {
    if (this.#areArrays.pop() !== isArray) return this.#break();
    this.#places.pop();
    if (this.#container?.depth === this.#places.length) this.#endContainer(this.#container, bytes, at + 1);
    return this.#endValue();
  }

  #endValue(): void {
    this.#state = this.#places.length === 0 ? NOTHING : COMMA_OR_END;
  }

  #endContainer(container: JsonContainer, bytes: Buffer, end: number): void {
    this.#container = undefined;
    container.keep(bytes, end);
    const value = container.build();
    for (const path of container.paths) this.#onContainer?.(path, value);
  }

  #isReported(): boolean {
    return this.#place !== undefined && this.#place.reports.length > 0;
  }

  #report(value: JsonScalar): void {
    for (const path of this.#place?.reports ?? []) this.#onValue(path, value);
  }

  #readLiteral(byte: number): void {
    const { text = '', value = null } = this.#literal ?? {};
    if (text.charCodeAt(this.#earlierBytes) !== byte) return this.#break();
    this.#earlierBytes += 1;
    if (this.#earlierBytes < text.length) return undefined;
    this.#report(value);
    return this.#endValue();
  }

  #startString(at: number, isName: boolean): void {
    this.#isName = isName;
    this.#hasEscape = false;
    this.#mayBeBlob = !isName && this.#mayHoldBlob;
    this.#startKept(at + 1, isName || this.#isReported());
    this.#state = STRING;
  }

  #readString(bytes: Buffer, from: number): number {
    let at = from;
    for (;;) {
      at = findStop(bytes, at, this.#mayBeBlob ? STOPS_BLOB : STOPS_TEXT);
      if (at === bytes.length) return at;
      const byte = bytes[at] ?? 0;
      if (byte === 0x22) {
        this.#endString(bytes, at);
        return at + 1;
      }
      this.#mayBeBlob = false;
      if (byte === 0x5c) {
        this.#hasEscape = true;
        this.#state = ESCAPE;
        return at + 1;
      }
      if (byte < 0x20) {
        this.#break();
        return at;
      }
    }
  }

  #endString(bytes: Buffer, end: number): void {
    if (!this.#isName) {
      this.#countString(this.#earlierBytes + end - this.#start);
      if (this.#isKept) this.#report(this.#takeString(bytes, end));
      return this.#endValue();
    }
    const place = this.#places.at(-1);
    const first = this.#earlierBytes === 0 ? bytes[this.#start] : this.#earlier?.[0];
    const last = end > this.#start ? bytes[end - 1] : this.#earlier?.[this.#earlierBytes - 1];
    this.#mayHoldBlob = mayNameBlob(first ?? 0, last ?? 0) && this.#isBlobName(bytes, end);
    // An escape may stand for any byte.
    const isWanted =
      place !== undefined && (place.anyMember !== undefined || this.#hasEscape || mayBeMember(place, first, last));
    const name = isWanted ? this.#takeString(bytes, end) : undefined;
    this.#place = typeof name === 'string' ? this.#placeOf(name, place) : place?.anyMember;
    this.#state = COLON;
    return undefined;
  }

  #placeOf(name: string, place: JsonPlace | undefined): JsonPlace | undefined {
    const member = place?.members.get(name);
    if (member !== undefined) this.#see(member);
    else if (place !== undefined && isCaseVariant(name, place)) this.hasCaseVariant = true;
    return member ?? place?.anyMember;
  }

  /** Few members are wanted in one object, and after the first that is repeated none is looked for. */
  #see(member: JsonPlace): void {
    if (this.hasRepeatedMember) return;
    const depth = this.#places.length - 1;
    const seen = this.#seen[depth];
    if (seen === undefined) this.#seen[depth] = [member];
    else if (seen.includes(member)) this.hasRepeatedMember = true;
    else seen.push(member);
  }

  #isBlobName(bytes: Buffer, end: number): boolean {
    const name = this.#take(bytes, end);
    return typeof name === 'string' && BLOB_NAMES.has(name);
  }

  #countString(sizeBytes: number): void {
    const isBlob = this.#mayBeBlob && sizeBytes > BLOB_BYTES;
    this.wasBlob = isBlob;
    if (isBlob) this.blobs += 1;
    if (isBlob) this.blobBytes += sizeBytes;
    else this.textBytes += sizeBytes;
  }

  #takeString(bytes: Buffer, end: number): string | { tooLong: number; head: string } {
    const raw = this.#take(bytes, end);
    if (typeof raw !== 'string' || !this.#hasEscape) return raw;
    // Its characters and escapes have been checked, so this is JSON.
    return String(JSON.parse(`"${raw}"`));
  }

  /** Up to the end of the number, or of the chunk. */
  #readNumber(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length) {
      const next = numberAfter(this.#number, bytes[at] ?? 0);
      if (next === undefined) {
        if (isCompleteNumber(this.#number)) this.#endNumber(bytes, at);
        else this.#break();
        return at;
      }
      this.#number = next;
      at += 1;
    }
    return at;
  }

  #endNumber(bytes: Buffer, end: number): void {
    if (this.#isKept) {
      const text = this.#take(bytes, end);
      this.#report(typeof text === 'string' ? Number(text) : text);
    }
    this.#endValue();
  }

  #startKept(at: number, isKept: boolean): void {
    this.#isKept = isKept;
    this.#start = at;
    this.#earlierBytes = 0;
  }

  /** The chunk ends within a name or value: its bytes are counted, and the first MAX_KEPT_BYTES copied if wanted. */
  #keepFor(bytes: Buffer): void {
    if (this.#state === LITERAL) return;
    const pieceBytes = bytes.length - this.#start;
    if (this.#isKept && this.#earlierBytes < MAX_KEPT_BYTES) {
      this.#earlier ??= Buffer.allocUnsafe(MAX_KEPT_BYTES);
      bytes.copy(this.#earlier, this.#earlierBytes, this.#start);
    }
    this.#earlierBytes += pieceBytes;
    this.#start = 0;
  }

  /** The name or value that ends before `end`, undecoded. */
  #take(bytes: Buffer, end: number): string | { tooLong: number; head: string } {
    const sizeBytes = this.#earlierBytes + end - this.#start;
    if (sizeBytes > MAX_KEPT_BYTES) return { tooLong: sizeBytes, head: this.#takeHead(bytes) };
    if (this.#earlierBytes === 0 || this.#earlier === undefined) return bytes.toString('utf8', this.#start, end);
    bytes.copy(this.#earlier, this.#earlierBytes, this.#start, end);
    return this.#earlier.toString('utf8', 0, sizeBytes);
  }

  #takeHead(bytes: Buffer): string {
    const earlier = this.#earlier;
    if (this.#earlierBytes === 0 || earlier === undefined) {
      return bytes.toString('latin1', this.#start, this.#start + HEAD_BYTES);
    }
    if (this.#earlierBytes < HEAD_BYTES) bytes.copy(earlier, this.#earlierBytes, this.#start);
    return earlier.toString('latin1', 0, HEAD_BYTES);
  }
}
