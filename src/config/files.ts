/**
 * Configuration files: `bedrock-proxy.json` of the user, and of the project one is in. Their keys are the flags of
 * `start`, and what they say is checked as flags are. The file of a project may come from a stranger, with a clone: it
 * can set what `OPTIONS` marks with `inProject`, in plain characters, and nothing else, until its owner names it.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { findCode } from '../lib/errno.ts';
import { ProxyError } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import { findNearest } from '../lib/nearest-name.ts';
import { isPrintable } from '../lib/printable.ts';
import {
  type Environment,
  type ConfigFile,
  nameFlag,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type OptionSpec,
  type Setting,
  START_HELP_HINT,
} from './options.ts';

/** Names a file that is read in the place of the project's, and trusted as the user's own. */
export const CONFIG_VARIABLE = 'BEDROCK_PROXY_CONFIG';

const FILE_NAME = 'bedrock-proxy.json';
/** Nobody writes so much by hand. */
const MAX_BYTES = 64 * 1024;
/** No quote, no `$`, nothing that a shell or a terminal acts on: values stand in hints that people paste. */
const PLAIN = /^[\w.:@/+ -]*$/;

/** By the name of the flag: `max-body-size`. */
const NAMES: ReadonlyMap<string, OptionName> = new Map(OPTION_NAMES.map((name) => [nameInFile(name), name]));

/** Where the files are looked for. */
export interface ConfigPlaces {
  readonly environment: Environment;
  readonly workingFolder: string;
  readonly platform: NodeJS.Platform;
}

/** The name of an option in a file. */
export function nameInFile(option: OptionName): string {
  return nameFlag(OPTIONS[option].flag).slice(2);
}

/** Those that are there, strongest first. Throws ERR_BAD_OPTION for one that cannot be read, or is wrong somewhere. */
export function readConfigFiles(places: ConfigPlaces): readonly ConfigFile[] {
  const userFile = findUserFile(places);
  const named = places.environment[CONFIG_VARIABLE];
  const first =
    named === undefined || named === ''
      ? readProjectFile(findProjectFile(places), userFile)
      : readFile(resolve(places.workingFolder, named));
  if (named !== undefined && named !== '' && first === undefined) {
    throw wrong(named, `is not there; --config or ${CONFIG_VARIABLE} names it`);
  }
  const second = first?.path === userFile ? undefined : readFile(userFile);
  return [first, second].filter((file) => file !== undefined);
}

/** Where the user's own file is, or would be. */
export function findUserFile({ environment, platform }: Omit<ConfigPlaces, 'workingFolder'>): string {
  const folderOf = (variable: string): string | undefined => {
    const folder = environment[variable] ?? '';
    return isAbsolute(folder) ? folder : undefined;
  };
  const home = folderOf('HOME') ?? homedir();
  const folder =
    platform === 'win32'
      ? (folderOf('APPDATA') ?? join(home, 'AppData', 'Roaming'))
      : platform === 'darwin'
        ? join(home, 'Library', 'Application Support')
        : (folderOf('XDG_CONFIG_HOME') ?? join(home, '.config'));
  return join(folder, 'bedrock-proxy', FILE_NAME);
}

/**
 * In the working folder, or above it, up to the root of its repository. Without a repository in the working folder
 * alone: what lies further up (/tmp, the root of a disk) may belong to anybody.
 */
function findProjectFile({ workingFolder }: ConfigPlaces): string {
  const path = join(workingFolder, FILE_NAME);
  const candidates: string[] = [];
  for (let folder = workingFolder; ; folder = dirname(folder)) {
    candidates.push(join(folder, FILE_NAME));
    if (existsSync(join(folder, '.git'))) return candidates.find((each) => existsSync(each)) ?? path;
    if (dirname(folder) === folder) return path;
  }
}

function readProjectFile(path: string, userFile: string): ConfigFile | undefined {
  if (path === userFile) return undefined;
  return readFile(path, `Read it; if you trust it, name it: --config FILE. Or set this in ${userFile}.`);
}

