/**
 * Adds up what SQLite has summed, slice after slice, into groups. A hundred thousand groups are common: they are kept
 * in a few long lists, which cost the garbage collector nothing, and which go from one thread to another many times
 * faster than an object for each group. No I/O.
 */
import type { UsageGroup, UsageGrouping, UsageTotals } from '../../domain/ledger.ts';

/** A value of SQLite. */
export type SummedValue = string | number | null;

/**
 * The sums of one group: its names, one for each grouping; the sequence of its last row; the label of that row; and the
 * sums, in the order of `toTotals`, null if no row had the count.
 */
export type GroupRecord = readonly SummedValue[];

/** Groups as they go to another thread. */
export interface PackedGroups {
  /** Of each group as many as there are groupings. */
  readonly names: readonly (string | undefined)[];
  readonly labels: readonly (string | undefined)[];
  /** In the order of `toTotals`, NaN if no row had the count. */
  readonly sums: Float64Array;
}

const DAY_MS = 86_400_000;
const SUM_COUNT = 10;
/** In the order of `toTotals`. */
const [REQUESTS, COST, ESTIMATE] = [0, 8, 9];

/** Groups by their names, which are what `by` says. State: their sums so far. */
export class Tallies {
  readonly #by: readonly UsageGrouping[];
  /** Where a group stands in the lists. Those that `begin` brought are not in it. */
  readonly #places = new Map<SummedValue, number>();
  readonly #names: SummedValue[] = [];
  readonly #lastSequences: number[] = [];
  readonly #labels: SummedValue[] = [];
  #sums = new Float64Array(SUM_COUNT * 1_024);

  constructor(by: readonly UsageGrouping[]) {
    this.#by = by;
  }

  get size(): number {
    return this.#labels.length;
  }

  /** A group that is not there yet. Nothing but `addAll` adds to it. */
  begin(record: GroupRecord): void {
    this.#append(record);
  }

  add(record: GroupRecord): void {
    const id = this.#by.length === 1 ? (record[0] ?? null) : JSON.stringify(record.slice(0, this.#by.length));
    const place = this.#places.get(id);
    if (place === undefined) this.#places.set(id, this.#append(record));
    else this.#merge(place, record);
  }

