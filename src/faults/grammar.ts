/**
 * The grammar of faults: text to a rule. Pure; nothing is counted or drawn here.
 *
 *   throttle retry-after=2 p=0.2 where model:*haiku*
 *   cut at=frame:3+20b every=10 where is:stream
 */
import { findMeant } from '../lib/nearest-name.ts';
import type { FilterProblem } from '../filter/syntax.ts';
import { type RecordFilter, readRecordFilter } from '../filter/record-filter.ts';
import { type Refusal, REFUSALS, refusalOf } from './refusals.ts';
import {
  readByteCount,
  readByteRate,
  readChance,
  readErrorStatus,
  readMilliseconds,
  readWholeNumber,
} from './values.ts';

/** Where in a response something happens: after so many frames and then so many bytes; frames: 0 counts bytes alone. */
export interface FaultPlace {
  readonly frames: number;
  readonly bytes: number;
}

/** What happens before the request is sent, which it then is not, but for `slow-accept`. */
export type EarlyEffect =
  | { readonly does: 'refuse'; readonly refusal: Refusal; readonly retryAfterSeconds: number | undefined }
  | { readonly does: 'connect' | 'budget' }
  | { readonly does: 'wait'; readonly ms: number };

/** What happens to a response. */
export type LateEffect =
  | { readonly does: 'first-byte'; readonly ms: number }
  | { readonly does: 'gap'; readonly fromMs: number; readonly toMs: number }
  | { readonly does: 'rate'; readonly bytesPerSecond: number }
  | { readonly does: 'stall' | 'cut' | 'reset'; readonly at: FaultPlace }
  | { readonly does: 'exception'; readonly type: string; readonly at: FaultPlace }
  | { readonly does: 'crc'; readonly which: 'message' | 'prelude'; readonly at: FaultPlace }
  | { readonly does: 'malformed' | 'empty' };

/** One rule. */
export interface FaultRule {
  /** As it was written. */
  readonly text: string;
  readonly kind: string;
  readonly effect: EarlyEffect | LateEffect;
  /** Before the request is sent, or when its response begins. */
  readonly phase: 'early' | 'late';
  /** Chance of each match, of 1. */
  readonly p: number;
  /** At most so often; undefined: without end. */
  readonly count: number | undefined;
  /** Only each so many-th match. */
  readonly every: number;
  /** So many matches are left alone first. */
  readonly after: number;
  readonly filter: RecordFilter;
}

type Options = ReadonlyMap<string, string>;
type ReadEffect = (argument: string | undefined, options: Options) => EarlyEffect | LateEffect;

interface Kind {
  readonly phase: FaultRule['phase'];
  /** Options that it has besides those that all have. */
  readonly takes: readonly string[];
  readonly read: ReadEffect;
}

/** Longer rules are no one's. */
const MAX_LENGTH = 2_000;
const COMMON = ['p', 'count', 'every', 'after', 'key'];
const DEFAULT_FRAMES = 2;
const DEFAULT_BYTES = 20;

class Misfit extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const refusing = (find: (argument: string | undefined) => Refusal): Kind => ({
  phase: 'early',
  takes: ['retry-after'],
  read: (argument, options) => ({
    does: 'refuse',
    refusal: find(argument),
    retryAfterSeconds: readOption(options, 'retry-after', (text) => readWholeNumber(text, 0, 86_400)),
  }),
});
const named = (name: keyof typeof REFUSALS): Kind => refusing((argument) => noArgument(argument) ?? REFUSALS[name]);
const late = (takes: readonly string[], read: ReadEffect): Kind => ({ phase: 'late', takes, read });
const own = (does: 'connect' | 'budget'): Kind => ({
  phase: 'early',
  takes: [],
  read: (argument) => noArgument(argument) ?? { does },
});
const placed = (does: 'stall' | 'cut' | 'reset', bytes: number): Kind =>
  late(['at'], (argument, options) => noArgument(argument) ?? { does, at: readPlace(options, bytes) });

