/**
 * The inspector's page for exchanges that were opened: on a port of its own, for whoever has its link. Nothing can be
 * changed there, and nothing is sent anywhere.
 */
import { randomBytes } from 'node:crypto';
import { createFailureLimit } from '../auth/failure-limit.ts';
import { createInspectorHandler } from '../inspector-api/router.ts';
import type { OpenedSource } from '../inspector/opened-source.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { startServer } from '../server/server.ts';
import { exportFile } from './export-file.ts';

/** A server that shows them. */
export interface InspectServer {
  /** With the token in its fragment. */
  readonly url: string;
  close(): Promise<void>;
}

/** Opens the port; 0 takes a free one. The source stays the caller's. Throws ERR_ADDRESS_IN_USE. */
export async function startInspectServer(
  source: OpenedSource,
  { port, version }: { readonly port: number; readonly version: string },
): Promise<InspectServer> {
  const token = randomBytes(32).toString('base64url');
  const hosts = ['127.0.0.1'];
  const handle = createInspectorHandler({
    source,
    token,
    masterKey: undefined,
    failures: createFailureLimit(MACHINE_TICKS),
    nowMs: Date.now,
    isRemote: false,
    firstCursor: 0,
    faults: undefined,
    tellState: () => ({ version, region: null, mode: 'aws', url: '', upstreams: [] }),
    capture: undefined,
    findCache: () => undefined,
    findCacheTexts: () => Promise.resolve(undefined),
    explain: () => undefined,
    replay: undefined,
    exportAs: async (format, exchanges, isSanitized) =>
      exportFile(exchanges, { format, isSanitized, version, dropped: {}, exportedAtMs: Date.now() }),
  });
  const server = await startServer({
    hosts,
    port,
    guard: { listenHosts: hosts, allowedHosts: [], allowedOrigins: [] },
    mounts: [{ prefix: '/inspect', handle }],
    onRefused: () => {},
  });
  return {
    url: `http://127.0.0.1:${server.port}/inspect/#t=${token}`,
    close: async () => void (await server.drain(0)),
  };
}
