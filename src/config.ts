/**
 * Flags and environment become one frozen Config, once, at the edge. Every option with its names, default, unit and bounds
 * stands in OPTIONS: the command line, README and this file cannot disagree. After here nothing is optional that has a default.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProxyError } from './errors.ts';
import { type EndpointTemplate, parseEndpointUrl } from './routing/endpoint.ts';
import type { ServiceId } from './routing/catalog.ts';
import { findPartition } from './routing/region.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
/** Values as the command line gives them: text, a list for repeatable flags, true for switches. */
export type Flags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

interface OptionSpec {
  /** As shown in help, with its argument. */
  readonly flag: string;
  /** Variables that set it, strongest first; the flag wins over all of them. */
  readonly env: readonly string[];
  readonly default?: string;
  readonly description: string;
  readonly repeatable?: boolean;
}

/** The options of `start`, in the order of help and README. */
export const OPTIONS = {
  port: {
    flag: '--port <number>',
    env: ['BEDROCK_PROXY_PORT'],
    default: '4000',
    description: 'port to listen on; 0 takes a free one',
  },
  host: {
    flag: '--host <address>',
    env: ['BEDROCK_PROXY_HOST'],
    default: '127.0.0.1',
    description: 'address to listen on',
  },
  region: {
    flag: '--region <region>',
    env: ['BEDROCK_PROXY_REGION', 'AWS_REGION_NAME', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    description: 'AWS region for requests that name none; else the region of the profile',
  },
  profile: {
    flag: '--profile <name>',
    env: ['AWS_PROFILE'],
    description: 'profile in ~/.aws to take credentials from',
  },
  db: {
    flag: '--db <file>',
    env: ['BEDROCK_PROXY_DB', 'DATABASE_URL'],
    description: 'key database: a path, file: or sqlite: URL; else one in your user data folder',
  },
  offline: {
    flag: '--offline',
    env: ['BEDROCK_PROXY_OFFLINE'],
    description: 'answer from a Bedrock inside this process: no AWS account, no network',
  },
  endpointUrl: {
    flag: '--endpoint-url <url>',
    env: ['BEDROCK_PROXY_ENDPOINT_URL'],
    description: 'another upstream; may hold {service} and {region}; service=url for one service',
    repeatable: true,
  },
  maxBodySize: {
    flag: '--max-body-size <size>',
    env: ['BEDROCK_PROXY_MAX_BODY_SIZE'],
    default: '128mb',
    description: 'largest request body, in bytes or with kb, mb, gb',
  },
  idleTimeout: {
    flag: '--idle-timeout <seconds>',
    env: ['BEDROCK_PROXY_IDLE_TIMEOUT'],
    default: '3900',
    description: 'longest silence of AWS before and within an answer',
  },
  shutdownGrace: {
    flag: '--shutdown-grace <seconds>',
    env: ['BEDROCK_PROXY_SHUTDOWN_GRACE'],
    default: '30',
    description: 'time that running requests have to end after a first signal',
  },
  allowedHost: {
    flag: '--allowed-host <name>',
    env: ['BEDROCK_PROXY_ALLOWED_HOST'],
    description: 'another host name to answer to',
    repeatable: true,
  },
  allowedOrigin: {
    flag: '--allowed-origin <origin>',
    env: ['BEDROCK_PROXY_ALLOWED_ORIGIN'],
    description: 'a web origin that may call the proxy',
    repeatable: true,
  },
  logFormat: {
    flag: '--log-format <format>',
    env: ['BEDROCK_PROXY_LOG_FORMAT'],
    default: 'pretty',
    description: 'lines per request: pretty or json',
  },
  quiet: { flag: '--quiet', env: ['BEDROCK_PROXY_QUIET'], description: 'no banner, no line per request' },
} as const satisfies Record<string, OptionSpec>;

type OptionName = keyof typeof OPTIONS;

/** Variables without a flag, because a command line is seen by everybody on the machine. */
export const MASTER_KEY_VARIABLES = ['BEDROCK_PROXY_MASTER_KEY', 'LITELLM_MASTER_KEY'] as const;
export const SALT_KEY_VARIABLE = 'BEDROCK_PROXY_SALT_KEY';
/** A short salt would make the sealed keys guessable. */
const MIN_SALT_KEY_LENGTH = 16;

/** Below this path Bedrock is served. */
export const MOUNT_PATH = '/bedrock';

export interface Config {
  readonly host: string;
  readonly port: number;
  /** With the name of the flag or variable it came from; undefined where neither names one. */
  readonly region: { readonly name: string; readonly origin: string } | undefined;
  readonly profile: string | undefined;
  readonly databasePath: string;
  readonly masterKey: string | undefined;
  readonly saltKey: string | undefined;
  readonly offline: boolean;
  readonly endpointUrls: ReadonlyMap<ServiceId | '*', EndpointTemplate>;
  readonly maxBodySizeBytes: number;
  readonly idleTimeoutMs: number;
  /** Longest silence of a client in the middle of its body. */
  readonly uploadIdleTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly shutdownGraceMs: number;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly logFormat: 'pretty' | 'json';
  readonly quiet: boolean;
}

/** Reads everything `start` needs. Throws ERR_BAD_OPTION naming the flag or variable and what it may be. */
export function readConfig(flags: Flags, environment: Environment): Config {
  const read = (name: OptionName): Setting | undefined => findSetting(name, flags, environment);
  const region = read('region');
  if (region !== undefined && findPartition(region.value) === undefined) {
    throw badOption(region, 'is not an AWS region; one looks like us-east-1');
  }
  return Object.freeze({
    host: present(read('host')).value,
    port: parseInteger(present(read('port')), 0, 65_535),
    region: region === undefined ? undefined : { name: region.value, origin: region.origin },
    profile: read('profile')?.value,
    databasePath: readDatabasePath(flags, environment),
    masterKey: readMasterKey(environment),
    saltKey: readSaltKey(environment),
    offline: parseSwitch(read('offline')),
    endpointUrls: parseEndpointUrls(readList('endpointUrl', flags, environment)),
    maxBodySizeBytes: parseSize(present(read('maxBodySize'))),
    idleTimeoutMs: parseInteger(present(read('idleTimeout')), 1, 86_400) * 1000,
    uploadIdleTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    shutdownGraceMs: parseInteger(present(read('shutdownGrace')), 0, 86_400) * 1000,
    allowedHosts: readList('allowedHost', flags, environment).map(parseHostName),
    allowedOrigins: readList('allowedOrigin', flags, environment).map(parseOrigin),
    logFormat: parseLogFormat(present(read('logFormat'))),
    quiet: parseSwitch(read('quiet')),
  });
}

/** Where the key database is: `--db`, BEDROCK_PROXY_DB, DATABASE_URL, or the user's data folder. Throws ERR_BAD_OPTION. */
export function readDatabasePath(flags: Flags, environment: Environment): string {
  const setting = findSetting('db', flags, environment);
  return setting === undefined ? join(userDataFolder(environment), 'keys.db') : parseDatabaseLocation(setting);
}

/** The value of BEDROCK_PROXY_SALT_KEY. Throws ERR_BAD_OPTION where it is too short to protect anything. */
export function readSaltKey(environment: Environment): string | undefined {
  const value = environment[SALT_KEY_VARIABLE];
  if (value === undefined || value === '') return undefined;
  if (value.length >= MIN_SALT_KEY_LENGTH) return value;
  throw new ProxyError('ERR_BAD_OPTION', `${SALT_KEY_VARIABLE} must have at least ${MIN_SALT_KEY_LENGTH} characters.`);
}

interface Setting {
  readonly value: string;
  /** `--port` or `BEDROCK_PROXY_PORT`. */
  readonly origin: string;
}

/** The flag, the first variable that is set and not empty, or the default. */
function findSetting(name: OptionName, flags: Flags, environment: Environment): Setting | undefined {
  const spec: OptionSpec = OPTIONS[name];
  const origin = spec.flag.split(' ')[0] ?? spec.flag;
  const flag = flags[name];
  if (flag !== undefined && flag !== false) return { value: String(flag), origin };
  for (const variable of spec.env) {
    const value = environment[variable];
    if (value !== undefined && value !== '') return { value, origin: variable };
  }
  return spec.default === undefined ? undefined : { value: spec.default, origin };
}

/** A repeatable option: the flags, or the variable split at commas and spaces. */
function readList(name: OptionName, flags: Flags, environment: Environment): Setting[] {
  const given = flags[name];
  if (Array.isArray(given))
    return given.map((value: string) => ({ value, origin: OPTIONS[name].flag.split(' ')[0] ?? name }));
  const setting = findSetting(name, flags, environment);
  if (setting === undefined) return [];
  return setting.value
    .split(/[\s,]+/)
    .filter((value) => value !== '')
    .map((value) => ({ value, origin: setting.origin }));
}

function present(setting: Setting | undefined): Setting {
  if (setting === undefined) throw new ProxyError('ERR_INTERNAL', 'An option has neither a value nor a default.');
  return setting;
}

function parseInteger(setting: Setting, smallest: number, largest: number): number {
  const value = Number(setting.value);
  if (/^\d+$/.test(setting.value) && value >= smallest && value <= largest) return value;
  throw badOption(setting, `must be a whole number from ${smallest} to ${largest}`);
}

function parseSize(setting: Setting): number {
  const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(setting.value);
  const factors: Readonly<Record<string, number>> = { b: 1, kb: 1000, mb: 1_000_000, gb: 1_000_000_000 };
  const size = Math.round(Number(match?.[1]) * (factors[match?.[2]?.toLowerCase() ?? 'b'] ?? 1));
  if (match !== null && size >= 1 && size <= 2_000_000_000) return size;
  throw badOption(setting, 'must be a size of up to 2gb, such as 25000000 or 128mb');
}

function parseSwitch(setting: Setting | undefined): boolean {
  if (setting === undefined) return false;
  if (/^(1|true|yes|on)$/i.test(setting.value)) return true;
  if (/^(0|false|no|off)$/i.test(setting.value)) return false;
  throw badOption(setting, 'must be true or false');
}

function parseLogFormat(setting: Setting): 'pretty' | 'json' {
  if (setting.value === 'pretty' || setting.value === 'json') return setting.value;
  throw badOption(setting, 'must be pretty or json');
}

function parseHostName(setting: Setting): string {
  if (/^[a-z0-9._-]+$|^[0-9a-f:.]+$/i.test(setting.value)) return setting.value.toLowerCase();
  throw badOption(setting, 'must be a host name without scheme and port');
}

function parseOrigin(setting: Setting): string {
  if (/^(null|[a-z][a-z0-9+.-]*:\/\/[^/\s]*)$/i.test(setting.value)) return setting.value.toLowerCase();
  throw badOption(setting, 'must be an origin such as https://tool.example');
}

function parseEndpointUrls(settings: readonly Setting[]): ReadonlyMap<ServiceId | '*', EndpointTemplate> {
  const urls = new Map<ServiceId | '*', EndpointTemplate>();
  for (const setting of settings) {
    const parsed = parseEndpointUrl(setting.value);
    if ('problem' in parsed) throw badOption(setting, parsed.problem);
    urls.set(parsed.service, parsed.template);
  }
  return urls;
}

function parseDatabaseLocation(setting: Setting): string {
  const { value } = setting;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined) return resolve(value);
  if (scheme === 'file' || scheme === 'sqlite') return resolve(parseFileUrl(value, scheme));
  const known = /^postgres(ql)?$/.test(scheme);
  throw new ProxyError(
    'ERR_BAD_OPTION',
    known
      ? `${setting.origin} names a PostgreSQL database, which is not supported yet.`
      : `${setting.origin} names a ${scheme} database, which is not supported.`,
    { hint: 'Keys live in a SQLite file: give its path with --db or BEDROCK_PROXY_DB.' },
  );
}

/** `sqlite:keys.db`, `sqlite:///abs/keys.db`, `file:./keys.db`, `file:///abs/keys.db`; a query (Prisma writes one) is dropped. */
function parseFileUrl(value: string, scheme: string): string {
  const rest = value.slice(scheme.length + 1).replace(/\?.*$/s, '');
  if (!rest.startsWith('//')) return rest;
  return rest.startsWith('///') ? fileURLToPath(`file:${rest}`) : rest.slice(2);
}

function readMasterKey(environment: Environment): string | undefined {
  for (const variable of MASTER_KEY_VARIABLES) {
    const value = environment[variable];
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

/** Where programs keep data of a user: XDG, macOS and Windows each in their way. */
function userDataFolder(environment: Environment): string {
  if (process.platform === 'win32') {
    return join(environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'bedrock-proxy');
  }
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'bedrock-proxy');
  return join(environment['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'bedrock-proxy');
}

function badOption(setting: Setting, what: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `${setting.origin} ${what}, not ${JSON.stringify(setting.value)}.`, {
    hint: 'See `bedrock-proxy start --help`.',
  });
}
