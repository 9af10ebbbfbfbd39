import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFile, replaceFile } from '../../src/lib/atomic-file.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  path = join(folder, 'below', 'file');
});

describe.each([
  { name: 'createFile', write: createFile },
  { name: 'replaceFile', write: replaceFile },
])('$name', ({ write }) => {
  it('makes a file and its folder for their owner alone, and leaves no draft', () => {
    write(path, 'text\n');
    expect(readFileSync(path, 'utf8')).toBe('text\n');
    expect(readdirSync(dirname(path))).toEqual(['file']);
    if (process.platform === 'win32') return;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  });

  it('throws what the file system does, and leaves no draft', () => {
    writeFileSync(join(folder, 'taken'), '');
    expect(() => write(join(folder, 'taken', 'file'), 'text')).toThrow(/ENOTDIR|EEXIST/);
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});

it('puts a new file in the place of the old one', () => {
  replaceFile(path, 'old');
  replaceFile(path, 'new');
  expect(readFileSync(path, 'utf8')).toBe('new');
});

it('leaves no draft if it cannot replace a file', () => {
  mkdirSync(path, { recursive: true });
  expect(() => replaceFile(path, 'text')).toThrow();
  expect(readdirSync(dirname(path))).toEqual(['file']);
});

it('leaves a file that is there as it is if it is to create one', () => {
  createFile(path, 'first');
  createFile(path, 'second');
  expect(readFileSync(path, 'utf8')).toBe('first');
  expect(readdirSync(dirname(path))).toEqual(['file']);
});
