/**
 * The thread that reads the ledger for reports: `reports.ts` starts it and asks. It has a connection of its own, which
 * writes nothing. It reads in slices all the same: a long read would keep the write-ahead log from beginning anew, and
 * the next question is not to wait for all of it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { UsageGroup } from '../../domain/ledger.ts';
import { connectAgain } from './connection.ts';
import type { ConnectionTarget } from './identity.ts';
import { findSequences, type LedgerReader } from './ledger.ts';
import type { ReportAnswer, ReportMessage, ReportQuestion } from './reports.ts';
import { sumUsage } from './usage.ts';

/** Groups of one message: a millisecond or two to take. */
const GROUPS_AT_ONCE = 1_000;

const reader: LedgerReader = {
  database: connectAgain(workerData as ConnectionTarget, { readonly: true }),
  ranges: new Map(),
};
/** Those that are still to be fetched. */
let groups: UsageGroup[] = [];

async function answer(question: ReportQuestion): Promise<ReportAnswer['result']> {
  if (question.kind === 'range') return findSequences(reader, question.filter);
  if (question.kind === 'more') return groups.splice(0, GROUPS_AT_ONCE);
  const { total, groups: all } = await sumUsage(async (work) => work(reader), question.query);
  groups = all;
  return { total, groupCount: all.length, groups: groups.splice(0, GROUPS_AT_ONCE) };
}

parentPort?.on('message', async ({ id, question }: ReportMessage) => {
  const result = await answer(question).catch(() => undefined);
  const message: ReportAnswer = { id, result };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of a thread; origins are a browser's.
  parentPort?.postMessage(message);
});
