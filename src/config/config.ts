/**
 * Flags and environment become one frozen Config, once, at the edge. The options
 * themselves stand in `options.ts`. After here nothing is optional that has a default.
 */
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { ProxyError } from '../lib/errors.ts';
import { isLoopbackName } from '../lib/loopback.ts';
import { isNetwork } from '../lib/networks.ts';
import {
  badOption,
  CONFIG_FILES,
  type Environment,
  findSetting,
  nameFlag,
  type Flags,
  type OptionName,
  OPTIONS,
  parseInteger,
  parseSize,
  parseSwitch,
  present,
  readList,
  type Setting,
} from './options.ts';
import { type DatabaseLocation, readDatabaseLocation, userDataFolder, withoutPassword } from './database-location.ts';
import { type CacheDoctorConfig, readCacheDoctorConfig } from './cache-options.ts';
import { type EndpointTemplate, parseEndpointUrl } from '../operations/endpoint.ts';
import type { ServiceId } from '../operations/catalog.ts';
import { findPartition } from '../protocol/region.ts';
import { parseFallbacks, type UpstreamSpec } from './upstreams.ts';
import {
  findRoleProblem,
  findTagProblem,
  isExternalId,
  ROLE_SECONDS,
  type SessionTag,
  splitSessionTag,
} from '../domain/role.ts';
import { INSPECT_TOKEN_VARIABLE, type InspectConfig, readInspectConfig } from './inspect-options.ts';
import { type RatesConfig, readRatesConfig, REDIS_VARIABLE } from './rates-options.ts';
import { parseArn } from '../protocol/arn.ts';
import { type ModelAliases, readModelAliases, splitModelAlias } from '../domain/model-alias.ts';

/** Variables without a flag, because every user of the machine sees a command line. */
export const MASTER_KEY_VARIABLES = ['BEDROCK_PROXY_MASTER_KEY', 'LITELLM_MASTER_KEY'] as const;
/** The variable whose text seals keys at rest instead of the secret file. */
export const SALT_KEY_VARIABLE = 'BEDROCK_PROXY_SALT_KEY';
/** What opens every door of the proxy: programs that it starts are not given these. */
const SECRET_VARIABLES = [...MASTER_KEY_VARIABLES, SALT_KEY_VARIABLE, INSPECT_TOKEN_VARIABLE, REDIS_VARIABLE] as const;
/** Names the database for this program alone. */
const DATABASE_VARIABLE = 'BEDROCK_PROXY_DB';
/** A short salt would make the sealed keys guessable. */
const MIN_SALT_KEY_LENGTH = 16;

/** Beyond it the process that leads them would be what all wait for. */
const MAX_WORKERS = 64;

const DAY_MS = 86_400_000;

/** Below this path Bedrock is served. */
export const MOUNT_PATH = '/bedrock';

/** As the usual variables have it; undefined if they are not set. */
export interface NetworkConfig {
  readonly httpsProxy: string | undefined;
  readonly httpProxy: string | undefined;
  readonly noProxy: string | undefined;
  /** A PEM file whose certificate authorities are trusted in addition. */
  readonly caFile: string | undefined;
}

/** How a cassette is used. */
export interface CassetteConfig {
  readonly directory: string;
  readonly mode: 'replay' | 'auto' | 'record';
  /** A filter of what is not recorded, as written. */
  readonly skip: string | undefined;
  /** Whether a recording that was not played is a failure. */
  readonly isStrict: boolean;
  /** Infinity: at once. */
  readonly speed: number;
}

/** Whether the proxy needs no account: it is offline, or plays what was recorded. */
export function needsNoAccount({ offline, cassette }: Pick<Config, 'offline' | 'cassette'>): boolean {
  return offline || cassette?.mode === 'replay';
}

