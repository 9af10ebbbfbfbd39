/**
 * What the fields of a filter are, whatever the filter is held against, and a filter's text as a function over it.
 * Pure. Text is compared without regard to case; a regular expression decides that for itself.
 */
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

/** Texts of which one has to match; the others are not asked for then. */
export type FilterTexts = Iterable<string | undefined>;

/**
 * What a field gives: texts of which one has to match, or a number in its base unit;
 * nothing: no term matches. `ofResponse`: only a response can fill it.
 */
export type FilterField<Subject> = TextField<Subject> | NumberField<Subject> | FlagField<Subject>;

interface TextField<Subject> {
  readonly kind: 'text';
  /** A part of it is enough. */
  readonly isContent: boolean;
  readonly ofResponse: boolean;
  readonly read: (subject: Subject) => FilterTexts;
}

interface NumberField<Subject> {
  readonly kind: NumberKind;
  readonly ofResponse: boolean;
  readonly read: (subject: Subject) => number | undefined;
}

interface FlagField<Subject> {
  readonly kind: 'flag';
  readonly flags: FilterFlags<Subject>;
}

/** What a field with a closed list of values knows. */
export type FilterFlags<Subject> = Readonly<Record<string, FilterFlag<Subject>>>;

/** Whether it is so. */
export interface FilterFlag<Subject> {
  readonly ofResponse: boolean;
  readonly read: (subject: Subject) => boolean;
}

type UnitKind = 'count' | 'time' | 'size' | 'money';
type NumberKind = UnitKind | 'status' | 'age';

/** A language: every field, in the order of the docs. */
export interface FilterLanguage<Subject> {
  readonly fields: Readonly<Record<string, FilterField<Subject>>>;
  /** Where a bare word is looked for: as a part. */
  readonly bare: (subject: Subject) => FilterTexts;
  /** Where text is large or of anybody: a test that does not take forever. */
  readonly testRegex?: TestRegex;
  /** Fields, and values of flags, that only another language has: why they are not here, in a sentence. */
  readonly elsewhere?: { readonly names: ReadonlySet<string>; readonly why: string };
}

type TestRegex = (regex: RegExp, text: string) => boolean;

