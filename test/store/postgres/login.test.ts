/** Who is let in by a PostgreSQL server, and which server is believed: TLS as sslmode says, and passwords of a file. */
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeCertificate } from '../../../src/server/make-certificate.ts';
import { openDatabase } from '../../../src/store/postgres/database.ts';
import { failureOf } from '../../helpers/failure.ts';
import { POSTGRES, type PostgresServer, removePostgres, startPostgres } from '../../helpers/postgres.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const HOUR_MS = 3_600_000;
const PASSWORD = 'canary:p\\ä';

describe.skipIf(POSTGRES === undefined)('a login to PostgreSQL', () => {
  let server: PostgresServer;
  let folder: string;

  beforeAll(async () => {
    server = await startPostgres();
    const now = Date.now();
    const { ca, cert, key } = makeCertificate(['localhost'], new Date(now - HOUR_MS), new Date(now + HOUR_MS));
    const other = makeCertificate(['localhost'], new Date(now - HOUR_MS), new Date(now + HOUR_MS));
    write('server.crt', cert);
    write('server.key', key);
    write('ca.crt', ca);
    write('other.crt', other.ca);
    write(
      'data/pg_hba.conf',
      'host all owner 127.0.0.1/32 trust\nhost all ann 127.0.0.1/32 scram-sha-256\nhostssl all bob all trust\n' +
        'hostnossl all plain all trust\n',
    );
    await server.run(`CREATE ROLE ann LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE bob LOGIN; CREATE ROLE plain LOGIN`);
    await server.run(`ALTER SYSTEM SET ssl_cert_file = '${join(server.folder, 'server.crt')}'`);
    await server.run(`ALTER SYSTEM SET ssl_key_file = '${join(server.folder, 'server.key')}'`);
    await setTls(true);
  });
  afterAll(() => removePostgres(server));
  beforeEach(async () => {
    folder = await makeTemporaryFolder();
  });

  /** Of the user that the server runs as. */
  function write(name: string, text: string): void {
    const path = join(server.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    const { uid, gid } = statSync(server.folder);
    chownSync(path, uid, gid);
  }

  async function setTls(isOn: boolean): Promise<void> {
    await server.run(`ALTER SYSTEM SET ssl = ${isOn ? 'on' : 'off'}`);
    await server.run('SELECT pg_reload_conf()');
    await vi.waitFor(async () => expect(await server.run('SHOW ssl')).toEqual([{ ssl: isOn ? 'on' : 'off' }]));
  }

  /** Whether the connection has TLS. */
  async function connect(login: string, query: string, host = '127.0.0.1'): Promise<boolean | undefined> {
    const database = openDatabase(`postgres://${login}@${host}:${server.port}/postgres?${query}`);
    try {
      const text = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
      return (await database.query<{ ssl: boolean }>({ name: 'ssl', text }))[0]?.ssl;
    } finally {
      await database.close();
    }
  }

  const file = (name: string): string => encodeURIComponent(join(server.folder, name));

  it.each([
    ['disable', 'owner', '', '127.0.0.1', false],
    ['allow', 'owner', '', '127.0.0.1', false],
    ['allow', 'bob', '', '127.0.0.1', true],
    ['prefer', 'owner', '', '127.0.0.1', true],
    ['prefer', 'plain', '', '127.0.0.1', false],
    ['require', 'owner', '', '127.0.0.1', true],
    ['require', 'owner', 'ca.crt', '127.0.0.1', true],
    ['verify-ca', 'owner', 'ca.crt', '127.0.0.1', true],
    ['verify-full', 'owner', 'ca.crt', 'localhost', true],
  ])('takes TLS as sslmode=%s says, for %s, with the authority %s, at %s: %s', async (mode, user, ca, host, hasTls) => {
    expect(await connect(user, `sslmode=${mode}${ca && `&sslrootcert=${file(ca)}`}`, host)).toBe(hasTls);
  });

  it.each([
    ['disable', 'bob', '', '127.0.0.1', 'refuses this user, or this user from here'],
    ['require', 'plain', '', '127.0.0.1', 'refuses this user, or this user from here'],
    ['require', 'owner', 'other.crt', '127.0.0.1', 'has a certificate that is not trusted'],
    ['verify-ca', 'owner', 'other.crt', '127.0.0.1', 'has a certificate that is not trusted'],
    ['verify-full', 'owner', 'other.crt', 'localhost', 'has a certificate that is not trusted'],
    ['verify-full', 'owner', '', 'localhost', 'has a certificate that is not trusted'],
    ['verify-full', 'owner', 'ca.crt', '127.0.0.1', 'has a certificate for another name'],
  ])('refuses what sslmode=%s refuses, for %s, with the authority %s, at %s', async (mode, user, ca, host, what) => {
    const failure = await failureOf(() => connect(user, `sslmode=${mode}${ca && `&sslrootcert=${file(ca)}`}`, host));
    expect(failure).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: `The database ${what}.` });
  });

  it('goes on without TLS if the server has none, unless that is required', async () => {
    await setTls(false);
    onTestFinished(() => setTls(true));
    expect(await connect('owner', '')).toBe(false);
    expect((await failureOf(() => connect('owner', 'sslmode=require'))).message).toBe('The database offers no TLS.');
  });

  it('wants the files that are named', async () => {
    const failure = await failureOf(() => connect('owner', `sslmode=verify-full&sslrootcert=${file('none.crt')}`));
    expect(failure).toMatchObject({ code: 'ERR_BAD_OPTION', detail: join(server.folder, 'none.crt') });
    expect((await failureOf(() => connect('owner', 'sslmode=verify-ca'))).code).toBe('ERR_BAD_OPTION');
  });

  it('finds the password in the URL or in a file, with TLS and without', async () => {
    expect(await connect(`ann:${encodeURIComponent(PASSWORD)}`, 'sslmode=disable')).toBe(false);
    expect(await connect(`ann:${encodeURIComponent(PASSWORD)}`, 'sslmode=require')).toBe(true);
    const lines = [
      '# all of ours',
      'elsewhere:*:*:ann:wrong',
      `127.0.0.1:${server.port}:postgres:bob:wrong`,
      String.raw`127.0.0.1:${server.port}:*:ann:canary\:p\\ä`,
      '*:*:*:*:wrong',
    ];
    const path = join(folder, 'passwords');
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
    expect(await connect('ann', `passfile=${encodeURIComponent(path)}`)).toBe(true);
    chmodSync(path, 0o644);
    const failure = await failureOf(() => connect('ann', `passfile=${encodeURIComponent(path)}`));
    expect(failure).toMatchObject({ message: 'The password file of the database can be read by other users.' });
  });

  it('says that a password is missing or wrong, and never shows it', async () => {
    const missing = await failureOf(() => connect('ann', `passfile=${encodeURIComponent(join(folder, 'none'))}`));
    expect(missing.message).toBe('The database asks for a password, and none was given.');
    const wrong = await failureOf(() => connect('ann:canary', 'sslmode=prefer'));
    expect(wrong.message).toBe('The database refuses the password.');
    expect(JSON.stringify([wrong.message, wrong.hint, wrong])).not.toContain('canary');
  });
});
