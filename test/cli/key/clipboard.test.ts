import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyText, listCopyCommands } from '../../../src/cli/key/clipboard.ts';
import { openCli } from '../../helpers/cli.ts';

const node = (script: string) => [process.execPath, '--eval', script] as const;

describe('listCopyCommands', () => {
  it.each([
    { name: 'a Mac', platform: 'darwin', environment: {}, files: ['/usr/bin/pbcopy'] },
    {
      name: 'Windows, never from the current folder',
      platform: 'win32',
      environment: { SystemRoot: 'D:\\Windows' },
      files: ['D:\\Windows\\System32\\clip.exe'],
    },
    { name: 'Wayland', platform: 'linux', environment: { WAYLAND_DISPLAY: 'wayland-0' }, files: ['wl-copy'] },
    { name: 'X', platform: 'linux', environment: { DISPLAY: ':0' }, files: ['xclip', 'xsel'] },
    { name: 'a server', platform: 'linux', environment: { DISPLAY: '' }, files: [] },
  ] as const)('names the programs of $name', ({ platform, environment, files }) => {
    expect(listCopyCommands(platform, environment).map(([file]) => file)).toEqual(files);
  });
});

describe('copyText', () => {
  it('takes the first program that works', async () => {
    const commands = [['/no/such/program'], node('process.exit(1)'), node('process.stdin.resume()')] as const;
    expect(await copyText('text', commands)).toBe(true);
  });

  it('survives a program that does not read, and says so if none took it', async () => {
    expect(await copyText('x'.repeat(1_000_000), [node('process.exit(3)')])).toBe(false);
    expect(await copyText('text', [])).toBe(false);
  });
});

describe.skipIf(process.platform === 'win32' || process.platform === 'darwin')('key generate --copy', () => {
  it('puts the key, and nothing else, on the clipboard', async () => {
    const cli = await openCli();
    const folder = join(cli.home, 'bin');
    await mkdir(folder);
    const copied = join(cli.home, 'copied');
    await writeFile(join(folder, 'xclip'), `#!/bin/sh\necho "$@" >"${copied}.args"\ncat >"${copied}"\n`);
    await chmod(join(folder, 'xclip'), 0o755);
    const env = { PATH: `${folder}${delimiter}${process.env['PATH']}`, DISPLAY: ':0' };
    const { stdout, stderr, code } = await cli.run(['key', 'generate', '--copy', '--quiet'], env);
    expect(code).toBe(0);
    expect(stderr).toBe('The key is on the clipboard.\n');
    expect(await readFile(copied, 'utf8')).toBe(stdout.trim());
    expect(await readFile(`${copied}.args`, 'utf8')).toBe('-selection clipboard\n');
  });

  it('makes the key also if there is no clipboard, and says so', async () => {
    const { stdout, stderr, code } = await (await openCli()).run(['key', 'generate', '--copy', '--quiet']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^sk-[\w-]{43}\n$/) });
    expect(stderr).toContain('note: The key was not copied');
  });
});