/** `distrust`: what to do about a setting that a stranger's file may not have; undefined for one of the user's own. */
function readFile(path: string, distrust?: string): ConfigFile | undefined {
  const found = readText(path);
  if (found === undefined) return undefined;
  if (distrust !== undefined && found.isForeign) throw wrong(path, 'belongs to another user', distrust);
  const entries = Object.entries(parseObject(path, found.text)).filter(([key]) => key !== '$schema');
  const settings = entries.map(([key, value]): [OptionName, readonly Setting[]] => {
    const name = NAMES.get(key) ?? refuseUnknown(path, key);
    const problem = distrust === undefined ? undefined : findProblem(name, value);
    if (problem !== undefined) throw wrong(`"${key}" in ${path}`, problem, distrust);
    return [name, toSettings(path, key, name, value)];
  });
  return { path, settings: Object.fromEntries(settings) };
}

function findProblem(name: OptionName, value: unknown): string | undefined {
  const spec: OptionSpec = OPTIONS[name];
  if (spec.inProject !== true) return 'is not for the file of a project, which may come from others';
  if (value === false) return 'can only be true in the file of a project';
  return PLAIN.test(String(value)) ? undefined : 'has characters that are not for the file of a project';
}

function readText(path: string): { readonly text: string; readonly isForeign: boolean } | undefined {
  try {
    // A symbolic link of a clone may lead to a pipe, which would be waited for.
    const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const status = fstatSync(descriptor);
      if (!status.isFile()) throw wrong(path, 'is no file');
      if (status.size > MAX_BYTES) throw wrong(path, `is larger than ${MAX_BYTES} bytes`);
      const userId = process.getuid?.();
      const isForeign = userId !== undefined && status.uid !== userId && status.uid !== 0;
      return { text: readFileSync(descriptor, 'utf8'), isForeign };
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    const code = findCode(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw wrong(path, `cannot be read (${code ?? 'unknown'})`);
  }
}

function parseObject(path: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (thrown) {
    // Node's own message quotes the file, which may be a link to another one.
    const place = /line \d+ column \d+/.exec(String(thrown))?.[0];
    throw wrong(path, place === undefined ? 'is no JSON' : `is no JSON: ${place}`);
  }
  if (isObject(value)) return value;
  throw wrong(path, 'must be a JSON object whose keys are flags of `start`: {"region": "eu-west-1"}');
}

function refuseUnknown(path: string, key: string): never {
  const nearest = findNearest(key, [...NAMES.keys()]);
  const hint = nearest === undefined ? 'Keys are the flags of `bedrock-proxy start`.' : `Did you mean "${nearest}"?`;
  throw wrong(path, `has "${key.slice(0, 100)}", which is no option`, hint);
}

/** As text, for the checks that flags go through. */
function toSettings(path: string, key: string, name: OptionName, value: unknown): readonly Setting[] {
  const spec: OptionSpec = OPTIONS[name];
  const origin = `"${key}" in ${path}`;
  const isSwitch = !spec.flag.includes('<');
  const values: readonly unknown[] = spec.repeatable === true && Array.isArray(value) ? value : [value];
  return values.map((each) => {
    const isRight = isSwitch ? typeof each === 'boolean' : typeof each === 'string' || typeof each === 'number';
    if (!isRight) {
      const shape = isSwitch
        ? 'true or false'
        : spec.repeatable === true
          ? 'a text or a list of texts'
          : 'a text or a number';
      throw wrong(origin, `must be ${shape}`);
    }
    const text = String(each);
    if (text === '' || !isPrintable(text)) throw wrong(origin, 'must be printable text, and not empty');
    return { value: spec.flag.endsWith('<file>') ? absolutePath(dirname(path), text) : text, origin };
  });
}

/** A path in a file is one beside it, whatever the working folder is. The database may be a URL. */
function absolutePath(folder: string, value: string): string {
  const [, scheme = '', path = value] = /^((?:file|sqlite):(?:\/\/(?!\/))?)(.*)$/is.exec(value) ?? [];
  if (scheme === '' && /^[a-z][a-z0-9+.-]+:/i.test(value)) return value;
  const below = path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(folder, path);
  return `${scheme.replace('//', '')}${below}`;
}

function wrong(what: string, why: string, hint = START_HELP_HINT): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `${what} ${why}.`, { hint });
}
