import { lstatSync, readdirSync } from 'node:fs';
import { symlink, writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type SpoolDirectory, Spool } from '../../src/http/spool.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

let place: SpoolDirectory;

beforeEach(async () => {
  place = { folder: await makeTemporaryFolder(), newId: () => 'one' };
});

async function readAll(spool: Spool): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of spool.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a spool', () => {
  it.each([1, 262_143, 262_144, 262_145, 1_000_000])('gives back the %i bytes it was given', async (size) => {
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    const spool = new Spool(place);
    void spool.write([bytes.subarray(0, 1), bytes.subarray(1, size >> 1)]);
    await spool.write([bytes.subarray(Math.max(1, size >> 1))]);
    expect((await readAll(spool)).equals(bytes)).toBe(true);
    expect((await readAll(spool)).equals(bytes)).toBe(true);
    await spool.release();
  });

  it('makes no file before its first byte', async () => {
    await new Spool(place).release();
    expect(readdirSync(place.folder)).toEqual([]);
  });

  it.runIf(process.platform !== 'win32')('has no name on disk while it is used', async () => {
    const spool = new Spool(place);
    await spool.write([Buffer.from('a')]);
    expect(readdirSync(place.folder)).toEqual([]);
    await spool.release();
  });

  it('releases a spool after what is still being written, and only once', async () => {
    const spool = new Spool(place);
    await spool.write([Buffer.from('first')]);
    const writing = spool.write([Buffer.alloc(1_000_000)]);
    await Promise.all([spool.release(), spool.release(), writing]);
    await expect(readAll(spool)).rejects.toThrow();
    await spool.write([Buffer.from('too late')]);
    expect(readdirSync(place.folder)).toEqual([]);
  });

  it.runIf(process.platform !== 'win32')('does not follow a link that lies in its place', async () => {
    const victim = join(place.folder, 'victim');
    await writeFile(victim, 'untouched');
    await symlink(victim, join(place.folder, 'bedrock-proxy-one.body'));
    const error = await failureOf(() => new Spool(place).write([Buffer.from('evil')]));
    expect([error.code, error.status]).toEqual(['ERR_SPOOL', 507]);
    expect(await readFile(victim, 'utf8')).toBe('untouched');
    expect(lstatSync(join(place.folder, 'bedrock-proxy-one.body')).isSymbolicLink()).toBe(true);
  });

  it('says where a spool has no room to the operator alone', async () => {
    const spool = new Spool({ ...place, folder: join(place.folder, 'missing') });
    const error = await failureOf(() => spool.write([Buffer.from('a')]));
    expect([error.code, error.fault, error.message.includes('ENOENT')]).toEqual(['ERR_SPOOL', 'operator', true]);
    expect(error.message + error.hint).not.toContain(place.folder);
    expect(error.detail).toContain('missing');
    await spool.release();
  });
});
