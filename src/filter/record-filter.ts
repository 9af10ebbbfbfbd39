/**
 * Filters over what is known of a request, under way or in the ledger: every field, what it means, and a filter's text
 * as a function. Pure. Text is compared without regard to case; a regular expression decides that for itself.
 */
import type { RecordRow } from '../domain/ledger-columns.ts';
import { parseModelName } from '../domain/model-name.ts';
import { matchesGlob } from '../lib/glob.ts';
import { findMeant } from '../lib/nearest-name.ts';
import {
  type Filter,
  type FilterProblem,
  type FilterTerm,
  type FilterValue,
  parseFilter,
  placeOf,
  termsOf,
} from './syntax.ts';

/** What a filter looks at. `isStreamed`: the response is a stream; undefined: its operation's name decides. */
export type FilterSubject = RecordRow & { readonly isStreamed?: boolean | undefined };

/** A filter, ready to be asked. */
export interface RecordFilter {
  matches(subject: FilterSubject): boolean;
  /** The names of its fields that only a response can fill; '' is none of them. */
  readonly responseFields: readonly string[];
}

/** What a field gives: texts of which one has to match, or a number in its base unit; nothing: no term matches. */
type Field =
  | { readonly kind: 'text'; readonly ofResponse: boolean; readonly read: (subject: FilterSubject) => Texts }
  | {
      readonly kind: UnitKind;
      readonly ofResponse: boolean;
      readonly read: (subject: FilterSubject) => number | undefined;
    }
  | {
      readonly kind: 'status';
      readonly ofResponse: true;
      readonly read: (subject: FilterSubject) => number | undefined;
    }
  | { readonly kind: 'age'; readonly ofResponse: false; readonly read: (subject: FilterSubject) => number | undefined }
  | { readonly kind: 'flag'; readonly ofResponse: false; readonly flags: Readonly<Record<string, Flag>> };
type Texts = readonly (string | undefined)[];
type UnitKind = 'count' | 'time' | 'size' | 'money';
interface Flag {
  readonly ofResponse: boolean;
  readonly read: (subject: FilterSubject) => boolean;
}

/** Milliseconds, bytes, nano-dollars, and plain counts. */
const UNITS: Readonly<
  Record<UnitKind, { readonly pattern: RegExp; readonly factors: Readonly<Record<string, number>> }>
> = {
  count: { pattern: /^(\d+(?:\.\d+)?)(k|m)?$/i, factors: { k: 1e3, m: 1e6 } },
  time: { pattern: /^(\d+(?:\.\d+)?)(ms|s|m)$/i, factors: { ms: 1, s: 1e3, m: 6e4 } },
  size: { pattern: /^(\d+(?:\.\d+)?)(b|kb|mb)?$/i, factors: { b: 1, kb: 1e3, mb: 1e6 } },
  money: { pattern: /^\$?(\d+(?:\.\d+)?)()$/, factors: { '': 1e9 } },
};
const EXAMPLES: Readonly<Record<UnitKind | 'status' | 'age', string>> = {
  count: '>100k, 500 or 1k..5k',
  time: '>2s, <500ms or 1s..3s',
  size: '>1mb, <=20kb or 500b',
  money: '>$0.05 or $0..$1',
  status: '429, 4xx or >=500',
  age: '10m, 12h or 7d',
};
const AGES: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

const text = (read: (subject: FilterSubject) => Texts, ofResponse = false): Field => ({
  kind: 'text',
  ofResponse,
  read,
});
const number = (kind: UnitKind, read: (subject: FilterSubject) => number | undefined, ofResponse = true): Field => ({
  kind,
  ofResponse,
  read,
});
const flag = (read: Flag['read'], ofResponse = true): Flag => ({ read, ofResponse });

