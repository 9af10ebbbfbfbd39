/**
 * Where a database is, and how it is reached: a URL, read as libpq reads it
 * (https://www.postgresql.org/docs/current/libpq-connect.html). Reads no file and connects to nothing. What it does not
 * know is refused by name: a parameter that asks for more safety must not be passed over.
 */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ProxyError } from '../../lib/errors.ts';

const DEFAULT_PORT = 5432;

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
/** How TLS is used, in libpq's words. */
export type SslMode = (typeof SSL_MODES)[number];

const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const;

/** One server: a name, an address, or the folder of a socket. */
export interface DatabaseHost {
  readonly host: string;
  readonly port: number;
}

/** A database, read from its URL. Paths are not looked at yet. */
export interface DatabaseAddress {
  /** Asked in this order. */
  readonly hosts: readonly DatabaseHost[];
  readonly user: string;
  readonly database: string;
  /** Of the URL or PGPASSWORD; undefined: the password file is asked. */
  readonly password: string | undefined;
  readonly passwordFile: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  /** Where libpq looks if a file is not named. */
  readonly sslFolder: string;
  readonly applicationName: string;
  /** Of the server's settings, as `-c name=value`. */
  readonly serverOptions: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  /** Only a server that can be written to will do. */
  readonly requireWritable: boolean;
  /** Whether the password is proven for this TLS connection alone, if the server can do that. */
  readonly bindsChannel: boolean;
  /** False if the URL says that a pooler does not keep prepared statements. */
  readonly prepares: boolean;
  /** Without password and parameters. */
  readonly shownUrl: string;
}

const PARAMETERS = new Set(
  (
    'host port dbname user password passfile sslmode ssl sslrootcert sslcert sslkey application_name options ' +
    'connect_timeout target_session_attrs channel_binding prepared_statements pgbouncer statement_cache_size'
  ).split(' '),
);
/** What URLs of others have, and what changes nothing here: pools and schemas of ORMs, keep-alive, GSSAPI. */
const IGNORED = new Set(
  (
    'keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout client_encoding encoding ' +
    'fallback_application_name gssencmode gsslib krbsrvname sslcompression sslsni load_balance_hosts pool ' +
    'pool_timeout pool_size idle_timeout socket_timeout uselibpqcompat advisory_locks connection_limit schema ' +
    'reaping_frequency checkout_timeout'
  ).split(' '),
);
/** Rails, Prisma and others say with these that a pooler keeps no prepared statements. */
const UNPREPARED = /^(prepared_statements=(false|0)|pgbouncer=(true|1)|statement_cache_size=0)$/;

const URL_PARTS = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/is;

/** Throws ERR_BAD_OPTION if the URL cannot be understood. */
export function parseDatabaseUrl(url: string): DatabaseAddress {
  const [, login = '', hostList = '', path = '', query = ''] = URL_PARTS.exec(url) ?? refuse('cannot be read');
  // A `/` or `?` in a password that is not encoded: nothing of it is to be shown.
  if (`${path}${query}`.includes('@')) refuse('cannot be read');
  const parameters = readParameters(query);
  const [user, password] = splitOnce(login, ':');
  const given: Readonly<Record<string, string | undefined>> = {
    ...present(Object.fromEntries(parameters)),
    ...present({ user: decode(user), password: decode(password), dbname: decode(path) }),
  };
  const ofSystem = given['user'] ?? userInfo().username;
  const hosts = hostList === '' ? listHosts(given['host'] ?? 'localhost', given['port'] ?? '') : readHosts(hostList);
  const sslMode = chooseSslMode(given['sslmode'], parameters.get('ssl'));
  const channelBinding = choose('channel_binding', given['channel_binding'], CHANNEL_BINDINGS, 'prefer');
  const address = {
    hosts,
    user: ofSystem,
    database: given['dbname'] ?? ofSystem,
    password: given['password'],
    passwordFile: given['passfile'] ?? join(homedir(), '.pgpass'),
    // The driver cannot insist on channel binding; what it is for, a verified certificate does as well.
    sslMode: channelBinding === 'require' && !sslMode.startsWith('verify') ? 'verify-full' : sslMode,
    sslRootCert: given['sslrootcert'],
    sslCert: given['sslcert'],
    sslKey: given['sslkey'],
    sslFolder: join(homedir(), '.postgresql'),
    applicationName: given['application_name'] ?? 'bedrock-proxy',
    serverOptions: given['options'],
    connectTimeoutMs: readSeconds(given['connect_timeout']),
    requireWritable: wantsWritable(given['target_session_attrs'], hosts.length),
    bindsChannel: channelBinding !== 'disable',
    prepares: ![...parameters].some(([name, value]) => UNPREPARED.test(`${name}=${value}`)),
  };
  return { ...address, shownUrl: showAddress(address) };
}

