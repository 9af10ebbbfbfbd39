import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { locateFile, nameDatabase, readDatabaseLocation } from '../../src/config/database-location.ts';
import { failureOf } from '../helpers/failure.ts';

it.each([
  { given: 'keys.db', path: resolve('keys.db') },
  { given: './a/../keys.db', path: resolve('keys.db') },
  { given: '/abs/keys.db', path: '/abs/keys.db' },
  { given: 'file:./dev.db', path: resolve('dev.db') },
  { given: 'file:dev.db?connection_limit=1', path: resolve('dev.db') },
  { given: 'file:///abs/my%20keys.db', path: '/abs/my keys.db' },
  { given: 'file:/abs/keys.db', path: '/abs/keys.db' },
  { given: 'sqlite:keys.db', path: resolve('keys.db') },
  { given: 'sqlite://keys.db', path: resolve('keys.db') },
  { given: 'sqlite:///abs/keys.db', path: '/abs/keys.db' },
  { given: 'SQLITE:///abs/keys.db?mode=rwc', path: '/abs/keys.db' },
  { given: 'c:keys.db', path: resolve('c:keys.db') },
])('finds the key database at $given', ({ given, path }) => {
  expect(readDatabaseLocation({ db: given }, {})).toEqual(locateFile(path));
  expect(readDatabaseLocation({}, { DATABASE_URL: given })).toEqual(locateFile(path));
});

it('prefers BEDROCK_PROXY_DB to a DATABASE_URL that belongs to something else', () => {
  expect(readDatabaseLocation({}, { BEDROCK_PROXY_DB: '/b.db', DATABASE_URL: 'postgres://u:p@h/d' })).toEqual(
    locateFile('/b.db'),
  );
});

it.each([
  { given: 'postgres://db/x' },
  { given: 'postgresql://alice@db:5433/x?sslmode=require' },
  { given: 'POSTGRES://alice:hunter2@db/x', shown: 'POSTGRES://alice@db/x' },
  { given: 'postgres://alice:hunter2@one:1,two:2/x', shown: 'postgres://alice@one:1,two:2/x' },
  { given: 'postgres://:hunter2@db/x', shown: 'postgres://@db/x' },
  { given: 'postgres://alice:hunter2/?#@hunter2@db/x', shown: 'postgres://alice@db/x' },
  { given: 'postgres:///x?host=/run&user=alice&password=hunter2', shown: 'postgres:///x?host=%2Frun&user=alice' },
  { given: 'postgres://db/x?p%61ssword=hunter2&sslpassword=hunter2', shown: 'postgres://db/x' },
])('shows the PostgreSQL database $given without its password', ({ given, shown = given }) => {
  const found = readDatabaseLocation({ db: given }, { XDG_DATA_HOME: '/data' });
  expect(found).toEqual({ kind: 'postgres', url: given, shown, folder: '/data/bedrock-proxy', origin: '--db' });
  expect(nameDatabase(found)).toBe(given);
  expect(nameDatabase(readDatabaseLocation({ db: shown }, {}))).toBe(shown);
});

it('names the variable of a URL that names no server', async () => {
  const error = await failureOf(() => readDatabaseLocation({}, { DATABASE_URL: 'postgres:x' }));
  expect(error.message).toBe('DATABASE_URL must be like postgres://user@host/database, not "postgres:x".');
});

it.each([
  { url: 'mysql://alice:hunter2@db/x', says: 'DATABASE_URL names a mysql database, which is not supported.' },
  {
    url: 'mongodb+srv://alice:hunter2@db',
    says: 'DATABASE_URL names a mongodb+srv database, which is not supported.',
  },
])('refuses the database $url and keeps its password to itself', async ({ url, says }) => {
  const error = await failureOf(() => readDatabaseLocation({}, { DATABASE_URL: url }));
  expect(error.code).toBe('ERR_BAD_OPTION');
  expect(error.message).toBe(says);
  expect(error.hint).toContain('--db');
});

it.each([
  { platform: 'linux', env: { XDG_DATA_HOME: '/data' }, folder: '/data/bedrock-proxy' },
  { platform: 'linux', env: {}, folder: join(homedir(), '.local/share/bedrock-proxy') },
  { platform: 'linux', env: { XDG_DATA_HOME: '' }, folder: join(homedir(), '.local/share/bedrock-proxy') },
  { platform: 'linux', env: { XDG_DATA_HOME: 'relative' }, folder: join(homedir(), '.local/share/bedrock-proxy') },
  { platform: 'freebsd', env: { XDG_DATA_HOME: '/data' }, folder: '/data/bedrock-proxy' },
  {
    platform: 'darwin',
    env: { XDG_DATA_HOME: '/data' },
    folder: join(homedir(), 'Library/Application Support/bedrock-proxy'),
  },
  { platform: 'win32', env: { LOCALAPPDATA: '/Local' }, folder: '/Local/bedrock-proxy' },
  { platform: 'win32', env: { LOCALAPPDATA: '' }, folder: join(homedir(), 'AppData/Local/bedrock-proxy') },
  { platform: 'win32', env: {}, folder: join(homedir(), 'AppData/Local/bedrock-proxy') },
] as const)('keeps the key database on $platform with $env in $folder', ({ platform, env, folder }) => {
  expect(readDatabaseLocation({}, env, platform)).toEqual(locateFile(join(folder, 'keys.db')));
});
