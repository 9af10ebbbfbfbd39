/**
 * One database and two stores on it, as two servers have them: what one does to a key, the other one knows within a
 * second, whatever becomes of the notification; and what a request of a key costs the database.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { NewVirtualKeyRow, VirtualKeyRow } from '../../../src/domain/key.ts';
import { MAX_SHARED_KEY_AGE_MS, type Store } from '../../../src/domain/store.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { failureOf } from '../../helpers/failure.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../../helpers/postgres.ts';
import { aKeyRow } from '../../helpers/store-rows.ts';

/** A busy machine wakes a timer late; the contract is about what a store does. */
const NOISE_MS = 500;
const LOG = ['logging_collector=on', 'log_directory=log', 'log_statement=all', 'log_line_prefix=%d %a '];

describe.skipIf(POSTGRES === undefined)('keys in a database that servers share', () => {
  let server: PostgresServer;
  let url: string;
  let store: Store;
  let other: Store;
  let row: NewVirtualKeyRow;

  beforeAll(async () => {
    server = await startPostgres({ settings: LOG });
    url = await server.createDatabase({ migrated: true });
  });
  afterAll(() => removePostgres(server));

  beforeEach(async () => {
    [store, other] = [await open(), await open()];
    row = aKeyRow();
    await store.insertKey(row);
  });

  async function open(staleMs = 30_000): Promise<Store> {
    const opened = await openPostgresStore(url, { keyWatch: { staleMs, nowMs: Date.now } });
    onTestFinished(() => opened.close());
    return opened;
  }

  const databaseName = (): string => new URL(url).pathname.slice(1);

  /** Both know the key, and have heard that there was a change. */
  async function settle(): Promise<void> {
    for (const each of [store, other]) await each.findKeyBySha256(row.keySha256);
    await delay(300);
    for (const each of [store, other]) await each.findKeyBySha256(row.keySha256);
  }

  async function eatNotifications(): Promise<void> {
    const [source] = await server.run<{ text: string }>(
      "SELECT pg_get_functiondef('bedrock_proxy.note_key_change()'::regprocedure) AS text",
      databaseName(),
    );
    const text = source?.text ?? '';
    await server.run(text.replace(/PERFORM pg_notify[^;]*;/, ''), databaseName());
    onTestFinished(async () => void (await server.run(text, databaseName())));
  }

  async function cutConnections(): Promise<void> {
    await server.run(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = '${databaseName()}' AND pid <> pg_backend_pid()`,
    );
  }

  const CHANGES: readonly {
    readonly name: string;
    readonly change: () => Promise<unknown>;
    readonly isSeen: (found: VirtualKeyRow | undefined) => boolean;
  }[] = [
    {
      name: 'revoked',
      change: () => store.revokeKey(row.id, 5),
      isSeen: (found) => found?.revokedAtMs === 5,
    },
    {
      name: 'blocked',
      change: () => store.updateKey(row.id, { blockedAtMs: 5 }, 6),
      isSeen: (found) => found?.blockedAtMs === 5,
    },
    { name: 'deleted', change: () => store.deleteKey(row.id, 5), isSeen: (found) => found === undefined },
    {
      name: 'rotated',
      change: () => store.rotateKey(row.id, aKeyRow(), undefined),
      isSeen: (found) => found?.revokedAtMs !== undefined,
    },
    {
      name: 'given an end',
      change: () => store.rotateKey(row.id, aKeyRow(), 9),
      isSeen: (found) => found?.endsAtMs === 9,
    },
  ];

  it.each(CHANGES)('tell the other server that one was $name', async ({ change, isSeen }) => {
    await settle();
    await change();
    expect(isSeen(await store.findKeyBySha256(row.keySha256))).toBe(true);
    const seenAfterMs = await untilSeen(async () => isSeen(await other.findKeyBySha256(row.keySha256)));
    expect(seenAfterMs).toBeLessThan(MAX_SHARED_KEY_AGE_MS + NOISE_MS);
    expect(isSeen(await other.findKeyByAccessKeyId(row.accessKeyId))).toBe(true);
  });

  const TROUBLES = [
    { name: 'a pooler eats notifications', trouble: eatNotifications },
    { name: 'the listener was cut a moment before', trouble: cutConnections },
  ];

  it.each(TROUBLES)('are refused within a second though $name', async ({ trouble }) => {
    await settle();
    await trouble();
    await store.revokeKey(row.id, 5);
    const seenAfterMs = await untilSeen(
      async () => (await other.findKeyBySha256(row.keySha256))?.revokedAtMs !== undefined,
    );
    expect(seenAfterMs).toBeLessThan(MAX_SHARED_KEY_AGE_MS + NOISE_MS);
  });

  it('are found as soon as they are made, by a server that had looked for them in vain', async () => {
    const later = aKeyRow();
    expect(await other.findKeyBySha256(later.keySha256)).toBeUndefined();
    await store.insertKey(later);
    expect((await other.findKeyBySha256(later.keySha256))?.id).toBe(later.id);
  });

  it('are not used as they were by a server whose event loop was blocked', async () => {
    await eatNotifications();
    await settle();
    await store.revokeKey(row.id, 5);
    // It has had no turn to poll since.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MAX_SHARED_KEY_AGE_MS + 100);
    expect((await other.findKeyBySha256(row.keySha256))?.revokedAtMs).toBe(5);
  });

  it('go on while the database is away until the bound, are refused then, and come back by themselves', async () => {
    const brief = await open(1_500);
    await settle();
    await brief.findKeyBySha256(row.keySha256);
    const stoppingAt = performance.now();
    await server.stop();
    const failedAfterMs = await untilSeen(async () => !(await responds(() => brief.findKeyBySha256(row.keySha256))));
    expect(performance.now() - stoppingAt).toBeGreaterThan(1_000);
    expect(failedAfterMs).toBeLessThan(1_500 + NOISE_MS);
    expect((await failureOf(() => brief.findKeyBySha256(row.keySha256))).code).toBe('ERR_STORE_UNAVAILABLE');
    expect((await other.findKeyBySha256(row.keySha256))?.id).toBe(row.id);
    await server.start();
    await untilSeen(() => responds(() => brief.findKeyBySha256(row.keySha256)));
    await untilSeen(() => responds(() => store.revokeKey(row.id, 5)));
    for (const each of [brief, other]) {
      const seen = untilSeen(async () => (await each.findKeyBySha256(row.keySha256))?.revokedAtMs === 5);
      expect(await seen).toBeLessThan(MAX_SHARED_KEY_AGE_MS + NOISE_MS);
    }
  });

  it('cost a request nothing once they are known, and a note of their use a statement a second', async () => {
    await settle();
    const before = await readStatements();
    const usedAtMs = 1_800_000_000_000;
    for (let request = 0; request < 10_000; request += 1) {
      await other.findKeyBySha256(row.keySha256);
      await other.findKeyByAccessKeyId(row.accessKeyId);
      await other.hasAnyKey();
      other.touchKey(row.id, usedAtMs + request);
    }
    const isNoted = ([noted]: VirtualKeyRow[]): boolean => noted?.lastUsedAtMs === usedAtMs + 9_999;
    await untilSeen(async () => isNoted(await store.findKeys({ ids: [row.id] })));
    const asked = (await readStatements()).slice(before.length).filter((text) => !text.includes('key_changes'));
    // Those of the test itself left out.
    const ofRequests = asked.filter((text) => !text.includes('ORDER BY created_at_ms'));
    // Whether there is any key is asked once.
    expect(ofRequests.filter((text) => text.includes('SELECT EXISTS'))).toHaveLength(1);
    expect(ofRequests.filter((text) => text.includes('last_used_at_ms = greatest')).length).toBeLessThan(4);
    expect(ofRequests.length).toBeLessThan(5);
  });

  /** Of this database, by clients that are ours. */
  async function readStatements(): Promise<string[]> {
    const folder = join(server.folder, 'data', 'log');
    const files = (await readdir(folder)).toSorted();
    const text = (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('');
    const ours = `${databaseName()} bedrock-proxy LOG:  `;
    return text.split(/\n(?!\t)/).filter((entry) => entry.startsWith(ours) && /(execute|statement)/.test(entry));
  }
});

async function responds(work: () => Promise<unknown>): Promise<boolean> {
  return work().then(
    () => true,
    () => false,
  );
}

/** How long it took. */
async function untilSeen(look: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await look())) {
    if (performance.now() - began > 10_000) throw new Error('not seen');
    await delay(2);
  }
  return performance.now() - began;
}
