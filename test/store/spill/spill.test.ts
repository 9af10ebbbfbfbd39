import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LedgerRow } from '../../../src/domain/ledger.ts';
import type { ProcessSpace } from '../../../src/keys/exec-key.ts';
import { thisProcessSpace } from '../../../src/keys/exec-key.ts';
import { ProxyError } from '../../../src/lib/errors.ts';
import { IdFilter } from '../../../src/store/spill/id-filter.ts';
import { Spill, type SpillOptions } from '../../../src/store/spill/spill.ts';
import { aLedgerRow } from '../../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const SPACE: ProcessSpace = { tag: '0a0b0c0d', bootedAtMs: 0, isAlive: () => true };

/** A database that takes rows, or does not, and keeps what it was given last for an id. */
class FakeDatabase {
  isAway = false;
  isHanging = false;
  /** Rows that it never takes. */
  readonly bad = new Set<string>();
  readonly rows = new Map<string, LedgerRow>();
  /** How often each was settled. */
  readonly settled = new Map<string, number>();
  calls = 0;
  #answer: (() => void)[] = [];

  readonly settleAll = async (rows: readonly LedgerRow[]): Promise<void> => {
    this.calls += 1;
    if (this.isHanging) await new Promise<void>((resolve) => this.#answer.push(resolve));
    if (this.isAway || rows.some(({ id }) => this.bad.has(id))) {
      throw new ProxyError('ERR_STORE_UNAVAILABLE', 'The database cannot be reached.', { hint: 'Check it.' });
    }
    for (const row of rows) {
      this.rows.set(row.id, row);
      this.settled.set(row.id, (this.settled.get(row.id) ?? 0) + 1);
    }
  };

  /** What hung is carried out. */
  answer(): void {
    this.isHanging = false;
    for (const resolve of this.#answer.splice(0)) resolve();
  }
}

interface Opened {
  readonly spill: Spill;
  readonly problems: ProxyError[];
  readonly told: string[];
}

function open(database: FakeDatabase, path: string, options: Partial<SpillOptions> = {}): Opened {
  const problems: ProxyError[] = [];
  const told: string[] = [];
  const spill = new Spill({
    path,
    space: SPACE,
    pid: 1234,
    nowMs: Date.now,
    settleAll: database.settleAll,
    onProblem: (error) => problems.push(error),
    tell: (message) => told.push(message),
    longestPauseMs: 100,
    ...options,
  });
  onTestFinished(() => spill.close());
  return { spill, problems, told };
}

const newFolder = async (): Promise<string> => join(await makeTemporaryFolder(), 'spill');
const empty = { spilledRows: 0, refusedRows: 0, awayForMs: undefined };
const untilEmpty = (spill: Spill): Promise<void> =>
  vi.waitFor(() => expect(spill.readState()).toMatchObject({ spilledRows: 0, awayForMs: undefined }), 5_000);
const rowsIn = (path: string): string[] =>
  readdirSync(path)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => readFileSync(join(path, name), 'utf8').split('\n').slice(0, -1));

describe('rows that the database takes', () => {
  it('go there, and no file is made', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path);
    await spill.settleAll([aLedgerRow({ id: 'one' })]);
    expect([...database.rows.keys()]).toEqual(['one']);
    expect(spill.readState()).toEqual(empty);
    expect(() => readdirSync(path)).toThrow('ENOENT');
  });
});

describe('rows that it does not take', () => {
  it('wait in a file of this user alone, and are taken in when it is back', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill, problems, told } = open(database, path);
    database.isAway = true;
    const rows = Array.from({ length: 1_200 }, () => aLedgerRow({ usage: { inputTokens: 3 } }));
    for (let first = 0; first < rows.length; first += 100) await spill.settleAll(rows.slice(first, first + 100));
    expect(spill.readState()).toEqual({ spilledRows: 1_200, refusedRows: 0, awayForMs: expect.any(Number) });
    expect(problems.map(({ message, hint }) => [message, hint])).toEqual([
      ['The database cannot be reached.', 'Rows of the ledger wait in a file until it takes them. Check it.'],
    ]);
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    database.isAway = false;
    await untilEmpty(spill);
    expect([...database.rows.values()]).toEqual(rows);
    expect(told).toEqual(['1200 rows of the ledger that waited are in the database now.']);
    await vi.waitFor(() => expect(readdirSync(path)).toEqual([]));
  });

  it('are not given to it again and again: it is asked by one batch, after pauses', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path, { longestPauseMs: 60_000 });
    database.isAway = true;
    for (let count = 0; count < 50; count += 1) await spill.settleAll([aLedgerRow()]);
    expect(database.calls).toBeLessThan(10);
  });

  it('wait in memory, as the caller keeps them, if the file has its full size', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path, { maxBytes: 3_000 });
    database.isAway = true;
    await spill.settleAll([aLedgerRow({ id: 'fits' })]);
    const many = Array.from({ length: 10 }, () => aLedgerRow());
    await expect(spill.settleAll(many)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(rowsIn(path)).toHaveLength(1);
    database.isAway = false;
    await untilEmpty(spill);
    await spill.settleAll(many);
    expect(database.rows.size).toBe(11);
  });

  it('are the caller’s again if the file cannot be written either', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    writeFileSync(path, 'a file where the folder should be');
    const { spill } = open(database, path);
    database.isAway = true;
    await expect(spill.settleAll([aLedgerRow()])).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: 'Neither the database nor a file takes rows of the ledger.',
    });
    database.isAway = false;
    await vi.waitFor(() => spill.settleAll([aLedgerRow({ id: 'later' })]));
    expect(database.rows.has('later')).toBe(true);
  });
});

