/**
 * A request through the proxy that runs, as a client sends it: with a key that is made for it and revoked after, so
 * that nobody's key is used. The list of models costs nothing.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import { baseUrl } from '../../app/banner.ts';
import { openStore } from '../../app/open-store.ts';
import type { RunningProxy } from '../../app/running-proxy.ts';
import { execAlias, thisProcessSpace } from '../../keys/exec-key.ts';
import { mintKey } from '../../keys/mint.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { describeFailure, send } from './calls.ts';
import { type CheckResult, ok, skip } from './check.ts';

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
  return withOwnKey(config, async (key) => {
    const agent = new Agent({ keepAlive: false });
    const startedAtMs = Date.now();
    const hostname = new URL(url).hostname.replace(/^\[|\]$/g, '');
    const response = await send({ host: hostname, port, key, agent, path: PATH, body: undefined });
    if (response.status !== 200) return describeFailure(NAME, response);
    return ok(NAME, `GET ${PATH} through ${url}: 200 in ${response.receivedAtMs - startedAtMs} ms`);
  });
}

async function withOwnKey<T>(config: Config, work: (key: string) => Promise<T>): Promise<T> {
  const { databasePath, saltKey } = config;
  const store = await openStore(databasePath);
  try {
    const nowMs = Date.now();
    const minted = await mintKey({
      store,
      serverSecret: findServerSecret(databasePath, saltKey),
      alias: execAlias({ command: COMMAND, pid: process.pid, space: thisProcessSpace(nowMs) }, randomBytes),
      execCommand: COMMAND,
      nowMs,
      randomBytes,
    });
    return await work(minted.key).finally(() => store.revokeKey(minted.id, Date.now()));
  } finally {
    await store.close();
  }
}