  /** The groups of another one; both have the same only grouping. */
  addAll(others: Tallies): void {
    const rest = new Map(others.#places);
    for (let place = 0; rest.size > 0 && place < this.size; place += 1) {
      const name = this.#names[place] ?? null;
      const other = rest.get(name);
      if (other === undefined) continue;
      this.#merge(place, others.#recordAt(other));
      rest.delete(name);
    }
    for (const other of rest.values()) this.#append(others.#recordAt(other));
  }

  /** A row counts under each of its tags, which are the name at `at`. */
  splitTags(at: number): Tallies {
    const split = new Tallies(this.#by);
    for (let place = 0; place < this.size; place += 1) {
      const record = this.#recordAt(place);
      const tags = record[at];
      if (typeof tags !== 'string') split.add(record);
      else for (const [tag, value] of Object.entries(JSON.parse(tags))) split.add(record.with(at, `${tag}=${value}`));
    }
    return split;
  }

  /** Over all groups. */
  sumUp(): UsageTotals {
    const total = new Float64Array(SUM_COUNT).fill(Number.NaN);
    for (let index = 0; index < this.size * SUM_COUNT; index += 1) addTo(total, index % SUM_COUNT, this.#sums[index]);
    return toTotals(total, 0);
  }

  /** The places of all groups, in the order of `UsageSums`. */
  inOrder(): readonly number[] {
    const places = Array.from({ length: this.size }, (_, place) => place);
    const [by] = this.#by;
    if (this.#by.length !== 1) return places;
    const names = this.#names;
    if (by === 'day') return places.toSorted((a, b) => Number(names[a]) - Number(names[b]));
    const sumOf = (place: number, sum: number): number => this.#sums[place * SUM_COUNT + sum] || 0;
    const costs = Float64Array.from(places, (place) => sumOf(place, COST));
    return places.toSorted(
      (a, b) =>
        (costs[b] ?? 0) - (costs[a] ?? 0) ||
        sumOf(b, ESTIMATE) - sumOf(a, ESTIMATE) ||
        sumOf(b, REQUESTS) - sumOf(a, REQUESTS) ||
        ((names[a] ?? '') < (names[b] ?? '') ? -1 : 1),
    );
  }

  /** What is told of the groups at these places. */
  pack(places: readonly number[]): PackedGroups {
    const by = this.#by;
    const hasLabels = by.includes('key');
    const names: (string | undefined)[] = [];
    const sums = new Float64Array(places.length * SUM_COUNT);
    for (const [index, place] of places.entries()) {
      for (const [at, grouping] of by.entries()) names.push(showName(this.#names[place * by.length + at], grouping));
      for (let at = 0; at < SUM_COUNT; at += 1) {
        sums[index * SUM_COUNT + at] = this.#sums[place * SUM_COUNT + at] ?? Number.NaN;
      }
    }
    const labels = places.map((place) => (hasLabels ? String(this.#labels[place] ?? '') : undefined));
    return { names, labels, sums };
  }

  #append(record: GroupRecord): number {
    const width = this.#by.length;
    const place = this.size;
    for (let at = 0; at < width; at += 1) this.#names.push(record[at] ?? null);
    this.#lastSequences.push(Number(record[width]));
    this.#labels.push(record[width + 1] ?? null);
    if (this.size * SUM_COUNT > this.#sums.length) {
      const larger = new Float64Array(2 * this.#sums.length);
      larger.set(this.#sums);
      this.#sums = larger;
    }
    for (let at = 0; at < SUM_COUNT; at += 1) {
      const sum = record[width + 2 + at];
      this.#sums[place * SUM_COUNT + at] = typeof sum === 'number' ? sum : Number.NaN;
    }
    return place;
  }

  #merge(place: number, record: GroupRecord): void {
    const width = this.#by.length;
    const lastSequence = Number(record[width]);
    if (lastSequence > (this.#lastSequences[place] ?? 0)) {
      this.#lastSequences[place] = lastSequence;
      this.#labels[place] = record[width + 1] ?? null;
    }
    for (let at = 0; at < SUM_COUNT; at += 1) addTo(this.#sums, place * SUM_COUNT + at, record[width + 2 + at]);
  }

  #recordAt(place: number): SummedValue[] {
    const record = this.#names.slice(place * this.#by.length, (place + 1) * this.#by.length);
    record.push(this.#lastSequences[place] ?? 0, this.#labels[place] ?? null);
    // NaN is no sum, as null is none.
    for (let at = 0; at < SUM_COUNT; at += 1) record.push(this.#sums[place * SUM_COUNT + at] ?? Number.NaN);
    return record;
  }
}

/** NaN and null are no sum. */
function addTo(sums: Float64Array, at: number, sum: SummedValue | undefined): void {
  if (typeof sum === 'number' && !Number.isNaN(sum)) sums[at] = (sums[at] || 0) + sum;
}

function showName(name: SummedValue | undefined, by: UsageGrouping): string | undefined {
  if (typeof name === 'string' && name !== '' && by !== 'day') return name;
  if (name === null || name === undefined || (name === '' && !by.startsWith('tag:'))) return undefined;
  return by === 'day' ? new Date(Number(name) * DAY_MS).toISOString().slice(0, 10) : String(name);
}

/** Adds them to `groups`, as objects. */
export function unpackGroups({ names, labels, sums }: PackedGroups, groups: UsageGroup[]): void {
  const width = names.length / labels.length;
  for (let index = 0; index < labels.length; index += 1) {
    groups.push({
      names: names.slice(index * width, (index + 1) * width),
      label: labels[index],
      ...toTotals(sums, index * SUM_COUNT),
    });
  }
}

function toTotals(sums: Float64Array, at: number): UsageTotals {
  return {
    requests: sums[at] || 0,
    errors: sums[at + 1] || 0,
    unpriced: sums[at + 2] || 0,
    partial: sums[at + 3] || 0,
    inputTokens: toCount(sums[at + 4]),
    outputTokens: toCount(sums[at + 5]),
    cacheReadTokens: toCount(sums[at + 6]),
    cacheWriteTokens: toCount(sums[at + 7]),
    costNanoUsd: sums[at + 8] || 0,
    estimatedNanoUsd: sums[at + 9] || 0,
  };
}

function toCount(sum: number | undefined): number | undefined {
  return sum === undefined || Number.isNaN(sum) ? undefined : sum;
}
