import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { readDatabasePath } from '../../src/config/config.ts';
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
  expect(readDatabasePath({ db: given }, {})).toBe(path);
  expect(readDatabasePath({}, { DATABASE_URL: given })).toBe(path);
});

it('prefers BEDROCK_PROXY_DB to a DATABASE_URL that belongs to something else', () => {
  expect(readDatabasePath({}, { BEDROCK_PROXY_DB: '/b.db', DATABASE_URL: 'postgres://u:p@h/d' })).toBe('/b.db');
});

it.each([
  {
    url: 'postgres://alice:hunter2@db/x',
    says: 'DATABASE_URL names a PostgreSQL database, which is not supported yet.',
  },
  {
    url: 'postgresql://alice:hunter2@db/x',
    says: 'DATABASE_URL names a PostgreSQL database, which is not supported yet.',
  },
  { url: 'mysql://alice:hunter2@db/x', says: 'DATABASE_URL names a mysql database, which is not supported.' },
  {
    url: 'mongodb+srv://alice:hunter2@db',
    says: 'DATABASE_URL names a mongodb+srv database, which is not supported.',
  },
])('refuses the database $url and keeps its password to itself', async ({ url, says }) => {
  const error = await failureOf(() => readDatabasePath({}, { DATABASE_URL: url }));
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
  expect(readDatabasePath({}, env, platform)).toBe(join(folder, 'keys.db'));
});
