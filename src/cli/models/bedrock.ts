/**
 * Bedrock for a command: through the proxy that runs, if it is ours and nothing was said about the upstream; otherwise
 * through one in this process, with the owner's credentials, as `doctor` calls it.
 */
import { Agent } from 'node:http';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import type { ServerFacts } from '../../auth/server-facts.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { ProxyError } from '../../lib/errors.ts';
import { baseUrl } from '../../app/banner.ts';
import { isFileMissing } from '../../app/open-store.ts';
import { printTalk } from '../../app/print.ts';
import { findApiKey, findOwnIdentity } from '../../app/identities.ts';
import { connectUpstream, findRegion } from '../../app/start.ts';
import { describeAuthority } from '../../app/authority.ts';
import { requireProfile } from '../../app/profiles.ts';
import { findRunningProxy } from '../../app/running-proxy.ts';
import { type ProxyCaller, send, withProxy } from '../doctor/calls.ts';
import { withOwnKey } from '../doctor/own-key.ts';

/**
 * Runs `work` in the region of the configuration. Throws ERR_REGION_MISSING if there is none, and what keeps the
 * credentials from signing.
 */
export async function withBedrock<T>(
  config: Config,
  work: (caller: ProxyCaller, region: string) => Promise<T>,
): Promise<T> {
  await requireProfile(config);
  const region = await findRegion(config);
  if (region === undefined) {
    throw new ProxyError('ERR_REGION_MISSING', 'No region is configured.', {
      hint: 'Name one with --region or AWS_REGION, or set it in the profile.',
    });
  }
  const connection = await connectUpstream(config, region.name);
  try {
    if (!config.offline && findApiKey(config) === undefined) {
      const { problem } = await describeAuthority(undefined, findOwnIdentity(connection));
      if (problem !== undefined) throw problem;
    }
    return await withProxy(config, connection, region.name, (caller) => work(caller, region.name));
  } finally {
    await connection.close();
  }
}

/** A proxy of this database that runs, as clients reach it. */
export interface OwnProxy {
  readonly url: string;
  readonly facts: ServerFacts;
}

/** Undefined: none runs there that is ours, or another upstream is asked for than it may have. */
export async function findOwnProxy(config: Config, { profile, region }: Flags): Promise<OwnProxy | undefined> {
  if (config.offline || config.endpointUrls.size > 0 || profile !== undefined || region !== undefined) return undefined;
  // Of a database without keys there may be no secret yet, and the proxy could prove nothing.
  if (!isFileMissing(config.database)) findServerSecret(config.database, config.saltKey);
  const running = await findRunningProxy(config);
  const { host, port } = config;
  if (running.kind === 'other') {
    printTalk(`note: What listens on port ${port} is no proxy of this database; it is not used.`);
  }
  return running.kind === 'ours'
    ? { url: baseUrl({ host, port, mountPath: MOUNT_PATH }), facts: running.facts }
    : undefined;
}

/** Runs `work` with a key that is made for it, and ends with it. `command` is what the ledger tells it as. */
export function withOwnProxy<T>(
  config: Config,
  { url }: OwnProxy,
  command: string,
  work: (caller: ProxyCaller) => Promise<T>,
): Promise<T> {
  const agent = new Agent({ keepAlive: false });
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return withOwnKey(config, command, (key) =>
    work({ address: { url, key }, call: (path, body) => send({ host, port: config.port, key, agent, path, body }) }),
  );
}
