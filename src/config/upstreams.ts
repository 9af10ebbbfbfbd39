/**
 * The ways to Bedrock that the owner writes down: the file of `--upstreams`, read strictly, and the values of
 * `--fallback`. Pure, but for reading the file. What is not written is not guessed.
 *
 *     { "upstreams": [ { "name": "virginia", "region": "us-east-1", "models": ["*claude*"], "weight": 3 },
 *                      { "name": "ireland", "region": "eu-west-1", "profile": "second", "maxInFlight": 20,
 *                        "models": { "us.anthropic.claude-…": "eu.anthropic.claude-…" } } ] }
 */
import { readFile } from 'node:fs/promises';
import { isIdentifier } from '../domain/model-name.ts';
import { findRoleProblem, isExternalId, ROLE_SECONDS } from '../domain/role.ts';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ServiceId } from '../operations/catalog.ts';
import { type EndpointTemplate, parseEndpointUrl } from '../operations/endpoint.ts';
import { findPartition } from '../protocol/region.ts';
import { badOption, type Environment, type Setting } from './options.ts';

/** One way to Bedrock. */
export interface UpstreamSpec {
  /** In headers, ledger and metrics: letters, digits and `._-`. */
  readonly name: string;
  /** Undefined: the region of each request. */
  readonly region: string | undefined;
  /** Undefined: those of `--endpoint-url`, or AWS's own. */
  readonly endpointUrls: ReadonlyMap<ServiceId | '*', EndpointTemplate> | undefined;
  /** Whose credentials sign; undefined: those that the proxy itself was started with. */
  readonly identity: UpstreamIdentity | undefined;
  /** An Amazon Bedrock API key of its own. Secret. */
  readonly apiKey: string | undefined;
  readonly models: UpstreamModels;
  /** The share of conversations that begin here, beside the others' weights; 0: only if no other takes the request. */
  readonly weight: number;
  /** Requests under way at most; undefined: any number. */
  readonly maxInFlight: number | undefined;
}

/** Whose credentials an upstream signs with. */
export interface UpstreamIdentity {
  readonly profile?: string;
  readonly roleArn?: string;
  readonly externalId?: string;
  readonly durationSeconds?: number;
}

/** The models that an upstream serves. */
export interface UpstreamModels {
  /** Names and patterns of the models that it serves under their own name; undefined: all that are valid there. */
  readonly served: readonly string[] | undefined;
  /** What it calls a model by, if that is another name than the request's. */
  readonly mapped: ReadonlyMap<string, string>;
}

/** The name of the way that flags and environment describe, if there are fallbacks. */
const PRIMARY_NAME = 'primary';

const FIELDS = [
  'name',
  'region',
  'endpointUrl',
  'profile',
  'roleArn',
  'externalId',
  'durationSeconds',
  'apiKeyVariable',
  'models',
  'weight',
  'maxInFlight',
];
const FALLBACK_FIELDS = ['name', 'region', 'profile', 'roleArn', 'externalId', 'endpointUrl'];
const NAME_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const VARIABLE_SHAPE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** An API key goes out as it is; these never do. */
const NO_KEY = /^(?:AWS_(?!BEARER_TOKEN_)|BEDROCK_PROXY_)/;
const PATTERN_SHAPE = /^[A-Za-z0-9._:/*-]{1,512}$/;
const MAX_UPSTREAMS = 32;
const MAX_MODELS = 1_000;
const MAX_WEIGHT = 1_000;
const MAX_IN_FLIGHT = 100_000;

/** What is wrong at one place of the file or in one flag, and what helps. */
type Wrong = (where: string, what: string, hint?: string) => ProxyError;

/** The file at `path`. Throws ERR_BAD_OPTION if it cannot be read, or is wrong at some place, which is named. */
export async function readUpstreamsFile(path: string, environment: Environment): Promise<readonly UpstreamSpec[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = findCode(cause) ?? 'unknown';
    throw new ProxyError('ERR_BAD_OPTION', `The file of --upstreams cannot be read (${code}).`, {
      detail: path,
      cause,
    });
  }
  return parseUpstreamsFile(text, environment);
}

/** The file's text as upstreams, one at least. Throws ERR_BAD_OPTION, naming the place in the file. */
export function parseUpstreamsFile(text: string, environment: Environment): readonly UpstreamSpec[] {
  const { upstreams } = membersOf(parseJson(text), 'the file', ['upstreams']);
  if (!Array.isArray(upstreams) || upstreams.length === 0) {
    throw wrongInFile('upstreams', 'must be a list of one upstream at least', 'Each is {"name": …, "region": …}.');
  }
  if (upstreams.length > MAX_UPSTREAMS) throw wrongInFile('upstreams', `must be at most ${MAX_UPSTREAMS}`);
  const specs = upstreams.map((value: unknown, index) =>
    parseUpstream(value, { where: `upstreams[${index}]`, wrong: wrongInFile, environment }),
  );
  refuseTwins(specs, (index) => wrongInFile(`upstreams[${index}].name`, 'is the name of another one as well'));
  if (specs.every(({ weight }) => weight === 0)) throw wrongInFile('upstreams', 'must have one whose weight is not 0');
  return specs;
}

