/**
 * The limits of a key in one table, of which the flags of `key generate` and `key update`, what the commands show, the
 * fields of the admin API and the defaults of the store are made. Pure, but for this machine's time zone. Decides
 * nothing about a request; `admission/` does. What a key has besides (alias, expiry, tags, note) limits no request and
 * is read by hand.
 */
import type { Budget, BudgetWindows, KeyPolicy } from '../domain/key.ts';
import { findLocalTimeZone } from '../lib/calendar.ts';
import { ProxyError } from '../lib/errors.ts';
import { exactUsd } from '../lib/usd.ts';
import {
  countLimit,
  defineLimit,
  type FieldLimit,
  findFlag,
  type Limit,
  type LimitFlag,
  type LimitValues,
  patternLimit,
} from './define-limit.ts';
import { changeBudget, describeBudget, formatBudgetWindow, parseBudgetWindow, parseTimeZone } from './budget.ts';
import {
  type BadValueCode,
  parseBudgetUsd,
  parseInferenceProfiles,
  parseModelAliases,
  parseModelPatterns,
  parseProfileName,
  parseRegionPatterns,
  parseRole,
  parseScope,
  parseUpstreamNames,
} from './policy.ts';
import type { InferenceProfiles } from '../domain/inference-profile.ts';
import type { ModelAliases } from '../domain/model-alias.ts';

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
  description: 'how often that begins anew: day, week, month, a length such as 12h or 30d, or total (default: total)',
};
const TIMEZONE_FLAG: LimitFlag = {
  name: '--budget-timezone',
  argument: '<zone>',
  description: "of a day, week or month, such as Europe/Berlin (default: this machine's)",
};
/** LiteLLM's JSON has it in two fields, and we in a third, which the admin API reads by hand. */
const BUDGET: Limit<Budget | undefined> = {
  none: undefined,
  flags: [BUDGET_FLAG, WINDOW_FLAG, TIMEZONE_FLAG],
  readFlags: readBudgetFlags,
  toJson: budgetToJson,
  describe: (budget) => ['budget', budget === undefined ? undefined : describeBudgetLimit(budget)],
};

/** They limit nothing, but travel with the limits of a key. */
const MODEL_ALIASES: FieldLimit<ModelAliases, 'aliases'> = {
  ...defineLimit<ModelAliases, 'aliases'>({
    none: Object.freeze({}),
    name: 'model_alias',
    label: 'model aliases',
    argument: '<name=model...>',
    description: 'names of its own for models, such as fast=amazon.nova-lite-v1:0',
    takenAwayBy: 'none',
    parse: parseModelAliases,
    describe: (aliases) => {
      const pairs = Object.entries(aliases).map((pair) => pair.join('='));
      return pairs.length === 0 ? undefined : pairs.join(', ');
    },
    field: {
      name: 'aliases',
      description: 'Names for models: each with the id or ARN that takes its place in the path of a request',
      shape: 'aliases',
      read: (aliases) => parseModelAliases(aliases, 'aliases', 'ERR_BAD_REQUEST'),
    },
  }),
  toJson: (aliases) => ({ model_aliases: aliases }),
};

/** The flag is of one word: most keys are bound to one. */
const UPSTREAMS: FieldLimit<readonly string[], 'upstreams'> = {
  ...defineLimit<readonly string[], 'upstreams'>({
    none: Object.freeze([]),
    name: 'upstream',
    argument: '<name...>',
    description: 'the upstreams of --upstreams that it may use; else all',
    takenAwayBy: 'any',
    parse: parseUpstreamNames,
    describe: (names) => (names.length === 0 ? undefined : names.join(', ')),
    field: {
      name: 'upstreams',
      description: 'Names of the upstreams that it may use; empty: all',
      shape: { maxPatternLength: 63 },
      read: (names) => (names.length === 0 ? [] : parseUpstreamNames(names, 'upstreams', 'ERR_BAD_REQUEST')),
    },
  }),
  toJson: (upstreams) => ({ upstreams }),
};

