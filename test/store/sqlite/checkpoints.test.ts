/** Checkpoints beside the event loop: by a thread where there is one, by SQLite where there is none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { Checkpoints } from '../../../src/store/sqlite/checkpoints.ts';
import { checkpoint, connect, connectAgain, type Connection } from '../../../src/store/sqlite/connection.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

/** As many as make a checkpoint due, and what SQLite itself waits for unless told otherwise. */
/** Transactions after which there is a thread, and from then on between checkpoints. */
const FIRST_DUE = 100;
const DUE = 400;
const SQLITES_OWN = 1_000;

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'keys.db');
});

function open(): { readonly connection: Connection; readonly checkpoints: Checkpoints } {
  const connection = connect(path);
  connection.database.exec('CREATE TABLE pieces (piece BLOB)');
  const checkpoints = new Checkpoints(path, connection);
  onTestFinished(async () => {
    await checkpoints.close();
    connection.database.close();
  });
  return { connection, checkpoints };
}

const autocheckpointOf = ({ database }: Connection): number =>
  Number(database.pragma('wal_autocheckpoint', { simple: true }));

const sizeOf = async (file: string): Promise<number> => (await stat(file)).size;

it('starts no checkpoint thread for the few writes of a command', () => {
  const { connection, checkpoints } = open();
  for (let write = 1; write < FIRST_DUE; write += 1) checkpoints.noteWrite();
  expect(autocheckpointOf(connection)).toBe(SQLITES_OWN);
  expect(process.getActiveResourcesInfo()).not.toContain('MessagePort');
});

it('copies the write-ahead log on a thread, and takes that from SQLite', async () => {
  const { connection, checkpoints } = open();
  const insert = connection.database.prepare('INSERT INTO pieces VALUES (randomblob(10000))');
  for (let write = 0; write < FIRST_DUE; write += 1) checkpoints.noteWrite();
  await vi.waitFor(() => expect(autocheckpointOf(connection)).toBeGreaterThan(SQLITES_OWN), 10_000);
  for (let write = 0; write < DUE; write += 1) insert.run();
  const before = await sizeOf(path);
  for (let write = 0; write < DUE; write += 1) checkpoints.noteWrite();
  await vi.waitFor(async () => expect(await sizeOf(path)).toBeGreaterThan(before + 900_000), 10_000);
});

it('empties the write-ahead log when nobody has written for a while', async () => {
  const { connection, checkpoints } = open();
  const insert = connection.database.prepare('INSERT INTO pieces VALUES (randomblob(10000))');
  for (let write = 0; write < FIRST_DUE; write += 1) checkpoints.noteWrite();
  await vi.waitFor(() => expect(autocheckpointOf(connection)).toBeGreaterThan(SQLITES_OWN), 10_000);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  for (let write = 0; write < 20; write += 1) {
    insert.run();
    checkpoints.noteWrite();
    vi.advanceTimersByTime(9_000);
  }
  expect(await sizeOf(`${path}-wal`)).toBeGreaterThan(100_000);
  vi.advanceTimersByTime(1_000);
  vi.useRealTimers();
  await vi.waitFor(async () => expect(await sizeOf(`${path}-wal`)).toBe(0), 10_000);
  expect(connection.database.prepare('SELECT count(*) FROM pieces').pluck().get()).toBe(20);
});

it('keeps the log small while several processes write all the time', { timeout: 60_000 }, async () => {
  const script = fileURLToPath(new URL('../../helpers/write-rows.ts', import.meta.url));
  const writers = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, path, '5000'], { stdio: 'inherit' }),
  );
  onTestFinished(() => writers.forEach((writer) => void writer.kill('SIGKILL')));
  const sizes: number[] = [];
  const watching = setInterval(() => {
    const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size;
    if (size !== undefined) sizes.push(size);
  }, 20);
  await Promise.all(writers.map((writer) => once(writer, 'exit')));
  clearInterval(watching);
  expect(writers.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
  // Emptied again and again, once it has more than 16 MB.
  expect(sizes.filter((size, index) => size < (sizes[index - 1] ?? 0)).length).toBeGreaterThanOrEqual(2);
  expect(Math.max(...sizes)).toBeLessThan(100_000_000);
  await expect(stat(`${path}-wal`)).rejects.toThrow('ENOENT');
});

it('leaves checkpoints to SQLite if another file has taken the place of the open one', async () => {
  const { connection, checkpoints } = open();
  const other = join(folder, 'other.db');
  connect(other).database.close();
  await rename(other, path);
  for (let write = 0; write < DUE; write += 1) checkpoints.noteWrite();
  await checkpoints.close();
  expect(autocheckpointOf(connection)).toBe(SQLITES_OWN);
});

it('does not make others think that somebody has committed', () => {
  const { connection } = open();
  const before = connection.dataVersion.get();
  const other = connectAgain({ path, identity: connection.identity }, { readonly: false });
  connection.database.exec("INSERT INTO pieces VALUES ('x')");
  expect(checkpoint(other, 'PASSIVE')).toBeGreaterThan(0);
  connection.database.exec("INSERT INTO pieces VALUES ('y')");
  expect(connection.dataVersion.get()).toBe(before);
  other.exec("INSERT INTO pieces VALUES ('z')");
  other.close();
  expect(connection.dataVersion.get()).not.toBe(before);
});

it('keeps the write-ahead log of a busy store small, and ends without one', async () => {
  const store = await openSqliteStore(path);
  const metadata = { text: 'x'.repeat(40_000) };
  const { id } = aKeyRow();
  await store.insertKey(aKeyRow({ id }));
  let largest = 0;
  for (let write = 0; write < 3_000; write += 1) {
    await store.updateKey(id, { metadata }, write);
    if (write % 10 > 0) continue;
    await new Promise(setImmediate);
    largest = Math.max(largest, await sizeOf(`${path}-wal`));
  }
  await store.settle(aLedgerRow());
  await store.close();
  // 3,000 times ten pages and more are 120 MB.
  expect(largest).toBeLessThan(60_000_000);
  await expect(stat(`${path}-wal`)).rejects.toThrow('ENOENT');
  const again = await openSqliteStore(path);
  onTestFinished(() => again.close());
  expect((await again.readLedger({}, { after: 0, limit: 10 })).length).toBe(1);
});
