/**
 * How a request differs from another one: by parts (instructions, tools, messages, other members), within a part by
 * JSON pointer, and at which byte it begins. Equal is what is equal byte by byte: so caches of prompts see it. Pure.
 */
import { hash } from 'node:crypto';
import { toPointer } from '../../cassette/places.ts';
import { isObject } from '../../lib/json.ts';
import { formatCount } from '../../lib/format.ts';
import type { Exchange } from '../exchange.ts';
import type { DiffPart, DiffView } from '../wire.ts';
import { toJson } from './blocks.ts';
import { listRequestParts, type RequestPart } from './request-parts.ts';

/** Of one part; more do not fit in anybody's head. */
const MAX_CHANGES = 200;

type Change = DiffPart['changes'][number];

/** The difference between an exchange's request and that of an older one, its base. */
export function viewDiff(exchange: Exchange, base: Exchange): DiffView {
  const [newer, older] = [listRequestParts(exchange), listRequestParts(base)];
  const problem = 'problem' in newer ? newer.problem : 'problem' in older ? older.problem : undefined;
  if ('problem' in newer || 'problem' in older) return { base: base.id, summary: problem ?? '', parts: [] };
  const parts = [
    ...compareModels(exchange, base),
    ...compareByName(only(newer.parts, 'system'), only(older.parts, 'system')),
    ...markMoved(compareByName(only(newer.parts, 'tool'), only(older.parts, 'tool')), newer.parts, older.parts),
    ...compareInOrder(only(newer.parts, 'message'), only(older.parts, 'message')),
    ...compareByName(only(newer.parts, 'member'), only(older.parts, 'member')),
  ];
  return { base: base.id, summary: summariseDiff(parts), parts };
}

function only(parts: readonly RequestPart[], kind: RequestPart['kind']): readonly RequestPart[] {
  return parts.filter((part) => part.kind === kind);
}

/** Which model is called, the path says. */
function compareModels({ row: { model: after } }: Exchange, { row: { model: before } }: Exchange): DiffPart[] {
  if (after === before) return [];
  const change = { pointer: '', before: before ?? null, after: after ?? null };
  return [{ name: 'model', pointer: '', change: 'changed', at_byte: null, changes: [change] }];
}

function compareByName(newer: readonly RequestPart[], older: readonly RequestPart[]): DiffPart[] {
  const left = new Map(older.map((part) => [part.name, part]));
  const compared = newer.map((part) => {
    const before = left.get(part.name);
    left.delete(part.name);
    return before === undefined ? added(part) : compareParts(part, before);
  });
  return [...compared, ...[...left.values()].map(removed)];
}

/** Lists whose elements have no names: what they begin and end with in common is left in place. */
function compareInOrder(newer: readonly RequestPart[], older: readonly RequestPart[]): DiffPart[] {
  const { start, end } = alignEnds(newer, older, (part, before) => part.bytes.equals(before.bytes));
  const [middle, gone] = [newer.slice(start, newer.length - end), older.slice(start, older.length - end)];
  return [
    ...newer.slice(0, start).map(same),
    ...middle.map((part, index) => {
      const before = gone[index];
      return before === undefined ? added(part) : compareParts(part, before);
    }),
    ...gone.slice(middle.length).map(removed),
    ...newer.slice(newer.length - end).map(same),
  ];
}

/** How many elements are equal from the start on, and of the rest up to the end. */
function alignEnds<T>(
  newer: readonly T[],
  older: readonly T[],
  isEqual: (newer: T, older: T) => boolean,
): { readonly start: number; readonly end: number } {
  const shorter = Math.min(newer.length, older.length);
  const matches = (at: number, before: number): boolean => {
    const [left, right] = [newer[at], older[before]];
    return left !== undefined && right !== undefined && isEqual(left, right);
  };
  let start = 0;
  while (start < shorter && matches(start, start)) start += 1;
  let end = 0;
  while (end < shorter - start && matches(newer.length - 1 - end, older.length - 1 - end)) end += 1;
  return { start, end };
}

/** Tools that are the same, but stand among the others that are left at another place. */
function markMoved(
  parts: readonly DiffPart[],
  newer: readonly RequestPart[],
  older: readonly RequestPart[],
): DiffPart[] {
  const kept = new Set(parts.filter(({ change }) => change === 'same' || change === 'changed').map(({ name }) => name));
  const orderOf = (all: readonly RequestPart[]): string[] =>
    only(all, 'tool').flatMap(({ name }) => (kept.has(name) ? [name] : []));
  const before = orderOf(older);
  const moved = new Set(orderOf(newer).filter((name, index) => before[index] !== name));
  return parts.map((part) => (part.change === 'same' && moved.has(part.name) ? { ...part, change: 'moved' } : part));
}

function compareParts(part: RequestPart, before: RequestPart): DiffPart {
  if (part.bytes.equals(before.bytes)) return same(part);
  const found: FoundChanges = { changes: [], isEqual: createEquality() };
  collectChanges(part.json, before.json, part.pointer, found);
  const { changes } = found;
  return { ...headOf(part), change: 'changed', at_byte: part.start + commonBytes(part.bytes, before.bytes), changes };
}

function headOf({ name, pointer }: RequestPart): Pick<DiffPart, 'name' | 'pointer'> {
  return { name, pointer };
}