/** They change where AWS books the cost. */
const INFERENCE_PROFILES = defineLimit<InferenceProfiles, 'inference_profiles'>({
  none: Object.freeze({}),
  name: 'inference_profile',
  label: 'inference profiles',
  argument: '<model=arn...>',
  description: 'application inference profiles to call in place of models, for cost allocation at AWS',
  takenAwayBy: 'none',
  parse: parseInferenceProfiles,
  describe: (profiles) => {
    const pairs = Object.entries(profiles).flatMap(([model, arns]) => arns.map((arn) => `${model}=${arn}`));
    return pairs.length === 0 ? undefined : pairs.join(', ');
  },
  field: {
    name: 'inference_profiles',
    description: 'Models, each with the ARNs of the application inference profiles to call in its place, one a region',
    shape: 'profiles',
    read: (profiles) => parseInferenceProfiles(profiles, 'inference_profiles', 'ERR_BAD_REQUEST'),
  },
});

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
  upstreams: UPSTREAMS,
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
  modelAliases: MODEL_ALIASES,
  profile: signerLimit('profile', {
    argument: '<name>',
    description: "profile in ~/.aws whose credentials sign its requests, in place of the proxy's own",
    parse: parseProfileName,
  }),
  roleArn: signerLimit('role_arn', {
    argument: '<arn>',
    description: 'role to assume for its requests, with its alias as session name',
    parse: parseRole,
  }),
  inferenceProfiles: { ...INFERENCE_PROFILES, toJson: (profiles) => ({ inference_profiles: profiles }) },
} satisfies LimitTable;

/**
 * Says whose credentials sign; `none` leaves it to the proxy. Only the machine's own user sets it: a master key may be
 * known elsewhere, and opens the proxy, not every profile and role that can be reached from here.
 */
function signerLimit<const Name extends string>(
  name: Name,
  {
    parse,
    ...flag
  }: {
    readonly argument: string;
    readonly description: string;
    readonly parse: (value: unknown, field: string, code: BadValueCode) => string;
  },
): FieldLimit<string | undefined, Name> {
  return defineLimit<string | undefined, Name>({
    ...flag,
    none: undefined,
    name,
    label: name.replace('_arn', ''),
    takenAwayBy: 'none',
    parse,
    describe: (value) => value,
    field: {
      name,
      description: `${flag.description.replace(/^./, (first) => first.toUpperCase())}; only null can be given here`,
      shape: 'text',
      read: () => {
        throw new ProxyError('ERR_BAD_REQUEST', `${name} is set on the machine that runs the proxy.`, {
          hint: `Set it there, by \`key update --${name.replace('_', '-')}\`; here, null takes it away.`,
        });
      },
    },
  });
}

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

function budgetToJson(budget: Budget | undefined): Readonly<Record<string, unknown>> {
  if (budget === undefined) return { budget_usd: null, budget_window: null, budget_timezone: null };
  return {
    budget_usd: exactUsd(budget.limitNanoUsd),
    budget_window: formatBudgetWindow(budget),
    budget_timezone: budget.calendar?.timeZone ?? null,
  };
}

function describeBudgetLimit(budget: Budget): string {
  const zone = budget.calendar === undefined ? '' : ` (${budget.calendar.timeZone})`;
  return `${describeBudget(budget)}${zone}`;
}

function readBudgetFlags(flags: LimitValues, old: Budget | undefined, nowMs: number): Budget | undefined {
  const limit = findFlag(flags, BUDGET_FLAG);
  const isTakenAway = limit === BUDGET_FLAG.takenAwayBy;
  const before = isTakenAway ? undefined : old;
  const windows = readWindowFlags(flags, before);
  const changed = changeBudget(
    before,
    {
      ...(limit === undefined || isTakenAway ? {} : { limitNanoUsd: parseBudgetUsd(limit, BUDGET_FLAG.name, CODE) }),
      windows,
    },
    nowMs,
  );
  if (windows === undefined || changed !== undefined) return changed;
  throw new ProxyError(CODE, '--budget-window needs a --budget.');
}

/** The zone of calendar windows stays unless it is named; that of new ones is the machine's. */
function readWindowFlags(flags: LimitValues, old: Budget | undefined): BudgetWindows | undefined {
  const window = findFlag(flags, WINDOW_FLAG);
  const zone = findFlag(flags, TIMEZONE_FLAG);
  if (window === undefined && zone === undefined) return undefined;
  const length = window === undefined ? old?.calendar?.unit : parseBudgetWindow(window, WINDOW_FLAG.name, CODE);
  if (typeof length === 'string') {
    const given = zone === undefined ? undefined : parseTimeZone(zone, TIMEZONE_FLAG.name, CODE);
    const timeZone = given ?? old?.calendar?.timeZone ?? findLocalTimeZone();
    return { windowMs: undefined, calendar: { unit: length, timeZone } };
  }
  if (zone === undefined) return { windowMs: length };
  throw new ProxyError(CODE, '--budget-timezone needs a --budget-window of day, week or month.');
}

/** A policy of what `read` returns for each limit: `NAMES` are all of its fields. */
function makePolicy(read: <Name extends LimitName>(name: Name) => KeyPolicy[Name]): KeyPolicy {
  return Object.fromEntries(NAMES.map((name) => [name, read(name)])) as unknown as KeyPolicy;
}
