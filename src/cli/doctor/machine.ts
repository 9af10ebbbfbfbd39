/**
 * Checks of this machine: Node, the port, the key database, the prices. Touches no network but the proxy's own port,
 * and creates nothing.
 */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { findKeyState, type KeyState } from '../../keys/state.ts';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import { isFileMissing, openStore } from '../../app/open-store.ts';
import { baseUrl } from '../../app/banner.ts';
import { listAddresses } from '../../server/listen.ts';
import { type CheckResult, fail, failBy, ok, warn } from './check.ts';
import type { RunningProxy } from '../../app/running-proxy.ts';
import { describeServer } from '../../app/taken-port.ts';
import type { ServerFacts } from '../../auth/server-facts.ts';
import { isExecKey } from '../../keys/exec-key.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { readVersion } from '../../lib/version.ts';
import { openKey } from '../key/client-key.ts';

/** `version` as process.version. */
export function checkNode(version: string): CheckResult {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const floor = (JSON.parse(text) as { engines: { node: string } }).engines.node.replace(/^>=/, '');
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number);
  const [floorMajor = 0, floorMinor = 0] = floor.split('.').map(Number);
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return ok('node', version);
  return fail('node', `${version} is too old`, `Install Node.js ${floor} or newer.`);
}

/** Free, or taken by a bedrock-proxy, or by another program. */
export async function checkPort(config: Config, running: RunningProxy): Promise<CheckResult> {
  const { host: ownHost, hosts, port, database } = config;
  if (port === 0) return ok('port', 'any free one (0)');
  const host = listAddresses(hosts)[0]?.host ?? ownHost;
  const server = createServer();
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(port, host, () => resolve(undefined));
  });
  if (failure === undefined) {
    server.close();
    await once(server, 'close');
    return ok('port', `${port} on ${host} is free`);
  }
  if (failure.code !== 'EADDRINUSE') {
    return fail('port', `cannot listen on ${host} port ${port} (${failure.code})`, 'Choose another --port or --host.');
  }
  const url = baseUrl({ host: ownHost, port, mountPath: MOUNT_PATH });
  if (running.kind === 'ours') return describeOurs(running.facts, url);
  if (running.kind === 'other') {
    const other = `bedrock-proxy ${running.version} listens on ${url}`;
    const words = `${other}, and is not one of the database ${database.shown}`;
    return warn(
      'port',
      words,
      'Name its database with --db (and its BEDROCK_PROXY_SALT_KEY), or choose another --port.',
    );
  }
  return fail('port', `another program listens on ${host} port ${port}`, 'End it, or choose another --port.');
}

function describeOurs(facts: ServerFacts, url: string): CheckResult {
  const words = `bedrock-proxy ${facts.version} listens on ${url} (${describeServer(facts)})`;
  if (facts.credentialsProblem !== undefined && !facts.isOffline) {
    const { message, hint } = facts.credentialsProblem;
    return warn('port', `${words}. ${message}`, hint ?? '');
  }
  const version = readVersion();
  if (facts.version === version) return ok('port', words);
  return warn('port', words, `This is bedrock-proxy ${version}: restart the proxy to have the same.`);
}

/** Readable, ours, and sealed under the secret that is here. */
export async function checkDatabase(config: Config): Promise<CheckResult> {
  const { database } = config;
  if (isFileMissing(database)) return ok('database', `${database.shown} will be created at the first start`);
  try {
    // In PostgreSQL no proxy starts without it.
    if (database.kind === 'postgres') findServerSecret(database, config.saltKey);
    const store = await openStore(database);
    const all = await store.listKeys().finally(() => store.close());
    const rows = all.filter((row) => !isExecKey(row));
    const states = rows.map((row) => findKeyState(row, Date.now()));
    const active = rows.filter((_, at) => states[at] === 'active' || states[at] === 'ending');
    const newest = active.at(-1);
    if (newest !== undefined) openKey(newest, config);
    const keys = `${rows.length} ${rows.length === 1 ? 'key' : 'keys'}`;
    const words = `${database.shown}: ${active.length} active of ${keys}${describeEnded(states)}`;
    if (active.length === 0 && rows.length > 0 && config.masterKey === undefined)
      return warn('database', words, 'No key lets anybody in: `bedrock-proxy key list`, `bedrock-proxy key generate`.');
    if (rows.length > 0 || config.masterKey !== undefined) return ok('database', words);
    return ok('database', `${words}; a proxy of it lets anybody on this machine in`);
  } catch (thrown) {
    const result = failBy('database', thrown);
    // On a file, bearer keys work without the secret; only signatures need it.
    return database.kind === 'file' && result.message.includes('sealed')
      ? warn('database', result.message, result.hint ?? '')
      : result;
  }
}

/** ` (1 blocked, 2 expired)`. */
function describeEnded(states: readonly KeyState[]): string {
  const told = (['blocked', 'expired', 'revoked'] as const).flatMap((state) => {
    const count = states.filter((one) => one === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return told.length === 0 ? '' : ` (${told.join(', ')})`;
}

/** The prices that a server would use: a price file that is wrong keeps it from starting. */
export async function checkPrices({ pricesFile, database, region }: Config): Promise<CheckResult> {
  const warnings: string[] = [];
  try {
    const { loadPrices, refreshedPricesPath } = await import('../../pricing/price-book.ts');
    const { describeAge } = await import('../../pricing/price-age.ts');
    const refreshedFile = refreshedPricesPath(database.folder);
    const book = await loadPrices({ priceFile: pricesFile, refreshedFile, warn: (words) => warnings.push(words) });
    const told = warnings[0];
    if (told !== undefined) return warn('prices', told, 'Run `bedrock-proxy prices update`, or delete the file.');
    const moment = {
      atMs: Date.now(),
      region: region?.name ?? 'us-east-1',
      serviceTier: undefined,
      latency: undefined,
    };
    const words = `${book.list(moment).length} models have a price`;
    const age = describeAge(book.sources, Date.now());
    if (age !== undefined) return warn('prices', age, 'Run `bedrock-proxy prices update`.');
    return ok('prices', pricesFile === undefined ? words : `${words}, with those of ${pricesFile}`);
  } catch (thrown) {
    return failBy('prices', thrown);
  }
}
