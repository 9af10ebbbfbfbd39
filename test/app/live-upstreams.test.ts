/** The file of `--upstreams` while the server runs: it changes, breaks, and comes back. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openLiveUpstreams } from '../../src/app/live-upstreams.ts';
import { readConfig } from '../../src/config/config.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

async function open() {
  const file = join(await makeTemporaryFolder(), 'upstreams.json');
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const putNames = (...names: string[]): void => put(JSON.stringify({ upstreams: names.map((name) => ({ name })) }));
  putNames('one');
  const told: string[] = [];
  const live = await openLiveUpstreams(readConfig({ upstreams: file }, {}), {}, (words) => told.push(words), 5);
  onTestFinished(() => live?.close());
  const taken: string[][] = [];
  live?.onChange((specs) => taken.push(specs.map(({ name }) => name)));
  return { live, put, putNames, told, taken };
}

it('tells the upstreams of a file that has changed', async () => {
  const { live, putNames, told, taken } = await open();
  expect(live?.specs.map(({ name }) => name)).toEqual(['one']);
  putNames('two', 'three');
  await vi.waitFor(() => expect(taken).toEqual([['two', 'three']]));
  expect(told).toEqual(['The upstreams were taken anew: their file has changed.']);
});

it('keeps those of before if the file becomes wrong, says why, and takes the next one that is right', async () => {
  const { put, putNames, told, taken } = await open();
  put('{"upstreams":[{}]}');
  await vi.waitFor(() => expect(told).toHaveLength(1));
  expect(told[0]).toBe(
    'The file of --upstreams has changed, but those of before stay in force: ' +
      'In the file of --upstreams, upstreams[0].name is missing.',
  );
  expect(taken).toEqual([]);
  putNames('four');
  await vi.waitFor(() => expect(taken).toEqual([['four']]));
});

it('has the way that the other flags describe in front of fallbacks', async () => {
  const live = await openLiveUpstreams(readConfig({ fallback: ['region=us-west-2'] }, {}), {}, () => {});
  expect(live?.specs).toMatchObject([
    { name: 'primary', region: undefined, weight: 1 },
    { name: 'us-west-2', region: 'us-west-2', weight: 0 },
  ]);
});

it('is nothing if there is one way', async () => {
  expect(await openLiveUpstreams(readConfig({}, {}), {}, () => {})).toBeUndefined();
});

it('ends a start if the file is wrong', async () => {
  const file = join(await makeTemporaryFolder(), 'upstreams.json');
  writeFileSync(file, '[]');
  const opening = openLiveUpstreams(readConfig({ upstreams: file }, {}), {}, () => {});
  await expect(opening).rejects.toMatchObject({ code: 'ERR_BAD_OPTION' });
});