/**
 * What `--fallback` names, in its order: `region=us-west-2`, `profile=second`, or several of them with commas between.
 * They take what the first way, which the other flags describe, does not: their weight is 0. Throws ERR_BAD_OPTION.
 */
export function parseFallbacks(settings: readonly Setting[], environment: Environment): readonly UpstreamSpec[] {
  const specs = settings.map((setting, index) => parseFallback(setting, index, environment));
  const all = [{ name: PRIMARY_NAME }, ...specs];
  refuseTwins(all, (index) =>
    badOption(settings[index - 1] ?? { value: '', origin: '--fallback' }, 'must have a name that no other one has'),
  );
  return specs;
}

/** The way that flags and environment describe, in front of its fallbacks. */
export function primaryUpstream(): UpstreamSpec {
  return { ...NOTHING_SAID, name: PRIMARY_NAME, weight: 1 };
}

const NOTHING_SAID = {
  region: undefined,
  endpointUrls: undefined,
  identity: undefined,
  apiKey: undefined,
  models: { served: undefined, mapped: new Map<string, string>() },
  maxInFlight: undefined,
};

function parseFallback(setting: Setting, index: number, environment: Environment): UpstreamSpec {
  const pairs = setting.value.split(',').map((part): [string, string] => {
    const at = part.indexOf('=');
    return [part.slice(0, Math.max(0, at)).trim(), part.slice(at + 1).trim()];
  });
  const members = Object.fromEntries(pairs);
  const isKnown = pairs.every(([name, value]) => FALLBACK_FIELDS.includes(name) && value !== '');
  if (!isKnown || Object.keys(members).length < pairs.length) {
    throw badOption(
      setting,
      'must be a region or a profile such as region=us-west-2 or profile=second,region=us-east-1',
    );
  }
  const { name = members['profile'] ?? members['region'] ?? `fallback-${index + 1}` } = members;
  const wrong: Wrong = (where, what) => badOption({ ...setting, origin: `${setting.origin}: ${where.slice(1)}` }, what);
  return parseUpstream({ ...members, name: toName(name), weight: 0 }, { where: '', wrong, environment });
}

/** Profiles may have any name. */
function toName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
}

interface Place {
  readonly where: string;
  readonly wrong: Wrong;
  readonly environment: Environment;
}

function parseUpstream(value: unknown, { where, wrong, environment }: Place): UpstreamSpec {
  const members = membersOf(value, where, FIELDS, wrong);
  const read = <T>(name: string, parse: (value: unknown, refuse: (what: string) => ProxyError) => T): T | undefined =>
    members[name] === undefined ? undefined : parse(members[name], (what) => wrong(`${where}.${name}`, what));
  const name = read('name', parseName);
  if (name === undefined) throw wrong(`${where}.name`, 'is missing', 'Headers, ledger and metrics have it.');
  const region = read('region', parseRegion);
  const profile = read('profile', parseText);
  const identity = readIdentity(profile, read('roleArn', parseRole), {
    externalId: read('externalId', parseExternalId),
    durationSeconds: read('durationSeconds', inRange(...ROLE_SECONDS)),
  });
  if (identity?.roleArn === undefined && (members['externalId'] ?? members['durationSeconds']) !== undefined) {
    throw wrong(
      `${where}.${members['externalId'] === undefined ? 'durationSeconds' : 'externalId'}`,
      'needs a roleArn',
    );
  }
  const apiKey = read('apiKeyVariable', (variable, refuse) => parseKeyVariable(variable, environment, refuse));
  if (apiKey !== undefined && identity !== undefined) {
    throw wrong(`${where}.apiKeyVariable`, 'cannot stand beside a profile or a roleArn: one of them signs');
  }
  const parseModelsHere = (models: unknown): UpstreamModels => parseModels(models, `${where}.models`, wrong);
  return {
    name,
    region,
    endpointUrls: read('endpointUrl', parseEndpoints),
    identity,
    apiKey,
    models: read('models', parseModelsHere) ?? NOTHING_SAID.models,
    weight: read('weight', parseWeight) ?? 1,
    maxInFlight: read('maxInFlight', inRange(1, MAX_IN_FLIGHT)),
  };
}

function readIdentity(
  profile: string | undefined,
  roleArn: string | undefined,
  { externalId, durationSeconds }: { externalId: string | undefined; durationSeconds: number | undefined },
): UpstreamIdentity | undefined {
  if (profile === undefined && roleArn === undefined) return undefined;
  return {
    ...(profile !== undefined && { profile }),
    ...(roleArn !== undefined && { roleArn }),
    ...(externalId !== undefined && { externalId }),
    ...(durationSeconds !== undefined && { durationSeconds }),
  };
}

type Refuse = (what: string) => ProxyError;

function parseName(value: unknown, refuse: Refuse): string {
  if (typeof value === 'string' && NAME_SHAPE.test(value)) return value;
  throw refuse('must be a name of up to 63 letters, digits and ._-');
}

