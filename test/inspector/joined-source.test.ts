/** A ring and a file as one source. */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { JoinedSource } from '../../src/inspector/joined-source.ts';
import { ExchangeRing, type RingExchange } from '../../src/inspector/ring.ts';
import { openExchangeFile } from '../../src/store/exchanges/exchange-file.ts';
import { keptExchange } from '../helpers/kept-exchanges.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const ALL = { matches: undefined, before: undefined, limit: 100 };

async function openBoth(maxExchanges = 3) {
  const file = openExchangeFile(join(await makeTemporaryFolder(), 'exchanges.db'));
  const ring = new ExchangeRing({ maxExchanges, maxBytes: 1e9, maxAgeMs: undefined }, Date.now);
  const joined = new JoinedSource(ring, file);
  onTestFinished(() => joined.close());
  return { file, ring, joined };
}

function ringExchange(number: number, end: Exchange['end'] = 'complete'): RingExchange & { end: Exchange['end'] } {
  const exchange = { ...keptExchange({ id: `req-${number}`, sequence: number }), end };
  return Object.assign(exchange, {
    heldBytes: 0,
    drop: () => {},
    pin: (isPinned: boolean) => void Object.assign(exchange, { isPinned }),
    annotate: (note: string) => void Object.assign(exchange, { note }),
  });
}

it('lists what is under way and what was kept, each once, page by page', async () => {
  const { ring, joined, file } = await openBoth();
  for (let number = 1; number <= 7; number += 1) ring.add(ringExchange(number));
  await file.flush();
  ring.add(ringExchange(8, 'open'));
  const first = joined.list({ ...ALL, limit: 4 });
  expect(first.items.map(({ id }) => id)).toEqual(['req-8', 'req-7', 'req-6', 'req-5']);
  const second = joined.list({ ...ALL, limit: 4, before: first.next });
  expect(second).toMatchObject({ items: [{ id: 'req-4' }, { id: 'req-3' }, { id: 'req-2' }, { id: 'req-1' }] });
  expect(joined.state()).toMatchObject({ kind: 'file', exchanges: 8 });
  expect(joined.find('req-1')).toMatchObject({ sequence: 1 });
});

it('keeps an exchange when it has ended, and not before', async () => {
  const { ring, joined, file } = await openBoth();
  const exchange = ringExchange(1, 'open');
  ring.add(exchange);
  expect(file.find('req-1')).toBeUndefined();
  exchange.end = 'cut';
  ring.touch('req-1');
  expect(file.find('req-1')).toMatchObject({ end: 'cut' });
  await file.flush();
  expect(joined.list(ALL).items).toHaveLength(1);
});

it('tells of changes, but not of what only made room in memory', async () => {
  const { ring, joined } = await openBoth(1);
  const seen: string[] = [];
  joined.watch(({ id, kind }) => seen.push(`${kind} ${id}`));
  ring.add(ringExchange(1));
  ring.add(ringExchange(2));
  joined.mark('req-1', { note: 'old' });
  joined.remove('req-1');
  joined.remove('req-2');
  expect(seen).toEqual(['upsert req-1', 'upsert req-2', 'upsert req-1', 'remove req-1', 'remove req-2']);
});

it('marks and removes in both', async () => {
  const { ring, joined, file } = await openBoth();
  ring.add(ringExchange(1));
  ring.add(ringExchange(2));
  ring.add(ringExchange(3, 'open'));
  expect(joined.mark('req-1', { isPinned: true })).toMatchObject({ isPinned: true });
  expect(joined.mark('req-9', { isPinned: true })).toBeUndefined();
  expect(joined.remove()).toBe(2);
  expect(joined.list(ALL).items.map(({ id }) => id)).toEqual(['req-1']);
  expect(file.list(ALL).items).toMatchObject([{ id: 'req-1', isPinned: true }]);
});
