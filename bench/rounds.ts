/**
 * Rounds: every round visits the entrants one after the other, so that what disturbs the machine disturbs them alike,
 * and numbers are compared within a round only.
 */
import { type Call, type Lane, type LoadResult, runLoad } from './load.ts';
import type { Party } from './parties.ts';
import { quantile } from './statistics.ts';

/** How much of everything: the full run, or the quick one. */
export interface Effort {
  readonly rounds: number;
  /** Of one entrant in one round. */
  readonly slotMs: number;
  readonly warmUpMs: number;
}

/** Who takes part, with its connections open. */
export interface Entrant {
  readonly name: string;
  readonly lanes: readonly Lane[];
  readonly call: Call;
  /** Undefined: its processor time is not known. */
  readonly usage: Party['usage'] | undefined;
}

/** What one entrant did in one round. */
export interface Measured extends LoadResult {
  /** Processor time of the entrant's process in this slot; NaN if it is not known. */
  readonly cpuMicros: number;
}

/** A number out of a slot. */
export interface Metric {
  readonly name: string;
  readonly unit: 'ms' | 'requests/s' | 'µs';
  readonly read: (result: Measured) => number;
}

/** Until the end of the response, in the middle. */
export const MEDIAN: Metric = { name: 'median', unit: 'ms', read: ({ totalMs }) => quantile(totalMs, 0.5) };
/** Until the end of the response, for 99 of 100. */
export const P99: Metric = { name: 'p99', unit: 'ms', read: ({ totalMs }) => quantile(totalMs, 0.99) };
/** Complete responses. */
export const THROUGHPUT: Metric = {
  name: 'throughput',
  unit: 'requests/s',
  read: ({ totalMs, elapsedMs }) => (totalMs.length * 1000) / elapsedMs,
};
/** Of the entrant's process, per request. */
export const CPU: Metric = {
  name: 'processor time',
  unit: 'µs',
  read: ({ cpuMicros, totalMs }) => cpuMicros / totalMs.length,
};

/** Warms all up, runs the rounds, closes the connections. The slots of each by its name, one per round. */
export async function runRounds(
  entrants: readonly Entrant[],
  effort: Effort,
): Promise<ReadonlyMap<string, readonly Measured[]>> {
  const slots = new Map(entrants.map(({ name }) => [name, [] as Measured[]]));
  for (const { lanes, call } of entrants) await runLoad(lanes, call, effort.warmUpMs);
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const entrant of entrants) slots.get(entrant.name)?.push(await measureSlot(entrant, effort.slotMs));
  }
  await Promise.all(entrants.flatMap(({ lanes }) => lanes.map((lane) => lane.close())));
  return slots;
}

/** One entrant under load, for so long. */
export async function measureSlot({ usage, lanes, call }: Entrant, slotMs: number): Promise<Measured> {
  const readCpu = async (): Promise<number> => (await usage?.({ afterGc: false }))?.cpuMicros ?? Number.NaN;
  const before = await readCpu();
  const result = await runLoad(lanes, call, slotMs);
  return { ...result, cpuMicros: (await readCpu()) - before };
}
