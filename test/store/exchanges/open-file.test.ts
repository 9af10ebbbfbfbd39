/**
 * The file of exchanges and other processes: one that reads it, one that is killed, one that has no room.
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ExchangeReader } from '../../../src/store/exchanges/read-exchanges.ts';
import { openExchangeFile } from '../../../src/store/exchanges/exchange-file.ts';
import { openToRead, toExchangeFileError } from '../../../src/store/exchanges/open-file.ts';
import { keptExchange } from '../../helpers/kept-exchanges.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const here = (path: string): string => new URL(path, import.meta.url).href;

/** A process that writes exchanges into a file until it is ended. */
async function startWriter(path: string, prefix = '') {
  const script = `
    import { openExchangeFile } from ${JSON.stringify(here('../../../src/store/exchanges/exchange-file.ts'))};
    import { FILE_CAPS } from ${JSON.stringify(here('../../../src/store/exchanges/caps.ts'))};
    import { bodyOf, keptExchange } from ${JSON.stringify(here('../../helpers/kept-exchanges.ts'))};
    import { randomBytes } from 'node:crypto';
    const onProblem = (error) => console.log('problem: ' + error.message);
    const file = openExchangeFile(process.argv[2], FILE_CAPS, { onProblem });
    for (let number = 1; ; number += 1) {
      const layers = { clientRequest: { headers: [], body: bodyOf(randomBytes(20_000)) } };
      file.add(keptExchange({ id: 'req-' + number, sequence: number, layers }));
      if (number % 20 !== 0) continue;
      await file.flush();
      console.log('written ' + number + ' ' + JSON.stringify(file.state().dropped));
    }`;
  const folder = await makeTemporaryFolder();
  writeFileSync(join(folder, 'writer.mjs'), script);
  const child = spawn('sh', [
    '-c',
    `${prefix} exec "$0" "$1" "$2"`,
    process.execPath,
    join(folder, 'writer.mjs'),
    path,
  ]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const until = async (words: string): Promise<void> => {
    while (!output.includes(words)) await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  };
  return { child, until, output: () => output };
}

describe('a file of exchanges and another process', () => {
  it('is readable while another one writes it, and after that was killed in the middle', async () => {
    const path = join(await makeTemporaryFolder(), 'exchanges.db');
    const { child, until } = await startWriter(path);
    await until('written 100');
    const database = openToRead(path);
    expect([...new ExchangeReader(path, database).list(Number.MAX_SAFE_INTEGER)].length).toBeGreaterThanOrEqual(100);
    database.close();
    expect(() => openExchangeFile(path)).toThrow('is written by another proxy');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const file = openExchangeFile(path);
    onTestFinished(() => file.close());
    const { items } = file.list({ matches: undefined, before: undefined, limit: 10_000 });
    expect(items.length).toBeGreaterThanOrEqual(100);
    for (const { layers } of items) expect(layers.clientRequest?.body?.read().length).toBe(20_000);
    file.add(keptExchange({ id: 'next' }));
    await file.flush();
    expect(file.find('next')).toBeDefined();
  });

  it.skipIf(process.platform === 'win32')('drops and counts what does not go onto the disk', async () => {
    const path = join(await makeTemporaryFolder(), 'exchanges.db');
    // Blocks of 512 bytes.
    const { until, output } = await startWriter(path, 'ulimit -f 4000;');
    await until('"failed":');
    await until('problem: ');
    expect(output().match(/problem: .*/g)).toEqual([expect.stringContaining('The file of exchanges cannot')]);
    const database = openToRead(path);
    expect([...new ExchangeReader(path, database).list(Number.MAX_SAFE_INTEGER)].length).toBeGreaterThan(10);
    database.close();
  });
});

describe('errors of the file', () => {
  it.each([
    { code: 'SQLITE_FULL', says: 'The file of exchanges cannot grow: the disk is full.' },
    { code: 'ENOSPC', says: 'The file of exchanges cannot grow: the disk is full.' },
    { code: 'SQLITE_CORRUPT_VTAB', says: 'The file of exchanges is damaged, or is no SQLite database.' },
    { code: 'EACCES', says: 'The file of exchanges cannot be opened (EACCES).' },
    { code: 'SQLITE_IOERR_WRITE', says: 'The file of exchanges cannot be used (SQLITE_IOERR_WRITE).' },
  ])('says what is wrong and what to do: $code', ({ code, says }) => {
    const error = toExchangeFileError('/x/exchanges.db', Object.assign(new Error('x'), { code }));
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: says, detail: '/x/exchanges.db' });
    expect(error.hint).toMatch(/--inspect-(db|limit)/);
  });

  it('says that there is no file to read', () => {
    expect(() => openToRead('/nowhere/exchanges.db')).toThrow(
      'There is no file of exchanges at /nowhere/exchanges.db.',
    );
  });
});
