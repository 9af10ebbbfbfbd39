/** The file of exchanges as a source: what is added, found, marked, removed; and what goes wrong with it. */
import { chmodSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import Database from 'better-sqlite3';
import { FILE_CAPS } from '../../../src/store/exchanges/caps.ts';
import { openExchangeFile, type ExchangeFile } from '../../../src/store/exchanges/exchange-file.ts';
import type { Exchange } from '../../../src/inspector/exchange.ts';
import type { ProxyError } from '../../../src/lib/errors.ts';
import { bodyOf, comparable, keptExchange } from '../../helpers/kept-exchanges.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const ALL = { matches: undefined, before: undefined, limit: 1_000 };

function open(path: string, ...rest: [caps?: Partial<typeof FILE_CAPS>, onProblem?: (error: ProxyError) => void]) {
  const [caps, onProblem] = rest;
  const file = openExchangeFile(path, { ...FILE_CAPS, ...caps }, onProblem === undefined ? {} : { onProblem });
  onTestFinished(() => file.close());
  return file;
}

const makePath = async (): Promise<string> => join(await makeTemporaryFolder(), 'folder', 'exchanges.db');
const numbered = (number: number, overrides: Partial<Exchange> = {}): Exchange =>
  keptExchange({ ...overrides, id: `req-${number}`, sequence: number });
const idsOf = (file: ExchangeFile): string[] => file.list(ALL).items.map(({ id }) => id);

/** With a request body that cannot be compressed. */
function large(number: number, sizeBytes: number): Exchange {
  const { layers } = keptExchange();
  const clientRequest = { method: 'POST', headers: [], body: bodyOf(randomBytes(sizeBytes)) };
  return numbered(number, { layers: { ...layers, clientRequest } });
}

describe('a file of exchanges', () => {
  it('gives back what was added, before it is written, after it, and when it is opened again', async () => {
    const path = await makePath();
    const file = open(path);
    const exchange = keptExchange({ clientStream: bodyOf(randomBytes(100_000), 'x'), note: 'a note' });
    file.add(exchange);
    expect(comparable(file.find('req-1'))).toEqual(comparable(exchange));
    expect(file.list(ALL)).toMatchObject({ items: [{ id: 'req-1' }], scanned: 1, next: undefined });
    await file.flush();
    expect(comparable(file.find('req-1'))).toEqual(comparable(exchange));
    expect(idsOf(file)).toEqual(['req-1']);
    await file.close();
    const again = open(path);
    expect(comparable(again.find('req-1'))).toEqual(comparable(exchange));
    expect(again.state()).toMatchObject({ kind: 'file', exchanges: 1, dropped: {} });
    expect(again.lastSequence).toBe(1);
  });

  it.skipIf(process.platform === 'win32')('is for its owner alone, with all that is beside it', async () => {
    const path = await makePath();
    const file = open(path);
    file.add(keptExchange());
    await file.flush();
    for (const end of ['', '-wal', '-shm', '.lock']) expect(statSync(path + end).mode & 0o777).toBe(0o600);
  });

  it('writes a moment later by itself', async () => {
    const path = await makePath();
    const file = open(path);
    file.add(keptExchange());
    await vi.waitFor(() => expect(readExchangeIds(path)).toEqual(['req-1']), { timeout: 3_000, interval: 50 });
  });

  it('lists page by page, newest first, whatever is written already', async () => {
    const file = open(await makePath());
    for (let number = 1; number <= 230; number += 1) {
      file.add(numbered(number));
      if (number === 110) await file.flush();
    }
    const pages: string[][] = [];
    for (let before: number | undefined, isFirst = true; isFirst || before !== undefined; isFirst = false) {
      const page = file.list({ matches: undefined, before, limit: 100 });
      pages.push(page.items.map(({ id }) => id));
      before = page.next;
    }
    expect(pages.map(({ length }) => length)).toEqual([100, 100, 30]);
    expect(pages.flat()).toEqual(Array.from({ length: 230 }, (_, index) => `req-${230 - index}`));
    const odd = file.list({ ...ALL, limit: 3, matches: ({ sequence }) => sequence % 100 === 1 });
    expect(odd).toMatchObject({ items: [{ id: 'req-201' }, { id: 'req-101' }, { id: 'req-1' }], scanned: 230 });
  });

  it('goes on with its own numbers after a restart, and keeps those of a ring that began after it', async () => {
    const path = await makePath();
    const first = open(path);
    first.add(numbered(1));
    first.add(numbered(2));
    await first.close();
    const second = open(path);
    second.add(keptExchange({ id: 'old', sequence: 1 }));
    second.add(keptExchange({ id: 'late', sequence: 9 }));
    second.add(keptExchange({ id: 'early', sequence: 5 }));
    await second.flush();
    expect(second.list(ALL).items.map(({ id, sequence }) => `${id} ${sequence}`)).toEqual([
      'late 9',
      'early 5',
      'old 3',
      'req-2 2',
      'req-1 1',
    ]);
  });

  it('takes the newer state of an exchange in the place of the older', async () => {
    const file = open(await makePath());
    file.add(keptExchange({ end: 'cut' }));
    file.add(keptExchange({ end: 'complete' }));
    expect(idsOf(file)).toEqual(['req-1']);
    await file.flush();
    file.add(keptExchange({ end: 'client-gone' }));
    await file.flush();
    expect(file.list(ALL).items).toMatchObject([{ id: 'req-1', end: 'client-gone' }]);
  });

  it('pins and notes, at once and for good', async () => {
    const path = await makePath();
    const file = open(path);
    file.add(keptExchange());
    expect(file.mark('req-1', { isPinned: true })).toMatchObject({ isPinned: true, note: undefined });
    expect(file.mark('req-1', { note: 'why?' })).toMatchObject({ isPinned: true, note: 'why?' });
    expect(file.find('req-1')).toMatchObject({ isPinned: true, note: 'why?' });
    expect(file.mark('req-2', { isPinned: true })).toBeUndefined();
    await file.close();
    expect(open(path).find('req-1')).toMatchObject({ isPinned: true, note: 'why?' });
  });

  it('removes one, or all that are not pinned, at once and for good', async () => {
    const path = await makePath();
    const file = open(path);
    for (let number = 1; number <= 5; number += 1) file.add(numbered(number));
    await file.flush();
    file.add(numbered(6));
    file.mark('req-2', { isPinned: true });
    expect(file.remove('req-1')).toBe(1);
    expect(file.remove('req-1')).toBe(0);
    expect(idsOf(file)).toEqual(['req-6', 'req-5', 'req-4', 'req-3', 'req-2']);
    expect(file.remove()).toBe(4);
    expect(idsOf(file)).toEqual(['req-2']);
    expect(file.find('req-6')).toBeUndefined();
    expect(file.state().exchanges).toBe(1);
    file.add(numbered(7));
    await file.close();
    const again = open(path);
    expect(idsOf(again)).toEqual(['req-7', 'req-2']);
    expect(again.state().exchanges).toBe(2);
  });

  it('leaves nothing on the disk of what was removed', async () => {
    const path = await makePath();
    const file = open(path);
    file.add(
      keptExchange({ layers: { clientRequest: { headers: [['x-canary', 'CANARY-1']], body: bodyOf('CANARY-2') } } }),
    );
    await file.flush();
    expect(filesOf(path)).toContain('CANARY-2');
    file.remove();
    await file.close();
    expect(filesOf(path)).not.toContain('CANARY');
  });

  it('tells what changed', async () => {
    const file = open(await makePath());
    const seen: string[] = [];
    const end = file.watch(({ id, kind }) => seen.push(`${kind} ${id}`));
    const { cursor } = file;
    file.add(numbered(1));
    file.mark('req-1', { isPinned: true });
    file.remove('req-1');
    end();
    file.add(numbered(2));
    expect(seen).toEqual(['upsert req-1', 'upsert req-1', 'remove req-1']);
    expect(file.changesAfter(cursor)).toMatchObject([
      { id: 'req-1', kind: 'remove' },
      { id: 'req-2', kind: 'upsert' },
    ]);
    expect(file.changesAfter(0)).toBeUndefined();
  });

  it('keeps what many requests repeat once', async () => {
    const path = await makePath();
    const file = open(path);
    const prefix = randomBytes(150_000).toString('base64');
    for (let number = 1; number <= 40; number += 1) {
      const body = bodyOf(`{"messages":["${prefix}",${'"turn",'.repeat(number)}""]}`);
      file.add(numbered(number, { layers: { clientRequest: { headers: [], body } } }));
    }
    await file.flush();
    expect(file.state().bytes).toBeLessThan(2_000_000);
    expect(file.find('req-40')?.layers.clientRequest?.body?.read().toString()).toContain(prefix);
  });
});

describe('the limits of a file', () => {
  it('lets the oldest go that are not pinned', async () => {
    const file = open(await makePath(), { maxExchanges: 10 });
    file.add(numbered(1));
    file.mark('req-1', { isPinned: true });
    const removed: string[] = [];
    file.watch(({ id, kind }) => kind === 'remove' && removed.push(id));
    for (let number = 2; number <= 15; number += 1) file.add(numbered(number));
    await file.flush();
    await vi.waitFor(() => expect(removed).toEqual(['req-2', 'req-3', 'req-4', 'req-5', 'req-6']));
    expect(file.state().exchanges).toBe(10);
    expect(idsOf(file).at(-1)).toBe('req-1');
  });

  it('lets pins go, too, beyond half of it', async () => {
    const file = open(await makePath(), { maxExchanges: 4 });
    for (let number = 1; number <= 5; number += 1) {
      file.add(numbered(number));
      file.mark(`req-${number}`, { isPinned: true });
    }
    await file.flush();
    await vi.waitFor(() => expect(idsOf(file)).toEqual(['req-5', 'req-4', 'req-3', 'req-2']));
  });

  it('stays below its size, and gives room back to the disk', async () => {
    const path = await makePath();
    const maxBytes = 10_000_000;
    const file = open(path, { maxBytes });
    for (let number = 1; number <= 60; number += 1) {
      file.add(large(number, 1_000_000));
      if (number % 5 === 0) await file.flush();
    }
    await file.flush();
    await vi.waitFor(() => expect(file.state().bytes).toBeLessThanOrEqual(maxBytes));
    expect(idsOf(file).length).toBeGreaterThan(4);
    expect(idsOf(file)[0]).toBe('req-60');
    await file.close();
    expect(statSync(path).size).toBeLessThan(maxBytes * 1.6);
  });

  it('lets go what is too old', async () => {
    const path = await makePath();
    const file = open(path, { maxAgeMs: 60_000 });
    const { row } = keptExchange();
    file.add(numbered(1, { row: { ...row, startedAtMs: Date.now() - 61_000 } }));
    file.add(numbered(2, { row: { ...row, startedAtMs: Date.now() } }));
    await file.flush();
    await vi.waitFor(() => expect(idsOf(file)).toEqual(['req-2']));
  });

  it('keeps the row of what is too large, says so, and counts it', async () => {
    const file = open(await makePath(), { maxBytes: 4_000_000 });
    file.add(large(1, 1_000_001));
    await file.flush();
    expect(file.find('req-1')).toMatchObject({
      omitted: 'size',
      layers: { clientRequest: { body: { hole: { why: 'size' } } } },
    });
    expect(file.state().dropped).toEqual({ size: 1 });
  });

  it('drops content, then exchanges, if more comes than can be written', async () => {
    const file = open(await makePath());
    for (let number = 1; number <= 70; number += 1) file.add(large(number, 1_000_000));
    expect(file.state().dropped['memory']).toBeGreaterThan(0);
    expect(file.find('req-70')).toMatchObject({ omitted: 'memory' });
    for (let number = 71; number <= 5_100; number += 1) file.add(numbered(number, { layers: {} }));
    expect(file.state().dropped['memory']).toBeGreaterThanOrEqual(100);
    await file.flush();
  });
});

describe('what goes wrong', () => {
  it('refuses a file that another proxy writes', async () => {
    const path = await makePath();
    const file = open(path);
    expect(() => openExchangeFile(path)).toThrow('The file of exchanges is written by another proxy.');
    await file.close();
    open(path);
  });

  it.each([
    {
      name: 'no database',
      make: (path: string) => writeFileSync(path, 'hello '.repeat(1_000), { mode: 0o600 }),
      says: 'is damaged, or is no SQLite database',
    },
    {
      name: 'the database of another program',
      make: (path: string) => new Database(path).exec('CREATE TABLE theirs (a)').close(),
      says: 'belongs to another program',
    },
  ])('refuses $name, and leaves it as it is', async ({ make, says }) => {
    const path = join(await makeTemporaryFolder(), 'exchanges.db');
    make(path);
    chmodSync(path, 0o600);
    const before = readFileSync(path);
    expect(() => openExchangeFile(path)).toThrow(`The file of exchanges ${says}.`);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('refuses a file of a newer version', async () => {
    const path = await makePath();
    await open(path).close();
    new Database(path).exec('PRAGMA user_version = 99').close();
    expect(() => openExchangeFile(path)).toThrow('was written by a newer bedrock-proxy');
  });

  it('refuses a file that was cut', async () => {
    const path = await makePath();
    const file = open(path);
    for (let number = 1; number <= 20; number += 1) file.add(large(number, 20_000));
    await file.close();
    truncateSync(path, 100_000);
    expect(() => openExchangeFile(path)).toThrow(/The file of exchanges is damaged/);
  });

  it('drops and counts what cannot be written, tells it once, and goes on when it can be', async () => {
    const problems: ProxyError[] = [];
    const path = await makePath();
    const file = open(path, { maxBytes: 4_000_000, maxExchanges: 10 }, (error) => problems.push(error));
    file.add(numbered(1));
    await file.flush();
    const blocker = new Database(path);
    blocker.exec('BEGIN IMMEDIATE');
    file.add(numbered(2));
    await file.flush();
    file.add(numbered(3));
    await file.flush();
    expect(file.state().dropped).toEqual({ failed: 2 });
    expect(problems.map(({ message }) => message)).toEqual(['The file of exchanges is locked by another process.']);
    blocker.exec('COMMIT');
    blocker.close();
    expect(idsOf(file)).toEqual(['req-1']);
    file.add(numbered(4));
    await file.flush();
    expect(idsOf(file)).toEqual(['req-4', 'req-1']);
  }, 20_000);
});

function readExchangeIds(path: string): unknown[] {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare('SELECT id FROM exchanges ORDER BY sequence').pluck().all();
  } finally {
    database.close();
  }
}

function filesOf(path: string): string {
  return ['', '-wal']
    .map((end) => (statSync(path + end, { throwIfNoEntry: false }) ? readFileSync(path + end, 'latin1') : ''))
    .join('');
}