/** The configuration of the program, checked and complete. The defaults are in `OPTIONS`. */
export interface Config extends InspectConfig, CacheDoctorConfig, RatesConfig {
  /** The one of `hosts` under which this machine calls the proxy. */
  readonly host: string;
  /** To listen on, as configured; one at least. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** With the name of the flag or variable it came from; undefined if neither names one. */
  readonly region: { readonly name: string; readonly origin: string } | undefined;
  readonly profile: string | undefined;
  /** To be assumed with the proxy's own credentials. */
  readonly roleArn: string | undefined;
  /** These three are for every role. */
  readonly externalId: string | undefined;
  readonly roleDurationSeconds: number | undefined;
  readonly sessionTags: readonly SessionTag[];
  /** Whether AWS's invocation logs are told whose request it is. */
  readonly requestMetadata: boolean;
  /** A command for the shell, from the owner alone. */
  readonly awsAuthRefresh: string | undefined;
  readonly database: DatabaseLocation;
  /** How long keys are used as they were last known while the database cannot be reached. */
  readonly staleKeysMs: number;
  /** To PostgreSQL, for requests; those that watch keys and count rates come besides. */
  readonly dbConnections: number;
  /** Of this user, whichever the database is. */
  readonly dataFolder: string;
  readonly masterKey: string | undefined;
  readonly saltKey: string | undefined;
  readonly offline: boolean;
  /** What the offline Bedrock says to which message. */
  readonly scriptFile: string | undefined;
  /** What was recorded is played, or recorded; undefined: neither. */
  readonly cassette: CassetteConfig | undefined;
  /** Rules of faults to inject, as written. */
  readonly faults: readonly string[];
  /** Undefined: one is drawn. */
  readonly faultSeed: number | undefined;
  /** Faults may befall everybody who can reach the proxy. */
  readonly faultInShared: boolean;
  readonly endpointUrls: ReadonlyMap<ServiceId | '*', EndpointTemplate>;
  readonly fips: boolean;
  readonly dualstack: boolean;
  /** A file with several ways to Bedrock. */
  readonly upstreamsFile: string | undefined;
  /** Ways to Bedrock besides the one that the other fields describe; none beside a file. */
  readonly fallbacks: readonly UpstreamSpec[];
  /** No further attempt begins later than this after the first. */
  readonly failoverDeadlineMs: number;
  /** Where `/openai` and `/anthropic` paths go if the client's own signature does not say. */
  readonly openaiUpstream: 'runtime' | 'mantle';
  /** Names that every client may use for models. */
  readonly modelAliases: ModelAliases;
  /** The way out of a corporate network. */
  readonly network: NetworkConfig;
  /** An Amazon Bedrock API key of the owner. Secret. */
  readonly apiKey: string | undefined;
  /** AWS_BEARER_TOKEN_BEDROCK held a virtual key, which is for clients: it was ignored. */
  readonly ignoredVirtualKey: boolean;
  /** Undefined: clear text only. `made`: a certificate of our own. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | 'made' | undefined;
  /** Processes that serve the port; with more than one, another one leads them. */
  readonly workers: number;
  readonly maxBodySizeBytes: number;
  readonly idleTimeoutMs: number;
  /** Longest silence of AWS within a response; undefined: `idleTimeoutMs` there too. */
  readonly streamIdleTimeoutMs: number | undefined;
  /** Longest silence of a client in the middle of its body. */
  readonly uploadIdleTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly shutdownGraceMs: number;
  readonly shutdownDelayMs: number;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Addresses and networks of load balancers on other machines. */
  readonly trustedProxies: readonly string[];
  /** The owner's own prices. */
  readonly pricesFile: string | undefined;
  /**
   * Output tokens that a budget reserves for a response without a limit; undefined: as many as its model can write.
   */
  readonly assumedOutputTokens: number | undefined;
  /** A line for the shell, run when a key has spent 80 % of its budget, and all of it. */
  readonly onBudget: string | undefined;
  /** Undefined: requests stay in the ledger for ever. */
  readonly ledgerRetentionMs: number | undefined;
  /** Whether AWS's responses get headers of ours: what the request cost, its id, and what the proxy took. */
  readonly responseHeaders: boolean;
  /** Whether a request under way is cut when its key is revoked, blocked or deleted, or expires. */
  readonly cutsEnded: boolean;
  readonly logFormat: 'pretty' | 'json';
  readonly quiet: boolean;
  /** Paths of the configuration files that were read. */
  readonly configFiles: readonly string[];
}