const KINDS: Readonly<Record<string, Kind>> = {
  throttle: named('throttle'),
  unavailable: named('unavailable'),
  internal: named('internal'),
  'not-ready': named('not-ready'),
  timeout: named('timeout'),
  denied: named('denied'),
  'model-error': named('model-error'),
  'expired-token': named('expired-token'),
  status: refusing((argument) => refusalOf(readArgument(argument, 'a status such as 503', readErrorStatus))),
  connect: own('connect'),
  budget: own('budget'),
  'slow-accept': {
    phase: 'early',
    takes: [],
    read: (argument) => ({ does: 'wait', ms: readArgument(argument, 'a time such as 1s', readMilliseconds) }),
  },
  'first-byte': late([], (argument) => ({
    does: 'first-byte',
    ms: readArgument(argument, 'a time such as 3s', readMilliseconds),
  })),
  gap: late([], (argument) => {
    const [from = '', to = from, more] = (argument ?? '').split('..');
    const [fromMs, toMs] = [readMilliseconds(from), readMilliseconds(to)];
    if (fromMs === undefined || toMs === undefined || toMs < fromMs || more !== undefined) {
      throw new Misfit('gap= takes a time such as 200ms, or two such as 200ms..800ms.');
    }
    return { does: 'gap', fromMs, toMs };
  }),
  rate: late([], (argument) => ({
    does: 'rate',
    bytesPerSecond: readArgument(argument, 'bytes in a second, such as 2kb/s', readByteRate),
  })),
  stall: placed('stall', 0),
  cut: placed('cut', DEFAULT_BYTES),
  reset: placed('reset', DEFAULT_BYTES),
  exception: late(['at'], (argument, options) => ({
    does: 'exception',
    type: readArgument(argument, 'a name such as throttlingException', (text) => /^[a-z]\w{1,80}$/i.exec(text)?.[0]),
    at: requireFrames(readPlace(options, 0)),
  })),
  crc: late(['at', 'which'], (argument, options) => {
    const which = readOption(options, 'which', readWhich) ?? 'message';
    return noArgument(argument) ?? { does: 'crc', which, at: requireFrames(readPlace(options, 0)) };
  }),
  body: late([], (argument) => {
    if (argument !== 'malformed') throw new Misfit('body= takes malformed.');
    return { does: 'malformed' };
  }),
  empty: late([], (argument) => noArgument(argument) ?? { does: 'empty' }),
};

/** The names of all kinds, in the order of the docs. */
export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** Reads a rule. */
export function parseFaultRule(text: string): FaultRule | FilterProblem {
  try {
    return readRule(text.trim());
  } catch (thrown) {
    if (thrown instanceof Misfit) return { problem: thrown.message, hint: thrown.hint };
    throw thrown;
  }
}

/**
 * Reads what one request asks for itself: a kind and its own options. What counts requests, or chooses them, has no
 * meaning there.
 */
export function parseOwnFault(text: string): FaultRule | FilterProblem {
  const rule = parseFaultRule(text);
  if ('problem' in rule) return rule;
  const [head = '', where] = splitWhere(rule.text);
  const common = head.split(/\s+/).find((word) => COMMON.includes(word.split('=')[0] ?? ''));
  if (where === undefined && common === undefined) return rule;
  const what = common === undefined ? 'no where' : `no ${common}`;
  return { problem: `The fault of one request has ${what}: it is for this request.` };
}

function readRule(text: string): FaultRule {
  if (text.length > MAX_LENGTH) throw new Misfit(`It has more than ${MAX_LENGTH} characters.`);
  const [head = '', where] = splitWhere(text);
  const [first = '', ...words] = head.split(/\s+/);
  const [name = '', argument] = splitOnce(first);
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) throw unknownKind(name);
  const options = readOptions(words, [...kind.takes, ...COMMON], name);
  const rule = {
    text,
    kind: name,
    effect: kind.read(argument, options),
    phase: kind.phase,
    p: readOption(options, 'p', readChance) ?? 1,
    count: readOption(options, 'count', (value) => readWholeNumber(value, 1, 1e9)),
    every: readOption(options, 'every', (value) => readWholeNumber(value, 1, 1e9)) ?? 1,
    after: readOption(options, 'after', (value) => readWholeNumber(value, 0, 1e9)) ?? 0,
  };
  return { ...rule, filter: readFilter(where, options.get('key'), kind.phase) };
}

