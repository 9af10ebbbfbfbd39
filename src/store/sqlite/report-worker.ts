/**
 * The thread that reads the ledger for reports: `reports.ts` starts it and asks. It has a connection of its own, which
 * writes nothing. It reads in slices all the same: a long read would keep the write-ahead log from beginning anew, and
 * the next question is not to wait for all of it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { connectAgain } from './connection.ts';
import type { ConnectionTarget } from './identity.ts';
import { prepareKeyTotals } from './key-totals.ts';
import { findSequences } from './ledger.ts';
import type { ReportAnswer, ReportMessage, ReportQuestion } from './reports.ts';
import type { PackedGroups } from './tallies.ts';
import { type LedgerSums, sumRows, type ReportReader } from './usage.ts';

/** Groups of one message: a millisecond or two to take. */
const GROUPS_AT_ONCE = 2_500;

const database = connectAgain(workerData as ConnectionTarget, { readonly: true });
const reader: ReportReader = { database, ranges: new Map(), keyTotals: prepareKeyTotals({ database }) };
/** Of the last report, as long as there are groups that the event loop does not have. */
let sums: LedgerSums | undefined;
let given = 0;

async function answer(question: ReportQuestion): Promise<ReportAnswer['result']> {
  if (question.kind === 'range') return findSequences(reader, question.filter);
  if (question.kind === 'sums') {
    sums = await sumRows(async (work) => work(reader), question.query);
    given = 0;
    return { total: sums.total, groupCount: sums.places.length, groups: takeGroups(sums) };
  }
  return sums && takeGroups(sums);
}

function takeGroups({ tallies, places }: LedgerSums): PackedGroups {
  const packed = tallies.pack(places.slice(given, given + GROUPS_AT_ONCE));
  given += GROUPS_AT_ONCE;
  if (given >= places.length) sums = undefined;
  return packed;
}

parentPort?.on('message', async ({ id, question }: ReportMessage) => {
  const result = await answer(question).catch(() => undefined);
  const message: ReportAnswer = { id, result };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread; origins are a browser's.
  parentPort?.postMessage(message);
});
