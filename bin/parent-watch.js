// Ends this process when the npm that started it is gone. npx puts a shell between itself and us, and that shell passes
// no signal on: without this, `kill` of an npx would leave the server running, with its port. Used by the launcher and
// scripts/. It must parse on Node 14.

const LOOK_EVERY_MS = 500;
/** The hang-up that ends npm comes to this process too, and may be seen a little later. */
const HANG_UP_MS = 100;

/**
 * From now on, a process that npm started sends itself SIGTERM when its parent has ended. Others are left alone: a
 * server that was started in the background outlives its shell. So is one that takes npm's variable away: it outlives
 * its terminal, which ends npm.
 */
export function endWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (isOurs() && process.ppid === parent) return;
    clearInterval(watch);
    setTimeout(() => {
      if (isOurs()) process.kill(process.pid, 'SIGTERM');
    }, HANG_UP_MS).unref();
  }, LOOK_EVERY_MS);
  watch.unref();
}

/** Whether this process lives no longer than the npm that started it. */
function isOurs() {
  return process.env.npm_lifecycle_event !== undefined;
}
