// One set-up at a time in a checkout: a lock folder that a second launcher waits for. The holder touches it every second,
// so a lock left behind by a killed process is told from one that is in use, whatever became of its process id.
// It knows nothing of what is done under the lock.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const BEAT_MS = 1_000;
const POLL_MS = 200;
/** Without a beat for so long, a lock is stale, unless its process still lives on this machine. */
const SILENT_AFTER_MS = 5_000;
/** Without a beat for so long, a lock is stale even so: its process id has gone to another process. */
const STUCK_AFTER_MS = 600_000;

/**
 * @typedef {{ token: string, pid: number, host: string }} Owner
 * @typedef {{ folder: string, signal: AbortSignal, onWait: () => void }} LockOptions
 */

/**
 * Runs `work` while holding the lock `folder`. Waits while another process holds it (`onWait` is called once, before the
 * wait), takes a stale one over, and lets go when `work` settles. An aborted signal ends the wait.
 *
 * @template T
 * @param {LockOptions} options
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock({ folder, signal, onWait }, work) {
  const token = `${process.pid}-${Date.now()}-${Math.random().toString(36).slice(2)}`;
  let hasWaited = false;
  while (!takeLock(folder, token)) {
    const owner = readOwner(folder);
    if (owner !== undefined && isStale(owner, Date.now())) {
      removeStale(folder, owner.token);
      continue;
    }
    if (!hasWaited) onWait();
    hasWaited = true;
    await sleep(POLL_MS, undefined, { signal });
  }
  const beat = setInterval(() => touch(folder), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if (readOwner(folder)?.token === token) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The lock appears with its owner inside, in one step: a folder cannot be renamed to the name of a full one.
 *
 * @param {string} folder
 * @param {string} token
 */
function takeLock(folder, token) {
  mkdirSync(dirname(folder), { recursive: true });
  if (readOwner(folder) !== undefined) return false;
  const candidate = `${folder}-${token}`;
  mkdirSync(candidate);
  writeFileSync(join(candidate, 'owner.json'), JSON.stringify({ token, pid: process.pid, host: hostname() }));
  try {
    renameSync(candidate, folder);
    return true;
  } catch (error) {
    rmSync(candidate, { recursive: true, force: true });
    // Held, or let go of in this very moment. (Windows says EPERM.)
    const code = /** @type {NodeJS.ErrnoException} */ (error).code ?? '';
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(code)) return false;
    throw error;
  }
}

/**
 * Whether a lock's holder is gone.
 *
 * @param {Owner & { beatAtMs: number }} owner
 * @param {number} nowMs
 */
export function isStale(owner, nowMs) {
  const isAliveHere = owner.host === hostname() && isAlive(owner.pid);
  return nowMs - owner.beatAtMs > (isAliveHere ? STUCK_AFTER_MS : SILENT_AFTER_MS);
}

/**
 * Renamed first, so that of two that found it stale only one removes it. If it turns out to be a lock newer than the one
 * that was judged, it goes back.
 *
 * @param {string} folder
 * @param {string} staleToken
 */
function removeStale(folder, staleToken) {
  const aside = `${folder}-stale-${staleToken}-${process.pid}`;
  try {
    renameSync(folder, aside);
    if (readOwner(aside)?.token !== staleToken) return renameSync(aside, folder);
  } catch {
    // Another process was quicker.
  }
  rmSync(aside, { recursive: true, force: true });
}

/**
 * Who holds the lock; undefined where nobody does. A lock without a readable owner gets one that lives nowhere.
 *
 * @param {string} folder
 * @returns {(Owner & { beatAtMs: number }) | undefined}
 */
function readOwner(folder) {
  const file = join(folder, 'owner.json');
  try {
    return { ...JSON.parse(readFileSync(file, 'utf8')), beatAtMs: statSync(file).mtimeMs };
  } catch {
    const stats = statSync(folder, { throwIfNoEntry: false });
    return stats && { token: '', pid: 0, host: '', beatAtMs: stats.mtimeMs };
  }
}

/** @param {string} folder */
function touch(folder) {
  const now = new Date();
  try {
    utimesSync(join(folder, 'owner.json'), now, now);
  } catch {
    // Taken away by hand: the work goes on, and ends without a lock to remove.
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
