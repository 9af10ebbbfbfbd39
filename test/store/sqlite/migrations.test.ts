import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { SQL_COLUMNS } from '../../../src/domain/ledger-columns.ts';
import { EMPTY_POLICY } from '../../../src/keys/limits.ts';
import type { Upgrade } from '../../../src/store/sqlite/connection.ts';
import { APPLICATION_ID, MIGRATIONS } from '../../../src/store/sqlite/migrations.ts';
import type { Store } from '../../../src/domain/store.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { aKeyRow, aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

/**
 * SHA-256 of every released step. A line is added with a new step; an old line never changes: databases have run it.
 */
const RELEASED = [
  '9970ea6dab1a7c8a13bf47c7ae5198aaf304f20d346d63f5d020020acfd112d9',
  'db5683f4bb1b9d7c1d8e99dbafd384df8c704e21287ffd6f6f1d6a4029c90415',
  '66db6ae1968e6b563f14c8c48aafb72b01eae6e67c9823f94f09b93e52fb0c5f',
  'da66612cba764c7fdc4c421d20edfd359ece0a8d88095a01fac758b0c0f2800d',
  '0b8c9477414b6cdc8cf7655fa002b85082d1a517f466e06afffd9201fbe625bf',
  'a6061db56c1a3555700043e8914fbb0efffaceba65b1c3df60cf1ea74e4d49b1',
  '367bb413dfa3c1de0971cea2e2b9ae5cdcaef8ca9e9655fd92a03219e23dc6af',
  '9a0e11696b42b2f8ec3ebd0acb6103318d24395744212d99defd81ce053eb14f',
  '30490623923ec4d40dd094123ec790a401c9fb7751659d8b998e5fa767732976',
  '90905c8d5deb99003ecc96abf842d56ca90cd9ffb76c54840cfeebb6d2a0ce0d',
  'bb3aae32a867177fc46447906ad96d8b9ec66803716d54024566c205c83a65bd',
  'b0ce665402a153bf46ddfe20ba4f31e6e3fc08ece7c4b547f2e64a5598cc97e4',
  '3dbee66646f9b031039bbd620d2d2449d9ef3a886f7a2d6768f2e84f8ae0ddf4',
  '48cb66ba3e6e0c9ff1dcbaccb5af1ff3cfb9f68855bfd003f4c8df8619557305',
  '26defad3025fa61a4d1136edf774fdd200a38163e3215d072d25a13d524d6844',
  '49c72fdfcf9d5d7bf117d23c0844bbc79200768a85cc1d46f65d4f21c4fd38e0',
  '299042a19a5430a587c5fce237c6b40d0d10a76d82e02420b99598490b75505a',
  'b6dec9d540b1ba9276d6a2111b787c4bfa4bce9b4b2ec4f143b49992fd00cb97',
];

it('never edits a migration that databases have already run', () => {
  expect(MIGRATIONS.map((step) => createHash('sha256').update(step).digest('hex'))).toEqual(RELEASED);
});

it('marks files with the letters BdPx, as the signed 32-bit number that SQLite stores', () => {
  expect(Buffer.from(APPLICATION_ID.toString(16), 'hex').toString()).toBe('BdPx');
  expect(APPLICATION_ID).toBeLessThan(2 ** 31);
});

it('takes an empty database to the present schema', () => {
  const database = new Database(':memory:');
  for (const step of MIGRATIONS) database.exec(step);
  const columns = database.prepare("SELECT name FROM pragma_table_info('virtual_keys')").pluck().all();
  database.close();
  expect(columns).toEqual([
    'id',
    'alias',
    'key_sha256',
    'last_four',
    'access_key_id',
    'sealed_key',
    'created_at_ms',
    'last_used_at_ms',
    'revoked_at_ms',
    'ends_at_ms',
    'expires_at_ms',
    'blocked_at_ms',
    'updated_at_ms',
    'deleted_at_ms',
    'policy',
    'tags',
    'note',
    'metadata',
    'account_id',
    'exec_command',
  ]);
});

