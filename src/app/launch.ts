/**
 * `start`, up to who serves: this process alone, or the workers of this one (`--workers`). Loads what that needs, so
 * that the primary stays small and a process alone knows nothing of workers.
 */
import { readConfig } from '../config/config.ts';
import type { Flags } from '../config/options.ts';

/** Runs the server, or one of its workers. Resolves when it has ended in order; throws where it cannot start. */
export async function launch(flags: Flags): Promise<void> {
  const config = readConfig(flags, process.env);
  if (config.workers === 1) return (await import('./start.ts')).start(config);
  const { isWorker } = await import('node:cluster').then((module) => module.default);
  if (!isWorker) return (await import('./workers/primary.ts')).leadWorkers(config);
  const seat = (await import('./workers/worker.ts')).takeWorkerSeat();
  const { start } = await import('./start.ts');
  return start({ ...config, port: seat.port }, seat).finally(seat.leave);
}
