/**
 * `env`: prints the lines that point a client at the proxy, for `eval`. The lines go to stdout and nothing else does;
 * talk goes to stderr. The master key is never printed.
 */
import { existsSync } from 'node:fs';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import { withoutPassword } from '../../config/database-location.ts';
import type { Environment, Flags } from '../../config/options.ts';
import { quoteForShell } from '../../lib/command-name.ts';
import { ProxyError } from '../../lib/errors.ts';
import { baseUrl } from '../../app/banner.ts';
import { type ClientName, describeClient, takesCaFile, takesRegion } from './client-settings.ts';
import { findRunningProxy, type RunningProxy, type ServerAddress } from '../../app/running-proxy.ts';
import { readClientConfig } from '../exec/outer-proxy.ts';
import { type ClientKey, findClientKey } from '../key/client-key.ts';
import { printData, printJson, printTalk } from '../../app/print.ts';
import { detectShell, formatEvaluation, formatShellLines, type ShellName, SHELLS } from './shell-lines.ts';
import { findRegion } from '../../app/start.ts';
import { preferTls } from '../../app/tls.ts';

interface EnvInput extends Flags {
  readonly for: ClientName | undefined;
  readonly key: string | undefined;
  readonly shell: ShellName | undefined;
  readonly json: boolean;
  readonly url: string | undefined;
}

const OPEN_MODE_NOTE = 'No key exists: the proxy lets anybody on this machine in, with any key.';

/** `env`: prints the lines. Throws ERR_BAD_OPTION, ERR_BAD_REQUEST, ERR_SECRET_MISSING and ERR_STORE_UNAVAILABLE. */
export async function printEnvironment(input: EnvInput): Promise<void> {
  const config = readClientConfig(input, process.env);
  const { for: client, json, shell: named } = input;
  const { url, caFile } = await findAddress(input.url, config, client);
  const key = await findClientKey(input.key || undefined, config);
  // What `--url` names may be on another machine, and knows no port of ours.
  const running = input.url ? { kind: 'none' as const } : await findRunningProxy(config, key.id);
  const facts = running.kind === 'ours' ? running.facts : undefined;
  const region = config.region?.name ?? facts?.region ?? (await findRegion(config))?.name;
  const { accessKeyId } = key;
  const settings = describeClient({ client, url, accessKeyId, key: key.key, region, caFile });
  const set = [...settings.set, ...bypassForwardProxy(url, process.env)];
  const notes = [...(key.id === undefined ? [OPEN_MODE_NOTE] : []), ...settings.notes];
  const lacks = [
    ...describeMismatch(running, config, key),
    ...(settings.obstacle === undefined ? [] : [settings.obstacle]),
    ...(region === undefined && takesRegion(client) ? ['No AWS region is known: name one with --region.'] : []),
    ...(caFile === undefined || existsSync(caFile)
      ? []
      : [`${caFile} is made when the proxy first starts with --tls.`]),
  ];
  if (json) {
    const shown = { id: key.id ?? null, alias: key.alias ?? null };
    const variables = Object.fromEntries(set);
    return printJson({
      for: client ?? null,
      url,
      key: shown,
      variables,
      unset: settings.unset,
      notes: [...lacks, ...notes],
    });
  }
  const shell = named ?? detectUserShell();
  printData(formatShellLines({ set, unset: settings.unset }, shell));
  // In `eval "$(…)"` only what keeps the client from working is worth a line.
  for (const note of process.stdout.isTTY ? [...lacks, ...notes] : lacks) printTalk(`note: ${note}`);
  if (process.stdout.isTTY) printTalk(`To set them in this shell:\n  ${formatEvaluation(repeatCommand(input), shell)}`);
}

/** What keeps the proxy that runs from serving this client. */
function describeMismatch(running: RunningProxy, { port, database, tls }: Config, key: ClientKey): string[] {
  if (running.kind === 'none') return [];
  if (running.kind === 'other') {
    const what = `The proxy on port ${port} is not one of the database ${database.shown}`;
    return [`${what}, and knows no key of it: name its --db, or start one.`];
  }
  const { access, hasTls } = running.facts;
  return [
    ...(access !== 'open' && key.id === undefined
      ? ['The proxy asks for a key, and there is none yet: `bedrock-proxy key generate`.']
      : []),
    ...(tls !== undefined && !hasTls ? ['The proxy that runs speaks no TLS: start it with --tls.'] : []),
  ];
}

/**
 * By https where --tls asks for it or the running proxy has it and the client takes a file to trust; `--url` stands as
 * it is.
 */
async function findAddress(
  given: string | undefined,
  config: Config,
  client: ClientName | undefined,
): Promise<ServerAddress> {
  const url = readServerUrl(given, config);
  const isPlain = given !== undefined && given !== '' && url.startsWith('http:');
  if (isPlain || (config.tls === undefined && !takesCaFile(client))) return { url, caFile: undefined };
  return preferTls(url, config);
}

/**
 * Where clients find the proxy, mount included, without trailing slash: `text` of `--url`, or what host and port say.
 * Throws ERR_BAD_OPTION.
 */
export function readServerUrl(text: string | undefined, { host, port }: Pick<Config, 'host' | 'port'>): string {
  if (text === undefined || text === '') {
    if (port !== 0) return baseUrl({ host, port, mountPath: MOUNT_PATH });
    throw new ProxyError('ERR_BAD_OPTION', 'Port 0 says nothing about where the proxy listens.', {
      hint: 'Name its port with --port, or its address with --url.',
    });
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isPlain || url.hash !== '') {
    throw new ProxyError(
      'ERR_BAD_OPTION',
      '--url must be an http:// or https:// URL without user, query and fragment.',
      {
        hint: 'For example http://localhost:4000/bedrock.',
      },
    );
  }
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}${path === '' ? MOUNT_PATH : path}`;
}

/**
 * NO_PROXY with the proxy's host added, where the environment sends HTTP through a forward proxy: that one would be
 * asked for `localhost` and find its own. Both spellings, because programs read one or the other.
 */
export function bypassForwardProxy(url: string, environment: Environment): [string, string][] {
  const isProxied = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].some(
    (name) => (environment[name] ?? '') !== '',
  );
  if (!isProxied) return [];
  const before = (environment['no_proxy'] ?? environment['NO_PROXY'] ?? '')
    .split(/[\s,]+/)
    .filter((part) => part !== '');
  const { hostname } = new URL(url);
  const wanted = hostname === 'localhost' ? ['localhost', '127.0.0.1', '::1'] : [hostname.replace(/^\[|\]$/g, '')];
  if (before.includes('*') || before.includes(wanted[0] ?? '')) return [];
  const value = [...before, ...wanted].join(',');
  return [
    ['NO_PROXY', value],
    ['no_proxy', value],
  ];
}

/** Throws ERR_BAD_OPTION. */
function detectUserShell(): ShellName {
  const detected = detectShell(process.env, process.platform);
  if (detected !== undefined) return detected;
  throw new ProxyError('ERR_BAD_OPTION', 'The shell that $SHELL names is not one of those this command writes for.', {
    hint: `Choose one with --shell ${SHELLS.join('|')}, or take --json.`,
  });
}

/** The command as it was given, for people to paste. */
function repeatCommand(input: EnvInput): string {
  const names = ['for', 'key', 'port', 'host', 'url', 'region', 'profile', 'db', 'shell'] as const;
  const given = names.flatMap((name) =>
    [input[name] ?? []].flat().map((value: string) => ` --${name} ${quoteForShell(withoutPassword(value))}`),
  );
  return `bedrock-proxy env${given.join('')}${input.tls === true ? ' --tls' : ''}`;
}
