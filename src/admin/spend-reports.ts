/**
 * Sums of the ledger in LiteLLM's shapes: by day, by key and model, by day and team. Each reads the rows once, in their
 * order.
 */
import type { z } from 'zod';
import type { LedgerEntry, LedgerFilter } from '../domain/ledger.ts';
import type { Store } from '../domain/store.ts';
import { findKeysById, nameOfOwner, ownerOf } from './spend-row.ts';
import { findSpendUsd, readRows, sum, Tallies, type SpendTally, tellUnpriced } from './spend-tally.ts';
import type * as schemas from './spend-schemas.ts';

/** LiteLLM's name for rows without a team. */
const NO_TEAM = 'Unassigned Team';

/** Which rows count. */
export interface LedgerSource {
  readonly store: Store;
  readonly filter: LedgerFilter;
  /** What the filter of the store cannot say. */
  readonly fits: (row: LedgerEntry) => boolean;
}

interface DayTallies {
  readonly all: Tallies;
  readonly keys: Tallies;
  readonly users: Tallies;
  readonly models: Tallies;
}

/** LiteLLM's `/spend/logs` with `summarize`: one object per day that has rows, the oldest first. */
export async function summarizeDays(source: LedgerSource): Promise<z.output<typeof schemas.daySummary>[]> {
  const days = new Map<string, DayTallies>();
  for await (const row of readFitting(source)) {
    const tallies = getOrMake(days, dayOf(row), () => ({
      all: new Tallies(),
      keys: new Tallies(),
      users: new Tallies(),
      models: new Tallies(),
    }));
    const user = row.tags['user_id'];
    tallies.all.add('', row);
    tallies.keys.add(ownerOf(row), row);
    if (user !== undefined) tallies.users.add(user, row);
    if (row.model !== undefined) tallies.models.add(row.model, row);
  }
  const keys = await findKeysById(
    source.store,
    [...days.values()].flatMap((tallies) => tallies.keys.names()),
  );
  return [...days]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([startTime, tallies]) => ({
      ...tallies.keys.spend((owner) => nameOfOwner(owner, keys)),
      startTime,
      users: tallies.users.spend(),
      models: tallies.models.spend(),
      ...describeSum(tallies.all, 'spend'),
    }));
}

function describeSum<Name extends string>(
  tallies: Tallies,
  name: Name,
): Record<Name, number | null> & { readonly unpriced_requests?: number } {
  const total = tallies.list()[0]?.[1];
  const spend = total === undefined ? 0 : findSpendUsd(total);
  return { [name]: spend, ...(total === undefined ? {} : tellUnpriced(total)) } as Record<Name, number | null>;
}

interface KeyTallies {
  readonly all: Tallies;
  readonly models: Tallies;
}

/** LiteLLM's report by `api_key`, the most expensive first. */
export async function reportKeys(
  source: LedgerSource,
): Promise<Extract<z.output<typeof schemas.report>[number], { api_key: string }>[]> {
  const byKey = new Map<string, KeyTallies>();
  for await (const row of readFitting(source)) {
    const tallies = getOrMake(byKey, ownerOf(row), () => ({
      all: new Tallies(),
      models: new Tallies(),
    }));
    tallies.all.add('', row);
    tallies.models.add(row.model ?? '', row);
  }
  const keys = await findKeysById(source.store, byKey.keys());
  const totals = [...byKey].flatMap(([owner, { all, models }]) =>
    all.list().map(([, total]) => ({ name: nameOfOwner(owner, keys), total, models })),
  );
  return totals
    .toSorted((left, right) => right.total.costNanoUsd - left.total.costNanoUsd)
    .map(({ name, total, models }) => ({
      api_key: name,
      ...describeCost(total),
      ...tellUnpriced(total),
      model_details: models.list().map(([model, tally]) => ({ model: model || null, ...describeCost(tally) })),
    }));
}

function describeCost(tally: SpendTally): {
  readonly total_cost: number | null;
  readonly total_input_tokens: number | null;
  readonly total_output_tokens: number | null;
} {
  return {
    total_cost: findSpendUsd(tally),
    total_input_tokens: tally.inputTokens ?? null,
    total_output_tokens: tally.outputTokens ?? null,
  };
}

interface TeamTallies {
  readonly all: Tallies;
  /** By owner and model, joined by a character that is in neither. */
  readonly parts: Tallies;
}

/** LiteLLM's report by team, the oldest day first; the team is the tag `team_id` that a row had. */
export async function reportTeams(
  source: LedgerSource,
): Promise<Extract<z.output<typeof schemas.report>[number], { teams: unknown }>[]> {
  const days = new Map<string, Map<string, TeamTallies>>();
  for await (const row of readFitting(source)) {
    const teams = getOrMake(days, dayOf(row), () => new Map<string, TeamTallies>());
    const team = row.tags['team_id'] ?? NO_TEAM;
    const tallies = getOrMake(teams, team, () => ({ all: new Tallies(), parts: new Tallies() }));
    tallies.all.add('', row);
    tallies.parts.add(`${ownerOf(row)}\n${row.model ?? ''}`, row);
  }
  const parts = [...days.values()].flatMap((teams) => [...teams.values()].flatMap((team) => team.parts.names()));
  const keys = await findKeysById(source.store, parts.map(ownerOfPart));
  return [...days]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([day, teams]) => ({
      group_by_day: `${day}T00:00:00+00:00`,
      teams: [...teams].map(([name, team]) => ({
        team_name: name,
        ...describeSum(team.all, 'total_spend'),
        metadata: team.parts.list().map(([part, tally]) => ({
          model: part.slice(part.indexOf('\n') + 1) || null,
          api_key: nameOfOwner(ownerOfPart(part), keys),
          spend: findSpendUsd(tally),
          total_tokens: sum(tally.inputTokens, tally.outputTokens) ?? null,
        })),
      })),
    }));
}

function ownerOfPart(part: string): string {
  return part.slice(0, part.indexOf('\n'));
}

async function* readFitting({ store, filter, fits }: LedgerSource): AsyncGenerator<LedgerEntry> {
  for await (const row of readRows(store, filter)) if (fits(row)) yield row;
}

/** `YYYY-MM-DD`, UTC. */
function dayOf({ startedAtMs }: LedgerEntry): string {
  return new Date(startedAtMs).toISOString().slice(0, 10);
}

function getOrMake<Value>(map: Map<string, Value>, name: string, make: () => Value): Value {
  const found = map.get(name);
  if (found !== undefined) return found;
  const made = make();
  map.set(name, made);
  return made;
}
