/** Which store a command opens by the URL of a shared database, what it makes there, and what it refuses. */
import { afterAll, describe, expect, it } from 'vitest';
import { openStore, withExistingStore, withStore } from '../../src/app/open-store.ts';
import { readDatabaseLocation } from '../../src/config/database-location.ts';
import { failureOf } from '../helpers/failure.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../helpers/postgres.ts';

const SALT = 'salt-key-of-this-test-0';
const OTHER_SALT = 'salt-key-of-another-one';

async function locateNew(options?: { readonly migrated: boolean }) {
  const url = await (await sharedPostgres()).createDatabase(options);
  return readDatabaseLocation({}, { DATABASE_URL: url.replace('owner@', 'owner:hunter2@') });
}

const nothing = async (): Promise<void> => {};

describe.skipIf(POSTGRES === undefined)('a shared database', () => {
  afterAll(stopSharedPostgres);

  it('gets its tables from who is to make them, and from nobody else', async () => {
    const database = await locateNew();
    for (const open of [withStore, withExistingStore]) {
      const error = await failureOf(() => open(database, nothing));
      expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', detail: `${database.shown}, from DATABASE_URL` });
      expect(error.message).toBe('The PostgreSQL database has no tables of bedrock-proxy.');
      expect(error.hint).toContain('If DATABASE_URL is of another program, name ours with BEDROCK_PROXY_DB');
    }
    await (await openStore(database, { migrates: true })).close();
    await withStore(database, nothing);
  });

  it('takes one server secret, and says so to who has another one', async () => {
    const database = await locateNew({ migrated: true });
    const missing = await failureOf(() => withStore(database, nothing, { sealing: { saltKey: undefined } }));
    expect(missing).toMatchObject({ code: 'ERR_BAD_OPTION', detail: `${database.shown}, from DATABASE_URL` });
    await withStore(database, nothing, { sealing: { saltKey: SALT } });
    await withStore(database, nothing, { sealing: { saltKey: SALT } });
    const other = await failureOf(() => withStore(database, nothing, { sealing: { saltKey: OTHER_SALT } }));
    expect(other.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(other.message).toBe('The keys of the database are sealed under another server secret.');
    expect(other.hint).toContain('BEDROCK_PROXY_SALT_KEY');
    await withStore(database, nothing);
  });
});

describe('a shared database that cannot be opened', () => {
  it.each([
    { variable: 'DATABASE_URL', advice: 'If DATABASE_URL is of another program' },
    { variable: 'BEDROCK_PROXY_DB', advice: undefined },
  ])('may be of another program only if $variable is DATABASE_URL', async ({ variable, advice }) => {
    const database = readDatabaseLocation({}, { [variable]: 'postgres://owner@127.0.0.1:1/x' });
    for (const saltKey of [SALT, undefined]) {
      const error = await failureOf(() => withStore(database, nothing, { sealing: { saltKey } }));
      expect(error.detail).toBe(`postgres://owner@127.0.0.1:1/x, from ${variable}`);
      expect(/If DATABASE_URL is of another program/.exec(error.hint ?? '')?.[0]).toBe(advice);
    }
  });
});
