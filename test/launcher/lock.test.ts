import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isStale, withLock } from '../../scripts/lock.mjs';

/** Above every system's highest process id. */
const NOBODY = 2 ** 30;
const { signal } = new AbortController();

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bedrock-proxy-lock-'));
  folder = join(home, 'lock');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

describe('withLock', () => {
  it('lets one in at a time, and each in the end', async () => {
    let inside = 0;
    let most = 0;
    const enter = () =>
      withLock({ folder, signal, onWait: () => {} }, async () => {
        most = Math.max(most, ++inside);
        await new Promise(setImmediate);
        inside -= 1;
      });
    await Promise.all([enter(), enter(), enter(), enter()]);
    expect(most).toBe(1);
    expect(readdirSync(home)).toEqual([]);
  });

  it('lets go when the work fails', async () => {
    const failing = withLock({ folder, signal, onWait: () => {} }, () => Promise.reject(new Error('the work')));
    await expect(failing).rejects.toThrow('the work');
    expect(readdirSync(home)).toEqual([]);
  });

  it.each([
    { name: 'of a killed process', owner: { token: 'old', pid: NOBODY, host: hostname() } },
    { name: 'of another machine', owner: { token: 'old', pid: process.pid, host: 'elsewhere.invalid' } },
    { name: 'without a readable owner', owner: undefined },
  ])('takes over a lock $name that is silent', async ({ owner }) => {
    leaveLock(owner, Date.now() - 60_000);
    await expect(withLock({ folder, signal, onWait: () => {} }, async () => 'done')).resolves.toBe('done');
    expect(readdirSync(home)).toEqual([]);
  });

  it('waits for a lock that is in use, says so once, and stops waiting when told', async () => {
    leaveLock({ token: 'new', pid: process.pid, host: hostname() }, Date.now());
    const controller = new AbortController();
    const said: string[] = [];
    const waiting = withLock(
      { folder, signal: controller.signal, onWait: () => said.push('waits') },
      async () => 'done',
    );
    await expect.poll(() => said).toEqual(['waits']);
    controller.abort();
    await expect(waiting).rejects.toThrow('aborted');
    expect(readdirSync(home)).toEqual(['lock']);
  });
});

describe('isStale', () => {
  it.each([
    { name: 'a living process that beats', pid: process.pid, host: hostname(), silentMs: 1_000, stale: false },
    {
      name: 'a living process that was suspended',
      pid: process.pid,
      host: hostname(),
      silentMs: 500_000,
      stale: false,
    },
    { name: 'a process id that went to another', pid: process.pid, host: hostname(), silentMs: 700_000, stale: true },
    { name: 'a dead process, a moment ago', pid: NOBODY, host: hostname(), silentMs: 1_000, stale: false },
    { name: 'a dead process', pid: NOBODY, host: hostname(), silentMs: 6_000, stale: true },
    { name: 'another machine that beats', pid: NOBODY, host: 'elsewhere.invalid', silentMs: 1_000, stale: false },
    { name: 'another machine', pid: process.pid, host: 'elsewhere.invalid', silentMs: 6_000, stale: true },
  ])('$name: $stale', ({ pid, host, silentMs, stale }) => {
    const nowMs = 1_000_000;
    expect(isStale({ token: '', pid, host, beatAtMs: nowMs - silentMs }, nowMs)).toBe(stale);
  });
});

/** What a holder leaves on disk that beat for the last time then. */
function leaveLock(owner: object | undefined, beatAtMs: number) {
  mkdirSync(folder);
  const beat = new Date(beatAtMs);
  if (owner !== undefined) writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
  utimesSync(owner === undefined ? folder : join(folder, 'owner.json'), beat, beat);
}