/** Reads everything `start` needs. Throws ERR_BAD_OPTION naming the flag or variable and what it may be. */
export function readConfig(flags: Flags, environment: Environment): Config {
  const read = (name: OptionName): Setting | undefined => findSetting(name, flags, environment);
  const region = read('region');
  if (region !== undefined && findPartition(region.value) === undefined) {
    throw badOption(region, 'is not an AWS region; one looks like us-east-1');
  }
  return Object.freeze({
    ...readHosts(readList('host', flags, environment)),
    port: parseInteger(present(read('port')), 0, 65_535),
    region: region === undefined ? undefined : { name: region.value, origin: region.origin },
    profile: parseProfile(read('profile')),
    roleArn: parseRoleArn(read('roleArn'), region),
    externalId: parseExternalId(read('externalId')),
    roleDurationSeconds: parseRoleSeconds(read('roleDuration')),
    sessionTags: parseSessionTags(readList('sessionTag', flags, environment)),
    requestMetadata: parseSwitch(read('requestMetadata')),
    awsAuthRefresh: parseCommand(read('awsAuthRefresh')),
    database: readDatabaseLocation(flags, environment),
    staleKeysMs: parseInteger(present(read('staleKeys')), 0, 86_400) * 1000,
    dbConnections: parseInteger(present(read('dbConnections')), 1, 1000),
    dataFolder: userDataFolder(environment, process.platform),
    masterKey: readMasterKey(environment),
    saltKey: readSaltKey(environment),
    ...readOffline(read('offline'), read('script')),
    cassette: readCassette(flags, environment),
    faults: readFaults(flags, environment),
    ...readInspectConfig(flags, environment),
    faultSeed: parseSeed(read('faultSeed')),
    faultInShared: parseSwitch(read('faultInShared')),
    endpointUrls: parseEndpointUrls(readList('endpointUrl', flags, environment)),
    fips: parseSwitch(read('fips')),
    dualstack: parseSwitch(read('dualstack')),
    ...readUpstreams(flags, environment),
    failoverDeadlineMs: parseInteger(present(read('failoverDeadline')), 1, 3_600) * 1000,
    openaiUpstream: parseChoice(present(read('openaiUpstream')), OPTIONS.openaiUpstream.values),
    modelAliases: parseModelAliasOptions(readList('modelAlias', flags, environment)),
    network: readNetwork(environment),
    ...readApiKey(environment),
    tls: readTls(read('tls'), read('tlsCert'), read('tlsKey')),
    workers: parseWorkers(present(read('workers'))),
    ...readRatesConfig(flags, environment),
    maxBodySizeBytes: parseSize(present(read('maxBodySize'))),
    idleTimeoutMs: parseInteger(present(read('idleTimeout')), 1, 86_400) * 1000,
    streamIdleTimeoutMs: parseSeconds(read('streamIdleTimeout')),
    uploadIdleTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    shutdownGraceMs: parseInteger(present(read('shutdownGrace')), 0, 86_400) * 1000,
    shutdownDelayMs: parseInteger(present(read('shutdownDelay')), 0, 3_600) * 1000,
    allowedHosts: readList('allowedHost', flags, environment).map(parseHostName),
    allowedOrigins: readList('allowedOrigin', flags, environment).map(parseOrigin),
    trustedProxies: readList('trustedProxy', flags, environment).map(parseNetwork),
    pricesFile: parseFilePath(read('prices')),
    ...readCacheDoctorConfig(flags, environment),
    assumedOutputTokens: parseTokens(read('assumedOutput')),
    onBudget: read('onBudget')?.value,
    ledgerRetentionMs: parseInteger(present(read('ledgerDays')), 0, 36_500) * DAY_MS || undefined,
    responseHeaders: !parseSwitch(read('noResponseHeaders')),
    cutsEnded: !parseSwitch(read('noCut')),
    logFormat: parseChoice(present(read('logFormat')), OPTIONS.logFormat.values),
    quiet: parseSwitch(read('quiet')),
    configFiles: (flags[CONFIG_FILES] ?? []).map(({ path }) => path),
  });
}

