/**
 * What is known of prompt caches on Bedrock, as a dated table: sources disagree, and change within months. An owner's
 * file may say otherwise. Pure data, and how such a file is read; what follows from it is in `cache-verdict.ts`.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
 */
import { ProxyError } from '../lib/errors.ts';
import { matchesAnyGlob } from '../lib/glob.ts';
import { asObject, isObject, type JsonObject } from '../lib/json.ts';
import { parseModelName } from '../domain/model-name.ts';

/** How long what is cached lives after its last use, by AWS's names. */
export type MarkerTtl = '5m' | '1h';

/** What is known of the cache of some models. */
export interface ModelCacheFacts {
  /** Patterns of model ids, without geographies. */
  readonly models: readonly string[];
  /** What a checkpoint holds at least, tokens; undefined: the model has no cache that markers fill. */
  readonly minTokens: number | undefined;
  /** Nothing is said of a prompt below it: sources differ. */
  readonly doubtBelow?: number;
  readonly ttls: readonly MarkerTtl[];
  /** Where markers may stand. */
  readonly fields: readonly ('tools' | 'system' | 'messages')[];
  /** Whether it is cached without markers, at AWS's best effort. */
  readonly isImplicit: boolean;
}

/** The table. */
export interface CacheFacts {
  /** The day on which the sources were read. */
  readonly asOf: string;
  readonly maxMarkers: number;
  /** So many blocks before a marker an earlier one is found. */
  readonly lookback: number;
  readonly ttlMs: Readonly<Record<MarkerTtl, number>>;
  /** The first row that matches counts. */
  readonly rows: readonly ModelCacheFacts[];
}

const ALL_FIELDS = ['tools', 'system', 'messages'] as const;
const BOTH: readonly MarkerTtl[] = ['5m', '1h'];

function claude(minTokens: number, ttls: readonly MarkerTtl[], ...names: readonly string[]): ModelCacheFacts {
  const models = names.map((name) => `anthropic.claude-${name}`);
  return { models, minTokens, ttls, fields: ALL_FIELDS, isImplicit: true };
}

/** Read on the day in it. Minimums of the newest models are not AWS's word. */
export const CACHE_FACTS: CacheFacts = {
  asOf: '2026-11-28',
  maxMarkers: 4,
  lookback: 20,
  ttlMs: { '5m': 5 * 60_000, '1h': 60 * 60_000 },
  rows: [
    claude(512, BOTH, 'fable-5*', 'mythos-5*', 'opus-5*'),
    claude(1024, BOTH, 'opus-4-8*', 'sonnet-5*', 'sonnet-4-6*', 'sonnet-4-5*', 'haiku-5*'),
    claude(4096, BOTH, 'mythos-preview*', 'opus-4-7*', 'opus-4-6*', 'opus-4-5*', 'haiku-4-5*'),
    claude(1024, ['5m'], '3-7-sonnet*', '3-5-sonnet-20241022*', 'opus-4-2*', 'opus-4-1*', 'sonnet-4-2*'),
    claude(2048, ['5m'], '3-5-haiku*'),
    {
      models: [
        'amazon.nova-micro*',
        'amazon.nova-lite*',
        'amazon.nova-pro*',
        'amazon.nova-premier*',
        'amazon.nova-2-*',
      ],
      minTokens: 1000,
      doubtBelow: 1536,
      ttls: ['5m'],
      fields: ['system', 'messages'],
      isImplicit: true,
    },
    {
      models: ['openai.gpt-5.6-*', 'openai.gpt-6*'],
      minTokens: 1024,
      ttls: BOTH,
      fields: ALL_FIELDS,
      isImplicit: true,
    },
    { models: ['openai.*'], minTokens: undefined, ttls: [], fields: [], isImplicit: true },
    { models: ['offline.*'], minTokens: 1024, ttls: BOTH, fields: ALL_FIELDS, isImplicit: false },
  ],
};

