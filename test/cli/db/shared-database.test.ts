/** The `db` commands with a database that proxies share. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { withStore } from '../../../src/app/open-store.ts';
import { type DatabaseLocation, locateFile, readDatabaseLocation } from '../../../src/config/database-location.ts';
import type { Store } from '../../../src/domain/store.ts';
import { mintKey, rotateKey } from '../../../src/keys/mint.ts';
import { unsealKey } from '../../../src/keys/secret.ts';
import { findServerSecret, fingerprintSecret } from '../../../src/keys/server-secret.ts';
import { openRowImport } from '../../../src/store/postgres/import-rows.ts';
import { openStoredRows } from '../../../src/store/sqlite/export-rows.ts';
import { type Cli, type CliResult, openCli } from '../../helpers/cli.ts';
import { POSTGRES, sharedPostgres, stopSharedPostgres } from '../../helpers/postgres.ts';
import { aBudget, aLedgerRow, aReservation } from '../../helpers/store-rows.ts';

const SALT = 'salt-key-of-this-test-0';
const PASSWORD = 'hunter2';
const NOW_MS = Date.now();

let cli: Cli;
let source: DatabaseLocation;
let target: DatabaseLocation;
/** As `--db` shows it. */
let shown: string;

async function createTarget(migrated: boolean): Promise<void> {
  const url = (await (await sharedPostgres()).createDatabase({ migrated })).replace('owner@', `owner:${PASSWORD}@`);
  target = readDatabaseLocation({ db: url }, {});
  shown = target.shown;
}

/** Nothing that it prints has the password. */
async function runDb(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const url = target.kind === 'postgres' ? target.url : '';
  const result = await cli.run(['db', ...args], { BEDROCK_PROXY_DB: url, BEDROCK_PROXY_SALT_KEY: SALT, ...env });
  expect(result.stdout + result.stderr).not.toContain(PASSWORD);
  return result;
}