describe('a database that does not respond', () => {
  it('is not waited for: the rows go to the file, and are given to it again only when it has', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path, { settleTimeoutMs: 20 });
    database.isHanging = true;
    await spill.settleAll([aLedgerRow({ id: 'first' })]);
    await spill.settleAll([aLedgerRow({ id: 'second' })]);
    expect(spill.readState()).toMatchObject({ spilledRows: 2, awayForMs: expect.any(Number) });
    expect(database.calls).toBe(1);
    database.answer();
    await untilEmpty(spill);
    expect([...database.rows.keys()].toSorted()).toEqual(['first', 'second']);
  });
});

describe('the last row of a request', () => {
  it('stays the last one, if an older one waits in the file', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path, { settleTimeoutMs: 20 });
    database.isAway = true;
    const filler = Array.from({ length: 5_000 }, () => aLedgerRow());
    await spill.settleAll(filler);
    await spill.settleAll([aLedgerRow({ id: 'twice', chargedNanoUsd: 1 })]);
    database.isAway = false;
    await vi.waitFor(() => expect(spill.readState().awayForMs).toBeUndefined(), { interval: 1, timeout: 5_000 });
    await spill.settleAll([aLedgerRow({ id: 'twice', chargedNanoUsd: 2 })]);
    await untilEmpty(spill);
    expect(database.rows.get('twice')).toMatchObject({ chargedNanoUsd: 2 });
  });

  it('does not go through the file for its sake if it is of another request', async () => {
    const filter = new IdFilter();
    const ids = Array.from({ length: 20_000 }, (_, index) => `0192f3c4-${index}-7abc`);
    for (const id of ids) filter.add(id);
    expect(ids.every((id) => filter.mayHave(id))).toBe(true);
    const others = Array.from({ length: 20_000 }, (_, index) => `0192f3c5-${index}-7abd`);
    expect(others.filter((id) => filter.mayHave(id)).length).toBeLessThan(200);
    filter.clear();
    expect(ids.some((id) => filter.mayHave(id))).toBe(false);
  });
});

describe('a row that the database will never take', () => {
  it('is put away for a person to look at, and keeps no other one from it', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill, problems } = open(database, path);
    database.bad.add('bad');
    await spill.settleAll([aLedgerRow({ id: 'good' }), aLedgerRow({ id: 'bad' })]);
    await vi.waitFor(async () => {
      await spill.settleAll([aLedgerRow()]);
      expect(spill.readState()).toMatchObject({ spilledRows: 0, refusedRows: 1 });
    }, 10_000);
    expect(database.rows.has('good')).toBe(true);
    expect(rowsIn(path)).toEqual([expect.stringContaining('"id":"bad"')]);
    expect(problems.at(-1)?.message).toBe('The database does not take a row of the ledger.');
  });

  it('is not what is wrong while the database takes no other either', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path, { longestPauseMs: 1 });
    database.isAway = true;
    await spill.settleAll([aLedgerRow()]);
    await vi.waitFor(() => expect(database.calls).toBeGreaterThan(20), 5_000);
    expect(spill.readState()).toMatchObject({ spilledRows: 1, refusedRows: 0 });
  });
});

const GONE = 99;
const isAlive = (pid: number): boolean => pid !== GONE;

async function leaveFiles(path: string): Promise<void> {
  const away = new FakeDatabase();
  away.isAway = true;
  const { spill } = open(away, path, { pid: GONE });
  await spill.settleAll([aLedgerRow({ id: 'left-1' }), aLedgerRow({ id: 'left-2' })]);
  await spill.close();
}

