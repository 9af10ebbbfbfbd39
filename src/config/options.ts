/**
 * Every option of `start` with its flag, variables, default and words, as one table from which the command line,
 * docs/configuration.md and `config.ts` are made, so that they cannot disagree; and how a value is found and read.
 * Pure.
 */
import { ProxyError } from '../lib/errors.ts';

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** What an option of the command line gives. */
export type FlagValue = string | readonly string[] | boolean | undefined;

/** What is known of an option of `start`. */
export interface OptionSpec {
  /** As shown in help, with its argument. */
  readonly flag: string;
  /** Variables that set it, strongest first; the flag wins over all of them. */
  readonly env: readonly string[];
  readonly default?: string;
  readonly description: string;
  readonly repeatable?: boolean;
  /** All that it may be, if it is one of a few words. */
  readonly values?: readonly string[];
  /**
   * The configuration file of a project may have it, which may come from a stranger: it opens no port, runs nothing,
   * names no file and no host, lowers no limit and hides nothing. Such a switch can be turned on there, never off.
   */
  readonly inProject?: true;
}

/** The options of `start`, in the order of help and README. */
export const OPTIONS = {
  port: {
    flag: '-p, --port <number>',
    env: ['BEDROCK_PROXY_PORT'],
    default: '4000',
    description: 'port to listen on; 0 takes a free one',
    inProject: true,
  },
  host: {
    flag: '--host <address>',
    env: ['BEDROCK_PROXY_HOST'],
    default: 'localhost',
    description: 'address to listen on; localhost is 127.0.0.1 and, if the machine has it, ::1',
    repeatable: true,
  },
  region: {
    flag: '-r, --region <region>',
    env: ['BEDROCK_PROXY_REGION', 'AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    description: 'AWS region for requests that name none; else the region of the profile',
    inProject: true,
  },
  profile: {
    flag: '--profile <name>',
    env: ['AWS_PROFILE'],
    description: 'profile in ~/.aws to take credentials from',
    inProject: true,
  },
  roleArn: {
    flag: '--role-arn <arn>',
    env: ['BEDROCK_PROXY_ROLE_ARN'],
    description: 'role to assume for each caller, with the alias of its key as session name',
  },
  externalId: {
    flag: '--external-id <id>',
    env: ['BEDROCK_PROXY_EXTERNAL_ID'],
    description: 'external id to assume roles with',
  },
  roleDuration: {
    flag: '--role-duration <seconds>',
    env: ['BEDROCK_PROXY_ROLE_DURATION'],
    description: 'how long a session of a role is good, from 900 to 43200; else an hour',
  },
  sessionTag: {
    flag: '--session-tag <name[=value]>',
    env: ['BEDROCK_PROXY_SESSION_TAG'],
    description: "tag of a key that its sessions get; * is all of a key's, name=value one of every session",
    repeatable: true,
  },
  awsAuthRefresh: {
    flag: '--aws-auth-refresh <command>',
    env: ['BEDROCK_PROXY_AWS_AUTH_REFRESH'],
    description: 'run this when AWS credentials have expired, such as `aws sso login`; requests wait',
  },
  db: {
    flag: '--db <file>',
    env: ['BEDROCK_PROXY_DB', 'DATABASE_URL'],
    description: 'key database: a path, or the postgres:// URL of one that proxies share; else a file of yours',
  },
  staleKeys: {
    flag: '--stale-keys <seconds>',
    env: ['BEDROCK_PROXY_STALE_KEYS'],
    default: '30',
    description: 'how long keys are used as last known while a PostgreSQL database is away; 0: not at all',
  },
  dbConnections: {
    flag: '--db-connections <number>',
    env: ['BEDROCK_PROXY_DB_CONNECTIONS'],
    default: '10',
    description: 'connections to a PostgreSQL database that requests share, at most; of each worker',
  },
  offline: {
    flag: '--offline',
    env: ['BEDROCK_PROXY_OFFLINE'],
    description: 'answer from a Bedrock inside this process: no AWS account, no network',
    inProject: true,
  },
  script: {
    flag: '--script <file>',
    env: ['BEDROCK_PROXY_SCRIPT'],
    description: 'JSON file with what the offline Bedrock answers to which message; read anew if it changes',
  },
  cassette: {
    flag: '--cassette <directory>',
    env: ['BEDROCK_PROXY_CASSETTE'],
    description: 'play what was recorded there, connected to nothing; or record it (--cassette-mode)',
  },
  cassetteMode: {
    flag: '--cassette-mode <mode>',
    env: ['BEDROCK_PROXY_CASSETTE_MODE'],
    default: 'replay',
    description: 'replay; record: ask AWS, and record what it says; auto: do that for what has no recording',
    values: ['replay', 'auto', 'record'],
  },
  cassetteStrict: {
    flag: '--cassette-strict',
    env: ['BEDROCK_PROXY_CASSETTE_STRICT'],
    description: 'fail at the end if a recording was not used',
  },
  cassetteSkip: {
    flag: '--cassette-skip <filter>',
    env: ['BEDROCK_PROXY_CASSETTE_SKIP'],
    description: "do not record responses of these statuses, such as 'status:429 | status:5xx'",
  },
  replaySpeed: {
    flag: '--replay-speed <speed>',
    env: ['BEDROCK_PROXY_REPLAY_SPEED'],
    description: '1: as recorded; 10: ten times as fast; instant. Else 1, and instant if CI is set',
  },
  fault: {
    flag: '--fault <fault>',
    env: ['BEDROCK_PROXY_FAULT'],
    description: "inject a fault, such as 'throttle p=0.2 where is:stream'; a variable has ; between several",
    repeatable: true,
  },
  faultSeed: {
    flag: '--fault-seed <number>',
    env: ['BEDROCK_PROXY_FAULT_SEED'],
    description: 'what chance in faults goes by: the same number has the same faults; else one is drawn, and told',
  },
  faultInShared: {
    flag: '--fault-in-shared',
    env: ['BEDROCK_PROXY_FAULT_IN_SHARED'],
    description: 'let faults befall everybody in the network, if the proxy does not listen on this machine alone',
  },
  inspect: {
    flag: '--inspect',
    env: ['BEDROCK_PROXY_INSPECT'],
    description: 'keep requests and responses in memory, for the page at /inspect/',
  },
  inspectDb: {
    flag: '--inspect-db <file>',
    env: ['BEDROCK_PROXY_INSPECT_DB'],
    description: 'keep them in this file; the ledger has none of it',
  },
  inspectLimit: {
    flag: '--inspect-limit <limit>',
    env: ['BEDROCK_PROXY_INSPECT_LIMIT'],
    description: 'what is kept at most: a size, an age, a number, how many a second, or several, such as 64mb,1h,100/s',
  },
  inspectRemote: {
    flag: '--inspect-remote',
    env: ['BEDROCK_PROXY_INSPECT_REMOTE'],
    description: 'serve the page also if the proxy does not listen on this machine alone',
  },
  endpointUrl: {
    flag: '--endpoint-url <url>',
    env: ['BEDROCK_PROXY_ENDPOINT_URL'],
    description: 'another upstream; may hold {service} and {region}; service=url for one service',
    repeatable: true,
  },
  fips: { flag: '--fips', env: ['AWS_USE_FIPS_ENDPOINT'], description: "call AWS's FIPS endpoints", inProject: true },
  dualstack: {
    flag: '--dualstack',
    env: ['AWS_USE_DUALSTACK_ENDPOINT'],
    description: "call AWS's IPv6 endpoints",
    inProject: true,
  },
  upstreams: {
    flag: '--upstreams <file>',
    env: ['BEDROCK_PROXY_UPSTREAMS'],
    description: 'JSON file with several ways to Bedrock: regions, credentials, weights; read anew if it changes',
  },
  fallback: {
    flag: '--fallback <region=name>',
    env: ['BEDROCK_PROXY_FALLBACK'],
    description: 'where a request goes that AWS throttles: region=us-west-2, profile=second, or both with a comma',
    repeatable: true,
  },
  failoverDeadline: {
    flag: '--failover-deadline <seconds>',
    env: ['BEDROCK_PROXY_FAILOVER_DEADLINE'],
    default: '30',
    description: 'with several ways to Bedrock: no further attempt begins later than this after the first',
  },
  openaiUpstream: {
    flag: '--openai-upstream <service>',
    env: ['BEDROCK_PROXY_OPENAI_UPSTREAM'],
    default: 'runtime',
    description: 'who serves /openai and /anthropic paths: runtime or mantle',
    values: ['runtime', 'mantle'],
    inProject: true,
  },
  modelAlias: {
    flag: '--model-alias <name=model>',
    env: ['BEDROCK_PROXY_MODEL_ALIAS'],
    description: 'a name for a model, which takes its place in the path of requests',
    repeatable: true,
  },
  requestMetadata: {
    flag: '--request-metadata',
    env: ['BEDROCK_PROXY_REQUEST_METADATA'],
    description: "tell AWS's invocation logs the key's alias and tags, in a header of InvokeModel",
  },
  tls: {
    flag: '--tls',
    env: ['BEDROCK_PROXY_TLS'],
    description: 'speak TLS as well, on the same port, with a certificate kept beside the database',
    inProject: true,
  },
  tlsCert: {
    flag: '--tls-cert <file>',
    env: ['BEDROCK_PROXY_TLS_CERT'],
    description: 'certificate chain to use for TLS (PEM)',
  },
  tlsKey: { flag: '--tls-key <file>', env: ['BEDROCK_PROXY_TLS_KEY'], description: 'its private key (PEM)' },
  workers: {
    flag: '--workers <number>',
    env: ['BEDROCK_PROXY_WORKERS'],
    default: '1',
    description: 'processes that share the port; auto is one for each processor',
  },
  redisUrl: {
    flag: '--redis-url <url>',
    env: ['BEDROCK_PROXY_REDIS_URL', 'REDIS_URL'],
    description:
      'Redis or Valkey that counts rates of keys for several proxies; else PostgreSQL does, if they share one',
  },
  ratesFallback: {
    flag: '--rates-fallback <how>',
    env: ['BEDROCK_PROXY_RATES_FALLBACK'],
    default: 'local',
    description: 'while that does not respond: local: each proxy counts alone; refuse: keys with rates get 503',
    values: ['local', 'refuse'],
  },
  maxBodySize: {
    flag: '--max-body-size <size>',
    env: ['BEDROCK_PROXY_MAX_BODY_SIZE'],
    default: '128mb',
    description: 'largest request body, in bytes or with kb, mb, gb',
    inProject: true,
  },
  idleTimeout: {
    flag: '--idle-timeout <seconds>',
    env: ['BEDROCK_PROXY_IDLE_TIMEOUT'],
    default: '3900',
    description: 'longest silence of AWS before and within a response',
    inProject: true,
  },
  streamIdleTimeout: {
    flag: '--stream-idle-timeout <seconds>',
    env: ['BEDROCK_PROXY_STREAM_IDLE_TIMEOUT'],
    description: 'longest silence of AWS within a response; else --idle-timeout holds there too',
    inProject: true,
  },
  shutdownGrace: {
    flag: '--shutdown-grace <seconds>',
    env: ['BEDROCK_PROXY_SHUTDOWN_GRACE'],
    default: '30',
    description: 'time that running requests have to end after a first signal',
  },
  shutdownDelay: {
    flag: '--shutdown-delay <seconds>',
    env: ['BEDROCK_PROXY_SHUTDOWN_DELAY'],
    default: '0',
    description: 'before that, time in which requests are still taken while /health/readiness says 503',
  },
  allowedHost: {
    flag: '--allowed-host <name>',
    env: ['BEDROCK_PROXY_ALLOWED_HOST'],
    description: 'another host name to answer to',
    repeatable: true,
  },
  trustedProxy: {
    flag: '--trusted-proxy <address>',
    env: ['BEDROCK_PROXY_TRUSTED_PROXY'],
    description: 'address or network (10.0.0.0/8) of a load balancer that names its clients in X-Forwarded-For',
    repeatable: true,
  },
  allowedOrigin: {
    flag: '--allowed-origin <origin>',
    env: ['BEDROCK_PROXY_ALLOWED_ORIGIN'],
    description: 'a web origin that may call the proxy',
    repeatable: true,
  },
  prices: {
    flag: '--prices <file>',
    env: ['BEDROCK_PROXY_PRICES'],
    description: 'JSON file with prices that the built-in ones lack, or that are yours',
  },
  cacheDoctor: {
    flag: '--cache-doctor',
    env: ['BEDROCK_PROXY_CACHE_DOCTOR'],
    description: 'say of each prompt why its cache was read or lost; keeps keyed fingerprints, no content',
  },
  cacheFacts: {
    flag: '--cache-facts <file>',
    env: ['BEDROCK_PROXY_CACHE_FACTS'],
    description: 'JSON file with what the cache doctor should know otherwise: minimums of models, lookback',
  },
  assumedOutput: {
    flag: '--assumed-output <tokens>',
    env: ['BEDROCK_PROXY_ASSUMED_OUTPUT'],
    description: 'what a budget reserves for a response without a limit; else all that its model can write',
  },
  onBudget: {
    flag: '--on-budget <command>',
    env: ['BEDROCK_PROXY_ON_BUDGET'],
    description: 'run when a key has spent 80 % of its budget, and all of it; what happened is in its environment',
  },
  ledgerDays: {
    flag: '--ledger-days <days>',
    env: ['BEDROCK_PROXY_LEDGER_DAYS'],
    default: '90',
    description: 'how long the ledger keeps a request; 0 keeps it for ever',
  },
  noCut: {
    flag: '--no-cut',
    env: ['BEDROCK_PROXY_NO_CUT'],
    description: 'let requests end in order whose key was revoked, blocked or deleted, or expired, meanwhile',
  },
  noResponseHeaders: {
    flag: '--no-response-headers',
    env: ['BEDROCK_PROXY_NO_RESPONSE_HEADERS'],
    description: "add no x-bedrock-proxy-* and LiteLLM headers to AWS's responses",
    inProject: true,
  },
  logFormat: {
    flag: '--log-format <format>',
    env: ['BEDROCK_PROXY_LOG_FORMAT'],
    default: 'pretty',
    description: 'lines per request: pretty or json',
    values: ['pretty', 'json'],
    inProject: true,
  },
  quiet: { flag: '--quiet', env: ['BEDROCK_PROXY_QUIET'], description: 'no banner, no line per request' },
} as const satisfies Record<string, OptionSpec>;

/** The name of an option of `start`. */
export type OptionName = keyof typeof OPTIONS;

/** The names of all of them. */
export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS) as OptionName[];

