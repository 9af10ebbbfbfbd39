/**
 * What a key may do, read from what people and programs write: the parsers behind the table of `limits.ts`, and those
 * of expiry, tags and note. Pure: no store, no clock.
 */
import { ProxyError } from '../lib/errors.ts';
import { isPrintable, printable } from '../lib/printable.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { type InferenceProfiles, readInferenceProfiles } from '../domain/inference-profile.ts';
import { type ModelAliases, readModelAliases, splitModelAlias } from '../domain/model-alias.ts';
import { findRoleProblem } from '../domain/role.ts';

/** Whose mistake a bad value is: a flag's or a field's. */
export type BadValueCode = 'ERR_BAD_OPTION' | 'ERR_BAD_REQUEST';

const DAY_MS = 86_400_000;
/** Upper case `M` is left out: some mean minutes by it and some months. */
const DURATION = /^(\d{1,9})\s*([shdwSHDW]|mo?)$/;
/** A month is 30 days: these are lengths. Months of the calendar are `budget.ts`' business. */
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
  mo: 30 * DAY_MS,
};
/** A hundred years: whoever wants longer wants no limit. */
const MAX_DURATION_MS = 36_500 * DAY_MS;
const DATE = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}))?$/i;
const USD = /^\$?(\d{1,7})(?:\.(\d{1,9}))?$/;
const MAX_BUDGET_NANO_USD = 1_000_000 * 1e9;
/** The largest number of requests or tokens that a limit may be. */
export const MAX_LIMIT = 1_000_000_000;
const MAX_PATTERNS = 200;
/** The longest model id that AWS takes. */
export const MAX_PATTERN_LENGTH = 2_048;
const MAX_TAGS = 50;
/** Of the name of a tag. */
export const TAG_NAME = /^[A-Za-z0-9_.:/-]{1,128}$/;
const MAX_TAG_VALUE_LENGTH = 256;
const MAX_NOTE_LENGTH = 1_000;
const MAX_PROFILE_LENGTH = 256;
/**
 * A length of time such as `90m`, in milliseconds: s, m, h, d, w, mo (30 days). Undefined where it is none, or over a
 * century.
 */
export function findDurationMs(value: unknown): number | undefined {
  const [, digits = '', unit = ''] = typeof value === 'string' ? (DURATION.exec(value.trim()) ?? []) : [];
  const durationMs = Number(digits) * (UNITS_MS[unit.toLowerCase()] ?? Number.NaN);
  return durationMs <= MAX_DURATION_MS ? durationMs : undefined;
}

/** The same where there has to be one, longer than nothing. Throws `code` naming `field`. */
export function parseDurationMs(value: unknown, field: string, code: BadValueCode): number {
  const durationMs = findDurationMs(value) ?? 0;
  if (durationMs > 0) return durationMs;
  throw badValue(value, field, code, 'must be a length of time such as 45s, 90m, 12h, 30d, 2w or 1mo');
}

/**
 * The moment at which a key expires, in epoch milliseconds: a length of time from now on, a day (through its end, UTC),
 * or a time with its zone (ISO 8601). Throws `code` naming `field` where it is none of these, or past.
 */
export function parseExpiry(value: unknown, field: string, code: BadValueCode, nowMs: number): number {
  const durationMs = findDurationMs(value);
  const expiresAtMs = durationMs === undefined ? findDateMs(value, 'end') : nowMs + durationMs;
  if (expiresAtMs === undefined) {
    throw badValue(value, field, code, 'must be a length of time such as 12h or 30d, or a date such as 2030-12-31');
  }
  if (expiresAtMs > nowMs) return expiresAtMs;
  throw badValue(value, field, code, 'must lie in the future');
}

/**
 * Epoch milliseconds of `2030-12-31` (UTC: its first moment, or with `end` the first one after it) or of a time with
 * its zone. Undefined where it is neither, or a day that no calendar has.
 */
