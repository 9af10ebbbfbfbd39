/** Bedrock for a command: through a proxy in this process, with the owner's credentials, as `doctor` calls it. */
import type { Config } from '../../config/config.ts';
import { ProxyError } from '../../lib/errors.ts';
import { connectUpstream, findRegion } from '../../app/start.ts';
import { requireProfile } from '../../app/profiles.ts';
import { type ProxyCaller, withProxy } from '../doctor/calls.ts';

/** Runs `work` in the region of the configuration. Throws ERR_REGION_MISSING if there is none. */
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
    return await withProxy(config, connection, region.name, (caller) => work(caller, region.name));
  } finally {
    await connection.close();
  }
}