function showAddress({ hosts, user, database }: Pick<DatabaseAddress, 'hosts' | 'user' | 'database'>): string {
  const shown = hosts.map(({ host, port }) => {
    const name = host.includes(':') ? `[${host}]` : host.replaceAll('/', '%2F');
    return port === DEFAULT_PORT ? name : `${name}:${port}`;
  });
  return `postgres://${encodeURIComponent(user)}@${shown.join(',')}/${encodeURIComponent(database)}`;
}

function readParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((text) => text !== '')) {
    const [name, value] = splitOnce(part, '=').map(decode);
    if (name === undefined || (IGNORED.has(name) && value !== 'require')) continue;
    if (!PARAMETERS.has(name)) refuse(`has the parameter ${name}, which is not known`);
    parameters.set(name, value ?? '');
  }
  return parameters;
}

/** `a:1,[::1]:2,%2Frun%2Fpostgresql`. */
function readHosts(list: string): DatabaseHost[] {
  return list.split(',').map((text) => {
    const [, address, name, port] =
      /^(?:\[([^\]]+)\]|([^:]*))(?::(\d*))?$/.exec(text) ?? refuse('has a host with no name');
    return { host: address ?? (decode(name) || 'localhost'), port: readPort(port ?? '') };
  });
}

/** Of PGHOST or the parameter `host`, and their ports: one for all, or one for each. */
function listHosts(hosts: string, ports: string): DatabaseHost[] {
  const each = ports.split(',');
  return hosts.split(',').map((host, index) => ({
    host: host || 'localhost',
    port: readPort((each.length === 1 ? each[0] : each[index]) ?? ''),
  }));
}

function readPort(text: string): number {
  const port = text === '' ? DEFAULT_PORT : Number(text);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : refuse('has a port that is none');
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text)) refuse('has a connect_timeout that is not a number of seconds');
  return Number(text) === 0 ? undefined : Number(text) * 1_000;
}

/** `ssl=true` is how JDBC says `sslmode=require`. */
function chooseSslMode(sslMode: string | undefined, ssl: string | undefined): SslMode {
  return choose('sslmode', sslMode ?? (ssl === 'true' || ssl === '1' ? 'require' : undefined), SSL_MODES, 'prefer');
}

/** A proxy writes. One of several servers may be a standby, which an address with one server says by itself. */
function wantsWritable(attributes: string | undefined, hosts: number): boolean {
  return choose('target_session_attrs', attributes, ['any', 'read-write', 'primary'], 'any') !== 'any' || hosts > 1;
}

function choose<Choice extends string>(
  name: string,
  value: string | undefined,
  choices: readonly Choice[],
  otherwise: Choice,
): Choice {
  if (value === undefined) return otherwise;
  return choices.find((choice) => choice === value) ?? refuse(`has a ${name} other than ${choices.join(', ')}`);
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function present(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}

function decode(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return refuse('has a % that is not followed by two hexadecimal digits');
  }
}

/** Never quotes the URL: it may hold a password. */
function refuse(what: string): never {
  throw new ProxyError('ERR_BAD_OPTION', `The URL of the database ${what}.`, {
    hint:
      'Write postgres://user:password@host:5432/database?sslmode=verify-full, with special characters ' +
      'percent-encoded.',
  });
}
