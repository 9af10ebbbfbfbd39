/**
 * Asks the port what listens there: another program, a proxy of another database, or the one of this database, which
 * proves it and then tells about itself. Sends no key.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { Agent as TlsAgent, get as getByTls } from 'node:https';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { parseServerFacts, type ServerFacts } from '../auth/server-facts.ts';
import { isServerProof, proveCommand } from '../auth/server-proof.ts';
import { type Config, MOUNT_PATH } from '../config/config.ts';
import { peekServerSecret } from '../keys/server-secret.ts';
import { baseUrl } from './banner.ts';

/** On loopback; a proxy that needs longer has other worries. */
const PROBE_TIMEOUT_MS = 1_000;

/** Where a proxy is. */
export interface ServerAddress {
  /** With the mount, without trailing slash. */
  readonly url: string;
  /** PEM file of the authority of its certificate, for https; undefined: one that Node knows. */
  readonly caFile: string | undefined;
}

/** The version of the proxy that listens there; undefined where it is another program, or nothing. */
export async function findProxyVersion(server: ServerAddress): Promise<string | undefined> {
  const response = await ask(new URL('/', server.url), server);
  if (response?.status !== 200) return undefined;
  try {
    const { name, version } = JSON.parse(response.body) as Record<string, unknown>;
    return name === 'bedrock-proxy' && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** What listens on a port. */
export type RunningProxy =
  /** Another program, or none. */
  | { readonly kind: 'none' }
  /** A proxy that is none of this database. */
  | { readonly kind: 'other'; readonly version: string }
  /** The one of this database: a key may be shown to it. */
  | { readonly kind: 'ours'; readonly facts: ServerFacts };

/** Where a proxy is looked for, and what proves that it is ours. */
type ProxyLocation = Pick<Config, 'host' | 'port' | 'database' | 'saltKey'>;

/**
 * Asks it there. `keyId`: whether its database has that key too. Two databases can have one salt key, and then one
 * secret: what tells them apart is the file.
 */
export async function findRunningProxy(config: ProxyLocation, keyId?: string): Promise<RunningProxy> {
  if (config.port === 0) return { kind: 'none' };
  const server = { url: baseUrl({ host: config.host, port: config.port, mountPath: MOUNT_PATH }), caFile: undefined };
  const version = await findProxyVersion(server);
  if (version === undefined) return { kind: 'none' };
  const serverSecret = peekServerSecret(config.database, config.saltKey);
  const facts = serverSecret && (await askFacts(server, serverSecret, config, keyId));
  const isSame = facts?.hasKey ?? (facts !== undefined && isSameFile(facts.databasePath, config.database.shown));
  return facts !== undefined && isSame ? { kind: 'ours', facts } : { kind: 'other', version };
}

/** Undefined where it does not prove that it holds the server secret. Shows it nothing that would be worth a thing. */
async function askFacts(
  server: ServerAddress,
  serverSecret: Buffer,
  { host, port }: ProxyLocation,
  keyId: string | undefined,
): Promise<ServerFacts | undefined> {
  const challenge = randomBytes(32).toString('hex');
  const query = new URLSearchParams({ challenge, command: proveCommand(serverSecret, challenge, port) });
  if (keyId !== undefined) query.set('id', keyId);
  const response = await ask(new URL(`/health/readiness?${query.toString()}`, server.url), server);
  if (response === undefined) return undefined;
  // Who calls `localhost` may reach either of its addresses: then both have to be the proxy's, which it proves too.
  const isLocalhost = new URL(server.url).hostname === 'localhost';
  if (!isLocalhost && !isReachedAs(host, response.address)) return undefined;
  const claims = isLocalhost ? [true] : [true, false];
  try {
    const { proof, facts } = JSON.parse(response.body) as Record<string, unknown>;
    const isProved = claims.some((ownsLocalhost) =>
      isServerProof(proof, serverSecret, challenge, { port, ownsLocalhost }),
    );
    return isProved ? parseServerFacts(facts) : undefined;
  } catch {
    return undefined;
  }
}

function isSameFile(one: string, other: string): boolean {
  const [left, right] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one === other || (left !== undefined && left.ino === right?.ino && left.dev === right.dev);
}

function isReachedAs(host: string, address: string): boolean {
  if (isIP(host) === 0 || host === '::') return true;
  return host === '0.0.0.0' ? isIP(address) === 4 : host === address;
}

/** What the proxy there counts, as Prometheus reads it; undefined if it does not tell. To be asked after its proof. */
export async function readMetricsOf(server: ServerAddress): Promise<string | undefined> {
  const response = await ask(new URL('/metrics', server.url), server);
  return response?.status === 200 ? response.body : undefined;
}

/**
 * Responds with undefined where nobody responds in time. Goes straight to the address, whatever forward proxies the
 * environment names.
 */
export function ask(
  url: URL,
  { caFile }: ServerAddress,
): Promise<{ status: number; body: string; address: string } | undefined> {
  return new Promise((resolve) => {
    const isTls = url.protocol === 'https:';
    const ca = isTls && caFile !== undefined ? readIfThere(caFile) : undefined;
    const agent = isTls ? new TlsAgent({ keepAlive: false, ca }) : new Agent({ keepAlive: false });
    const request = (isTls ? getByTls : get)(url, { agent, timeout: PROBE_TIMEOUT_MS }, (response) => {
      const address = response.socket.remoteAddress ?? '';
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body, address }),
        () => resolve(undefined),
      );
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