/** What was looked up; clients choose names. */
const KNOWN_ROWS = new WeakMap<CacheFacts, Map<string, ModelCacheFacts | undefined>>();
const MAX_KNOWN = 500;

/** What is known of a model, by any of its names; undefined: nothing. */
export function findCacheFacts(facts: CacheFacts, model: string): ModelCacheFacts | undefined {
  let known = KNOWN_ROWS.get(facts);
  if (known === undefined) KNOWN_ROWS.set(facts, (known = new Map()));
  if (known.has(model)) return known.get(model);
  if (known.size >= MAX_KNOWN) known.clear();
  const { forms } = parseModelName(model);
  const row = facts.rows.find(({ models }) => forms.some((form) => matchesAnyGlob(models, form)));
  known.set(model, row);
  return row;
}

/**
 * The built-in table with what an owner's file says put before it:
 * `{"as_of": "2026-12-24", "lookback": 20, "models": {"amazon.nova-*": {"min_tokens": 1024, "ttls": ["5m"]}}}`.
 * Throws ERR_BAD_OPTION that names the file.
 */
export function readCacheFacts(text: string, path: string): CacheFacts {
  const fail = (problem: string): never => {
    throw new ProxyError('ERR_BAD_OPTION', `--cache-facts: ${path} ${problem}.`, {
      hint: 'docs/cache.md shows what may stand in it.',
    });
  };
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return fail('is not JSON');
  }
  if (!isObject(file)) return fail('must hold a JSON object');
  for (const name of Object.keys(file))
    if (!FILE_MEMBERS.has(name)) return fail(`has ${JSON.stringify(name)}, which is unknown`);
  const { as_of: asOf = CACHE_FACTS.asOf } = file;
  if (typeof asOf !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(asOf)) return fail('must have a day in as_of');
  const count = (name: string, fallback: number): number => {
    const value = file[name] ?? fallback;
    return Number.isInteger(value) && Number(value) > 0 ? Number(value) : fail(`must have a whole number in ${name}`);
  };
  const rows = Object.entries(asObject(file['models'])).map(([pattern, row]) => {
    const read = readRow(pattern, asObject(row));
    return typeof read === 'string' ? fail(`must have ${read} in models of ${JSON.stringify(pattern)}`) : read;
  });
  return {
    ...CACHE_FACTS,
    asOf,
    lookback: count('lookback', CACHE_FACTS.lookback),
    maxMarkers: count('max_markers', CACHE_FACTS.maxMarkers),
    rows: [...rows, ...CACHE_FACTS.rows],
  };
}

const FILE_MEMBERS = new Set(['as_of', 'lookback', 'max_markers', 'models']);

/** A row of a file; what it lacks is taken from the built-in row of the same models. Text: what is wrong. */
function readRow(pattern: string, row: JsonObject): ModelCacheFacts | string {
  const base = findCacheFacts(CACHE_FACTS, pattern.replaceAll('*', '')) ?? CACHE_FACTS.rows[0];
  const {
    min_tokens: minTokens = base?.minTokens ?? null,
    ttls = base?.ttls,
    fields = base?.fields ?? ALL_FIELDS,
  } = row;
  if (minTokens !== null && !(Number.isInteger(minTokens) && Number(minTokens) > 0)) {
    return 'min_tokens as a whole number, or null';
  }
  const isTtls = Array.isArray(ttls) && ttls.every((ttl) => ttl === '5m' || ttl === '1h');
  if (!isTtls) return 'ttls of "5m" and "1h"';
  const isFields = Array.isArray(fields) && fields.every((field) => ALL_FIELDS.includes(field));
  if (!isFields) return 'fields of "tools", "system" and "messages"';
  const implicit = row['implicit'] ?? base?.isImplicit ?? false;
  return {
    models: [pattern],
    minTokens: minTokens === null ? undefined : Number(minTokens),
    ttls,
    fields,
    isImplicit: implicit === true,
  };
}