export function findDateMs(value: unknown, side: 'start' | 'end'): number | undefined {
  const [, day = '', time] = typeof value === 'string' ? (DATE.exec(value.trim()) ?? []) : [];
  const dayMs = Date.parse(`${day}T00:00:00Z`);
  // Date.parse takes 31 April for 1 May.
  if (!Number.isFinite(dayMs) || new Date(dayMs).toISOString().slice(0, 10) !== day) return undefined;
  if (time === undefined) return side === 'end' ? dayMs + DAY_MS : dayMs;
  const timeMs = Date.parse(day + time.toUpperCase().replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
  return Number.isFinite(timeMs) ? timeMs : undefined;
}

/**
 * Dollars in nano-dollars, exactly as the decimals say: `25`, `$25.50`, up to nine decimals; a JSON number is rounded
 * to nine. From 0 (may spend nothing) to a million. Throws `code` naming `field`.
 */
export function parseBudgetUsd(value: unknown, field: string, code: BadValueCode): number {
  const text = typeof value === 'number' ? value.toFixed(9) : value;
  const [, dollars, decimals = ''] = typeof text === 'string' ? (USD.exec(text.trim()) ?? []) : [];
  const nanoUsd = dollars === undefined ? Number.NaN : Number(dollars) * 1e9 + Number(decimals.padEnd(9, '0'));
  if (nanoUsd <= MAX_BUDGET_NANO_USD) return nanoUsd;
  throw badValue(value, field, code, 'must be dollars from 0 to 1000000 such as 25 or 2.50');
}

/**
 * Patterns of model names, from a list or text with commas. Empty where one of them is `*`, which is no limit. Throws
 * `code`.
 */
export function parseModelPatterns(value: unknown, field: string, code: BadValueCode): readonly string[] {
  const patterns = splitList(value, field, code);
  const bad = patterns.find(
    (pattern) => pattern.length > MAX_PATTERN_LENGTH || /\s/.test(pattern) || !isPrintable(pattern),
  );
  if (bad === undefined) return patterns.some(isEverything) ? [] : patterns;
  throw badValue(bad, field, code, 'must be patterns of model names such as *claude-haiku*, without spaces');
}

/** Patterns of region names, lower-case; else as `parseModelPatterns`. */
export function parseRegionPatterns(value: unknown, field: string, code: BadValueCode): readonly string[] {
  const patterns = splitList(value, field, code).map((pattern) => pattern.toLowerCase());
  const bad = patterns.find((pattern) => !/^[a-z0-9*-]{1,64}$/.test(pattern));
  if (bad === undefined) return patterns.some(isEverything) ? [] : patterns;
  throw badValue(bad, field, code, 'must be patterns of AWS regions such as us-east-1 or eu-*');
}

/** Names of upstreams, as the file of `--upstreams` has them. Throws `code` naming `field`. */
export function parseUpstreamNames(value: unknown, field: string, code: BadValueCode): readonly string[] {
  const names = splitList(value, field, code);
  const bad = names.find((name) => !/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name));
  if (bad === undefined) return names;
  throw badValue(bad, field, code, 'must be names of upstreams');
}

function isEverything(pattern: string): boolean {
  return /^\*+$/.test(pattern);
}

/** Throws `code` naming `field`. */
export function parseScope(value: unknown, field: string, code: BadValueCode): KeyPolicy['scope'] {
  if (value === 'inference' || value === 'default' || value === 'all') return value;
  throw badValue(value, field, code, 'must be inference, default or all');
}

/** Aliases of models, from text such as `fast=amazon.nova-lite-v1:0` or an object. Throws `code` naming `field`. */
export function parseModelAliases(value: unknown, field: string, code: BadValueCode): ModelAliases {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  const pairs = isTable
    ? Object.entries(value).map(([name, model]) => [name, String(model).trim()] as const)
    : splitList(value, field, code).map(splitModelAlias);
  const read = readModelAliases(pairs);
  if ('aliases' in read) return read.aliases;
  throw badValue(read.given, field, code, read.problem);
}

/** The name of a profile in the shared AWS files. Throws `code` naming `field`. */
export function parseProfileName(value: unknown, field: string, code: BadValueCode): string {
  const name = typeof value === 'string' ? value.trim() : '';
  if (name !== '' && name.length <= MAX_PROFILE_LENGTH && isPrintable(name)) return name;
  throw badValue(
    value,
    field,
    code,
    `must be the name of a profile in ~/.aws of up to ${MAX_PROFILE_LENGTH} characters`,
  );
}

/** The ARN of a role. Throws `code` naming `field`. */
export function parseRole(value: unknown, field: string, code: BadValueCode): string {
  const arn = typeof value === 'string' ? value.trim() : '';
  const problem = findRoleProblem(arn);
  if (problem === undefined) return arn;
  throw badValue(value, field, code, problem);
}

