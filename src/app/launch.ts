/**
 * `start`, up to who serves: this process alone, or the workers of this one (`--workers`). Loads what that needs, so
 * that the primary stays small and a process alone knows nothing of workers.
 */
import { isatty } from 'node:tty';
import { readConfig } from '../config/config.ts';
import type { Flags } from '../config/options.ts';
import type { RunCommand } from './hot-keys.ts';

/**
 * Runs the server, or one of its workers. `runCommand` is for its hot keys. Resolves when it has ended in order; throws
 * where it cannot start.
 */
export async function launch(flags: Flags, runCommand: RunCommand): Promise<void> {
  const config = readConfig(flags, process.env);
  const findHotKeys = async () =>
    isatty(0) ? (await import('./hot-keys.ts')).findHotKeys(config, runCommand) : undefined;
  if (config.workers === 1) {
    return (await import('./start.ts')).start(config, { hotKeys: await findHotKeys() });
  }
  const { isWorker } = await import('node:cluster').then((module) => module.default);
  if (!isWorker) return (await import('./workers/primary.ts')).leadWorkers(config, await findHotKeys());
  const seat = (await import('./workers/worker.ts')).takeWorkerSeat();
  const { start } = await import('./start.ts');
  return start({ ...config, port: seat.port }, { seat }).finally(seat.leave);
}
