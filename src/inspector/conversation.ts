/**
 * Which exchanges belong together: the turns of a conversation, because a request repeats all that was said before it,
 * and the attempts of one request, because a client sent the same bytes again after a failure. Nothing is guessed: what
 * is not the same is not linked.
 */
import { createHash, hash } from 'node:crypto';
import { findMember, type JsonNode } from '../protocol/json-tree.ts';
import type { Exchange } from './exchange.ts';

/** Links of so many exchanges are kept. */
const MAX_KNOWN = 5_000;
/** Longer after a failure, the same request is a new one. */
const ATTEMPT_MS = 120_000;
/** Where messages are in a body: of Converse, Anthropic and OpenAI's chat, and of OpenAI's responses. */
const MESSAGE_LISTS = ['messages', 'input'];
/** Markers of prompt caching, which clients move from turn to turn. In a JSON string their quotes would be escaped. */
const MARKERS = /"cache_control"\s*:\s*\{[^{}]*\}|\{\s*"cachePoint"\s*:\s*\{[^{}]*\}\s*\}/g;
/** No conversation has more; each costs a hash, while others wait. */
const MAX_MESSAGES = 5_000;

/** What is longer is hashed. */
const MAX_KEY_LENGTH = 300;

interface KnownTurn {
  readonly id: string;
  readonly conversation: string;
  readonly turn: number;
}

interface KnownAttempt {
  readonly id: string;
  readonly number: number;
  /** Undefined: it is under way, or it went well. */
  failedAtMs: number | undefined;
}

/** What a link needs to know of a request. */
export interface LinkedRequest {
  readonly id: string;
  /** Whose it is: nobody's conversation goes on with another key. */
  readonly caller: string;
}

/** Finds what belongs together. State: the last ones that may go on. */
export class ConversationIndex {
  /** By the hash of all messages of a request. */
  readonly #turns = new Map<string, KnownTurn>();
  /** By caller, path and body. */
  readonly #attempts = new Map<string, KnownAttempt>();

  /** The turn that a request is, and the one before; undefined: nothing was said before it, as far as is known. */
  findTurn({ id, caller }: LinkedRequest, body: Buffer, root: JsonNode): Exchange['conversation'] {
    const hashes = hashMessages(caller, body, root);
    const own = hashes.at(-1);
    if (own === undefined) return undefined;
    const before = hashes.slice(0, -1).findLast((each) => this.#turns.has(each));
    const previous = before === undefined ? undefined : this.#turns.get(before);
    const turn: KnownTurn = {
      id,
      conversation: previous?.conversation ?? id,
      turn: (previous?.turn ?? 0) + 1,
    };
    remember(this.#turns, own, turn);
    return { id: turn.conversation, turn: turn.turn, previous: previous?.id };
  }

  /** Which attempt a request is; undefined: the first. `of`: what makes it the same request. */
  findAttempt({ id, caller }: LinkedRequest, of: string, nowMs: number): Exchange['attempt'] {
    const key = keyOf(caller, of);
    const before = this.#attempts.get(key);
    const isNext = before?.failedAtMs !== undefined && nowMs - before.failedAtMs <= ATTEMPT_MS;
    const number = isNext ? before.number + 1 : 1;
    remember(this.#attempts, key, { id, number, failedAtMs: undefined });
    return isNext ? { number, previous: before.id } : undefined;
  }

  /** It has failed: the same request again is its next attempt. */
  noteFailure({ id, caller }: LinkedRequest, of: string, nowMs: number): void {
    const known = this.#attempts.get(keyOf(caller, of));
    if (known?.id === id) known.failedAtMs = nowMs;
  }
}

/** One for each message: of it and all before it. */
function hashMessages(caller: string, body: Buffer, root: JsonNode): readonly string[] {
  const list = MESSAGE_LISTS.map((name) => findMember(root, name)?.items ?? []).find((each) => each.length > 0) ?? [];
  if (list.length > MAX_MESSAGES) return [];
  let before = caller;
  return list.map(({ from: start, to: end }) => {
    const text = withoutMarkers(body.toString('latin1', start, end));
    before = createHash('sha256').update(before).update('\n').update(text, 'latin1').digest('base64');
    return before;
  });
}

/** Short, however long a path is. */
function keyOf(caller: string, of: string): string {
  const key = `${caller} ${of}`;
  return key.length <= MAX_KEY_LENGTH ? key : hash('sha256', key, 'base64');
}

/** Each with the comma and the blanks before it. Those a pattern would look for at each blank of a text anew. */
function withoutMarkers(text: string): string {
  let rest = '';
  let at = 0;
  for (const { 0: marker, index } of text.matchAll(MARKERS)) {
    const before = text.slice(at, index).trimEnd();
    rest += before.endsWith(',') ? before.slice(0, -1) : before;
    at = index + marker.length;
  }
  return rest + text.slice(at);
}

function remember<Value>(known: Map<string, Value>, key: string, value: Value): void {
  known.delete(key);
  known.set(key, value);
  if (known.size <= MAX_KNOWN) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}
