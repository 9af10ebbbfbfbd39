/**
 * Asks the port whether a proxy of ours listens there: its version, whether it is the one of this database, and whether
 * it takes a key. Sends no key before the proxy has proved itself.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { Agent as TlsAgent, get as getByTls } from 'node:https';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { isServerProof } from '../auth/server-proof.ts';

/** On loopback; a proxy that needs longer has other worries. */
const PROBE_TIMEOUT_MS = 1_000;
/**
 * No operation of Bedrock: refused with 404 for those who may come in, and with 401 for others. Nothing leaves the
 * machine.
 */
const PROBE_PATH = '/bedrock-proxy-probe';

/** Where a proxy is. */
export interface ServerAddress {
  /** With the mount, without trailing slash. */
  readonly url: string;
  /** PEM file of the authority of its certificate, for https; undefined: one that Node knows. */
  readonly caFile: string | undefined;
}

/** The version of the proxy that listens there; undefined where it is another program, or nothing. */
export async function findProxyVersion(server: ServerAddress): Promise<string | undefined> {
  const response = await ask(new URL('/', server.url), server, undefined);
  if (response?.status !== 200) return undefined;
  try {
    const { name, version } = JSON.parse(response.body) as Record<string, unknown>;
    return name === 'bedrock-proxy' && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** What the proxy of this database has and no impostor on its port. */
export interface ServerIdentity {
  readonly serverSecret: Buffer;
  /** As configured. */
  readonly host: string;
  readonly port: number;
}

/** Whether the proxy there proves that it holds the server secret. Shows it nothing; comes before any key is shown. */
export async function provesItself(
  server: ServerAddress,
  { serverSecret, host, port }: ServerIdentity,
): Promise<boolean> {
  const challenge = randomBytes(32).toString('hex');
  const response = await ask(new URL(`/health/readiness?challenge=${challenge}`, server.url), server, undefined);
  // Behind `localhost` two can have the same port, [::1] and 127.0.0.1, and the one response for the other.
  if (response === undefined || !isReachedAs(host, response.address)) return false;
  // Who calls `localhost` may reach either of its addresses: then both have to be the proxy's.
  const claims = new URL(server.url).hostname === 'localhost' ? [true] : [true, false];
  try {
    const { proof } = JSON.parse(response.body) as Record<string, unknown>;
    return claims.some((ownsLocalhost) => isServerProof(proof, serverSecret, challenge, { port, ownsLocalhost }));
  } catch {
    return false;
  }
}

function isReachedAs(host: string, address: string): boolean {
  if (isIP(host) === 0 || host === '::') return true;
  return host === '0.0.0.0' ? isIP(address) === 4 : host === address;
}

/** Whether the proxy there works on the database that has this key: it takes the key, and does not take any other. */
export async function takesKey(server: ServerAddress, key: string): Promise<boolean> {
  const probe = async (token: string): Promise<number | undefined> =>
    (await ask(new URL(`${server.url}${PROBE_PATH}`), server, token))?.status;
  if ((await probe(key)) !== 404) return false;
  return (await probe(`sk-${randomBytes(32).toString('base64url')}`)) === 401;
}

/** What the proxy there counts, as Prometheus reads it; undefined if it does not tell. To be asked after its proof. */
export async function readMetricsOf(server: ServerAddress): Promise<string | undefined> {
  const response = await ask(new URL('/metrics', server.url), server, undefined);
  return response?.status === 200 ? response.body : undefined;
}

/** Straight to the address, whatever forward proxies the environment names. */
function ask(
  url: URL,
  { caFile }: ServerAddress,
  token: string | undefined,
): Promise<{ status: number; body: string; address: string } | undefined> {
  return new Promise((resolve) => {
    const isTls = url.protocol === 'https:';
    const ca = isTls && caFile !== undefined ? readIfThere(caFile) : undefined;
    const agent = isTls ? new TlsAgent({ keepAlive: false, ca }) : new Agent({ keepAlive: false });
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const request = (isTls ? getByTls : get)(url, { agent, headers, timeout: PROBE_TIMEOUT_MS }, (response) => {
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
