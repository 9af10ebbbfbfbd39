/**
 * `start`, up to who serves: this process alone, the workers of this one (`--workers`), or one in the background. Loads
 * what that needs, so that the primary stays small and a process alone knows nothing of workers.
 */
import { isatty } from 'node:tty';
import { type Config, readConfig } from '../config/config.ts';
import type { Flags } from '../config/options.ts';
import { createAnnounce } from './announce.ts';
import type { RunCommand } from './hot-keys.ts';
import { BACKGROUND_VARIABLE } from './parent-channel.ts';

/** Flags of `start`; besides the settings of the server, how it is started. */
interface LaunchFlags extends Flags {
  readonly background: boolean;
  /** Print a line of JSON when it listens. */
  readonly json: boolean;
}

/**
 * Runs the server, or one of its workers, and resolves with the exit code when it has ended in order; or resolves when
 * one in the background listens. `runCommand` is for its hot keys. Throws where it cannot start.
 */
export async function launch(flags: LaunchFlags, runCommand: RunCommand): Promise<number> {
  const config = readConfig(flags, process.env);
  const cluster = config.workers === 1 ? undefined : (await import('node:cluster')).default;
  if (cluster?.isWorker === true) {
    const seat = (await import('./workers/worker.ts')).takeWorkerSeat();
    const { start } = await import('./start.ts');
    await start({ ...config, port: seat.port, inspectToken: seat.inspectToken }, { seat }).finally(seat.leave);
    return 0;
  }
  const log = process.env[BACKGROUND_VARIABLE];
  const agreed = log === undefined && !flags.json ? await agreeOnPort(config) : config;
  if (flags.background && log === undefined) {
    return (await import('./background.ts')).startInBackground(agreed, config.port, flags.json);
  }
  if (log !== undefined) (await import('./log-file.ts')).keepLogBounded(log);
  const announce = createAnnounce(agreed, flags.json);
  const hotKeys = isatty(0) ? await (await import('./hot-keys.ts')).findHotKeys(agreed, runCommand) : undefined;
  if (cluster === undefined) await (await import('./start.ts')).start(agreed, { announce, hotKeys });
  else await (await import('./workers/primary.ts')).leadWorkers(agreed, announce, hotKeys);
  return 0;
}

/** Asks only where somebody is there to answer. Scripts, services and CI get the error of a port that is taken. */
async function agreeOnPort(config: Config): Promise<Config> {
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!isTerminal || config.quiet || (process.env['CI'] ?? '') !== '') return config;
  return (await import('./ask-port.ts')).askForPort(config);
}
