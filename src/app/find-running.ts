/**
 * Which proxies of this user run on this machine: those that have left a file and, asked on their port, prove that they
 * hold the secret of the database that it names. A file whose proxy is gone is removed.
 */
import { locateFile } from '../config/database-location.ts';
import { randomBytes } from 'node:crypto';
import { connect, isIPv6 } from 'node:net';
import { isServerProof, openFromServer, proveCommand } from '../auth/server-proof.ts';
import { parseServerStatus, type ServerStatus } from '../auth/server-status.ts';
import type { Config } from '../config/config.ts';
import { type ProcessSpace, thisProcessSpace } from '../keys/exec-key.ts';
import { peekServerSecret } from '../keys/server-secret.ts';
import { listRunFiles, removeRunFile, type RunFile } from './run-file.ts';
import { ask } from './running-proxy.ts';

/** The clock may have been set since the machine started. */
const BOOT_SLACK_MS = 60_000;
const CONNECT_TIMEOUT_MS = 1_000;

/** A proxy that runs. */
export interface FoundProxy {
  readonly file: RunFile;
  /** Undefined: something listens there that does not prove itself. It hangs, or its secret is not known here. */
  readonly status: ServerStatus | undefined;
  /** Of its inspector; undefined: that is off. */
  readonly inspectToken?: string | undefined;
}

/** Asks all of them, in the order of their ports. Those of other machines and containers are passed over. */
export async function findRunning({
  dataFolder,
  saltKey,
}: Pick<Config, 'dataFolder' | 'saltKey'>): Promise<readonly FoundProxy[]> {
  const space = thisProcessSpace(Date.now());
  const files = listRunFiles(dataFolder).filter((file) => file.space === space.tag);
  const found = await Promise.all(files.map((file) => lookAt(file, space, saltKey)));
  return found.flatMap((each) => each ?? []);
}

async function lookAt(
  file: RunFile,
  space: ProcessSpace,
  saltKey: string | undefined,
): Promise<FoundProxy | undefined> {
  const isPast = file.startedAtMs < space.bootedAtMs - BOOT_SLACK_MS || !space.isAlive(file.pid);
  const told = isPast ? undefined : await askStatus(file, saltKey);
  const status = told?.status;
  // Its own word, and not the file's: the number may be another process's by now.
  if (status?.pid === file.pid) return { file, status, inspectToken: told?.inspectToken };
  if (isPast || status !== undefined) removeRunFile(file.path);
  else if (await accepts(file)) return { file, status: undefined };
  return undefined;
}

async function askStatus(
  { address, port, database }: RunFile,
  saltKey: string | undefined,
): Promise<{ readonly status: ServerStatus; readonly inspectToken: string | undefined } | undefined> {
  // Of PostgreSQL, there is only the salt key: no file has the name of a URL.
  const secret = peekServerSecret(locateFile(database), saltKey);
  if (secret === undefined) return undefined;
  const challenge = randomBytes(32).toString('hex');
  const query = new URLSearchParams({ challenge, command: proveCommand(secret, challenge, port) });
  const url = `http://${isIPv6(address) ? `[${address}]` : address}:${port}/health/status?${query.toString()}`;
  const response = await ask(new URL(url), { url, caFile: undefined });
  if (response?.status !== 200) return undefined;
  try {
    const { proof, status, inspect } = JSON.parse(response.body) as Record<string, unknown>;
    const isProven = [true, false].some((ownsLocalhost) =>
      isServerProof(proof, secret, challenge, { port, ownsLocalhost }),
    );
    const parsed = isProven ? parseServerStatus(status) : undefined;
    return parsed && { status: parsed, inspectToken: openFromServer(secret, challenge, inspect) };
  } catch {
    return undefined;
  }
}

function accepts({ address, port }: RunFile): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
