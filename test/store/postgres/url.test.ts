/** How the URL of a database is read: as libpq reads it, and never shown with what is secret in it. */
import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { addPostgresVariables } from '../../../src/config/postgres-variables.ts';
import { parseDatabaseUrl } from '../../../src/store/postgres/url.ts';
import { failureOf } from '../../helpers/failure.ts';

const ME = userInfo().username;
const shown = (url: string): string => parseDatabaseUrl(url).shownUrl;

describe('the URL of a database', () => {
  it.each([
    ['postgres://', ['localhost:5432'], ME, ME],
    ['postgresql:///keys', ['localhost:5432'], ME, 'keys'],
    ['POSTGRES://ann@db/keys', ['db:5432'], 'ann', 'keys'],
    ['postgres://ann@db:6000', ['db:6000'], 'ann', 'ann'],
    ['postgres://ann@[::1]:6000/keys', ['::1:6000'], 'ann', 'keys'],
    ['postgres://ann@a:1,b,[fe80::2]:3/keys', ['a:1', 'b:5432', 'fe80::2:3'], 'ann', 'keys'],
    ['postgres://ann@%2Frun%2Fpostgresql/keys', ['/run/postgresql:5432'], 'ann', 'keys'],
    ['postgres:///keys?host=/run/postgresql&port=6000&user=ann', ['/run/postgresql:6000'], 'ann', 'keys'],
    ['postgres:///?host=a,b&port=1,2&dbname=keys', ['a:1', 'b:2'], ME, 'keys'],
    ['postgres://ann@a/keys?host=b&user=bob&dbname=others', ['a:5432'], 'ann', 'keys'],
    ['postgres://ann%40x:p%2F@db/my%20keys', ['db:5432'], 'ann@x', 'my keys'],
  ])('names servers, a user and a database: %s', (url, hosts, user, database) => {
    const address = parseDatabaseUrl(url);
    expect(address.hosts.map(({ host, port }) => `${host}:${port}`)).toEqual(hosts);
    expect(address).toMatchObject({ user, database });
  });

  it.each([
    ['', 'prefer'],
    ['?sslmode=verify-full', 'verify-full'],
    ['?ssl=true', 'require'],
    ['?ssl=true&sslmode=verify-ca', 'verify-ca'],
    ['?sslmode=require&channel_binding=require', 'verify-full'],
    ['?sslmode=verify-ca&channel_binding=require', 'verify-ca'],
  ])('says how TLS is used: %s', (query, sslMode) => {
    expect(parseDatabaseUrl(`postgres://db/keys${query}`)).toMatchObject({ sslMode });
  });

  it.each([
    ['postgres://db/keys', false],
    ['postgres://a,b/keys', true],
    ['postgres://db/keys?target_session_attrs=read-write', true],
    ['postgres://a,b/keys?target_session_attrs=any', true],
  ])('wants a server that can be written to if there are several: %s', (url, requireWritable) => {
    expect(parseDatabaseUrl(url)).toMatchObject({ requireWritable });
  });

  it('takes what poolers, Rails and Prisma write', () => {
    const url =
      'postgres://ann:x@db/keys?pgbouncer=true&connection_limit=1&pool_timeout=3&schema=public&connect_timeout=7';
    expect(parseDatabaseUrl(url)).toMatchObject({ prepares: false, connectTimeoutMs: 7_000 });
    expect(parseDatabaseUrl('postgres://db/keys?pool=5')).toMatchObject({ prepares: true });
  });

  it.each([
    'mysql://db/keys',
    'postgres://ann:canary@db:0/keys',
    'postgres://ann:canary@db:port/keys',
    'postgres://ann:canary@db/keys?sslmode=maybe',
    'postgres://ann:canary@db/keys?sslcrl=revoked.pem',
    'postgres://ann:canary@db/keys?gssencmode=require',
    'postgres://ann:canary@db/keys?target_session_attrs=standby',
    'postgres://ann:canary@db/keys?connect_timeout=soon',
    'postgres://ann:can%ary@db/keys',
    'postgres://ann:x?canary=y@db/keys',
    'postgres://ann:12/canary@db/keys',
  ])('is refused, and never quoted: %s', async (url) => {
    const error = await failureOf(async () => parseDatabaseUrl(url));
    expect(error).toMatchObject({ code: 'ERR_BAD_OPTION' });
    expect(JSON.stringify([error.message, error])).not.toContain('canary');
  });

  it('is shown without the password and all parameters', () => {
    expect(shown('postgres://ann:canary@db/keys?password=canary&sslkey=x')).toBe('postgres://ann@db/keys');
    expect(shown('postgres://ann:c@nary@a:1,[::1]/keys')).toBe('postgres://ann@a:1,[::1]/keys');
    expect(shown('postgres:///keys?user=ann&host=/run/pg')).toBe('postgres://ann@%2Frun%2Fpg/keys');
  });
});

describe('the variables PG*', () => {
  const variables = { PGHOST: 'other', PGUSER: 'bob', PGPASSWORD: 'p&?=ä', PGSSLMODE: 'require', PGDATABASE: '' };

  it('say what the URL does not', () => {
    expect(parseDatabaseUrl(addPostgresVariables('postgres://', variables))).toMatchObject({
      hosts: [{ host: 'other', port: 5432 }],
      user: 'bob',
      password: 'p&?=ä',
      sslMode: 'require',
    });
  });

  it('do not say what the URL says', () => {
    const url = addPostgresVariables('postgres://ann:x@db/keys?sslmode=disable', variables);
    expect(parseDatabaseUrl(url)).toMatchObject({
      hosts: [{ host: 'db', port: 5432 }],
      user: 'ann',
      password: 'x',
      database: 'keys',
      sslMode: 'disable',
    });
  });

  it('change nothing if there are none', () => {
    expect(addPostgresVariables('postgres://db/keys', { HOME: '/' })).toBe('postgres://db/keys');
  });
});