/** Every field, in the order of the docs. */
const FIELDS: Readonly<Record<string, Field>> = {
  model: text(({ model, modelAlias }) => [...(model === undefined ? [] : parseModelName(model).forms), modelAlias]),
  op: text(({ operation }) => [operation]),
  service: text(({ service }) => [service]),
  region: text(({ region }) => [region]),
  profile: text(({ inferenceProfile }) => [inferenceProfile]),
  upstream: text(({ upstream }) => [upstream]),
  key: text(({ keyLabel, keyId }) => [keyLabel, keyId]),
  client: text(({ userAgent }) => [userAgent]),
  session: text(({ session }) => [session]),
  agent: text(({ agent }) => [agent]),
  tag: text(({ tags }) => Object.entries(tags).flatMap(([name, value]) => [name, `${name}=${value}`])),
  id: text(({ id, upstreamRequestId }) => [id, upstreamRequestId]),
  size: number('size', ({ requestBytes }) => requestBytes, false),
  since: { kind: 'age', ofResponse: false, read: ({ startedAtMs }) => startedAtMs },
  is: {
    kind: 'flag',
    ofResponse: false,
    flags: {
      stream: flag(({ isStreamed, operation }) => isStreamed ?? /stream/i.test(operation ?? ''), false),
      error: flag(({ status, errorCode }) => errorCode !== undefined || (status ?? 500) >= 400),
      partial: flag(({ partial }) => partial),
      unpriced: flag(({ pricing }) => pricing === 'unpriced'),
      fault: flag(({ fault }) => fault !== undefined),
    },
  },
  status: { kind: 'status', ofResponse: true, read: ({ status }) => status },
  error: text(({ errorCode }) => [errorCode], true),
  fault: text(({ fault }) => [fault], true),
  ttfb: number('time', ({ firstByteMs }) => firstByteMs),
  time: number('time', ({ totalMs }) => totalMs),
  in: number('count', ({ usage }) => usage?.inputTokens),
  out: number('count', ({ usage }) => usage?.outputTokens),
  cached: number('count', ({ usage }) => usage?.cacheReadTokens),
  written: number('count', ({ usage }) => usage?.cacheWriteTokens),
  cost: number('money', ({ costNanoUsd }) => costNanoUsd),
  answer: number('size', ({ responseBytes }) => responseBytes),
};

const FILTER_FIELDS: readonly string[] = Object.keys(FIELDS);

/** Where a bare word is looked for: as a part, never in bodies. */
const BARE = ({ operation, model, keyLabel, errorCode }: FilterSubject): Texts => [
  operation,
  model,
  keyLabel,
  errorCode,
];

/** Reads a filter. `nowMs`: what `since` counts back from. */
export function readRecordFilter(source: string, nowMs: number): RecordFilter | FilterProblem {
  const filter = parseFilter(source);
  if ('problem' in filter) return filter;
  for (const term of termsOf(filter)) {
    const problem = findTermProblem(term);
    if (problem !== undefined) return problem;
  }
  return {
    matches: compile(filter, nowMs),
    responseFields: termsOf(filter)
      .filter(isOfResponse)
      .map(({ field = '' }) => field),
  };
}

function compile(filter: Filter, nowMs: number): RecordFilter['matches'] {
  if (filter.kind === 'term') return compileTerm(filter, nowMs);
  if (filter.kind === 'not') {
    const inner = compile(filter.of, nowMs);
    return (subject) => !inner(subject);
  }
  const parts = filter.of.map((part) => compile(part, nowMs));
  return filter.kind === 'and'
    ? (subject) => parts.every((matches) => matches(subject))
    : (subject) => parts.some((matches) => matches(subject));
}

function compileTerm({ field, value }: FilterTerm, nowMs: number): RecordFilter['matches'] {
  if (field === undefined) {
    const isPart = compileText(value.kind === 'glob' ? { kind: 'glob', text: `*${value.text}*` } : value);
    return (subject) => BARE(subject).some((part) => part !== undefined && isPart(part));
  }
  const known = FIELDS[field];
  if (known === undefined) return () => false;
  if (known.kind === 'text') {
    const matches = compileText(value);
    return (subject) => known.read(subject).some((part) => part !== undefined && matches(part));
  }
  const asked = value.kind === 'regex' ? '' : value.text;
  if (known.kind === 'flag') return known.flags[asked.toLowerCase()]?.read ?? (() => false);
  const matches = readNumbers(asked, known.kind, nowMs) ?? (() => false);
  return (subject) => {
    const read = known.read(subject);
    return read !== undefined && matches(read);
  };
}

