/**
 * The keys of `exec` in a report by key: one line for each program that it ran, however often, because each of its keys
 * is gone when the program ends.
 */
import type { UsageGroup, UsageGrouping, UsageSums, UsageTotals } from '../../domain/ledger.ts';
import type { Store } from '../../domain/store.ts';
import { execLabel } from '../../keys/exec-key.ts';

const LABEL_START = execLabel('');

/** The sums with such groups joined, in no order. A joined group has no key id, and its label says what it is. */
export async function joinExecKeys(
  { groups, total }: UsageSums,
  by: readonly UsageGrouping[],
  store: Pick<Store, 'findKeys'>,
): Promise<UsageSums> {
  const at = by.indexOf('key');
  const idOf = ({ names }: UsageGroup): string | undefined => names[at];
  const ids = groups.flatMap((group) => (group.label?.startsWith(LABEL_START) === true ? [idOf(group) ?? ''] : []));
  if (at === -1 || ids.length === 0) return { groups, total };
  // Whoever names a key can give it such a label.
  const rows = await store.findKeys({ ids });
  const known = new Set(rows.flatMap(({ id, execCommand }) => (execCommand === undefined ? [] : [id])));
  const joined = new Map<string, UsageGroup>();
  for (const group of groups) {
    const isOfExec = known.has(idOf(group) ?? '');
    const names = isOfExec ? group.names.with(at, undefined) : group.names;
    const name = JSON.stringify([...names.map((one) => one ?? null), isOfExec ? group.label : null]);
    const before = joined.get(name);
    joined.set(name, { ...group, ...(before && addTotals(before, group)), names });
  }
  return { groups: [...joined.values()], total };
}

function addTotals(one: UsageTotals, other: UsageTotals): UsageTotals {
  return {
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
    unpriced: one.unpriced + other.unpriced,
    partial: one.partial + other.partial,
    inputTokens: addKnown(one.inputTokens, other.inputTokens),
    outputTokens: addKnown(one.outputTokens, other.outputTokens),
    cacheReadTokens: addKnown(one.cacheReadTokens, other.cacheReadTokens),
    cacheWriteTokens: addKnown(one.cacheWriteTokens, other.cacheWriteTokens),
    costNanoUsd: one.costNanoUsd + other.costNanoUsd,
    estimatedNanoUsd: one.estimatedNanoUsd + other.estimatedNanoUsd,
  };
}

/** Undefined: nobody has told. */
function addKnown(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : one + other;
}