function same(part: RequestPart): DiffPart {
  return { ...headOf(part), change: 'same', at_byte: null, changes: [] };
}

function added(part: RequestPart): DiffPart {
  const change = { pointer: part.pointer, before: null, after: toJson(part.json) };
  return { ...headOf(part), change: 'added', at_byte: part.start, changes: [change] };
}

function removed(part: RequestPart): DiffPart {
  const change = { pointer: part.pointer, before: toJson(part.json), after: null };
  return { ...headOf(part), change: 'removed', at_byte: null, changes: [change] };
}

function commonBytes(newer: Buffer, older: Buffer): number {
  const shorter = Math.min(newer.length, older.length);
  let at = 0;
  while (at < shorter && newer[at] === older[at]) at += 1;
  return at;
}

interface FoundChanges {
  readonly changes: Change[];
  readonly isEqual: (left: unknown, right: unknown) => boolean;
}

function collectChanges(after: unknown, before: unknown, pointer: string, found: FoundChanges): void {
  const { changes, isEqual } = found;
  if (changes.length >= MAX_CHANGES || isEqual(after, before)) return;
  if (Array.isArray(after) && Array.isArray(before)) return collectElements(after, before, pointer, found);
  if (!isObject(after) || !isObject(before)) {
    changes.push({ pointer, before: toJson(before), after: toJson(after) });
    return;
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [left, right] = [after, before].map((side) => (Object.hasOwn(side, name) ? side[name] : undefined));
    collectChanges(left, right, `${pointer}${toPointer([name])}`, found);
  }
}

/** What is gone has the index that it had. */
function collectElements(after: unknown[], before: unknown[], pointer: string, found: FoundChanges): void {
  const { start, end } = alignEnds(after, before, found.isEqual);
  const count = Math.max(after.length, before.length) - start - end;
  for (let index = start; index < start + count && found.changes.length < MAX_CHANGES; index += 1) {
    const left = index < after.length - end ? after[index] : undefined;
    const right = index < before.length - end ? before[index] : undefined;
    collectChanges(left, right, `${pointer}/${index}`, found);
  }
}

/** By the hash of what they hold, which is worked out once for each: it is asked for on every level above them. */
function createEquality(): FoundChanges['isEqual'] {
  const prints = new WeakMap<object, string>();
  const printOf = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
    const known = prints.get(value);
    if (known !== undefined) return known;
    const inner = Array.isArray(value)
      ? value.map(printOf)
      : Object.entries(value)
          .map(([name, item]) => `${JSON.stringify(name)}:${printOf(item)}`)
          .toSorted();
    const print = hash('sha256', `${Array.isArray(value) ? '[' : '{'}${inner.join(',')}`);
    prints.set(value, print);
    return print;
  };
  return (left, right) => left === right || printOf(left) === printOf(right);
}

/** "+2 messages, tools same, system changed at byte 1,284". */
function summariseDiff(parts: readonly DiffPart[]): string {
  const of = (kind: string): DiffPart[] => parts.filter((part) => part.name !== 'model' && kindOf(part) === kind);
  const words = [
    ...parts.filter(({ name }) => name === 'model').map(() => 'another model'),
    ...summariseList('message', of('message')),
    ...summariseList('tool', of('tool')),
    ...of('system').map(describePart),
    ...of('member')
      .filter(({ change }) => change !== 'same')
      .map(describePart),
  ];
  return words.length === 0 ? 'the same' : words.join(', ');
}

function kindOf({ name }: DiffPart): string {
  if (name === 'system') return name;
  return /^(?:message|tool)(?= )/.exec(name)?.[0] ?? 'member';
}

function summariseList(kind: 'message' | 'tool', parts: readonly DiffPart[]): string[] {
  if (parts.length === 0) return [];
  const count = (change: DiffPart['change']): number => parts.filter((part) => part.change === change).length;
  const plural = (number: number): string => `${number} ${kind}${number === 1 ? '' : 's'}`;
  const [markers, changed] = [isMarkerOnly, (part: DiffPart) => !isMarkerOnly(part)].map((isIt) =>
    parts.filter((part) => part.change === 'changed' && isIt(part)),
  );
  const [first] = changed ?? [];
  const words = [
    count('added') > 0 ? `+${plural(count('added'))}` : '',
    count('removed') > 0 ? `-${plural(count('removed'))}` : '',
    first === undefined ? '' : changed?.length === 1 ? describePart(first) : `${plural(changed?.length ?? 0)} changed`,
    (markers?.length ?? 0) > 0 ? 'cache markers moved' : '',
    count('moved') > 0 ? `${kind}s reordered` : '',
  ].filter((word) => word !== '');
  return words.length === 0 ? [`${kind}s same`] : words;
}

function isMarker(value: unknown): boolean {
  return value === null || (isObject(value) && 'cachePoint' in value);
}

/** Nothing is different but where the model's input is to be cached. */
function isMarkerOnly({ changes }: DiffPart): boolean {
  return (
    changes.length > 0 &&
    changes.every(
      ({ pointer, before, after }) =>
        /\/(?:cache_control|cachePoint)(?:\/|$)/.test(pointer) || (isMarker(before) && isMarker(after)),
    )
  );
}

function describePart({ name, change, at_byte: at }: DiffPart): string {
  return change === 'changed' && at !== null ? `${name} changed at byte ${formatCount(at)}` : `${name} ${change}`;
}
