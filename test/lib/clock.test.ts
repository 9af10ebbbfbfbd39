/**
 * The two clocks: who may read which, and what becomes of every pause when the wall clock is set forwards or back by an
 * hour while time itself goes on.
 */
import Database from 'better-sqlite3';
import { globSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { createRateLimits } from '../../src/admission/rates.ts';
import { createFailureLimit } from '../../src/auth/failure-limit.ts';
import { MACHINE_TICKS, type MonotonicClock, monotonicClock, type WallClock } from '../../src/lib/clock.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { createCredentialSource, type CredentialSource } from '../../src/upstream/aws/credentials.ts';
import { createForwarder } from '../../src/upstream/aws/forward.ts';
import { createProfileLookup } from '../../src/upstream/aws/profile-lookup.ts';
import { takeHere } from '../admission/take-rates.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';
import { aKeyRow } from '../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const HOUR_MS = 3_600_000;
const START_MS = 1_900_000_000_000;
const PAIR = { accessKeyId: 'a', secretAccessKey: 's' };

/** A thread that ages rows by itself is one of its own. */
const EDGES = /^(app|cli)\/|^store\/exchanges\/file-worker\.ts$/;

describe('who reads a clock', () => {
  it.each([
    { name: 'the wall clock', reads: /\bDate\.now\b|\bnew Date\(\)/, where: EDGES },
    { name: 'the monotonic clock', reads: /\bperformance\.now\b|\bhrtime\b/, where: /^lib\/clock\.ts$/ },
  ])('is the edge alone, for $name: all others are handed it', ({ reads, where }) => {
    const readers = globSync('**/*.ts', { cwd: SRC }).filter((name) =>
      reads.test(readFileSync(join(SRC, name), 'utf8')),
    );
    expect(readers.map((name) => name.replaceAll('\\', '/')).filter((name) => !where.test(name))).toEqual([]);
  });

  it('is told by the type which clock it has', () => {
    expectTypeOf<WallClock>().not.toExtend<MonotonicClock>();
    expectTypeOf<MonotonicClock>().not.toExtend<WallClock>();
    expectTypeOf<DateConstructor['now']>().toExtend<WallClock>();
    expectTypeOf<DateConstructor['now']>().not.toExtend<MonotonicClock>();
  });
});

describe.each([
  { name: 'forwards', jumpMs: HOUR_MS },
  { name: 'back', jumpMs: -HOUR_MS },
])('a wall clock that is set $name by an hour', ({ jumpMs }) => {
  let wallMs: number;
  let tick: number;
  const nowMs = (): number => wallMs;
  const tickMs = monotonicClock(() => tick);
  const jump = (): void => void (wallMs += jumpMs);
  const pass = (ms: number): void => {
    wallMs += ms;
    tick += ms;
  };

  beforeEach(() => {
    wallMs = START_MS;
    tick = 5_000_000;
    // Whoever reads it behind our back sees the jump as well.
    vi.useFakeTimers({ toFake: ['Date'], now: START_MS });
  });
  afterEach(() => void vi.useRealTimers());

  const sourceOf = (load: () => Promise<typeof PAIR & { expiration?: Date }>): CredentialSource =>
    createCredentialSource({ profile: undefined, nowMs, tickMs, load });

  it('keeps the pause after a failed look-up of credentials a second long', async () => {
    const load = vi.fn(() => Promise.reject(new Error('no luck')));
    const source = sourceOf(load);
    await failureOf(() => source.get());
    jump();
    await failureOf(() => source.get());
    expect(load).toHaveBeenCalledTimes(1);
    pass(1_000);
    await failureOf(() => source.get());
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('keeps the pause after credentials that AWS refused two seconds long', async () => {
    const load = vi.fn(async () => PAIR);
    const source = sourceOf(load);
    await source.get();
    source.invalidate(PAIR);
    await source.get();
    expect(load).toHaveBeenCalledTimes(2);
    jump();
    source.invalidate(PAIR);
    await source.get();
    expect(load).toHaveBeenCalledTimes(2);
    pass(2_000);
    source.invalidate(PAIR);
    await source.get();
    expect(load).toHaveBeenCalledTimes(3);
  });

  it('reads credentials without an end again after five minutes', async () => {
    const load = vi.fn(async () => PAIR);
    const source = sourceOf(load);
    await source.get();
    jump();
    pass(299_000);
    await source.get();
    expect(load).toHaveBeenCalledTimes(1);
    pass(1_000);
    await source.get();
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('heals an address that showed wrong keys in two seconds each', async () => {
    const limit = createFailureLimit(tickMs);
    const wrong = new ProxyError('ERR_KEY_UNKNOWN', 'No.');
    const client = { ...aClientRequest(), peerAddress: '10.0.0.1' };
    for (let count = 0; count < 60; count += 1) await limit.note(wrong, client);
    jump();
    expect(() => limit.check(client)).toThrow('wrong credentials');
    pass(2_000);
    expect(() => limit.check(client)).not.toThrow();
  });

  it('counts requests by the minute that passes', () => {
    const rates = createRateLimits({ tickMs });
    const policy = { ...EMPTY_POLICY, requestsPerMinute: 1 };
    takeHere(rates, 'vk_a', policy, 0);
    jump();
    expect(() => takeHere(rates, 'vk_a', policy, 0)).toThrow('sent 1');
    pass(61_000);
    expect(() => takeHere(rates, 'vk_a', policy, 0)).not.toThrow();
  });

  it('asks for a profile that AWS did not tell again after half a minute', async () => {
    const forwarder = createForwarder({ connectTimeoutMs: 500, idleTimeoutMs: 500 });
    onTestFinished(() => forwarder.close());
    const findControlPlane = vi.fn(() => {
      throw new ProxyError('ERR_REGION_INVALID', 'None.');
    });
    const credentials = sourceOf(async () => PAIR);
    const authorityOf = () => ({ credentials, apiKey: undefined });
    const find = createProfileLookup({ authorityOf, forwarder, findControlPlane, tickMs, clock: { nowMs } });
    const ask = (): Promise<unknown> => find({ kind: 'master', label: 'master' })('abc', 'us-east-1');
    await ask();
    jump();
    await ask();
    expect(findControlPlane).toHaveBeenCalledTimes(1);
    pass(30_000);
    await ask();
    expect(findControlPlane).toHaveBeenCalledTimes(2);
  });

  it('looks at the file of the database as often as before', async () => {
    const path = join(await makeTemporaryFolder(), 'keys.db');
    const store = await openSqliteStore(path, { tickMs });
    onTestFinished(() => store.close());
    const row = aKeyRow();
    await store.insertKey(row);
    vi.setSystemTime(START_MS + jumpMs);
    jump();
    await rename(path, `${path}.away`);
    pass(250);
    expect((await failureOf(() => store.findKeyBySha256(row.keySha256))).message).toBe('The key database is gone.');
    await rename(`${path}.away`, path);
  });

  it('waits for a busy database as long as before', async () => {
    const path = join(await makeTemporaryFolder(), 'keys.db');
    const store = await openSqliteStore(path);
    onTestFinished(() => store.close());
    const other = new Database(path);
    onTestFinished(() => void other.close());
    other.exec('BEGIN IMMEDIATE');
    const writing = store.insertKey(aKeyRow());
    vi.setSystemTime(START_MS + jumpMs);
    const startedAt = MACHINE_TICKS();
    setTimeout(() => other.exec('COMMIT'), 200);
    await writing;
    expect(MACHINE_TICKS() - startedAt).toBeGreaterThanOrEqual(150);
    other.exec('BEGIN IMMEDIATE');
    expect((await failureOf(() => store.insertKey(aKeyRow()))).message).toContain('is locked');
    other.exec('COMMIT');
  });
});