it('keeps every column of the ledger under the name and the type that the table of columns has', () => {
  const database = new Database(':memory:');
  for (const step of MIGRATIONS) database.exec(step);
  const kept = database.prepare("SELECT name, type FROM pragma_table_info('ledger') ORDER BY name").all();
  database.close();
  const columns = [
    ...SQL_COLUMNS.map(({ name, type }) => ({ name, type })),
    { name: 'sequence', type: 'INTEGER' },
    { name: 'window_start_ms', type: 'INTEGER' },
  ];
  expect(kept).toEqual(columns.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
});

it('moves a number with every change of a key, whatever the column, but not with the notes of its use', () => {
  const database = new Database(':memory:');
  for (const step of MIGRATIONS) database.exec(step);
  database.exec(`INSERT INTO virtual_keys (id, key_sha256, last_four, access_key_id, sealed_key, created_at_ms)
    VALUES ('vk_a', 'hash', 'wxyz', 'BRPXA', x'01', 10)`);
  const read = database.prepare<[], number>('SELECT version FROM key_changes').pluck();
  const columns = database.prepare<[], string>("SELECT name FROM pragma_table_info('virtual_keys')").pluck().all();
  const moving = (columns as string[]).filter((name) => {
    const before = read.get();
    database.exec(`UPDATE virtual_keys SET ${name} = ${name}`);
    return read.get() !== before;
  });
  expect(columns.filter((name) => !moving.includes(String(name)))).toEqual(['last_used_at_ms', 'exec_command']);
  const before = read.get();
  database.exec('DELETE FROM virtual_keys');
  expect(read.get()).not.toBe(before);
  database.close();
});

/** A database on which the first `steps` have run, with what `sql` puts into it. */
async function openOld(steps: number, sql: string): Promise<Store> {
  const folder = await makeTemporaryFolder();
  const path = join(folder, 'keys.db');
  const old = new Database(path);
  for (const step of MIGRATIONS.slice(0, steps)) old.exec(step);
  old.pragma(`application_id = ${APPLICATION_ID}`);
  old.pragma(`user_version = ${steps}`);
  old.exec(sql);
  old.close();
  const store = await openSqliteStore(path);
  onTestFinished(() => store.close());
  return store;
}

it('keeps a database as it was before it is upgraded, for its owner alone, and says where', async () => {
  const folder = await makeTemporaryFolder();
  const path = join(folder, 'keys.db');
  const told: Upgrade[] = [];
  for (const keptIn of [`${path}.v2`, `${path}.v2-2`]) {
    const old = new Database(path);
    for (const step of MIGRATIONS.slice(0, 2)) old.exec(step);
    old.pragma(`application_id = ${APPLICATION_ID}`);
    old.pragma('user_version = 2');
    old.exec("INSERT INTO virtual_keys VALUES ('vk_a', 'alice', 'hash-a', 'wxyz', 'BRPXA', x'01', 10, 20, NULL, NULL)");
    old.close();
    const store = await openSqliteStore(path, { onUpgrade: (upgrade) => told.push(upgrade) });
    await store.close();
    expect(told.at(-1)).toEqual({ from: 2, to: MIGRATIONS.length, keptIn });
    const kept = new Database(keptIn, { readonly: true });
    expect(kept.pragma('user_version', { simple: true })).toBe(2);
    expect(kept.prepare('SELECT alias FROM virtual_keys').pluck().all()).toEqual(['alice']);
    kept.close();
    if (platform() !== 'win32') expect((await stat(keptIn)).mode & 0o777).toBe(0o600);
    // Nothing to upgrade: nothing is kept.
    await (await openSqliteStore(path, { onUpgrade: (upgrade) => told.push(upgrade) })).close();
    await rm(path);
  }
  expect(told).toHaveLength(2);
  expect((await readdir(folder)).toSorted()).toEqual(['keys.db.v2', 'keys.db.v2-2']);
});

it('lets what was ever made close a proxy after an upgrade too, and a new key of exec not', async () => {
  const values = "'vk_a', 'exec-1-aaaaaaaa-01234567', 'hash-a', 'wxyz', 'BRPXA', x'01', 10, 20, 30, NULL";
  expect(await (await openOld(2, `INSERT INTO virtual_keys VALUES (${values})`)).hasAnyKey()).toBe(true);
  const store = await openOld(2, '');
  await store.insertKey({ ...aKeyRow(), execCommand: 'claude' });
  expect(await store.hasAnyKey()).toBe(false);
  await store.insertKey(aKeyRow());
  expect(await store.hasAnyKey()).toBe(true);
});

it('keeps the keys of a database from before limits working, in the default scope', async () => {
  const store = await openOld(
    2,
    `INSERT INTO virtual_keys VALUES ('vk_a', 'alice', 'hash-a', 'wxyz', 'BRPXA', x'01', 10, 20, NULL, NULL);
     INSERT INTO virtual_keys VALUES ('vk_b', 'bob', 'hash-b', 'wxyz', 'BRPXB', x'02', 11, NULL, 30, 40)`,
  );
  expect(await store.findKeyBySha256('hash-a')).toStrictEqual({
    id: 'vk_a',
    alias: 'alice',
    keySha256: 'hash-a',
    lastFour: 'wxyz',
    accessKeyId: 'BRPXA',
    sealedKey: Buffer.of(1),
    createdAtMs: 10,
    updatedAtMs: 10,
    lastUsedAtMs: 20,
    revokedAtMs: undefined,
    endsAtMs: undefined,
    expiresAtMs: undefined,
    blockedAtMs: undefined,
    policy: EMPTY_POLICY,
    tags: {},
    note: undefined,
    metadata: {},
  });
  expect(await store.findKeyByAccessKeyId('BRPXB')).toMatchObject({ revokedAtMs: 30, endsAtMs: 40, updatedAtMs: 11 });
  expect(await store.hasAnyKey()).toBe(true);

  await store.settle(aLedgerRow({ keyId: 'vk_a', chargedNanoUsd: 5 }));
  const spend = await store.findSpend([{ id: 'vk_a', policy: EMPTY_POLICY }], 100);
  expect(spend.get('vk_a')).toEqual({ totalNanoUsd: 5, windowNanoUsd: 5, reservedNanoUsd: 0, resetsAtMs: undefined });
  expect((await store.updateKey('vk_a', { note: 'migrated' }, 100))?.note).toBe('migrated');
});

it('calls the caller of open mode anonymous in rows of before too, and nobody else', async () => {
  const store = await openOld(
    3,
    `INSERT INTO ledger (id, principal, key_id, key_label, started_at_ms, pricing, partial, charged_nano, has_usage,
       request_bytes, response_bytes)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1, 'free', 0, 0, 0, 0, 0 FROM json_each('[
       ["open", "anyone", "", "anyone"], ["master", "master", "", "master"], ["key", "key", "vk_a", "anyone"]]')`,
  );
  await store.settle(aLedgerRow({ id: 'new', principal: 'anonymous', keyId: undefined, keyLabel: 'anonymous' }));
  const rows = await store.readLedger({}, { after: 0, limit: 10 });
  expect(rows.map(({ id, principal, keyId, keyLabel }) => [id, principal, keyId, keyLabel])).toEqual([
    ['open', 'anonymous', undefined, 'anonymous'],
    ['master', 'master', undefined, 'master'],
    ['key', 'key', 'vk_a', 'anyone'],
    ['new', 'anonymous', undefined, 'anonymous'],
  ]);
});
