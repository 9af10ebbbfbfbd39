/**
 * The key database fails while the server runs: locked by another program, deleted, replaced. Nobody may get in by
 * that, nothing may fall over, and it goes on when the database is back.
 * @module-tag slow
 */
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { beforeEach, describe, expect } from 'vitest';
import type { MintedKey } from '../../src/keys/mint.ts';
import { proxyTest } from '../helpers/proxy-test.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';

const { it, testbed } = proxyTest();
let key: MintedKey;

beforeEach(async () => {
  key = await testbed.mint();
});

function post(shown: string): Promise<RawResponse> {
  return ask(testbed.port, 'POST /bedrock/model/a/invoke HTTP/1.1', [
    'Host: localhost',
    `Authorization: Bearer ${shown}`,
  ]);
}

/** The server looks at the file once a second, so what happened to it shows on one of the next requests. */
async function postUntil(status: number): Promise<RawResponse> {
  for (;;) {
    const response = await post(key.key);
    if (response.status === status) return response;
    expect([200, 401, 503]).toContain(response.status);
  }
}

async function removeDatabase(): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(testbed.databasePath + suffix, { force: true });
}

/** A copy with everything in it, that needs no write-ahead log beside it. */
async function copyDatabase(to: string): Promise<void> {
  const copy = new Database(testbed.databasePath);
  copy.pragma('wal_checkpoint(TRUNCATE)');
  copy.close();
  await copyFile(testbed.databasePath, to);
}

describe('a database', () => {
  it('answers 503 to everybody while the database is deleted, and serves again when it is back', async () => {
    const backup = `${testbed.databasePath}.backup`;
    await copyDatabase(backup);
    expect((await post(key.key)).status).toBe(200);
    await removeDatabase();
    const response = await postUntil(503);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_STORE_UNAVAILABLE');
    expect(response.header('x-amzn-errortype')).toBe('ServiceUnavailableException');
    expect(response.body.toString()).not.toContain(testbed.databasePath);
    expect((await post('sk-anything')).status).toBe(503);
    expect((await ask(testbed.port, 'GET /health/readiness HTTP/1.1', ['Host: localhost'])).status).toBe(503);
    expect((await ask(testbed.port, 'GET /health/liveliness HTTP/1.1', ['Host: localhost'])).status).toBe(200);
    await rename(backup, testbed.databasePath);
    expect((await postUntil(200)).status).toBe(200);
  });

  it('refuses a key that is revoked in a database that replaced the old one', async () => {
    const other = `${testbed.databasePath}.other`;
    await copyDatabase(other);
    const edited = new Database(other);
    edited.prepare('UPDATE virtual_keys SET revoked_at_ms = 1').run();
    edited.close();
    await removeDatabase();
    await rename(other, testbed.databasePath);
    expect((await postUntil(401)).header('x-bedrock-proxy-error')).toBe('ERR_KEY_REVOKED');
  });

  it('answers 503 while another program holds the database for itself, and serves again when it lets go', async () => {
    const other = `${testbed.databasePath}.other`;
    await copyDatabase(other);
    const holder = new Database(other);
    holder.pragma('journal_mode = DELETE');
    holder.pragma('locking_mode = EXCLUSIVE');
    holder.exec('BEGIN EXCLUSIVE');
    await removeDatabase();
    await rename(other, testbed.databasePath);
    const response = await postUntil(503);
    expect(response.body.toString()).toContain('locked by another process');
    holder.exec('COMMIT');
    holder.close();
    expect((await postUntil(200)).status).toBe(200);
  });

  it('lets keys in while another program writes to the database without end', async () => {
    const writer = new Database(testbed.databasePath);
    writer.exec('BEGIN EXCLUSIVE');
    expect((await post(key.key)).status).toBe(200);
    expect((await post('sk-unknown')).status).toBe(401);
    writer.exec('ROLLBACK');
    writer.close();
  });

  it('answers 503 if the database was overwritten with rubbish', async () => {
    await removeDatabase();
    await writeFile(testbed.databasePath, 'rubbish'.repeat(1000));
    const response = await postUntil(503);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_STORE_UNAVAILABLE');
  });
});
