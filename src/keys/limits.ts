/**
 * The limits of a key in one table, of which the flags of `key generate` and `key update`, what the commands show, the
 * fields of the admin API and the defaults of the store are made. Pure. Decides nothing about a request; `admission/`
 * does. What a key has besides (alias, expiry, tags, note) limits no request and is read by hand.
 */
import type { Budget, KeyPolicy } from '../domain/key.ts';
import { ProxyError } from '../lib/errors.ts';
import { exactUsd } from '../lib/usd.ts';
import {
  countLimit,
  defineLimit,
  findFlag,
  type Limit,
  type LimitFlag,
  type LimitValues,
  patternLimit,
} from './define-limit.ts';
import {
  changeBudget,
  formatDuration,
  parseBudgetUsd,
  parseBudgetWindow,
  parseModelPatterns,
  parseRegionPatterns,
  parseScope,
} from './policy.ts';

const CODE = 'ERR_BAD_OPTION';
const SCOPES: readonly KeyPolicy['scope'][] = ['inference', 'default', 'all'];
const SCOPE_NOTES: Readonly<Record<KeyPolicy['scope'], string | undefined>> = {
  inference: 'inference (model calls alone)',
  default: undefined,
  all: 'all (may change things in the AWS account)',
};
const BUDGET_FLAG: LimitFlag = {
  name: '--budget',
  argument: '<usd>',
  description: 'what it may spend, in dollars',
  takenAwayBy: 'none',
};
const WINDOW_FLAG: LimitFlag = {
  name: '--budget-window',
  argument: '<time>',
  description: 'how often that begins anew: 1d, 7d, 30d, or total (default: total)',
};
/** LiteLLM's JSON has it in two fields, which the admin API reads by hand. */
const BUDGET: Limit<Budget | undefined> = {
  none: undefined,
  flags: [BUDGET_FLAG, WINDOW_FLAG],
  readFlags: readBudgetFlags,
  toJson: budgetToJson,
  describe: (budget) => ['budget', budget === undefined ? undefined : describeBudget(budget)],
};

/** Limits of a key by their names in `KeyPolicy`, in the order in which they are shown. */
export const LIMITS = {
  models: patternLimit('models', 'the models it may use, such as *claude-haiku*; else all', parseModelPatterns, {
    description: 'Patterns of model names, * for any characters; empty, all-team-models or all-proxy-models: all',
    all: ['all-team-models', 'all-proxy-models'],
  }),
  scope: defineLimit({
    none: 'default',
    name: 'scope',
    argument: '<scope>',
    description: 'inference: model calls alone; all: also what changes the AWS account',
    choices: SCOPES,
    parse: parseScope,
    describe: (scope) => SCOPE_NOTES[scope],
    field: {
      name: 'scope',
      description: 'inference: model calls alone; default: also agents, and what only reads; all: everything',
      shape: SCOPES,
    },
  }),
  regions: patternLimit('regions', 'the regions it may use, such as us-east-1 or eu-*; else all', parseRegionPatterns, {
    description: 'Patterns of AWS regions; empty: all',
    maxPatternLength: 1_000,
  }),
  budget: BUDGET,
  allowUnpriced: defineLimit({
    none: false,
    name: 'allow_unpriced',
    label: 'unpriced',
    description: 'with a budget: let it use what has no known price, which no budget counts',
    parse: (value) => value === true,
    describe: (isAllowed, { budget }) => (isAllowed ? 'allowed' : budget === undefined ? undefined : 'refused'),
    field: {
      name: 'allow_unpriced',
      description: 'Whether a key with a budget may use what has no known price',
      shape: 'switch',
    },
  }),
  requestsPerMinute: countLimit('rpm', 'requests per minute', 'rpm_limit'),
  tokensPerMinute: countLimit('tpm', 'tokens per minute', 'tpm_limit'),
  maxParallel: countLimit('max_parallel', 'requests at the same time', 'max_parallel_requests'),
} satisfies LimitTable;

type LimitTable = { readonly [Name in keyof KeyPolicy]: Limit<KeyPolicy[Name]> };
type LimitName = keyof KeyPolicy;

const TABLE: LimitTable = LIMITS;
const NAMES = Object.keys(TABLE) as LimitName[];

/** A key that may do what every key may: no limit but the default scope. */
export const EMPTY_POLICY: KeyPolicy = Object.freeze(makePolicy((name) => TABLE[name].none));

/** The flags of all limits. */
export const LIMIT_FLAGS: readonly LimitFlag[] = Object.values(TABLE).flatMap(({ flags }) => flags);

/** The policy after these flags; undefined if they name no limit. Throws ERR_BAD_OPTION. */
export function readPolicyFlags(flags: LimitValues, old: KeyPolicy, nowMs: number): KeyPolicy | undefined {
  if (LIMIT_FLAGS.every((flag) => findFlag(flags, flag) === undefined)) return undefined;
  return makePolicy((name) => TABLE[name].readFlags(flags, old[name], nowMs));
}

/** The limits as the commands print them in JSON. Money in dollars, as decimal text. */
export function policyToJson(policy: KeyPolicy): Readonly<Record<string, unknown>> {
  const toJson = <Name extends LimitName>(name: Name): object => TABLE[name].toJson(policy[name]);
  return Object.fromEntries(NAMES.flatMap((name) => Object.entries(toJson(name))));
}

/** The limits in the words of the flags that set them; without text if there is nothing to say. */
export function describePolicy(policy: KeyPolicy): (readonly [name: string, text: string | undefined])[] {
  const describe = <Name extends LimitName>(name: Name): readonly [string, string | undefined] =>
    TABLE[name].describe(policy[name], policy);
  return NAMES.map((name) => describe(name));
}

/** `$25 per 7d`, `$25`, `-`. */
export function describeBudget(budget: Budget | undefined): string {
  if (budget === undefined) return '-';
  const limit = `$${exactUsd(budget.limitNanoUsd)}`;
  return budget.windowMs === undefined ? limit : `${limit} per ${formatDuration(budget.windowMs)}`;
}

function budgetToJson(budget: Budget | undefined): Readonly<Record<string, unknown>> {
  if (budget === undefined) return { budget_usd: null, budget_window: null };
  const { limitNanoUsd, windowMs } = budget;
  return {
    budget_usd: exactUsd(limitNanoUsd),
    budget_window: windowMs === undefined ? 'total' : formatDuration(windowMs),
  };
}

function readBudgetFlags(flags: LimitValues, old: Budget | undefined, nowMs: number): Budget | undefined {
  const limit = findFlag(flags, BUDGET_FLAG);
  const window = findFlag(flags, WINDOW_FLAG);
  const isTakenAway = limit === BUDGET_FLAG.takenAwayBy;
  const changed = changeBudget(
    isTakenAway ? undefined : old,
    {
      ...(limit === undefined || isTakenAway ? {} : { limitNanoUsd: parseBudgetUsd(limit, BUDGET_FLAG.name, CODE) }),
      ...(window === undefined ? {} : { windowMs: parseBudgetWindow(window, WINDOW_FLAG.name, CODE) }),
    },
    nowMs,
  );
  if (window === undefined || changed !== undefined) return changed;
  throw new ProxyError(CODE, '--budget-window needs a --budget.');
}

/** A policy of what `read` returns for each limit: `NAMES` are all of its fields. */
function makePolicy(read: <Name extends LimitName>(name: Name) => KeyPolicy[Name]): KeyPolicy {
  return Object.fromEntries(NAMES.map((name) => [name, read(name)])) as unknown as KeyPolicy;
}
