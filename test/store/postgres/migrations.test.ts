/** The schema of a shared database: made once, whoever comes first. */
import { afterAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { migrate, POSTGRES_MIGRATIONS, readSchemaVersion } from '../../../src/store/postgres/migrations.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';

describe.skipIf(POSTGRES === undefined)('migrations of PostgreSQL', () => {
  afterAll(stopSharedPostgres);

  it('are done once, by whoever comes first', async () => {
    const url = await (await sharedPostgres()).createDatabase();
    const databases = [openDatabase(url), openDatabase(url)];
    const done = await Promise.all(databases.map(migrate));
    const to = POSTGRES_MIGRATIONS.length;
    expect(done.toSorted((a, b) => a.from - b.from)).toEqual([
      { from: 0, to },
      { from: to, to },
    ]);
    for (const database of databases) {
      expect(await readSchemaVersion(database)).toMatchObject({ version: to });
      await database.close();
    }
  });
});