function compileText(value: FilterValue): (value: string) => boolean {
  if (value.kind === 'regex') {
    const regex = new RegExp(value.source, value.ignoresCase ? 'iu' : 'u');
    return (read) => regex.test(read);
  }
  const asked = value.text.toLowerCase();
  if (value.kind === 'exact') return (read) => read.toLowerCase() === asked;
  return (read) => matchesGlob(asked, read.toLowerCase());
}

/** What a text asks of a number; undefined if it asks nothing that can be understood. */
function readNumbers(
  asked: string,
  kind: Exclude<Field['kind'], 'text' | 'flag'>,
  nowMs: number,
): ((value: number) => boolean) | undefined {
  if (kind === 'age') {
    const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(asked) ?? [];
    return digits === '' ? undefined : (value) => value >= nowMs - Number(digits) * (AGES[unit] ?? 0);
  }
  const read = (part: string): number | undefined => (kind === 'status' ? readStatus(part) : readAmount(part, kind));
  if (kind === 'status' && /^[1-5]xx$/i.test(asked)) return (value) => Math.floor(value / 100) === Number(asked[0]);
  const [, low = '', high = ''] = /^(.*[^.])\.\.(.+)$/.exec(asked) ?? [];
  const [from, to] = [read(low), read(high)];
  if (from !== undefined && to !== undefined) return (value) => value >= from && value <= to;
  const [, sign = '', rest = ''] = /^([<>]=?)?(.*)$/.exec(asked) ?? [];
  const bound = read(rest);
  return bound === undefined ? undefined : COMPARE[sign]?.(bound);
}

const COMPARE: Readonly<Record<string, (bound: number) => (value: number) => boolean>> = {
  '': (bound) => (value) => value === bound,
  '>': (bound) => (value) => value > bound,
  '>=': (bound) => (value) => value >= bound,
  '<': (bound) => (value) => value < bound,
  '<=': (bound) => (value) => value <= bound,
};

function readStatus(part: string): number | undefined {
  return /^[1-9]\d\d$/.test(part) ? Number(part) : undefined;
}

function readAmount(part: string, kind: UnitKind): number | undefined {
  const { pattern, factors } = UNITS[kind];
  const [, digits = '', unit = ''] = pattern.exec(part) ?? [];
  return digits === '' ? undefined : Number(digits) * (factors[unit.toLowerCase()] ?? 1);
}

function isOfResponse({ field, value }: FilterTerm): boolean {
  const known = field === undefined ? undefined : FIELDS[field];
  if (known?.kind !== 'flag') return known?.ofResponse === true;
  return value.kind !== 'regex' && known.flags[value.text.toLowerCase()]?.ofResponse === true;
}

/** An unknown name is told with the one that was meant: a list that is empty by mistake looks like an answer. */
function findTermProblem(term: FilterTerm): FilterProblem | undefined {
  const { field, value } = term;
  if (field === undefined) return undefined;
  const known = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
  if (known === undefined) {
    const meant = findMeant(field, FILTER_FIELDS);
    const fields = `The fields are ${FILTER_FIELDS.join(', ')}; text with a colon wants quotes.`;
    return {
      problem: `There is no field "${field}" (${placeOf(term)}).`,
      hint: meant === undefined ? fields : `Did you mean ${meant}:? Text with a colon wants quotes.`,
    };
  }
  if (known.kind === 'text') return undefined;
  const asked = value.kind === 'regex' ? '' : value.text;
  if (known.kind === 'flag') {
    const names = Object.keys(known.flags);
    if (Object.hasOwn(known.flags, asked.toLowerCase())) return undefined;
    return { problem: `${field}: takes ${names.join(', ')} (${placeOf(term)}).` };
  }
  if (readNumbers(asked, known.kind, 0) !== undefined) return undefined;
  return { problem: `${field}: takes ${EXAMPLES[known.kind]} (${placeOf(term)}).` };
}
