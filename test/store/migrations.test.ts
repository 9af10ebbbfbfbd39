import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { APPLICATION_ID, MIGRATIONS } from '../../src/store/migrations.ts';

/** SHA-256 of every released step. A line is added with a new step; an old line never changes: databases have run it. */
const RELEASED = [
  '9970ea6dab1a7c8a13bf47c7ae5198aaf304f20d346d63f5d020020acfd112d9',
  'db5683f4bb1b9d7c1d8e99dbafd384df8c704e21287ffd6f6f1d6a4029c90415',
];

it('never edits a step that databases have already run', () => {
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
  ]);
});