/** The value of BEDROCK_PROXY_SALT_KEY. Throws ERR_BAD_OPTION if it is too short to protect anything. */
export function readSaltKey(environment: Environment): string | undefined {
  const value = environment[SALT_KEY_VARIABLE];
  if (value === undefined || value === '') return undefined;
  if (value.length >= MIN_SALT_KEY_LENGTH) return value;
  throw new ProxyError('ERR_BAD_OPTION', `${SALT_KEY_VARIABLE} must have at least ${MIN_SALT_KEY_LENGTH} characters.`);
}

/**
 * The environment for programs that are started here: without what opens every door of the proxy. The database has its
 * name without the password; DATABASE_URL is other programs' as well, and stays.
 */
export function withoutSecrets(environment: Environment): Record<string, string | undefined> {
  const secrets = new Set<string>(SECRET_VARIABLES);
  const rest = Object.fromEntries(Object.entries(environment).filter(([name]) => !secrets.has(name)));
  const database = rest[DATABASE_VARIABLE];
  return database === undefined ? rest : { ...rest, [DATABASE_VARIABLE]: withoutPassword(database) };
}

function parseChoice<const T extends string>(setting: Setting, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === setting.value);
  if (found !== undefined) return found;
  throw badOption(setting, `must be ${choices.join(' or ')}`);
}

/** As many as there are processors that this process may use, if it is `auto`. */
function parseWorkers(setting: Setting): number {
  if (setting.value === 'auto') return Math.min(availableParallelism(), MAX_WORKERS);
  if (/^\d+$/.test(setting.value)) return parseInteger(setting, 1, MAX_WORKERS);
  throw badOption(setting, `must be auto or a whole number from 1 to ${MAX_WORKERS}`);
}

/** The variables of curl and most other programs; lower case first, as curl has it. */
function readNetwork(environment: Environment): NetworkConfig {
  const find = (...names: readonly string[]): Setting | undefined => {
    const origin = names.flatMap((name) => [name.toLowerCase(), name]).find((name) => environment[name]);
    return origin === undefined ? undefined : { value: environment[origin] ?? '', origin };
  };
  return {
    httpsProxy: parseProxyUrl(find('HTTPS_PROXY', 'ALL_PROXY')),
    httpProxy: parseProxyUrl(find('HTTP_PROXY', 'ALL_PROXY')),
    noProxy: find('NO_PROXY')?.value,
    caFile: environment['AWS_CA_BUNDLE'] || undefined,
  };
}

/** `host:port` alone counts as http://, as curl has it. */
function parseProxyUrl(setting: Setting | undefined): string | undefined {
  if (setting === undefined || /^https?:\/\/[^/\s]+\/?$/i.test(setting.value)) return setting?.value;
  if (/^[^/\s]+$/.test(setting.value)) return `http://${setting.value}`;
  throw badOption(setting, 'must be the URL of an http:// or https:// proxy');
}

/** AWS's own variable. People set it to a virtual key for their clients, in the very shell that starts the proxy. */
function readApiKey(environment: Environment): Pick<Config, 'apiKey' | 'ignoredVirtualKey'> {
  const value = environment['AWS_BEARER_TOKEN_BEDROCK']?.trim() || undefined;
  const isOurs = value?.startsWith('sk-') === true || value === readMasterKey(environment);
  const ignoredVirtualKey = value !== undefined && isOurs;
  return { apiKey: ignoredVirtualKey ? undefined : value, ignoredVirtualKey };
}

