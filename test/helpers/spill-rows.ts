/**
 * A process for the tests of the spill, started with `node spill-rows.ts FOLDER`: its database takes nothing, and it
 * spills one row after another, and prints the id of each when the file has it, until it is killed.
 */
import { writeSync } from 'node:fs';
import { Spill } from '../../src/store/spill/spill.ts';
import { thisProcessSpace } from '../../src/keys/exec-key.ts';
import { aLedgerRow } from './store-rows.ts';

const [path = ''] = process.argv.slice(2);
const spill = new Spill({
  path,
  space: thisProcessSpace(Date.now()),
  pid: process.pid,
  nowMs: Date.now,
  settleAll: () => Promise.reject(new Error('away')),
  onProblem: () => {},
  tell: () => {},
});
for (let index = 0; ; index += 1) {
  const id = `of-${process.pid}-${index}`;
  await spill.settleAll([aLedgerRow({ id })]);
  // To the pipe itself, not into a buffer that would die with the process.
  writeSync(1, `${id}\n`);
}