/** The type of an option's value, by its flag: text, or a list if it repeats. A switch that is not given is false. */
export type OptionValue<Spec extends { readonly flag: string }> = string extends Spec['flag']
  ? FlagValue
  : Spec extends { readonly repeatable: true } | { readonly flag: `${string}...>` }
    ? readonly string[] | undefined
    : Spec extends { readonly choices: readonly (infer Choice)[] }
      ? Choice | undefined
      : Spec extends { readonly flag: `${string}<${string}>` }
        ? string | undefined
        : boolean;

/** Where the input of a command has its configuration files: no name that an option could have. */
export const CONFIG_FILES: unique symbol = Symbol('configuration files');

/** Values of options of `start`, of which a command may have some only. */
export type Flags = { readonly [Name in OptionName]?: OptionValue<(typeof OPTIONS)[Name]> } & {
  /** Of configuration files, strongest first; the command line adds them to what was given. */
  readonly [CONFIG_FILES]?: readonly ConfigFile[];
};

/** What a configuration file says. */
export interface ConfigFile {
  readonly path: string;
  /** One for each option, or several of one that repeats. */
  readonly settings: { readonly [Name in OptionName]?: readonly Setting[] };
}

/** A value and where it came from, for messages. */
export interface Setting {
  readonly value: string;
  /** `--port`, `BEDROCK_PROXY_PORT`, or the key in a file. */
  readonly origin: string;
  /** Where an option that stands nowhere has its value from. */
  readonly isDefault?: true;
}