/** The words before `where`, and the filter behind it. */
function splitWhere(text: string): readonly [head: string, where?: string] {
  const at = /(?:^|\s)where(?:\s|$)/.exec(text);
  return at === null ? [text] : [text.slice(0, at.index).trim(), text.slice(at.index + at[0].length)];
}

function readFilter(where: string | undefined, key: string | undefined, phase: FaultRule['phase']): RecordFilter {
  if (where?.trim() === '') throw new Misfit('Nothing follows where.');
  // In parentheses, so that a | in it does not let other keys in.
  const text = [
    key === undefined ? '' : `key:${key}`,
    where === undefined ? '' : key === undefined ? where : `(${where})`,
  ];
  const filter = readRecordFilter(text.join(' ').trim(), 0);
  if ('problem' in filter) throw new Misfit(filter.problem, filter.hint);
  const [unknown] = filter.responseFields;
  if (phase === 'late' || unknown === undefined) return filter;
  throw new Misfit(`${unknown}: is known when there is a response, and this fault lets none come.`);
}

function readOptions(words: readonly string[], known: readonly string[], kind: string): Options {
  const options = new Map<string, string>();
  for (const word of words) {
    const [name = '', value = ''] = splitOnce(word);
    if (!known.includes(name)) {
      const meant = findMeant(name, known);
      const hint =
        meant === undefined ? `It has ${known.join(', ')}, and where before a filter.` : `Did you mean ${meant}=?`;
      throw new Misfit(`${kind} has no option "${name}".`, hint);
    }
    if (options.has(name)) throw new Misfit(`${name} is given twice.`);
    options.set(name, value);
  }
  return options;
}

function splitOnce(word: string): readonly [name: string, value?: string] {
  const at = word.indexOf('=');
  return at === -1 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

const TAKES: Readonly<Record<string, string>> = {
  p: 'a chance such as 0.2',
  count: 'a whole number from 1',
  every: 'a whole number from 1',
  after: 'a whole number',
  which: 'message or prelude',
  'retry-after': 'whole seconds',
};

function readOption<T>(options: Options, name: string, read: (text: string) => T | undefined): T | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const value = read(text);
  if (value === undefined) throw new Misfit(`${name}= takes ${TAKES[name] ?? 'something else'}, not "${text}".`);
  return value;
}

function readArgument<T>(text: string | undefined, takes: string, read: (text: string) => T | undefined): T {
  const value = text === undefined ? undefined : read(text);
  if (value === undefined) throw new Misfit(`After = this fault takes ${takes}.`);
  return value;
}

/** Always undefined, or a throw. */
function noArgument(argument: string | undefined): undefined {
  if (argument !== undefined) throw new Misfit(`This fault takes nothing after =, not "${argument}".`);
}

function readPlace(options: Options, defaultBytes: number): FaultPlace {
  const text = options.get('at');
  if (text === undefined) return { frames: DEFAULT_FRAMES, bytes: defaultBytes };
  const [, frames = '', more] = /^frame:(\d{1,6})(?:\+(.+))?$/.exec(text) ?? [];
  const bytes = frames === '' ? readByteCount(text) : more === undefined ? 0 : readByteCount(more);
  if (bytes !== undefined) return { frames: Number(frames), bytes };
  throw new Misfit(`at= takes frame:3, frame:3+20b or 2kb, not "${text}".`);
}

function requireFrames(place: FaultPlace): FaultPlace {
  if (place.bytes === 0) return place;
  throw new Misfit('at= takes whole frames here, such as frame:3.');
}

function readWhich(text: string): 'message' | 'prelude' | undefined {
  return text === 'message' || text === 'prelude' ? text : undefined;
}

function unknownKind(name: string): Misfit {
  const meant = findMeant(name, FAULT_KINDS);
  const hint = meant === undefined ? `The kinds are ${FAULT_KINDS.join(', ')}.` : `Did you mean ${meant}?`;
  return new Misfit(name === '' ? 'A fault begins with its kind.' : `There is no kind of fault "${name}".`, hint);
}
