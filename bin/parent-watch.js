// Ends this process when the npm that started it is gone. npx puts a shell between itself and us, and that shell passes
// no signal on: without this, `kill` of an npx would leave the server running, with its port. Used by the launcher and
// scripts/. It must parse on Node 14.

const LOOK_EVERY_MS = 500;

/**
 * From now on, a process that npm started sends itself SIGTERM when its parent has ended. Others are left alone: a
 * server that was started in the background outlives its shell. So is one that takes npm's variable away: it outlives
 * its terminal, which ends npm.
 */
export function endWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    const isOurs = process.env.npm_lifecycle_event !== undefined;
    if (isOurs && process.ppid === parent) return;
    clearInterval(watch);
    if (isOurs) process.kill(process.pid, 'SIGTERM');
  }, LOOK_EVERY_MS);
  watch.unref();
}
