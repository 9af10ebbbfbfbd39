import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadServerSecret, serverSecretPath } from '../../src/keys/server-secret.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = serverSecretPath(join(folder, 'keys.db'));
});

describe('the server secret', () => {
  it('keeps 32 random bytes in a private file beside the database as the server secret', async () => {
    const secret = loadServerSecret(path);
    expect(path).toBe(join(folder, 'keys.db.secret'));
    expect(secret).toHaveLength(32);
    expect(secret.equals(Buffer.alloc(32))).toBe(false);
    expect(loadServerSecret(path).equals(secret)).toBe(true);
    expect(await readFile(path, 'utf8')).toBe(`${secret.toString('base64url')}\n`);
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['keys.db.secret']);
  });

  it('makes another server secret for another database', () => {
    expect(loadServerSecret(path).equals(loadServerSecret(`${path}.other`))).toBe(false);
  });

  it('makes the folder the server secret needs, as private as the file', async () => {
    const deep = join(folder, 'a', 'b');
    loadServerSecret(join(deep, 'secret'));
    if (process.platform !== 'win32') expect((await stat(deep)).mode & 0o777).toBe(0o700);
  });

  it('reads a server secret with white space that an editor leaves', async () => {
    const secret = loadServerSecret(path);
    await writeFile(path, `  ${secret.toString('base64url')} \r\n\n`);
    expect(loadServerSecret(path).equals(secret)).toBe(true);
  });

  it.skipIf(process.platform === 'win32')('refuses a server secret that others may read', async () => {
    loadServerSecret(path);
    await chmod(path, 0o644);
    const error = await failureOf(() => loadServerSecret(path));
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', detail: path });
    expect(error.message).toBe('The server secret beside the key database can be read by other users (mode 644).');
  });

  it('makes one server secret for processes that make it at once', async () => {
    const secrets = await Promise.all(Array.from({ length: 4 }, () => loadInChild(path)));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]).toBe(loadServerSecret(path).toString('hex'));
    expect(await readdir(folder)).toEqual(['keys.db.secret']);
  });

  it.each([
    { name: 'empty', content: '' },
    { name: 'too short', content: 'c2hvcnQ\n' },
    { name: 'too long', content: 'A'.repeat(60) },
    { name: 'no base64url', content: '!'.repeat(43) },
  ])('never replaces a server secret whose file is damaged: $name', async ({ content }) => {
    await writeFile(path, content, { mode: 0o600 });
    const error = await failureOf(() => loadServerSecret(path));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The server secret beside the key database is damaged.');
    expect(error.detail).toBe(path);
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  it('says that the file of the server secret cannot be read', async () => {
    await mkdir(path);
    const error = await failureOf(() => loadServerSecret(path));
    expect(error.code).toBe('ERR_STORE_UNAVAILABLE');
    expect(error.message).toBe('The server secret beside the key database cannot be used (EISDIR).');
    expect(error.hint).toContain('BEDROCK_PROXY_SALT_KEY');
  });
});

async function loadInChild(at: string): Promise<string> {
  const script = `
    import { loadServerSecret } from ${JSON.stringify(new URL('../../src/keys/server-secret.ts', import.meta.url).href)};
    process.stdout.write(loadServerSecret(${JSON.stringify(at)}).toString('hex'));`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return output;
}