function parseRegion(value: unknown, refuse: Refuse): string {
  if (typeof value === 'string' && findPartition(value) !== undefined) return value;
  throw refuse('must be an AWS region; one looks like us-east-1');
}

function parseText(value: unknown, refuse: Refuse): string {
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw refuse('must be text, and not empty');
}

function parseRole(value: unknown, refuse: Refuse): string {
  const problem = typeof value === 'string' ? findRoleProblem(value) : 'must be the ARN of a role';
  if (typeof value === 'string' && problem === undefined) return value;
  throw refuse(problem ?? 'must be the ARN of a role');
}

function parseExternalId(value: unknown, refuse: Refuse): string {
  if (typeof value === 'string' && isExternalId(value)) return value;
  throw refuse('must be 2 to 1224 letters, digits and +=,.@:/-');
}

function parseKeyVariable(value: unknown, environment: Environment, refuse: Refuse): string {
  if (typeof value !== 'string' || !VARIABLE_SHAPE.test(value)) {
    throw refuse('must be the name of the variable that holds an Amazon Bedrock API key, and not the key');
  }
  if (NO_KEY.test(value)) throw refuse(`names the variable ${value}, which holds something else that is secret`);
  const key = environment[value]?.trim();
  if (key?.startsWith('sk-') === true) throw refuse(`names the variable ${value}, which holds a virtual key`);
  if (key !== undefined && key !== '') return key;
  throw refuse(`names the variable ${value}, which is not set`);
}

function parseEndpoints(value: unknown, refuse: Refuse): ReadonlyMap<ServiceId | '*', EndpointTemplate> {
  const urls: readonly unknown[] = Array.isArray(value) ? value : [value];
  const found = new Map<ServiceId | '*', EndpointTemplate>();
  for (const url of urls) {
    if (typeof url !== 'string') throw refuse('must be a URL, or a list of them');
    const parsed = parseEndpointUrl(url);
    if ('problem' in parsed) throw refuse(parsed.problem);
    found.set(parsed.service, parsed.template);
  }
  if (found.size === 0) throw refuse('must be a URL, or a list of them');
  return found;
}

function parseWeight(value: unknown, refuse: Refuse): number {
  if (typeof value === 'number' && value >= 0 && value <= MAX_WEIGHT) return value;
  throw refuse(`must be a number from 0 to ${MAX_WEIGHT}`);
}

function inRange(least: number, most: number): (value: unknown, refuse: Refuse) => number {
  return (value, refuse) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw refuse(`must be a whole number from ${least} to ${most}`);
  };
}

/** A list of names and patterns, a map from names to names, or a list of both. */
function parseModels(value: unknown, where: string, wrong: Wrong): UpstreamModels {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const served = parts.filter((part) => typeof part === 'string');
  const mapped = new Map<string, string>();
  for (const part of parts) {
    if (typeof part === 'string') continue;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) {
      throw wrong(
        where,
        'must be a list of models, or a map such as {"us.anthropic.claude-…": "eu.anthropic.claude-…"}',
      );
    }
    for (const [model, there] of Object.entries(part)) addMapped(mapped, [model, there], { where, wrong });
  }
  const bad = served.find((pattern) => !PATTERN_SHAPE.test(pattern));
  if (bad !== undefined) throw wrong(where, `must have names or patterns of models, not ${JSON.stringify(bad)}`);
  if (served.length + mapped.size === 0) throw wrong(where, 'must not be empty; without it all models are served');
  if (served.length + mapped.size > MAX_MODELS) throw wrong(where, `must be at most ${MAX_MODELS} models`);
  return { served: served.length === 0 ? undefined : served, mapped };
}

function addMapped(
  mapped: Map<string, string>,
  [model, there]: readonly [string, unknown],
  { where, wrong }: Pick<Place, 'where' | 'wrong'>,
): void {
  const place = `${where}[${JSON.stringify(model)}]`;
  if (!isIdentifier(model)) throw wrong(place, 'must be the id or the ARN of a model; a map has no patterns');
  if (typeof there !== 'string' || !isIdentifier(there))
    throw wrong(place, 'must be the id or the ARN of a model there');
  mapped.set(model, there);
}

function refuseTwins(specs: readonly { readonly name: string }[], refuse: (index: number) => ProxyError): void {
  for (const [index, { name }] of specs.entries()) {
    if (specs.findIndex((other) => other.name === name) < index) throw refuse(index);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw wrongInFile('the file', `must be JSON (${error instanceof Error ? error.message : 'unreadable'})`);
  }
}

function membersOf(
  value: unknown,
  where: string,
  allowed: readonly string[],
  wrong: Wrong = wrongInFile,
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'must be an object');
  const unknown = Object.keys(value).find((name) => !allowed.includes(name));
  if (unknown === undefined) return value as Readonly<Record<string, unknown>>;
  const place = where === 'the file' ? unknown : `${where}.${unknown}`;
  throw wrong(place, 'is not known here', `Known are ${allowed.join(', ')}.`);
}

function wrongInFile(where: string, what: string, hint?: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `In the file of --upstreams, ${where} ${what}.`, { hint });
}
