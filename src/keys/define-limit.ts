/**
 * What an entry of `limits.ts` says of one limit of a key, and the makers of entries for the common kinds: a count, a
 * switch, a choice, a list of patterns. Pure.
 */
import type { FlagValue } from '../config/options.ts';
import type { KeyPolicy } from '../domain/key.ts';
import { formatCount } from '../lib/format.ts';
import { type BadValueCode, MAX_PATTERN_LENGTH, parseLimit } from './policy.ts';

const CODE = 'ERR_BAD_OPTION';

/** What the command line gives for limits, by the names of flags in camel case. */
export type LimitValues = Readonly<Record<string, FlagValue>>;

/** A flag of `key generate` and `key update`. */
export interface LimitFlag {
  readonly name: `--${string}`;
  /** As shown in help; undefined for a switch. */
  readonly argument?: string | undefined;
  readonly description: string;
  /** All values there are; undefined if the limit's parser decides. */
  readonly choices?: readonly string[] | undefined;
  /** The word that takes the limit away. */
  readonly takenAwayBy?: string | undefined;
}

/** A limit as every way in and out of it needs it. */
export interface Limit<Value> {
  /** What a key has that was never given this limit. */
  readonly none: Value;
  readonly flags: readonly LimitFlag[];
  /** The limit after these flags: `old` if they do not name it. Throws ERR_BAD_OPTION. */
  readonly readFlags: (flags: LimitValues, old: Value, nowMs: number) => Value;
  /** Its fields in the JSON that the commands print. */
  readonly toJson: (value: Value) => Readonly<Record<string, unknown>>;
  /** For people; without text if there is nothing to say. */
  readonly describe: (value: Value, policy: KeyPolicy) => readonly [name: string, text: string | undefined];
}

/** The field of a limit in LiteLLM's JSON. Null takes the limit away. */
export interface LimitField<Value, Name extends string = string> {
  readonly name: Name;
  readonly description: string;
  /** What it may hold: a list is one of choices. */
  readonly shape:
    | 'count'
    | 'switch'
    | 'text'
    | 'aliases'
    | 'profiles'
    | readonly string[]
    | { readonly maxPatternLength: number };
  /** What a value of that shape means, if not itself. Throws ERR_BAD_REQUEST. */
  readonly read?: (value: NonNullable<Value>) => Value;
}

/** A limit that LiteLLM's JSON has in one field. */
export interface FieldLimit<Value, FieldName extends string = string> extends Limit<Value> {
  readonly field: LimitField<Value, FieldName>;
}

/** A limit with one flag and one field. `name` is its name in JSON: with dashes the flag, with blanks for people. */
export function defineLimit<Value, const FieldName extends string>({
  none,
  name,
  label = name.replaceAll('_', ' '),
  parse,
  describe,
  field,
  ...rest
}: Omit<LimitFlag, 'name'> & {
  readonly none: Value;
  readonly name: string;
  readonly label?: string;
  readonly parse: (value: unknown, flag: string, code: BadValueCode) => Value;
  readonly describe: (value: Value, policy: KeyPolicy) => string | undefined;
  readonly field: LimitField<Value, FieldName>;
}): FieldLimit<Value, FieldName> {
  const flag: LimitFlag = { ...rest, name: `--${name.replaceAll('_', '-')}` };
  return {
    none,
    flags: [flag],
    readFlags: (flags, old) => {
      const value = findFlag(flags, flag);
      if (value === undefined) return old;
      // A list of one word is that word.
      return String(value) === flag.takenAwayBy ? none : parse(value, flag.name, CODE);
    },
    toJson: (value) => ({ [name]: value ?? null }),
    describe: (value, policy) => [label, describe(value, policy)],
    field,
  };
}

/** A whole number from 1 on; `none` takes it away. */
export function countLimit<const FieldName extends string>(
  name: string,
  description: string,
  field: FieldName,
): FieldLimit<number | undefined, FieldName> {
  return defineLimit<number | undefined, FieldName>({
    none: undefined,
    name,
    argument: '<number>',
    description,
    takenAwayBy: 'none',
    parse: parseLimit,
    describe: (count) => (count === undefined ? undefined : formatCount(count)),
    field: { name: field, description: description.replace(/^./, (first) => first.toUpperCase()), shape: 'count' },
  });
}

/**
 * Patterns of names, one of which has to fit; `any` takes them away, and in the field an empty list or one of LiteLLM's
 * words for `all`.
 */
export function patternLimit<const Name extends string>(
  name: Name,
  description: string,
  parse: (value: unknown, field: string, code: BadValueCode) => readonly string[],
  field: { readonly description: string; readonly maxPatternLength?: number; readonly all?: readonly string[] },
): FieldLimit<readonly string[], Name> {
  const { all = [], maxPatternLength = MAX_PATTERN_LENGTH } = field;
  return defineLimit<readonly string[], Name>({
    none: Object.freeze([]),
    name,
    argument: '<pattern...>',
    description,
    takenAwayBy: 'any',
    parse,
    describe: (patterns) => (patterns.length === 0 ? undefined : patterns.join(', ')),
    field: {
      name,
      description: field.description,
      shape: { maxPatternLength },
      read: (patterns) => {
        const isAll = patterns.length === 0 || patterns.some((pattern) => all.includes(pattern));
        return isAll ? [] : parse(patterns, name, 'ERR_BAD_REQUEST');
      },
    },
  });
}

/** The value of a flag, which the command line names in camel case. */
export function findFlag(flags: LimitValues, { name }: LimitFlag): FlagValue {
  return flags[name.slice(2).replaceAll(/-(.)/g, (_, first: string) => first.toUpperCase())];
}
