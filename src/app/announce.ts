/**
 * That a server listens, for those who wait for it: `exec`, `start --background`, a script (`start --json`), and the
 * file by which `status` finds it.
 */
import { type Config, MOUNT_PATH } from '../config/config.ts';
import { listAddresses } from '../server/listen.ts';
import { baseUrl, hostOf } from './banner.ts';
import { BACKGROUND_VARIABLE, SUPERVISED_VARIABLE } from './parent-channel.ts';
import { tellListening } from './ending.ts';
import { printData } from './print.ts';
import { writeRunFile } from './run-file.ts';

/** Tells it once; `heldByOther` as `RunningServer` has it. */
export type Announce = (port: number, heldByOther: string | undefined) => void;

/** With `json`, a line of data too; a server in the background leaves that to who started it. */
export function createAnnounce(config: Config, json: boolean): Announce {
  return (port, heldByOther) => {
    const url = baseUrl({ host: hostOf(config, { heldByOther }), port, mountPath: MOUNT_PATH });
    // The server of `exec` ends with its command.
    if (process.env[SUPERVISED_VARIABLE] === undefined) announceFile(config, port);
    if (json && process.env[BACKGROUND_VARIABLE] === undefined) {
      printData(formatListening({ port, pid: process.pid, url, database: config.database.shown }));
    }
    tellListening(port, url);
  };
}

/** The line of `start --json`. */
export function formatListening(listening: {
  readonly port: number;
  readonly pid: number;
  readonly url: string;
  readonly database: string;
  readonly log?: string;
}): string {
  return JSON.stringify(listening);
}

/** A proxy that cannot be found serves all the same. */
function announceFile({ dataFolder, database: { shown: database }, hosts }: Config, port: number): void {
  const first = listAddresses(hosts)[0]?.host ?? '127.0.0.1';
  const address = first === '0.0.0.0' || first === '::' ? '127.0.0.1' : first;
  try {
    writeRunFile(dataFolder, { address, port, database, startedAtMs: Date.now() });
  } catch {
    // A home that cannot be written, of a container, say.
  }
}
