/**
 * Whom the bench's profile gives the time to.
 */
import { expect, it } from 'vitest';
import { readShares } from '../../bench/profile-shares.ts';

const ROOT = 'file:///home/me/bedrock-proxy/';

function aFrame(functionName: string, url: string) {
  return { functionName, url, lineNumber: 9 };
}

const NODES = [
  { id: 1, callFrame: aFrame('(root)', ''), children: [2, 3, 4, 8] },
  { id: 2, callFrame: aFrame('(idle)', '') },
  { id: 3, callFrame: aFrame('(garbage collector)', '') },
  { id: 4, callFrame: aFrame('serve', `${ROOT}src/proxy.ts`), children: [5] },
  { id: 5, callFrame: aFrame('settle', `${ROOT}src/store/sqlite/budget.ts`), children: [6] },
  { id: 6, callFrame: aFrame('transaction', `${ROOT}node_modules/better-sqlite3/lib/transaction.js`), children: [7] },
  { id: 7, callFrame: aFrame('run', '') },
  { id: 8, callFrame: aFrame('onread', 'node:internal/streams/readable') },
];

/** Each sample lasts until the next one. */
const SHARES = readShares(
  { nodes: NODES, samples: [2, 3, 4, 7, 8, 6, 2], timeDeltas: [5, 100, 10, 20, 40, 80, 160] },
  ROOT,
);

it('leaves idle time out', () => expect(SHARES.busyMicros).toBe(10 + 20 + 40 + 80 + 160));

it('gives a folder what it calls outside of src, and the function itself its own time', () => {
  expect(SHARES.groups).toEqual([
    { name: 'src/store/sqlite', ownMicros: 0, ownedMicros: 40 + 160 },
    { name: 'node:internal/streams', ownMicros: 80, ownedMicros: 80 },
    { name: 'src', ownMicros: 20, ownedMicros: 20 },
    { name: 'garbage collection', ownMicros: 10, ownedMicros: 10 },
    { name: 'node_modules/better-sqlite3', ownMicros: 160, ownedMicros: 0 },
    { name: 'native', ownMicros: 40, ownedMicros: 0 },
  ]);
});

it('names the caller of a native function', () => {
  expect(SHARES.functions.map(({ name }) => name)).toEqual([
    'transaction node_modules/better-sqlite3/lib/transaction.js:10',
    'onread node:internal/streams/readable:10',
    'run, native, called by transaction node_modules/better-sqlite3/lib/transaction.js:10',
    'serve src/proxy.ts:10',
    '(garbage collector)',
  ]);
});
