import { expect, it } from 'vitest';
import { listAll } from '../../src/inspector/list-exchanges.ts';
import { OpenedSource, readableList } from '../../src/inspector/opened-source.ts';
import { keptExchange } from '../helpers/kept-exchanges.ts';

const exchanges = Array.from({ length: 5_000 }, (_, index) => keptExchange({ id: `req-${index + 1}`, sequence: 7 }));
const source = new OpenedSource(readableList(exchanges, 1_234));

it('lists what it was given, newest first, and looks at some of them at a time', () => {
  const all = { matches: undefined, before: undefined, limit: 2 };
  expect(source.list(all)).toMatchObject({
    items: [{ id: 'req-5000', sequence: 5_000 }, { id: 'req-4999' }],
    next: 4_999,
  });
  expect(source.list({ ...all, matches: ({ id }) => id === 'req-1' })).toMatchObject({
    items: [],
    scanned: 1_000,
    next: 4_001,
  });
  expect(source.find('req-3')).toMatchObject({ sequence: 3 });
  expect(source.state()).toMatchObject({ kind: 'opened', exchanges: 5_000, bytes: 1_234 });
});

it('changes nothing', async () => {
  expect(source.mark()).toBeUndefined();
  expect(source.remove()).toBe(0);
  expect(source.changesAfter(source.cursor)).toEqual([]);
  await source.close();
});

it('is searched to its end, as far as is wanted', async () => {
  const found = await listAll(source, ({ sequence }) => sequence % 2_499 === 1, 10);
  expect(found.map(({ id }) => id)).toEqual(['req-4999', 'req-2500', 'req-1']);
  expect(await listAll(source, undefined, 3)).toHaveLength(3);
});
