/**
 * The flags of `key generate` and `key update`, read: what a new key may do, and what changes of an old one. Pure but
 * for the clock, which is handed in; every mistake is ERR_BAD_OPTION naming its flag.
 */
import {
  changeBudget,
  EMPTY_POLICY,
  parseBudgetUsd,
  parseBudgetWindow,
  parseExpiry,
  parseLimit,
  parseModelPatterns,
  parseNote,
  parseRegionPatterns,
  parseScope,
  parseTags,
} from '../../keys/policy.ts';
import { parseAlias } from '../../keys/mint.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { Flags } from '../../config/options.ts';
import type { Budget, KeyChanges, KeyPolicy, VirtualKeyRow } from '../../domain/key.ts';

const CODE = 'ERR_BAD_OPTION';
type Value = Flags[string];

/** Everything about a new key that its maker can say. */
export type NewKeyLimits = Pick<VirtualKeyRow, 'alias' | 'expiresAtMs' | 'policy' | 'tags' | 'note'>;

/** What `key generate` was asked for. */
export function readNewKey(flags: Flags, nowMs: number): NewKeyLimits {
  const { alias, expires, tag, note } = flags;
  const tags = tag === undefined ? {} : parseTags(tag, '--tag', CODE);
  const empty = findEmptyTag(tag);
  if (empty !== undefined) throw new ProxyError(CODE, `--tag ${empty} has no value.`);
  return {
    alias: alias === undefined ? undefined : parseAlias(alias, '--alias', CODE),
    expiresAtMs: expires === undefined ? undefined : readExpiry(expires, nowMs),
    policy: readPolicy(EMPTY_POLICY, flags, nowMs),
    tags,
    note: note === undefined ? undefined : readNote(note),
  };
}

/** What `key update` was asked to change of that key. Throws where that is nothing. */
export function readKeyChanges(row: VirtualKeyRow, flags: Flags, nowMs: number): KeyChanges {
  const { alias, expires, tag, note } = flags;
  const policy = readPolicy(row.policy, flags, nowMs);
  const changes: KeyChanges = {
    ...(alias === undefined ? {} : { alias: parseAlias(alias, '--alias', CODE) }),
    ...(expires === undefined ? {} : { expiresAtMs: readExpiry(expires, nowMs) }),
    ...(tag === undefined ? {} : { tags: changeTags(row.tags, tag) }),
    ...(note === undefined ? {} : { note: readNote(note) }),
    ...(namesLimit(flags) ? { policy } : {}),
  };
  if (Object.keys(changes).length > 0) return changes;
  throw new ProxyError(CODE, 'Nothing is to change.', {
    hint: 'Name at least one flag of `bedrock-proxy key update --help`.',
  });
}

/** Patterns that look as if they were meant for more than one model: no star, and not the form of an id or ARN. */
export function findNarrowPatterns({ models }: KeyPolicy): readonly string[] {
  return models.filter((pattern) => !/[*.:]/.test(pattern) && !/^[a-z0-9]{12}$/.test(pattern));
}

const LIMIT_FLAGS = [
  'models',
  'scope',
  'regions',
  'budget',
  'budgetWindow',
  'allowUnpriced',
  'rpm',
  'tpm',
  'maxParallel',
];

function namesLimit(flags: Flags): boolean {
  return LIMIT_FLAGS.some((name) => flags[name] !== undefined);
}

/** What is not named stays as it was. */
function readPolicy(old: KeyPolicy, flags: Flags, nowMs: number): KeyPolicy {
  const { models, regions, scope, allowUnpriced } = flags;
  return {
    models: models === undefined ? old.models : isAny(models) ? [] : parseModelPatterns(models, '--models', CODE),
    scope: scope === undefined ? old.scope : parseScope(scope, '--scope', CODE),
    regions:
      regions === undefined ? old.regions : isAny(regions) ? [] : parseRegionPatterns(regions, '--regions', CODE),
    budget: readBudget(old.budget, flags, nowMs),
    allowUnpriced: allowUnpriced === undefined ? old.allowUnpriced : allowUnpriced === true,
    requestsPerMinute: readLimit(old.requestsPerMinute, flags['rpm'], '--rpm'),
    tokensPerMinute: readLimit(old.tokensPerMinute, flags['tpm'], '--tpm'),
    maxParallel: readLimit(old.maxParallel, flags['maxParallel'], '--max-parallel'),
  };
}

function readBudget(old: Budget | undefined, flags: Flags, nowMs: number): Budget | undefined {
  const { budget, budgetWindow } = flags;
  const isTakenAway = budget === 'none';
  const changed = changeBudget(
    isTakenAway ? undefined : old,
    {
      ...(budget === undefined || isTakenAway ? {} : { limitNanoUsd: parseBudgetUsd(budget, '--budget', CODE) }),
      ...(budgetWindow === undefined ? {} : { windowMs: parseBudgetWindow(budgetWindow, '--budget-window', CODE) }),
    },
    nowMs,
  );
  if (budgetWindow === undefined || changed !== undefined) return changed;
  throw new ProxyError(CODE, '--budget-window needs a --budget.');
}

function readLimit(old: number | undefined, value: Value, flag: string): number | undefined {
  if (value === undefined) return old;
  return value === 'none' ? undefined : parseLimit(value, flag, CODE);
}

function readExpiry(value: Value, nowMs: number): number | undefined {
  return value === 'never' || value === 'none' ? undefined : parseExpiry(value, '--expires', CODE, nowMs);
}

function readNote(value: Value): string | undefined {
  return value === '' ? undefined : parseNote(value, '--note', CODE);
}

/** `any` and nothing else: a star among the patterns is understood by their parser. */
function isAny(value: Value): boolean {
  return String(value) === 'any';
}

/** `name=value` adds or replaces, `name=` takes away, the others stay. */
function changeTags(old: Readonly<Record<string, string>>, value: Value): Readonly<Record<string, string>> {
  const named = parseTags(value, '--tag', CODE);
  const gone = new Set(listOf(value).flatMap((tag) => (/^[^=]+=$/.test(tag) ? [tag.slice(0, -1)] : [])));
  const merged = Object.entries({ ...old, ...named }).filter(([name]) => !gone.has(name));
  return parseTags(Object.fromEntries(merged), '--tag', CODE);
}

function findEmptyTag(value: Value): string | undefined {
  return listOf(value).find((tag) => /^[^=]+=$/.test(tag));
}

function listOf(value: Value): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' ? value : [];
}
