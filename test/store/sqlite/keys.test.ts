/** What is left of a deleted key in the file. What a key is otherwise is in test/contract/. */
import Database from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { aKeyRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

it('leaves nothing of the secret of a deleted key, and no way to name what it left', async () => {
  const folder = await makeTemporaryFolder();
  const store = await openSqliteStore(join(folder, 'keys.db'));
  onTestFinished(() => store.close());
  const row = aKeyRow({
    alias: 'gone',
    note: 'private',
    metadata: { private: true },
    sealedKey: randomBytes(76),
  });
  await store.insertKey(row);
  await store.deleteKey(row.id, 5);
  const raw = new Database(join(folder, 'keys.db'));
  const left = raw.prepare<[], Record<string, unknown>>('SELECT * FROM virtual_keys').get();
  raw.close();
  expect(left).toMatchObject({ id: row.id, alias: null, sealed_key: Buffer.alloc(0), note: null, metadata: '{}' });
  for (const name of [left?.['key_sha256'], left?.['access_key_id']].map(String)) {
    expect([row.keySha256, row.accessKeyId]).not.toContain(name);
    expect(await store.findKeyBySha256(name)).toBeUndefined();
    expect(await store.findKeyByAccessKeyId(name)).toBeUndefined();
  }
});
