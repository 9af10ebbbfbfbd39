import { expect, it, vi } from 'vitest';
import { ChangeLog } from '../../src/inspector/change-log.ts';

it('tells what changed after a cursor, each exchange once', () => {
  const log = new ChangeLog(5);
  for (const id of ['a', 'b', 'a']) log.add(id, 'upsert');
  log.add('b', 'remove');
  expect(log.cursor).toBe(9);
  expect(log.after(5)).toEqual([
    { cursor: 8, id: 'a', kind: 'upsert' },
    { cursor: 9, id: 'b', kind: 'remove' },
  ]);
  expect(log.after(8)).toEqual([{ cursor: 9, id: 'b', kind: 'remove' }]);
  expect(log.after(9)).toEqual([]);
});

it('says that changes are not kept any more, or have not been', () => {
  const log = new ChangeLog(5);
  expect(log.after(4)).toBeUndefined();
  expect(log.after(6)).toBeUndefined();
  for (let index = 0; index < 30_001; index += 1) log.add(`${index}`, 'upsert');
  expect(log.after(5)).toBeUndefined();
  expect(log.after(log.cursor - 10_000)).toHaveLength(10_000);
});

it('tells every listener until it has enough, whatever another one throws', () => {
  const log = new ChangeLog();
  const listener = vi.fn<() => void>();
  log.watch(() => {
    throw new Error('not mine');
  });
  const end = log.watch(listener);
  log.add('a', 'upsert');
  end();
  log.add('b', 'upsert');
  expect(listener.mock.calls).toEqual([[{ cursor: 1, id: 'a', kind: 'upsert' }]]);
});
