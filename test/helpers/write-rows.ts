/**
 * Run as a process by the tests of the store: writes some two thousand rows a second to a ledger, as a very busy proxy
 * does. Arguments: the database, and how many rows.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { aLedgerRow } from './store-rows.ts';

const [path = '', count = '0'] = process.argv.slice(2);
const store = await openSqliteStore(path);
for (let written = 0; written < Number(count); written += 1) {
  await store.settle(aLedgerRow({ id: randomUUID(), keyId: `vk_${written % 50}` }));
  if (written % 3 === 0) await delay(1);
}
await store.close();
