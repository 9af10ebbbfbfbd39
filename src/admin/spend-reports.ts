/**
 * Sums of the ledger in LiteLLM's shapes: by day, by key and model, by day and team. The store adds up; here its groups
 * get their place, day by day, so that other requests are served in between.
 */
import { setImmediate } from 'node:timers/promises';
import type { z } from 'zod';
import { sumInput } from '../domain/usage.ts';
import type { LedgerFilter, UsageGroup } from '../domain/ledger.ts';
import type { KeyStore, LedgerStore } from '../domain/store.ts';
import { findKeysById, type KeysById, nameOfOwner } from './spend-row.ts';
import { addUp, addUpBy, findSpendUsd, sum, type SpendTally, tellUnpriced } from './spend-tally.ts';
import type * as schemas from './spend-schemas.ts';

/** LiteLLM's name for rows without a team. */
const NO_TEAM = 'Unassigned Team';

type ReportStore = KeyStore & Pick<LedgerStore, 'sumUsage'>;

/** LiteLLM's `/spend/logs` with `summarize`: one object per day that has rows, the oldest first. */
export async function summarizeDays(
  store: ReportStore,
  filter: LedgerFilter,
): Promise<z.output<typeof schemas.daySummary>[]> {
  const { groups } = await store.sumUsage({ filter, by: ['key', 'principal', 'day', 'model', 'tag:user_id'] });
  const keys = await findOwners(store, groups);
  return byDay(groups, (startTime, ofDay) => ({
    ...spendBy(ofDay, (group) => nameOfOwner(ownerOf(group), keys)),
    startTime,
    users: spendBy(ofDay, ({ names }) => names[4]),
    models: spendBy(ofDay, ({ names }) => names[3]),
    ...describeSpend('spend', addUp(ofDay)),
  }));
}

/** LiteLLM's report by `api_key`, the most expensive first. */
export async function reportKeys(
  store: ReportStore,
  filter: LedgerFilter,
): Promise<Extract<z.output<typeof schemas.report>[number], { api_key: string }>[]> {
  const { groups } = await store.sumUsage({ filter, by: ['key', 'principal', 'model'] });
  const keys = await findOwners(store, groups);
  const byOwner = Map.groupBy(groups, ownerOf);
  return addUpBy(groups, ownerOf).map(([owner, total]) => ({
    api_key: nameOfOwner(owner, keys),
    ...describeCost(total),
    ...tellUnpriced(total),
    model_details: addUpBy(byOwner.get(owner) ?? [], ({ names }) => names[2] ?? '').map(([model, tally]) => ({
      model: model || null,
      ...describeCost(tally),
    })),
  }));
}

/** LiteLLM's report by team, the oldest day first; the team is the tag `team_id` that a row had. */
export async function reportTeams(
  store: ReportStore,
  filter: LedgerFilter,
): Promise<Extract<z.output<typeof schemas.report>[number], { teams: unknown }>[]> {
  const { groups } = await store.sumUsage({ filter, by: ['key', 'principal', 'day', 'model', 'tag:team_id'] });
  const keys = await findOwners(store, groups);
  return byDay(groups, (day, ofDay) => ({
    group_by_day: `${day}T00:00:00+00:00`,
    teams: [...Map.groupBy(ofDay, ({ names }) => names[4] ?? NO_TEAM)].map(([name, ofTeam]) => ({
      team_name: name,
      ...describeSpend('total_spend', addUp(ofTeam)),
      metadata: ofTeam
        .toSorted((left, right) => right.costNanoUsd - left.costNanoUsd)
        .map((group) => ({
          model: group.names[3] ?? null,
          api_key: nameOfOwner(ownerOf(group), keys),
          spend: findSpendUsd(group),
          total_tokens: sum(sumInput(group), group.outputTokens) ?? null,
        })),
    })),
  }));
}

/** Of groups whose first names are a key and a principal: the same as of a row. */
function ownerOf({ names: [keyId, principal] }: UsageGroup): string {
  return keyId ?? principal ?? '';
}

function findOwners(store: ReportStore, groups: readonly UsageGroup[]): Promise<KeysById> {
  return findKeysById(store, new Set(groups.flatMap(({ names }) => names[0] ?? [])));
}

/** One entry for each day, the oldest first, of groups whose third name is the day. */
async function byDay<Entry>(
  groups: readonly UsageGroup[],
  describe: (day: string, ofDay: readonly UsageGroup[]) => Entry,
): Promise<Entry[]> {
  const days = Map.groupBy(groups, ({ names }) => names[2] ?? '');
  const entries: Entry[] = [];
  for (const day of [...days.keys()].toSorted()) {
    entries.push(describe(day, days.get(day) ?? []));
    await setImmediate();
  }
  return entries;
}

function spendBy(
  groups: readonly UsageGroup[],
  nameOf: (group: UsageGroup) => string | undefined,
): Record<string, number | null> {
  return Object.fromEntries(addUpBy(groups, nameOf).map(([name, tally]) => [name, findSpendUsd(tally)]));
}

function describeSpend<Name extends string>(
  name: Name,
  total: SpendTally,
): Record<Name, number | null> & { readonly unpriced_requests?: number } {
  return { [name]: findSpendUsd(total), ...tellUnpriced(total) } as Record<Name, number | null>;
}

function describeCost(tally: SpendTally): {
  readonly total_cost: number | null;
  readonly total_input_tokens: number | null;
  readonly total_output_tokens: number | null;
} {
  return {
    total_cost: findSpendUsd(tally),
    total_input_tokens: sumInput(tally) ?? null,
    total_output_tokens: tally.outputTokens ?? null,
  };
}
