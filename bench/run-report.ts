/**
 * All that one run of the bench has measured: what `--json` prints.
 */
import type { CaseReport } from './cases.ts';
import type { InspectedReport } from './inspected.ts';
import type { StageReport } from './in-process.ts';
import type { LedgerReport } from './ledger.ts';
import type { PostgresReport } from './postgres.ts';
import type { StartUpReport } from './start-up.ts';
import type { BusyStreamsReport, IdleStreamsReport } from './streams.ts';
import type { WorkersReport } from './workers.ts';

/** Everything of one run; parts that were not asked for are undefined. */
export interface RunReport {
  readonly node: string;
  readonly platform: string;
  readonly processors: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly cases: readonly CaseReport[];
  readonly busyStreams: readonly BusyStreamsReport[];
  readonly idleStreams: IdleStreamsReport | undefined;
  readonly startUp: StartUpReport | undefined;
  readonly stages: readonly StageReport[];
  readonly ledger: LedgerReport | undefined;
  readonly workers: WorkersReport | undefined;
  readonly inspected: InspectedReport | undefined;
  readonly postgres: PostgresReport | undefined;
}