function readTls(requested: Setting | undefined, cert: Setting | undefined, key: Setting | undefined): Config['tls'] {
  if (cert !== undefined && key !== undefined) return { certFile: resolve(cert.value), keyFile: resolve(key.value) };
  if (cert !== undefined) throw badOption(cert, 'needs --tls-key as well');
  if (key !== undefined) throw badOption(key, 'needs --tls-cert as well');
  return parseSwitch(requested) ? 'made' : undefined;
}

function readHosts(settings: readonly Setting[]): Pick<Config, 'host' | 'hosts'> {
  const [first = 'localhost', ...others] = new Set(settings.map(parseListenHost));
  const hosts = [first, ...others];
  return { host: hosts.find(isLoopbackName) ?? first, hosts };
}

/**
 * Node takes an empty host for every address of the machine: the opposite of what an unset variable in a script means.
 */
function parseListenHost(setting: Setting): string {
  if (isHostName(setting.value)) return setting.value;
  throw badOption(setting, 'must be an address or a name of this machine, without scheme and port');
}

function parseTokens(setting: Setting | undefined): number | undefined {
  return setting && parseInteger(setting, 1, 10_000_000);
}

function parseSeconds(setting: Setting | undefined): number | undefined {
  return setting === undefined ? undefined : parseInteger(setting, 1, 86_400) * 1000;
}

function parseFilePath(setting: Setting | undefined): string | undefined {
  return setting === undefined ? undefined : resolve(setting.value);
}

function readOffline(
  setting: Setting | undefined,
  script: Setting | undefined,
): Pick<Config, 'offline' | 'scriptFile'> {
  const offline = parseSwitch(setting);
  if (offline || script === undefined) return { offline, scriptFile: parseFilePath(script) };
  throw new ProxyError('ERR_BAD_OPTION', `${script.origin} is for the offline Bedrock: it needs --offline.`, {
    hint: 'AWS itself answers as it likes; what it answered can be recorded.',
  });
}

function parseProfile(setting: Setting | undefined): string | undefined {
  if (setting?.value === '') throw badOption(setting, 'must not be empty');
  return setting?.value;
}

function parseRoleArn(setting: Setting | undefined, region: Setting | undefined): string | undefined {
  if (setting === undefined) return undefined;
  const problem = findRoleProblem(setting.value);
  if (problem !== undefined) throw badOption(setting, problem);
  const partition = region && findPartition(region.value)?.id;
  if (partition === undefined || parseArn(setting.value)?.partition === partition) return setting.value;
  throw badOption(setting, `must be a role of the partition of the region, such as arn:${partition}:iam::…`);
}

function parseExternalId(setting: Setting | undefined): string | undefined {
  if (setting === undefined || isExternalId(setting.value)) return setting?.value;
  throw badOption(setting, 'must have 2 to 1224 letters, digits and _+=,.@:/-');
}

function parseRoleSeconds(setting: Setting | undefined): number | undefined {
  return setting && parseInteger(setting, ...ROLE_SECONDS);
}

function parseSessionTags(settings: readonly Setting[]): readonly SessionTag[] {
  const [first] = settings;
  if (first === undefined) return [];
  const tags = settings.map(({ value }) => splitSessionTag(value));
  const named = tags.filter(({ name, value }) => name !== '*' || value !== undefined);
  const problem = findTagProblem(named.map(({ name, value = '' }) => [name, value]));
  if (problem === undefined) return tags;
  const value = settings.map((setting) => setting.value).join(' ');
  throw badOption({ ...first, value }, `must be tags that AWS takes (${problem})`);
}

function parseCommand(setting: Setting | undefined): string | undefined {
  if (setting?.value.trim() === '') throw badOption(setting, 'must not be empty');
  return setting?.value;
}

function parseHostName(setting: Setting): string {
  if (isHostName(setting.value)) return setting.value.toLowerCase();
  throw badOption(setting, 'must be a host name without scheme and port');
}

function isHostName(value: string): boolean {
  return /^[a-z0-9._-]+$/i.test(value) || isIP(value) !== 0;
}

function parseNetwork(setting: Setting): string {
  if (isNetwork(setting.value)) return setting.value;
  throw badOption(setting, 'must be an address or a network such as 10.0.0.0/8');
}

