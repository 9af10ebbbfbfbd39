/**
 * Where the key database is: a file of this machine, or a PostgreSQL database that several proxies share. Read from
 * `--db`, BEDROCK_PROXY_DB or DATABASE_URL. Opens nothing.
 */
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProxyError } from '../lib/errors.ts';
import { addPostgresVariables } from './postgres-variables.ts';
import { badOption, type Environment, findSetting, type Flags, type Setting } from './options.ts';

interface CommonLocation {
  /** As `--db` takes it, but without a password: for people, logs and other programs. */
  readonly shown: string;
  /** Of the files beside the database: fetched prices, the certificate. */
  readonly folder: string;
}

/** A SQLite file of this machine. */
export interface FileLocation extends CommonLocation {
  readonly kind: 'file';
  /** Absolute. */
  readonly path: string;
}

/** A PostgreSQL database. */
export interface PostgresLocation extends CommonLocation {
  readonly kind: 'postgres';
  /** Secret: it may hold a password. */
  readonly url: string;
  /** The flag or the variable that names it. */
  readonly origin: string;
}

/** Where the key database is. */
export type DatabaseLocation = FileLocation | PostgresLocation;

/** The database in the file at `path`, which is absolute. */
export function locateFile(path: string): FileLocation {
  return { kind: 'file', path, shown: path, folder: dirname(path) };
}

/** As `--db` takes it. Secret: of PostgreSQL, it may hold a password. */
export function nameDatabase(location: DatabaseLocation): string {
  return location.kind === 'file' ? location.path : location.url;
}

/** Who has set DATABASE_URL for another program may not know that it counts here: the hint of an error says so. */
export function hintForOrigin({ origin }: PostgresLocation, hint: string): string {
  if (origin !== 'DATABASE_URL') return hint;
  return `${hint} If DATABASE_URL is of another program, name ours with BEDROCK_PROXY_DB: a URL, or a file.`;
}

/**
 * Where the key database is: `--db`, BEDROCK_PROXY_DB, DATABASE_URL, or the user's data folder. Throws ERR_BAD_OPTION.
 */
export function readDatabaseLocation(
  flags: Flags,
  environment: Environment,
  platform: NodeJS.Platform = process.platform,
): DatabaseLocation {
  const setting = findSetting('db', flags, environment);
  const folder = userDataFolder(environment, platform);
  if (setting === undefined) return locateFile(join(folder, 'keys.db'));
  const location = parseLocation(setting, folder);
  if (location.kind === 'file') return location;
  return { ...location, url: addPostgresVariables(location.url, environment) };
}

function parseLocation(setting: Setting, folder: string): DatabaseLocation {
  const { value, origin } = setting;
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file' || scheme === 'sqlite') {
    const path = scheme === undefined ? value : parseFileUrl(value, scheme);
    if (path === undefined || path === '' || path === ':memory:') throw badOption(setting, 'must name a file');
    return locateFile(resolve(path));
  }
  if (scheme !== 'postgres' && scheme !== 'postgresql') {
    throw new ProxyError('ERR_BAD_OPTION', `${origin} names a ${scheme} database, which is not supported.`, {
      hint: 'Keys live in a SQLite file or in PostgreSQL: name one with --db or BEDROCK_PROXY_DB.',
    });
  }
  if (!/^[a-z]+:\/\/./i.test(value)) throw badOption(setting, 'must be like postgres://user@host/database');
  return { kind: 'postgres', url: value, shown: withoutPassword(value), folder, origin };
}

/**
 * The URL without passwords; it still names the database if the password comes from elsewhere. A path stays. A raw `@`,
 * `/` or `?` within the password, which should be encoded, gives nothing away: all up to the last `@` counts as the
 * user's.
 */
export function withoutPassword(url: string): string {
  if (!/^postgres(?:ql)?:/i.test(url)) return url;
  const [address = '', query] = url.replace(/^([a-z]+:\/\/[^:@/?#]*):.*@/is, '$1@').split(/[?#]/);
  const shown = [...new URLSearchParams(query)].filter(([name]) => !/password/i.test(name));
  const parameters = new URLSearchParams(shown);
  return parameters.size === 0 ? address : `${address}?${parameters.toString()}`;
}

/**
 * `sqlite:keys.db`, `sqlite:///abs/keys.db`, `file:./keys.db`, `file:///abs/keys.db`; a query (Prisma writes one) is
 * dropped.
 */
function parseFileUrl(value: string, scheme: string): string | undefined {
  const rest = value.slice(scheme.length + 1).replace(/\?.*$/s, '');
  if (!rest.startsWith('//')) return rest;
  if (!rest.startsWith('///')) return rest.slice(2);
  try {
    return fileURLToPath(`file:${rest}`);
  } catch {
    return undefined;
  }
}

/**
 * Where programs keep data of a user: XDG, macOS and Windows each in their way. By the XDG specification, a variable
 * that is empty or no absolute path counts as unset.
 */
export function userDataFolder(environment: Environment, platform: NodeJS.Platform): string {
  const findFolder = (variable: string): string | undefined => {
    const folder = environment[variable] ?? '';
    return isAbsolute(folder) ? folder : undefined;
  };
  if (platform === 'win32') {
    return join(findFolder('LOCALAPPDATA') ?? join(homedir(), 'AppData', 'Local'), 'bedrock-proxy');
  }
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'bedrock-proxy');
  return join(findFolder('XDG_DATA_HOME') ?? join(homedir(), '.local', 'share'), 'bedrock-proxy');
}