/**
 * Application inference profiles, from text such as `amazon.nova-lite-v1:0=arn:…` or an object of ARNs or lists of
 * them. Throws `code` naming `field`.
 */
export function parseInferenceProfiles(value: unknown, field: string, code: BadValueCode): InferenceProfiles {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  const pairs = isTable
    ? Object.entries(value).flatMap(([model, arns]: [string, unknown]) =>
        [arns].flat().map((arn) => [model, String(arn).trim()] as const),
      )
    : splitList(value, field, code).map(splitModelAlias);
  const read = readInferenceProfiles(pairs);
  if ('profiles' in read) return read.profiles;
  throw badValue(read.given, field, code, read.problem);
}

/** A number of requests or tokens: whole, from 1 to a thousand million. Throws `code` naming `field`. */
export function parseLimit(value: unknown, field: string, code: BadValueCode): number {
  const limit = typeof value === 'string' && /^\d{1,10}$/.test(value.trim()) ? Number(value) : value;
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw badValue(value, field, code, `must be a whole number from 1 to ${MAX_LIMIT}`);
}

/**
 * Tags from a list of `name=value` (a bare `name` has the empty value) or from an object. Throws `code` naming `field`.
 */
export function parseTags(value: unknown, field: string, code: BadValueCode): Readonly<Record<string, string>> {
  const entries = findTagEntries(value);
  if (entries === undefined) throw badValue(value, field, code, 'must be tags such as team=search');
  const tags = Object.fromEntries(entries.map(([name, text]) => parseTag(name, text, field, code)));
  if (Object.keys(tags).length <= MAX_TAGS) return tags;
  throw new ProxyError(code, `${field} must be at most ${MAX_TAGS} tags.`);
}

function findTagEntries(value: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (typeof value === 'string') return findTagEntries([value]);
  if (!Array.isArray(value)) return typeof value === 'object' && value !== null ? Object.entries(value) : undefined;
  return value.map((tag: unknown) => {
    const [, name = '', text = ''] = /^([^=]*)=?(.*)$/su.exec(String(tag)) ?? [];
    return [name, text];
  });
}

function parseTag(name: string, value: unknown, field: string, code: BadValueCode): [string, string] {
  if (!TAG_NAME.test(name)) {
    throw badValue(name, field, code, 'must have names of up to 128 letters, digits and _.:/-');
  }
  if (typeof value === 'string' && value.length <= MAX_TAG_VALUE_LENGTH && isPrintable(value)) {
    return [name, value];
  }
  throw badValue(value, field, code, `must have printable values of up to ${MAX_TAG_VALUE_LENGTH} characters`);
}

/** A line of text for people. Throws `code` naming `field` where it is empty, too long or not printable. */
export function parseNote(value: unknown, field: string, code: BadValueCode): string {
  const note = typeof value === 'string' ? value.trim() : '';
  if (note !== '' && note.length <= MAX_NOTE_LENGTH && isPrintable(note)) return note;
  throw badValue(value, field, code, `must be one line of text of up to ${MAX_NOTE_LENGTH} characters`);
}

/** The shortest text in s, m, h or d that `parseDurationMs` reads as this; parts of a second are dropped. */
export function formatDuration(durationMs: number): string {
  const unit = (['d', 'h', 'm'] as const).find((name) => durationMs % (UNITS_MS[name] ?? 1) === 0) ?? 's';
  return `${Math.floor(durationMs / (UNITS_MS[unit] ?? 1))}${unit}`;
}

/** A list, or text with commas, as distinct names; nothing of it empty. */
function splitList(value: unknown, field: string, code: BadValueCode): string[] {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = parts.flatMap((part) => (typeof part === 'string' ? part.split(',').map((name) => name.trim()) : ['']));
  if (names.includes('')) throw badValue(value, field, code, 'must be a list of names or patterns, none of them empty');
  if (names.length > MAX_PATTERNS) throw new ProxyError(code, `${field} must be at most ${MAX_PATTERNS} patterns.`);
  return [...new Set(names)];
}

/** The refusal of a value: what `field` must be, and what it is. */
export function badValue(value: unknown, field: string, code: BadValueCode, what: string): ProxyError {
  const given = Array.isArray(value) ? value.join(', ') : value;
  const text = typeof given === 'string' ? given : (JSON.stringify(given) ?? String(given));
  const shown = JSON.stringify(printable(text, 80));
  return new ProxyError(code, `${field} ${what}, not ${shown}.`);
}