describe('the files of a process that is gone', () => {
  it('are taken in by the next one, once', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    await leaveFiles(path);
    const many = Array.from({ length: 4 }, (_, index) =>
      open(database, path, { pid: index + 1, space: { ...SPACE, isAlive } }),
    );
    await vi.waitFor(() =>
      expect([...database.settled]).toEqual([
        ['left-1', 1],
        ['left-2', 1],
      ]),
    );
    for (const { spill } of many) await untilEmpty(spill);
    await vi.waitFor(() => expect(readdirSync(path)).toEqual([]));
  });

  it('are left alone while it lives', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    await leaveFiles(path);
    await open(database, path).spill.close();
    expect(database.calls).toBe(0);
    expect(rowsIn(path)).toHaveLength(2);
  });

  it('are taken from another machine when they have not been touched for a minute', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    await leaveFiles(path);
    const elsewhere = { ...SPACE, tag: 'ffffffff' };
    await open(database, path, { space: elsewhere }).spill.close();
    expect(database.calls).toBe(0);
    for (const name of readdirSync(path)) utimesSync(join(path, name), new Date(), new Date(Date.now() - 61_000));
    open(database, path, { space: elsewhere });
    await vi.waitFor(() => expect(database.rows.size).toBe(2));
  });

  it('is not missed by one that was taken for gone', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const { spill } = open(database, path);
    database.isAway = true;
    await spill.settleAll([aLedgerRow({ id: 'taken' })]);
    for (const name of readdirSync(path)) rmSync(join(path, name));
    await spill.settleAll([aLedgerRow({ id: 'kept' })]);
    database.isAway = false;
    await untilEmpty(spill);
    expect([...database.rows.keys()]).toEqual(['kept']);
  });

  it('may end within a line, or have damaged ones, which are put away', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    mkdirSync(path);
    const lines = [JSON.stringify(aLedgerRow({ id: 'whole' })), '{"id":"damaged', JSON.stringify({ id: 3 })];
    writeFileSync(join(path, '0a0b0c0d-99-00000000-00000001.ndjson'), `${lines.join('\n')}\n{"id":"half`);
    writeFileSync(join(path, 'something else.txt'), 'of somebody');
    const { spill } = open(database, path, { space: { ...SPACE, isAlive: () => false } });
    await vi.waitFor(() => expect(spill.readState().refusedRows).toBe(2));
    expect([...database.rows.keys()]).toEqual(['whole']);
    await untilEmpty(spill);
    expect(readdirSync(path).toSorted()).toEqual(['refused.ndjson', 'something else.txt']);
    expect(rowsIn(path)).toEqual(lines.slice(1));
  });

  it('have every row that was told to be kept, whenever it was killed', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const program = fileURLToPath(new URL('../../helpers/spill-rows.ts', import.meta.url));
    const children = [1, 2].map(() =>
      spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const told = await Promise.all(
      children.map(async (child) => {
        const ids: string[] = [];
        for await (const id of createInterface({ input: child.stdout })) {
          ids.push(id);
          if (ids.length === 150) child.kill('SIGKILL');
        }
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        return ids;
      }),
    );
    // As a disk that was full at that moment leaves it.
    const [name = ''] = readdirSync(path);
    appendFileSync(join(path, name), '{"id":"torn');
    const { spill } = open(database, path, { space: thisProcessSpace(Date.now()), pid: process.pid });
    await vi.waitFor(() => expect(told.flat().filter((id) => !database.rows.has(id))).toEqual([]), 10_000);
    await untilEmpty(spill);
    expect(spill.readState()).toEqual(empty);
  });
});

describe('the end', () => {
  it('hands over what waits if the database takes it, and says what it does not', async () => {
    const [database, path] = [new FakeDatabase(), await newFolder()];
    const first = open(database, path, { longestPauseMs: 60_000 });
    database.isAway = true;
    await first.spill.settleAll([aLedgerRow({ id: 'waits' })]);
    database.isAway = false;
    await first.spill.close();
    expect([...database.rows.keys()]).toEqual(['waits']);
    const second = open(database, path, { longestPauseMs: 60_000 });
    database.isAway = true;
    await second.spill.settleAll([aLedgerRow({ id: 'stays' })]);
    await second.spill.close();
    expect(second.told).toEqual([
      `1 row of the ledger waits for the database in ${path}; the next start takes them in.`,
    ]);
    expect(rowsIn(path)).toHaveLength(1);
  });
});