async function runJson(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<unknown> {
  return JSON.parse((await runDb([...args, '--json'], env)).stdout);
}

describe.skipIf(POSTGRES === undefined)('a shared database', () => {
  afterAll(stopSharedPostgres);

  beforeEach(async () => {
    cli = await openCli();
    source = locateFile(cli.databasePath);
    await mkdir(dirname(cli.databasePath), { recursive: true, mode: 0o700 });
  });

  describe('db migrate and db status', () => {
    it('make the tables, once, and say what is there', async () => {
      await createTarget(false);
      const bare = await runDb(['status']);
      expect(bare.code).toBe(1);
      expect(bare.stdout).toContain('It has no tables of bedrock-proxy: `bedrock-proxy db migrate` makes them.');
      const made = await runDb(['migrate']);
      expect(made.stderr).toBe(`Made the tables of bedrock-proxy in ${shown}: the schema bedrock_proxy, version 1.\n`);
      expect(await runJson(['migrate'])).toEqual({ database: shown, from: 1, to: 1 });
      expect(await runJson(['status'])).toMatchObject({
        database: shown,
        ok: true,
        tls: false,
        schema_version: 1,
        secret: 'not used yet',
        counts: { keys: 0, requests: 0, requests_estimated: false, reservations: 0 },
        problems: [],
      });
    });

    it.each([
      { salt: SALT, secret: 'same', code: 0 },
      { salt: '', secret: 'not set here', code: 0 },
      { salt: 'salt-key-of-another-one', secret: 'other', code: 1 },
    ])('tell that the secret is $secret', async ({ salt, secret, code }) => {
      await createTarget(true);
      await withStore(target, async () => {}, { sealing: { saltKey: SALT } });
      const result = await runDb(['status'], { BEDROCK_PROXY_SALT_KEY: salt });
      expect(result.code).toBe(code);
      expect(result.stdout).toMatch(new RegExp(`^secret +${secret}$`, 'm'));
    });

    it('a key that another secret has sealed is not shown, and the hint names no file', async () => {
      await createTarget(true);
      const at = { BEDROCK_PROXY_DB: target.kind === 'postgres' ? target.url : '' };
      await cli.run(['key', 'generate', '--alias', 'a'], { ...at, BEDROCK_PROXY_SALT_KEY: SALT });
      const shownKey = await cli.run(['env', '--key', 'a'], {
        ...at,
        BEDROCK_PROXY_SALT_KEY: 'salt-key-of-another-one',
      });
      expect(shownKey.stderr).toContain(
        'hint: Set BEDROCK_PROXY_SALT_KEY to what the other proxies of this database have.',
      );
    });
  });

  describe('db copy', () => {
    beforeEach(() => createTarget(true));

    it('copies keys, what they have spent, and the ledger, and seals keys anew', async () => {
      const secret = findServerSecret(source, undefined);
      const minting = { serverSecret: secret, nowMs: NOW_MS, randomBytes };
      const plain = await withStore(source, async (store) => {
        const kept = await mintKey({ ...minting, store, alias: 'kept' });
        const rotated = await mintKey({ ...minting, store, alias: 'rotated' });
        const [row] = await store.findKeys({ ids: [rotated.id] });
        const successor = row && (await rotateKey(row, 60_000, { ...minting, store }));
        await store.deleteKey((await mintKey({ ...minting, store, alias: 'deleted' })).id, NOW_MS);
        await settleSome(store, [kept.id, rotated.id, successor?.id ?? '']);
        return [kept, rotated, successor].map((minted) => minted?.key);
      });
      const { code, stdout, stderr } = await runDb(['copy']);
      expect([code, stderr]).toEqual([0, `${shown} has all of ${source.shown}.\n`]);
      expect(stdout).toMatch(/^keys +4 +4 +4$/m);
      expect(stdout).toMatch(/^requests +5000 +\$0\.005 +5000 +\$0\.005 +5000$/m);
      const [before, after] = await Promise.all([source, target].map((place) => withStore(place, readAll)));
      const targetSecret = findServerSecret(target, SALT);
      expect(after?.keys.map(({ sealedKey, id }) => unsealKey(sealedKey, id, targetSecret))).toEqual(plain);
      expect(after?.keys.map((key) => ({ ...key, sealedKey: undefined }))).toEqual(
        before?.keys.map((key) => ({ ...key, sealedKey: undefined })),
      );
      expect(after?.spends).toEqual(before?.spends);
      expect(after?.rows).toEqual(before?.rows.map((row) => ({ ...row, path: row.path && 'a\uFFFDb\uFFFD' })));
      expect(await runJson(['copy'])).toMatchObject({ complete: true, keys: { copied: 0 }, requests: { copied: 0 } });
    });

    it('goes on where it was cut', async () => {
      await withStore(source, (store) => settleSome(store, ['vk_a']));
      const rows = openStoredRows(cli.databasePath);
      const into = await openRowImport(target.kind === 'postgres' ? target.url : '', fingerprint());
      await into.addLedger(rows.readLedger(0, 2_000), { source: 'another', sequence: 2_000 });
      await into.close();
      rows.close();
      const expected = { complete: true, requests: { source: 5_000, target: 5_000 } };
      expect(await runJson(['copy'])).toMatchObject(expected);
      expect(await runJson(['copy'])).toMatchObject({ ...expected, requests: { copied: 0 } });
    });

    it('says what differs: what a key spent in the file after it was copied', async () => {
      await withStore(source, (store) => settleSome(store, ['vk_a'], 2));
      expect((await runDb(['copy'])).code).toBe(0);
      await withStore(source, (store) => settleSome(store, ['vk_a'], 3));
      const { code, stdout } = await runDb(['copy', '--json']);
      expect([code, JSON.parse(stdout)]).toMatchObject([
        1,
        { complete: false, budgets: { source_usd: '0.000005', target_usd: '0.000002' }, requests: { copied: 3 } },
      ]);
    });

    it('misses nothing of a key that has spent more since it was copied', async () => {
      await withStore(source, (store) => settleSome(store, ['vk_a'], 2));
      expect((await runDb(['copy'])).code).toBe(0);
      await withStore(target, (store) => settleSome(store, ['vk_a'], 3));
      const { code, stderr } = await runDb(['copy']);
      expect([code, stderr]).toEqual([0, `${shown} has all of ${source.shown}.\n`]);
    });

    it('refuses a file that is in use, and an alias that is taken', async () => {
      const reservation = aReservation({ nowMs: Date.now(), amountNanoUsd: 5, budget: aBudget(10) });
      const busy = await withStore(source, async (store) => {
        await store.reserve(reservation);
        return runDb(['copy']);
      });
      expect([busy.code, busy.stderr]).toMatchObject([2, expect.stringContaining('1 requests are under way')]);
      await withStore(source, (store) => store.settle(reservation.ifLost));
      for (const place of [source, target]) {
        const serverSecret = findServerSecret(place, place === target ? SALT : undefined);
        await withStore(place, (store) => mintKey({ store, serverSecret, alias: 'a', nowMs: NOW_MS, randomBytes }));
      }
      const taken = await runDb(['copy']);
      expect([taken.code, taken.stderr]).toMatchObject([2, expect.stringContaining('active key with the alias a.')]);
    });
  });
});

describe('a database that is not asked', () => {
  beforeEach(async () => {
    cli = await openCli();
    target = readDatabaseLocation({ db: `postgres://owner:${PASSWORD}@127.0.0.1:1/x` }, {});
  });

  it('is what db status tells if it cannot be reached', async () => {
    const problem = 'The database cannot be reached. Check its address, and that it runs.';
    const shownUrl = 'postgres://owner@127.0.0.1:1/x';
    const said = await runDb(['status']);
    expect(said).toMatchObject({ code: 1, stdout: `database  ${shownUrl}\n\n${problem}\n`, stderr: '' });
    expect(await runJson(['status'])).toEqual({ database: shownUrl, ok: false, problems: [problem] });
  });

  it.each([
    { args: ['check'], instead: 'db status' },
    { args: ['backup', 'x.db'], instead: 'pg_dump' },
    { args: ['restore', 'x.db'], instead: 'pg_restore' },
  ])('is not for db $args.0, which says what is', async ({ args, instead }) => {
    const { code, stderr } = await runDb(args);
    expect(code).toBe(2);
    expect(stderr).toContain('error: BEDROCK_PROXY_DB names a PostgreSQL database; this is for a SQLite file.');
    expect(stderr).toContain(instead);
  });

  it.each([
    { args: ['--to', 'other.db'], says: '--to must name a PostgreSQL database' },
    { args: ['--from', 'postgres://owner:hunter2@h/d'], says: '--from must name a SQLite file.' },
    { args: ['--from', 'missing.db'], says: 'hint: Name it with --from.' },
  ])('refuses to copy with $args', async ({ args, says }) => {
    const { code, stderr } = await runDb(['copy', ...args]);
    expect([code, stderr]).toMatchObject([2, expect.stringContaining(says)]);
  });
});

const fingerprint = (): string => fingerprintSecret(findServerSecret(target, SALT));

/** Five thousand requests, of these keys in turn; some with text that PostgreSQL does not take. */
async function settleSome(store: Store, keyIds: readonly string[], count = 5_000): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) =>
    aLedgerRow({
      keyId: keyIds[index % keyIds.length],
      startedAtMs: NOW_MS - index,
      path: index % 100 === 0 ? 'a\0b\uD800' : undefined,
      partial: index % 3 === 0,
      tags: { team: 'red' },
    }),
  );
  await store.settleAll(rows);
}

async function readAll(store: Store) {
  const keys = await store.listKeys();
  const spends = await store.findSpend(keys, NOW_MS);
  const rows = await store.readLedger({}, { after: 0, limit: 10_000 });
  return { keys, spends, rows: rows.map((row) => ({ ...row, sequence: undefined })) };
}