/** A filter, ready to be asked. */
export interface ReadyFilter<Subject> {
  matches(subject: Subject): boolean;
  /** The names of its fields that only a response can fill; '' is none of them. */
  readonly responseFields: readonly string[];
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

/** A field of texts; of content a part is enough. */
export function textField<Subject>(
  read: (subject: Subject) => FilterTexts,
  { ofResponse = false, isContent = false } = {},
): FilterField<Subject> {
  return { kind: 'text', isContent, ofResponse, read };
}

/** A field with a number. */
export function numberField<Subject>(
  kind: NumberKind,
  read: (subject: Subject) => number | undefined,
  ofResponse = true,
): FilterField<Subject> {
  return { kind, ofResponse, read };
}

/** One value of a field that has a closed list of them. */
export function flagOf<Subject>(read: (subject: Subject) => boolean, ofResponse = true): FilterFlag<Subject> {
  return { read, ofResponse };
}

/** A field with such a list. */
export function flagField<Subject>(flags: FilterFlags<Subject>): FilterField<Subject> {
  return { kind: 'flag', flags };
}

/** The same field of something that has it in a part. */
export function liftField<Whole, Part>(field: FilterField<Part>, partOf: (whole: Whole) => Part): FilterField<Whole> {
  switch (field.kind) {
    case 'flag':
      return flagField(liftFlags(field.flags, partOf));
    case 'text':
      return { ...field, read: (whole) => field.read(partOf(whole)) };
    default:
      return { ...field, read: (whole) => field.read(partOf(whole)) };
  }
}

/** The same for the values of a flag. */
export function liftFlags<Whole, Part>(flags: FilterFlags<Part>, partOf: (whole: Whole) => Part): FilterFlags<Whole> {
  const lifted = Object.entries(flags).map(([name, { read, ofResponse }]): [string, FilterFlag<Whole>] => [
    name,
    flagOf((whole) => read(partOf(whole)), ofResponse),
  ]);
  return Object.fromEntries(lifted);
}

/** Reads a filter. `nowMs`: what `since` counts back from. */
export function readFilterText<Subject>(
  source: string,
  language: FilterLanguage<Subject>,
  nowMs: number,
): ReadyFilter<Subject> | FilterProblem {
  const filter = parseFilter(source);
  if ('problem' in filter) return filter;
  for (const term of termsOf(filter)) {
    const problem = findTermProblem(term, language);
    if (problem !== undefined) return problem;
  }
  return {
    matches: compile(filter, (term) => compileTerm(term, language, nowMs)),
    responseFields: termsOf(filter)
      .filter((term) => isOfResponse(term, language))
      .map(({ field = '' }) => field),
  };
}

type Matches<Subject> = (subject: Subject) => boolean;

function compile<Subject>(filter: Filter, ofTerm: (term: FilterTerm) => Matches<Subject>): Matches<Subject> {
  if (filter.kind === 'term') return ofTerm(filter);
  if (filter.kind === 'not') {
    const inner = compile(filter.of, ofTerm);
    return (subject) => !inner(subject);
  }
  const parts = filter.of.map((part) => compile(part, ofTerm));
  return filter.kind === 'and'
    ? (subject) => parts.every((matches) => matches(subject))
    : (subject) => parts.some((matches) => matches(subject));
}

function compileTerm<Subject>(
  { field, value }: FilterTerm,
  { fields, bare, testRegex }: FilterLanguage<Subject>,
  nowMs: number,
): Matches<Subject> {
  if (field === undefined) {
    const isPart = compileText(value.kind === 'glob' ? { kind: 'glob', text: `*${value.text}*` } : value, testRegex);
    return (subject) => someText(bare(subject), isPart);
  }
  const known = fields[field];
  if (known === undefined) return () => false;
  if (known.kind === 'text') {
    const matches = known.isContent ? compileContent(value, testRegex) : compileText(value, testRegex);
    return (subject) => someText(known.read(subject), matches);
  }
  const asked = value.kind === 'regex' ? '' : value.text;
  if (known.kind === 'flag') return known.flags[asked.toLowerCase()]?.read ?? (() => false);
  const matches = readNumbers(asked, known.kind, nowMs) ?? (() => false);
  return (subject) => {
    const read = known.read(subject);
    return read !== undefined && matches(read);
  };
}

function someText(texts: FilterTexts, matches: (text: string) => boolean): boolean {
  for (const text of texts) if (text !== undefined && matches(text)) return true;
  return false;
}

function compileText(
  value: FilterValue,
  testRegex: TestRegex = (regex, text) => regex.test(text),
): (value: string) => boolean {
  if (value.kind === 'regex') {
    const regex = new RegExp(value.source, value.ignoresCase ? 'iu' : 'u');
    return (read) => testRegex(regex, read);
  }
  const asked = value.text.toLowerCase();
  if (value.kind === 'exact') return (read) => read.toLowerCase() === asked;
  return (read) => matchesGlob(asked, read.toLowerCase());
}

/** In any part of a text, which may be JSON: there a quote or a line end has a backslash. */
function compileContent(value: FilterValue, testRegex: TestRegex | undefined): (value: string) => boolean {
  if (value.kind === 'regex') return compileText(value, testRegex);
  const asked = value.text.toLowerCase();
  if (value.kind === 'glob') return (read) => matchesGlob(`*${asked}*`, read.toLowerCase());
  const escaped = JSON.stringify(asked).slice(1, -1);
  return (read) => {
    const lower = read.toLowerCase();
    return lower.includes(asked) || (escaped !== asked && lower.includes(escaped));
  };
}

/** What a text asks of a number; undefined if it asks nothing that can be understood. */
function readNumbers(asked: string, kind: NumberKind, nowMs: number): ((value: number) => boolean) | undefined {
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

function isOfResponse<Subject>({ field, value }: FilterTerm, { fields }: FilterLanguage<Subject>): boolean {
  const known = field === undefined ? undefined : fields[field];
  if (known?.kind !== 'flag') return known?.ofResponse === true;
  return value.kind !== 'regex' && known.flags[value.text.toLowerCase()]?.ofResponse === true;
}

/** An unknown name is told with the one that was meant: a list that is empty by mistake looks like an answer. */
function findTermProblem<Subject>(
  term: FilterTerm,
  { fields, elsewhere }: FilterLanguage<Subject>,
): FilterProblem | undefined {
  const { field, value } = term;
  if (field === undefined) return undefined;
  const known = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (known === undefined) {
    if (elsewhere?.names.has(field) === true) return { problem: `${field}: ${elsewhere.why} (${placeOf(term)}).` };
    const names = Object.keys(fields);
    const meant = findMeant(field, names);
    const list = `The fields are ${names.join(', ')}; text with a colon wants quotes.`;
    return {
      problem: `There is no field "${field}" (${placeOf(term)}).`,
      hint: meant === undefined ? list : `Did you mean ${meant}:? Text with a colon wants quotes.`,
    };
  }
  if (known.kind === 'text') return undefined;
  const asked = value.kind === 'regex' ? '' : value.text;
  if (known.kind === 'flag') {
    const names = Object.keys(known.flags);
    if (Object.hasOwn(known.flags, asked.toLowerCase())) return undefined;
    const full = `${field}:${asked.toLowerCase()}`;
    if (elsewhere?.names.has(full) === true) return { problem: `${full} ${elsewhere.why} (${placeOf(term)}).` };
    return { problem: `${field}: takes ${names.join(', ')} (${placeOf(term)}).` };
  }
  if (readNumbers(asked, known.kind, 0) !== undefined) return undefined;
  return { problem: `${field}: takes ${EXAMPLES[known.kind]} (${placeOf(term)}).` };
}