/** `--port` of `-p, --port <number>`. */
export function nameFlag(flag: string): string {
  return /--[a-z-]+/.exec(flag)?.[0] ?? flag;
}

/** The flag, the first variable that is set and not empty, what a configuration file says, or the default. */
export function findSetting(name: OptionName, flags: Flags, environment: Environment): Setting | undefined {
  const spec: OptionSpec = OPTIONS[name];
  const origin = nameFlag(spec.flag);
  const flag = flags[name];
  if (flag !== undefined && flag !== false) return { value: String(flag), origin };
  for (const variable of spec.env) {
    const value = environment[variable];
    if (value !== undefined && value !== '') return { value, origin: variable };
  }
  const [fromFile] = findInFiles(name, flags);
  if (fromFile !== undefined) return fromFile;
  return spec.default === undefined ? undefined : { value: spec.default, origin, isDefault: true };
}

function findInFiles(name: OptionName, { [CONFIG_FILES]: files = [] }: Flags): readonly Setting[] {
  return files.find(({ settings }) => settings[name] !== undefined)?.settings[name] ?? [];
}

/** A repeatable option: the flags, the variable split at commas and spaces, or the list of a configuration file. */
export function readList(name: OptionName, flags: Flags, environment: Environment): Setting[] {
  const given = flags[name];
  if (Array.isArray(given)) return given.map((value: string) => ({ value, origin: nameFlag(OPTIONS[name].flag) }));
  const setting = findSetting(name, flags, environment);
  if (setting === undefined) return [];
  const inFile = findInFiles(name, flags);
  if (inFile[0] === setting) return [...inFile];
  return setting.value
    .split(/[\s,]+/)
    .filter((value) => value !== '')
    .map((value) => ({ ...setting, value }));
}

