/**
 * The rules of a cassette: what does not count when a request looks for its recording, and what is scrubbed. They stand
 * in `cassette.json`, which may come from a stranger.
 */
import { ProxyError } from '../lib/errors.ts';
import { isObject, type JsonObject } from '../lib/json.ts';
import { quote } from '../lib/printable.ts';
import { parsePlace, type Place } from './places.ts';

/** The rules of `cassette.json`; see docs/cassettes.md for what each of them means. */
export interface CassetteRules {
  readonly ignore: readonly Place[];
  readonly scrub: readonly Place[];
  readonly model: 'exact' | 'family';
  readonly tools: 'exact' | 'names';
  readonly cachePoints: 'exact' | 'ignore';
  /** Lower-case names of the headers that count. */
  readonly headers: readonly string[];
  readonly repeat: 'last' | 'never' | 'cycle';
  /** Of what the digits of a scrubbed value are made, besides the value. */
  readonly salt: string;
}

/** The rules of a cassette that has none of its own. */
export const DEFAULT_RULES: CassetteRules = {
  ignore: [],
  scrub: [],
  model: 'exact',
  tools: 'exact',
  cachePoints: 'exact',
  headers: [
    'anthropic-beta',
    'x-amzn-bedrock-guardrailidentifier',
    'x-amzn-bedrock-guardrailversion',
    'x-amzn-bedrock-performanceconfig-latency',
    'x-amzn-bedrock-service-tier',
  ],
  repeat: 'last',
  salt: '',
};

const CHOICES = {
  model: ['exact', 'family'],
  tools: ['exact', 'names'],
  cachePoints: ['exact', 'ignore'],
  repeat: ['last', 'never', 'cycle'],
} as const;

/** Enough for anybody; a pattern may take a second of each request. */
const MAX_RULES = 50;
const HEADER_NAME = /^[a-z0-9-]{1,100}$/;
/** What is taken away before a request is recorded, and could never count. */
const CREDENTIAL_HEADER = /^(?:authorization|cookie|x-api-key|api-key|x-amz-security-token)$/;

/** Reads `cassette.json`, parsed. What else stands there is not looked at. Throws ERR_BAD_OPTION. */
export function parseRules(json: unknown): CassetteRules {
  if (!isObject(json)) throw badRules('It is no JSON object.');
  const { match = {}, scrub, salt = '' } = json;
  if (!isObject(match)) throw badRules('`match` is no JSON object.');
  if (typeof salt !== 'string' || salt.length > 100) throw badRules('`salt` is no short text.');
  const known = ['ignore', 'headers', ...Object.keys(CHOICES)];
  const unknown = Object.keys(match).find((name) => !known.includes(name));
  if (unknown !== undefined) throw badRules(`\`match\` knows no ${quote(unknown)}: it knows ${known.join(', ')}.`);
  const ignore = readList(match['ignore'], 'ignore').map(parsePlace);
  if (ignore.some(({ target }) => target === 'everywhere')) throw badRules('`ignore` knows no `everywhere`.');
  return {
    ignore,
    scrub: readList(scrub, 'scrub').map(parsePlace),
    model: readChoice(match, 'model'),
    tools: readChoice(match, 'tools'),
    cachePoints: readChoice(match, 'cachePoints'),
    repeat: readChoice(match, 'repeat'),
    headers: match['headers'] === undefined ? DEFAULT_RULES.headers : readHeaders(match['headers']),
    salt,
  };
}

function readList(value: unknown, name: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_RULES) {
    throw badRules(`\`${name}\` is no list of at most ${MAX_RULES} places.`);
  }
  return value;
}

function readHeaders(value: unknown): readonly string[] {
  return readList(value, 'headers').map((name) => {
    const lower = typeof name === 'string' ? name.toLowerCase() : '';
    if (HEADER_NAME.test(lower) && !CREDENTIAL_HEADER.test(lower)) return lower;
    throw badRules(`${quote(String(name))} is no header that can count.`);
  });
}

function readChoice<Name extends keyof typeof CHOICES>(match: JsonObject, name: Name): (typeof CHOICES)[Name][number] {
  const choices: readonly (typeof CHOICES)[Name][number][] = CHOICES[name];
  const [fallback] = CHOICES[name];
  const value = match[name] ?? fallback;
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw badRules(`\`${name}\` may be ${choices.join(' or ')}, not ${quote(String(value))}.`);
  return chosen;
}

function badRules(why: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `The rules of the cassette cannot be used. ${why}`, {
    hint: 'Correct cassette.json.',
  });
}
