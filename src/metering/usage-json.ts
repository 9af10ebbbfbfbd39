/**
 * Usage out of JSON text: one that is a whole body and passes in chunks, or one small event. A body may be large, so it
 * is scanned, and only the few members that tell of usage are built; an event is parsed if it can have usage at all.
 */
import { isUtf8 } from 'node:buffer';
import { asObject } from '../lib/json.ts';
import { JsonPaths } from '../protocol/json-paths.ts';
import { type JsonScalar, JsonScanner } from '../protocol/json-scan.ts';
import { MEMBERS, PART_PATHS, type UsageReader } from './usage-readers.ts';
import type { Tally } from './usage-tally.ts';
import { measureText, type TextMembers } from './usage-text.ts';

/** Reads one response, at any split of its bytes. Holds a bounded part of them; what it learns is in a tally. */
export interface ResponseReader {
  /** May throw if the bytes are not what they should be; the reader is then of no more use. */
  read(chunk: Buffer): void;
  /** The response is over; `isWhole`: at its proper end. May throw. */
  finish(isWhole: boolean): void;
}

/** What the JSON of an event is good for. */
export interface EventShape {
  /** The members with what the model wrote; undefined: it has no text. */
  readonly members?: TextMembers;
  /** Text is measured only in events with these letters: others repeat it. */
  readonly textMarker?: Buffer;
  /** Undefined: it has no usage. */
  readonly readUsage?: UsageReader;
  /** Without any of these letters in it, it has no usage. */
  readonly markers?: readonly Buffer[];
}

/** No count has a name without these letters: `inputTokens`, `prompt_token_count`, `totalOutputTextTokenCount`. */
const COUNT_MARKERS = [Buffer.from('oken')];
/**
 * A larger event is scanned like a body, which stops at deep nesting. Metadata with the trace of a guardrail or an
 * agent can be larger, and so can what repeats a whole response.
 */
const MAX_PARSED_BYTES = 64 * 1024;

/** Measures the text of one event and reads its usage. Most events bring only text, and are not parsed. */
export function readEvent(json: Buffer, shape: EventShape, tally: Tally): void {
  const { members, textMarker, readUsage, markers = COUNT_MARKERS } = shape;
  const hasText = members !== undefined && (textMarker === undefined || json.includes(textMarker));
  if (hasText) tally.textBytes += measureText(json, members);
  if (readUsage === undefined || !includesAny(json, markers)) return;
  if (json.length > MAX_PARSED_BYTES) return scanEvent(json, readUsage, tally);
  let event: unknown;
  try {
    event = JSON.parse(json.toString());
  } catch {
    tally.hasUnread = true;
    return;
  }
  readUsage(asObject(event), tally);
}

function includesAny(json: Buffer, markers: readonly Buffer[]): boolean {
  for (const marker of markers) if (json.includes(marker)) return true;
  return false;
}

function scanEvent(json: Buffer, readUsage: UsageReader, tally: Tally): void {
  const reader = new BodyReader({ readUsage, isEvent: true }, tally);
  reader.read(json);
  reader.finish();
}

/** How a response, or an event, that is one JSON text tells what was used. */
export interface BodyShape {
  /** Gets the members that MEMBERS names. */
  readonly readUsage: UsageReader;
  /** No text in it is counted: what an event repeats was counted before. */
  readonly isEvent?: boolean;
  /** Gets the scalars at PART_PATHS; undefined: this shape has nothing there. */
  readonly readPart?: (path: string, value: unknown, tally: Tally) => void;
}

const BODY_PATHS = new JsonPaths([...MEMBERS, ...PART_PATHS]);

/** A body up to this size is parsed when all of it is there. */
const MAX_PARSED_BODY_BYTES = 16 * 1024;

/**
 * Reads a response that is one JSON text. State: a small one as it came; of a larger one, those of its members that
 * have passed and that matter.
 */
export class BodyReader implements ResponseReader {
  /** Undefined: it is scanned. */
  #kept: Buffer[] | undefined;
  #keptBytes = 0;
  #openScanner: JsonScanner | undefined;
  readonly #members: Record<string, unknown> = {};
  readonly #shape: BodyShape;
  readonly #tally: Tally;

  constructor(shape: BodyShape, tally: Tally) {
    this.#shape = shape;
    this.#tally = tally;
    // What is told in parts is told by the scanner alone.
    this.#kept = shape.readPart === undefined ? [] : undefined;
  }

  read(chunk: Buffer): void {
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > MAX_PARSED_BODY_BYTES) this.#scanKept();
    if (this.#kept === undefined) this.#scan(chunk);
    else this.#kept.push(chunk);
  }

  finish(isWhole = true): void {
    if (isWhole && this.#parseKept()) return;
    this.#scanKept();
    if (!this.#scanner.finish()) this.#tally.hasUnread = true;
    this.#countText();
    this.#shape.readUsage(this.#members, this.#tally);
  }

  /** False if it is not kept, or not JSON. */
  #parseKept(): boolean {
    const kept = this.#kept ?? [];
    const json = kept.length === 1 && kept[0] !== undefined ? kept[0] : Buffer.concat(kept);
    let body: unknown;
    try {
      if (!isUtf8(json)) return false;
      body = JSON.parse(json.toString());
    } catch {
      return false;
    }
    this.#shape.readUsage(asObject(body), this.#tally);
    // Text is counted only where nothing else is.
    if (!this.#tally.isFinal) this.#scanKept();
    return true;
  }

  #scanKept(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const chunk of kept) this.#scan(chunk);
  }

  #scan(chunk: Buffer): void {
    this.#scanner.push(chunk);
    this.#countText();
  }

  #countText(): void {
    if (this.#shape.isEvent !== true) this.#tally.textBytes = this.#scanner.textBytes;
  }

  get #scanner(): JsonScanner {
    return (this.#openScanner ??= new JsonScanner(
      BODY_PATHS,
      (path, value) => this.#takeScalar(path, value),
      (path, value) => this.#takeContainer(path, value),
    ));
  }

  #takeScalar(path: string, value: JsonScalar): void {
    if (PART_PATHS.includes(path)) this.#shape.readPart?.(path, value, this.#tally);
    else this.#keepMember(path, value);
  }

  #takeContainer(path: string, value: object | undefined): void {
    if (PART_PATHS.includes(path)) return;
    if (value === undefined) this.#tally.hasUnread = true;
    else this.#keepMember(path, value);
  }

  #keepMember(path: string, value: unknown): void {
    const [name = '', inner] = path.split('.');
    this.#members[name] = inner === undefined ? value : { ...asObject(this.#members[name]), [inner]: value };
  }
}
