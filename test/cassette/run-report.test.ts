import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDeck } from '../../src/cassette/deck.ts';
import type { Miss } from '../../src/cassette/miss.ts';
import { DEFAULT_RULES } from '../../src/cassette/rules.ts';
import { RunReport } from '../../src/cassette/run-report.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';
import { converse, recording, say } from './requests.ts';

function aMiss(): Miss {
  const taken = createDeck([recording('001', converse(say('One.')))], DEFAULT_RULES).take(converse(say('Two.')));
  if (!('miss' in taken)) throw new Error('found');
  return taken.miss;
}

function open(directory: string, faults: unknown[] = []): RunReport {
  const onFault = (thrown: unknown): unknown => faults.push(thrown);
  return new RunReport({
    directory,
    mode: 'replay',
    nowMs: () => 0,
    listUnused: () => ['001'],
    countRecorded: () => 0,
    onFault,
  });
}

describe('the report of a run', () => {
  it('counts, and keeps misses for the admin API and in misses.ndjson', async () => {
    const folder = await makeTemporaryFolder();
    writeFileSync(join(folder, 'misses.ndjson'), 'of the run before\n');
    const report = open(folder);
    report.notePlayed();
    report.noteMiss(aMiss());
    report.noteMiss(aMiss());
    report.finish();
    expect(report.summarize()).toBe('1 played, 2 missed, 1 unused');
    const lines = readFileSync(join(folder, 'misses.ndjson'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(report.readState().misses);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ at: '1970-01-01T00:00:00.000Z', operation: 'Converse' });
    expect(JSON.parse(readFileSync(join(folder, '.last-run.json'), 'utf8'))).toMatchObject({
      missed: 2,
      unused: ['001'],
    });
  });

  it('keeps the last hundred in memory, and writes a thousand', async () => {
    const folder = await makeTemporaryFolder();
    const report = open(folder);
    const miss = aMiss();
    for (let count = 0; count < 1_100; count += 1) report.noteMiss(miss);
    expect(report.readState()).toMatchObject({ missed: 1_100 });
    expect(report.readState().misses).toHaveLength(100);
    expect(readFileSync(join(folder, 'misses.ndjson'), 'utf8').trimEnd().split('\n')).toHaveLength(1_000);
  });

  it('writes through no link that a stranger left in the cassette', async () => {
    const folder = await makeTemporaryFolder();
    const victim = join(folder, 'victim');
    const cassette = join(folder, 'cassette');
    mkdirSync(cassette);
    writeFileSync(victim, 'mine');
    for (const name of ['misses.ndjson', '.last-run.json']) symlinkSync(victim, join(cassette, name));
    const report = open(cassette);
    symlinkSync(victim, join(cassette, 'again'));
    report.noteMiss(aMiss());
    report.finish();
    expect(readFileSync(victim, 'utf8')).toBe('mine');
  });

  it('makes the directory of a cassette that is not there yet', async () => {
    const folder = join(await makeTemporaryFolder(), 'new');
    open(folder).noteMiss(aMiss());
    expect(readdirSync(folder)).toEqual(['misses.ndjson']);
  });

  it('says once that it cannot write, and goes on', async () => {
    const folder = await makeTemporaryFolder();
    mkdirSync(join(folder, 'misses.ndjson'));
    const faults: unknown[] = [];
    const report = open(folder, faults);
    report.noteMiss(aMiss());
    report.noteMiss(aMiss());
    expect(faults).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['misses.ndjson']);
    expect(report.readState().missed).toBe(2);
  });
});
