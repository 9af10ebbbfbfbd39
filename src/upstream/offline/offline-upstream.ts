/**
 * The offline Bedrock as an upstream: a server inside this process that plays every AWS host, on a loopback port of its
 * own. Requests are signed for it and sent to it as to AWS, so that what works here works there.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { createCredentialSource } from '../aws/credentials.ts';
import { createSigningClock } from '../aws/signing-clock.ts';
import { createForwarder, type ForwarderOptions } from '../aws/forward.ts';
import { oneIdentity } from '../aws/identities.ts';
import type { AwsConnection } from '../aws/connection.ts';
import { MACHINE_TICKS, type WallClock } from '../../lib/clock.ts';
import { ProxyError } from '../../lib/errors.ts';
import type { Script } from './script.ts';
import { startOfflineBedrock } from './server.ts';

/** Starts the server. `close` ends it, and closes the script. */
export async function connectOffline(
  timeouts: Pick<ForwarderOptions, 'connectTimeoutMs' | 'idleTimeoutMs' | 'streamIdleTimeoutMs'>,
  nowMs: WallClock,
  script?: { readonly find: () => Script; close(): void },
): Promise<AwsConnection> {
  // Fresh each time: no other program on this machine can talk to the offline Bedrock's port directly.
  const pair = { accessKeyId: 'OFFLINE0000000000000', secretAccessKey: randomBytes(32).toString('base64url') };
  const bedrock = await startOfflineBedrock({ ...pair, nowMs, newId: randomUUID, findScript: script?.find });
  const forwarder = createForwarder({ ...timeouts, dialPort: bedrock.port });
  const load = async (): Promise<typeof pair> => pair;
  const credentials = createCredentialSource({ profile: undefined, nowMs, tickMs: MACHINE_TICKS, load });
  return {
    name: 'offline',
    credentials,
    identities: oneIdentity(credentials),
    forwarder,
    clock: createSigningClock(nowMs, () => {}),
    bidirectional: { relay: refuseBidirectional },
    close: async () => {
      await forwarder.close();
      await bedrock.close();
      script?.close();
    },
  };
}

/** Streams in both directions need HTTP/2, which the server does not speak. */
async function refuseBidirectional(): Promise<never> {
  throw new ProxyError('ERR_NOT_SUPPORTED', 'The offline Bedrock does not carry streams in both directions.');
}