/** For options that have a default. */
export function present(setting: Setting | undefined): Setting {
  if (setting === undefined) throw new ProxyError('ERR_INTERNAL', 'An option has neither a value nor a default.');
  return setting;
}

/** Throws ERR_BAD_OPTION outside the bounds, which are included. */
export function parseInteger(setting: Setting, smallest: number, largest: number): number {
  const value = Number(setting.value);
  if (/^\d+$/.test(setting.value) && value >= smallest && value <= largest) return value;
  throw badOption(setting, `must be a whole number from ${smallest} to ${largest}`);
}

/** A size in bytes; k, m and g are thousands. */
export function parseSize(setting: Setting): number {
  const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(setting.value);
  const factors: Readonly<Record<string, number>> = { b: 1, kb: 1000, mb: 1_000_000, gb: 1_000_000_000 };
  const size = Math.round(Number(match?.[1]) * (factors[match?.[2]?.toLowerCase() ?? 'b'] ?? 1));
  if (match !== null && size >= 1 && size <= 2_000_000_000) return size;
  throw badOption(setting, 'must be a size of up to 2gb, such as 25000000 or 128mb');
}

/** On if the flag stands alone or the variable says so. */
export function parseSwitch(setting: Setting | undefined): boolean {
  if (setting === undefined) return false;
  if (/^(1|true|yes|on)$/i.test(setting.value)) return true;
  if (/^(0|false|no|off)$/i.test(setting.value)) return false;
  throw badOption(setting, 'must be true or false');
}

/** Where all options are told. */
export const START_HELP_HINT = 'See `bedrock-proxy start --help`.';

/** Says which value was wrong, without the password that a URL may hold. */
export function badOption(setting: Setting, what: string): ProxyError {
  const shown = JSON.stringify(showValue(setting));
  return new ProxyError('ERR_BAD_OPTION', `${setting.origin} ${what}, not ${shown}.`, {
    hint: START_HELP_HINT,
  });
}

/** A value for people: without the password that a URL may hold. */
export function showValue({ value }: Setting): string {
  return value.replace(/^([a-z][a-z0-9+.=-]*:\/\/)?.*@/is, '$1…@').replace(/([?&]\w*password=)[^&#]*/gi, '$1…');
}