function parseOrigin(setting: Setting): string {
  if (/^(null|[a-z][a-z0-9+.-]*:\/\/[^/\s]*)$/i.test(setting.value)) return setting.value.toLowerCase();
  throw badOption(setting, 'must be an origin such as https://tool.example');
}

/** A variable holds several with blanks between: commas are within one. */
function readUpstreams(flags: Flags, environment: Environment): Pick<Config, 'upstreamsFile' | 'fallbacks'> {
  const file = findSetting('upstreams', flags, environment);
  const variable = OPTIONS.fallback.env.find((name) => environment[name]);
  const given =
    flags.fallback === undefined && variable !== undefined
      ? (environment[variable] ?? '').split(/\s+/).map((value) => ({ value, origin: variable }))
      : readList('fallback', flags, environment);
  const settings = given.filter(({ value }) => value !== '');
  const [first] = settings;
  if (file !== undefined && first !== undefined) {
    throw new ProxyError('ERR_BAD_OPTION', `${first.origin} cannot stand beside ${file.origin}.`, {
      hint: 'Write the fallback into the file, with a weight of 0.',
    });
  }
  return { upstreamsFile: parseFilePath(file), fallbacks: parseFallbacks(settings, environment) };
}

function readCassette(flags: Flags, environment: Environment): CassetteConfig | undefined {
  const read = (name: OptionName): Setting | undefined => findSetting(name, flags, environment);
  const directory = parseFilePath(read('cassette'));
  if (directory === undefined) return undefined;
  const isInCi = !/^(?:|0|false)$/i.test(environment['CI'] ?? '');
  const setting = present(read('cassetteMode'));
  const mode = parseChoice(setting, OPTIONS.cassetteMode.values);
  if (isInCi && mode !== 'replay' && setting.origin !== nameFlag(OPTIONS.cassetteMode.flag)) {
    throw new ProxyError('ERR_BAD_OPTION', `${setting.origin} would record in continuous integration (CI is set).`, {
      hint: `If that is meant, give --cassette-mode ${mode}.`,
    });
  }
  return {
    directory,
    mode,
    skip: read('cassetteSkip')?.value,
    isStrict: parseSwitch(read('cassetteStrict')),
    speed: parseSpeed(read('replaySpeed'), isInCi),
  };
}

function parseSpeed(setting: Setting | undefined, isInCi: boolean): number {
  if (setting === undefined) return isInCi ? Number.POSITIVE_INFINITY : 1;
  if (setting.value === 'instant') return Number.POSITIVE_INFINITY;
  const speed = Number(setting.value);
  if (/^\d+(?:\.\d+)?$/.test(setting.value) && speed >= 0.01 && speed <= 10_000) return speed;
  throw badOption(setting, 'must be instant or a number from 0.01 to 10000');
}

/** Rules have blanks and commas in them: a variable has `;` or line ends between several. */
function readFaults(flags: Flags, environment: Environment): readonly string[] {
  const variable = OPTIONS.fault.env.find((name) => environment[name]);
  const values =
    flags.fault === undefined && variable !== undefined
      ? (environment[variable] ?? '').split(/[;\n]/)
      : readList('fault', flags, {}).map(({ value }) => value);
  return values.map((value) => value.trim()).filter((value) => value !== '');
}

function parseSeed(setting: Setting | undefined): number | undefined {
  return setting && parseInteger(setting, 0, Number.MAX_SAFE_INTEGER);
}

function parseModelAliasOptions(settings: readonly Setting[]): ModelAliases {
  const read = readModelAliases(settings.map(({ value }) => splitModelAlias(value)));
  if ('aliases' in read) return read.aliases;
  throw badOption({ value: read.given, origin: settings[0]?.origin ?? '--model-alias' }, read.problem);
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

function readMasterKey(environment: Environment): string | undefined {
  for (const variable of MASTER_KEY_VARIABLES) {
    const value = environment[variable]?.trim();
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}
