/**
 * What a prompt cache begins with, as hashes: tools, then the instructions of the system, block by block. Reads the
 * members of the body's object as bytes, in any order, and keeps none of them; decides nothing. A body that is no such
 * object has no prefix.
 */
import { createHash, type Hash } from 'node:crypto';
import { findContentCoding } from '../../http/unpack.ts';
import type { Body } from '../../http/body.ts';
import type { HeaderPair } from '../../http/message.ts';

type Slot = 'tools' | 'system' | 'opening';

/** Converse's names, Anthropic's and OpenAI's; of models before them. Without tools and system, how it opens counts. */
const SLOTS: Readonly<Record<string, Slot>> = {
  tools: 'tools',
  toolConfig: 'tools',
  system: 'system',
  instructions: 'system',
  messages: 'opening',
  prompt: 'opening',
  inputText: 'opening',
  input: 'opening',
};
/** Blocks of the system that count by themselves; AWS takes four cache points in a request. */
const MAX_BLOCKS = 8;
const MAX_NAME_BYTES = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The prefixes of a conversation, the longest first, one at least. `owner`: whose it is; two owners share no cache that
 * the proxy knows of. Throws what reading a spooled body throws.
 */
export async function readPrefixes(
  { chunks, spool }: Pick<Body, 'chunks' | 'spool'>,
  headers: readonly HeaderPair[],
  owner: string,
): Promise<readonly string[]> {
  if (findContentCoding(headers) !== undefined) return [hashOf(owner, undefined)];
  const reader = new PrefixReader();
  if (spool === undefined) for (const chunk of chunks) reader.push(chunk);
  else for await (const chunk of spool.read()) reader.push(chunk);
  const { tools, system, opening } = reader.finish();
  if (tools === undefined && system.length === 0) return [hashOf(owner, opening)];
  const base = tools === undefined ? [] : [hashOf(owner, tools)];
  return [...base, ...system.map((block) => hashOf(owner, tools, block))].toReversed();
}

function hashOf(...parts: readonly (string | undefined)[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('base64url').slice(0, 22);
}

interface Found {
  readonly tools: string | undefined;
  /** After each block, all up to there. */
  readonly system: readonly string[];
  /** The first message, or the whole prompt. */
  readonly opening: string | undefined;
}

/** State: where it stands in the text, the member it is in, and the hash of that. */
class PrefixReader {
  #depth = 0;
  #isInText = false;
  /** An odd number of backslashes stands before the next byte. */
  #isEscaped = false;
  /** A name of the outermost object, as far as it was read; undefined if this text is none. */
  #name: string | undefined;
  #expectsName = false;
  #slot: Slot | undefined;
  #hash: Hash | undefined;
  #isList = false;
  readonly #digests: Record<Slot, string[]> = { tools: [], system: [], opening: [] };

  /** The next bytes. */
  push(chunk: Buffer): void {
    // What is hashed of this chunk begins here.
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      if (this.#isInText) {
        const end = this.#endOfText(chunk, at);
        this.#readName(chunk, at, end ?? chunk.length);
        if (end === undefined) break;
        this.#isInText = false;
        at = end;
        continue;
      }
      const byte = chunk[at];
      if (byte === QUOTE) this.#openText();
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#open(byte);
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST || byte === COMMA) {
        if (this.#isEndOfPart(byte)) {
          this.#hash?.update(chunk.subarray(from, at));
          from = at;
          this.#note();
        }
        this.#close(byte);
      } else if (byte === COLON && this.#depth === 1 && this.#expectsName) {
        this.#beginMember();
        from = at + 1;
      }
    }
    this.#hash?.update(chunk.subarray(from));
  }

  /** Once. */
  finish(): Found {
    const { tools, system, opening } = this.#digests;
    return { tools: tools.length === 0 ? undefined : tools.join(), system, opening: opening[0] };
  }

  #openText(): void {
    this.#isInText = true;
    this.#isEscaped = false;
    this.#name = this.#depth === 1 && this.#expectsName ? '' : undefined;
  }

  /** Where the text ends that `at` is in; undefined: not in this chunk. */
  #endOfText(chunk: Buffer, at: number): number | undefined {
    let from = at;
    while (true) {
      const quote = chunk.indexOf(QUOTE, from);
      const end = quote === -1 ? chunk.length : quote;
      let backslashes = 0;
      while (end - backslashes > from && chunk[end - backslashes - 1] === BACKSLASH) backslashes += 1;
      // Only a run from the first byte on goes on what came before.
      const isEscaped = (backslashes + (end - backslashes === from && this.#isEscaped ? 1 : 0)) % 2 === 1;
      this.#isEscaped = isEscaped && quote === -1;
      if (quote === -1) return undefined;
      if (!isEscaped) return quote;
      from = quote + 1;
    }
  }

  #readName(chunk: Buffer, from: number, to: number): void {
    if (this.#name === undefined) return;
    this.#name = (this.#name + chunk.toString('latin1', from, Math.min(to, from + MAX_NAME_BYTES))).slice(
      0,
      MAX_NAME_BYTES,
    );
  }

  #beginMember(): void {
    this.#expectsName = false;
    const name = this.#name ?? '';
    this.#slot = Object.hasOwn(SLOTS, name) ? SLOTS[name] : undefined;
    this.#isList = false;
    const isWanted = this.#slot !== undefined && (this.#slot !== 'opening' || this.#digests.opening.length === 0);
    this.#hash = isWanted ? createHash('sha256') : undefined;
  }

  #open(byte: number): void {
    this.#depth += 1;
    if (this.#depth === 1) this.#expectsName = true;
    else if (this.#depth === 2) this.#isList = byte === OPEN_LIST;
  }

  /** A member of the outermost object ends, or an element of its list. */
  #isEndOfPart(byte: number): boolean {
    if (this.#hash === undefined) return false;
    if (this.#depth === 1) return true;
    return this.#depth === 2 && this.#isList && (byte === COMMA || byte === CLOSE_LIST);
  }

  #note(): void {
    const slot = this.#slot;
    if (this.#hash === undefined || slot === undefined) return;
    const digests = this.#digests[slot];
    const isElement = this.#depth === 2;
    // Tools count as a whole; of the others, the elements of a list have been noted when it ends.
    const isNoted = slot === 'tools' ? !isElement : isElement || !this.#isList;
    if (isNoted && digests.length < MAX_BLOCKS) digests.push(this.#hash.copy().digest('base64url'));
    if (!isElement || slot === 'opening') this.#hash = undefined;
  }

  #close(byte: number): void {
    if (byte !== COMMA) this.#depth -= 1;
    else if (this.#depth === 1) this.#expectsName = true;
  }
}
