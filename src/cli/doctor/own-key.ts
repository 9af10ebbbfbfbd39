/** A key for one call of a command, made before it and revoked after it, as that of an `exec`. */
import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { openStore } from '../../app/open-store.ts';
import { execAlias, thisProcessSpace } from '../../keys/exec-key.ts';
import { mintKey } from '../../keys/mint.ts';
import { findServerSecret } from '../../keys/server-secret.ts';

/** Runs `work` with it. `command` stands in its name. Throws ERR_STORE_UNAVAILABLE, and what `work` throws. */
export async function withOwnKey<T>(
  config: Pick<Config, 'database' | 'saltKey'>,
  command: string,
  work: (key: string) => Promise<T>,
): Promise<T> {
  const { database, saltKey } = config;
  const store = await openStore(database, { sealing: config });
  try {
    const nowMs = Date.now();
    const minted = await mintKey({
      store,
      serverSecret: findServerSecret(database, saltKey),
      alias: execAlias({ command, pid: process.pid, space: thisProcessSpace(nowMs) }, randomBytes),
      execCommand: command,
      nowMs,
      randomBytes,
    });
    return await work(minted.key).finally(() => store.revokeKey(minted.id, Date.now()));
  } finally {
    await store.close();
  }
}
