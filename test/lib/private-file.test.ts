import { chmod, chown, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type PrivateFile, requirePrivateFile } from '../../src/lib/private-file.ts';
import { failureOf } from '../helpers/failure.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const US = process.geteuid?.() ?? 0;
const SOMEBODY = 12_345;
const OURS: PrivateFile = {
  name: 'The file',
  code: 'ERR_STORE_UNAVAILABLE',
  isSecret: false,
  isMadeByUs: true,
  alternative: 'Or another.',
};
const SECRET: PrivateFile = { ...OURS, isSecret: true };
const OPERATORS: PrivateFile = { ...SECRET, isMadeByUs: false };

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'file');
});

async function make(mode: number): Promise<void> {
  await writeFile(path, 'x');
  await chmod(path, mode);
}

const modeNow = async (): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe.skipIf(process.platform === 'win32')('a file', () => {
  it.each([
    { name: 'a database of mode 600', file: OURS, mode: 0o600 },
    { name: 'a database of mode 644', file: OURS, mode: 0o644 },
    { name: 'a secret of mode 600', file: SECRET, mode: 0o600 },
    { name: "an operator's key of mode 400", file: OPERATORS, mode: 0o400 },
  ])('is left as it is: $name', async ({ file, mode }) => {
    await make(mode);
    requirePrivateFile(path, file);
    expect(await modeNow()).toBe(mode.toString(8));
  });

  it.each([
    { name: 'a database', file: OURS, mode: 0o666, says: 'can be changed by other users (mode 666)' },
    { name: 'a database', file: OURS, mode: 0o602, says: 'can be changed by other users (mode 602)' },
    { name: 'a secret', file: SECRET, mode: 0o644, says: 'can be read by other users (mode 644)' },
    { name: "an operator's key", file: OPERATORS, mode: 0o604, says: 'can be read by other users (mode 604)' },
    { name: "an operator's key", file: OPERATORS, mode: 0o620, says: 'can be changed by other users (mode 620)' },
  ])('is refused as $name: $says', async ({ file, mode, says }) => {
    await make(mode);
    const error = await failureOf(() => requirePrivateFile(path, file));
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: `The file ${says}.`, detail: path });
    expect(error.hint).toMatch(/chmod 600.*Or another\./);
    expect(await modeNow()).toBe(mode.toString(8));
  });

  it.each([
    { name: 'a database of mode 660', file: OURS, mode: 0o660 },
    { name: 'a database of mode 664', file: OURS, mode: 0o664 },
    { name: 'a secret of mode 640', file: SECRET, mode: 0o640 },
  ])('of ours is taken from its group: $name', async ({ file, mode }) => {
    // As a restored backup has it, or a volume of Kubernetes with an fsGroup.
    await make(mode);
    requirePrivateFile(path, file);
    expect(await modeNow()).toBe('600');
  });

  it('is refused if another user owns it, whatever its mode', async () => {
    await make(0o600);
    // Root's is trusted by everybody: as root, see the next test.
    if (US === 0) return;
    expect((await failureOf(() => requirePrivateFile(path, OURS, SOMEBODY))).message).toContain('another user');
  });

  it.runIf(US === 0)(
    'of another user is refused for everybody, and for root unless he owns the folder too',
    async () => {
      await make(0o600);
      await chown(path, SOMEBODY, SOMEBODY);
      for (const userId of [US, 54_321]) {
        const error = await failureOf(() => requirePrivateFile(path, OURS, userId));
        expect(error.message).toBe(`The file belongs to another user (${SOMEBODY}).`);
      }
      requirePrivateFile(path, OURS, SOMEBODY);
      await chown(folder, SOMEBODY, SOMEBODY);
      requirePrivateFile(path, OURS, US);
      expect((await failureOf(() => requirePrivateFile(path, OURS, 54_321))).message).toContain('another user');
    },
  );

  it.runIf(US === 0)("of root's may be read by its group, as keys in /etc/ssl and in mounted secrets are", async () => {
    await make(0o440);
    requirePrivateFile(path, OPERATORS, SOMEBODY);
    await make(0o444);
    expect((await failureOf(() => requirePrivateFile(path, OPERATORS, SOMEBODY))).message).toContain('can be read');
  });

  it('is followed if it is a link to such a file, and refused as a link to nothing', async () => {
    await make(0o600);
    const link = join(folder, 'link');
    await symlink(path, link);
    requirePrivateFile(link, SECRET);
    await chmod(path, 0o644);
    expect((await failureOf(() => requirePrivateFile(link, SECRET))).message).toContain('can be read');
    await symlink(join(folder, 'nothing'), join(folder, 'dangling'));
    const error = await failureOf(() => requirePrivateFile(join(folder, 'dangling'), OURS));
    expect(error.message).toBe('The file is a symbolic link to nothing.');
  });

  it('may be missing, or no file at all', async () => {
    requirePrivateFile(path, SECRET);
    requirePrivateFile('/dev/null', SECRET);
    await mkdir(path);
    requirePrivateFile(path, SECRET);
  });
});
