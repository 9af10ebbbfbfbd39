/**
 * A process for the tests of the store, started with `node write-ledger.ts DATABASE`: a server's ledger without its
 * server. A request ends every millisecond or so; for each, its id and the time in microseconds are printed. It goes on
 * until it is killed.
 */
import { writeSync } from 'node:fs';
import { createLedger } from '../../src/accounting/ledger-writer.ts';
import { openRecord } from '../../src/domain/request-record.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';

const [path = ''] = process.argv.slice(2);
const store = await openSqliteStore(path, { threads: true, writesBeforeWriter: 0 });
const ledger = createLedger({
  store,
  nowMs: Date.now,
  tickMs: MACHINE_TICKS,
  onProblem: (error) => void writeSync(2, `${error.message}\n`),
  retentionMs: undefined,
});
const HEAD = {
  method: 'POST',
  httpVersion: '1.1',
  path: '/',
  userAgentHeader: undefined,
  traceparent: undefined,
} as const;

for (let index = 0; ; index += 1) {
  const record = openRecord(`r${index}`, Date.now(), HEAD);
  record.principal = { kind: 'master', label: 'master' };
  record.pricing = 'free';
  record.costNanoUsd = 0;
  writeSync(1, `r${index} ${Math.round(MACHINE_TICKS() * 1000)}\n`);
  ledger.settle(record, 'admitted');
  await new Promise((resolve) => setTimeout(resolve, 1));
}
