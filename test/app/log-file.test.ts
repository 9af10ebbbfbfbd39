import { closeSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLogFile, rotateLog } from '../../src/app/log-file.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

it('moves a log that has grown on, keeps three of them, and whoever writes to it goes on', async () => {
  const folder = await makeTemporaryFolder();
  const path = join(folder, 'logs', 'proxy.log');
  const log = openLogFile(path);
  const read = (name: string): string => readFileSync(join(folder, 'logs', name), 'utf8');
  for (let round = 1; round <= 5; round += 1) {
    writeSync(log, `round ${round}\n`);
    rotateLog(path, 10);
    expect(read('proxy.log')).toBe(`round ${round}\n`);
    writeSync(log, 'more\n');
    rotateLog(path, 10);
    expect(read('proxy.log')).toBe('');
  }
  closeSync(log);
  expect(readdirSync(join(folder, 'logs')).toSorted()).toEqual([
    'proxy.log',
    'proxy.log.1',
    'proxy.log.2',
    'proxy.log.3',
  ]);
  expect([1, 2, 3].map((number) => read(`proxy.log.${number}`))).toEqual(
    [5, 4, 3].map((round) => `round ${round}\nmore\n`),
  );
});

it('does not mind that there is none', () => {
  expect(() => rotateLog('/no/such/log')).not.toThrow();
});
