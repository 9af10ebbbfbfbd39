/**
 * A request through the proxy that runs, as a client sends it: with a key that is made for it and revoked after, so
 * that nobody's key is used. The list of models costs nothing.
 */
import { Agent } from 'node:http';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import { baseUrl } from '../../app/banner.ts';
import type { RunningProxy } from '../../app/running-proxy.ts';
import { describeFailure, send } from './calls.ts';
import { type CheckResult, ok, skip } from './check.ts';
import { withOwnKey } from './own-key.ts';

const NAME = 'running-proxy';
const PATH = '/foundation-models';
/** What the key of this check is told as, in place of a command. */
const COMMAND = 'doctor';

/** Sends one through it. Rejects where the connection breaks, and with ERR_STORE_UNAVAILABLE. */
export async function checkRunning(config: Config, running: RunningProxy): Promise<CheckResult> {
  const { host, port } = config;
  if (running.kind === 'none') return skip(NAME, 'none runs here');
  if (running.kind === 'other') return skip(NAME, 'it is not one of this database');
  if (running.facts.region === undefined) return skip(NAME, 'it has no region for requests that name none');
  const url = baseUrl({ host, port, mountPath: MOUNT_PATH });
  return withOwnKey(config, COMMAND, async (key) => {
    const agent = new Agent({ keepAlive: false });
    const startedAtMs = Date.now();
    const hostname = new URL(url).hostname.replace(/^\[|\]$/g, '');
    const response = await send({ host: hostname, port, key, agent, path: PATH, body: undefined });
    if (response.status !== 200) return describeFailure(NAME, response);
    return ok(NAME, `GET ${PATH} through ${url}: 200 in ${response.receivedAtMs - startedAtMs} ms`);
  });
}
