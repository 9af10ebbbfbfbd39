/** What a filter of the ledger asks, as SQL. Values are always bound. No I/O. */
import type { LedgerFilter } from '../../domain/ledger.ts';
import type { SqlParameter } from './database.ts';
import { toStorableText } from './text.ts';

/** The values of a statement that is put together, in the order of their numbers. */
export class BoundValues {
  readonly values: SqlParameter[] = [];

  /** Returns what stands for the value in the statement, with its type. */
  bind(value: SqlParameter, type: 'text' | 'text[]' | 'bigint'): string {
    this.values.push(typeof value === 'string' ? toStorableText(value) : value);
    return `$${this.values.length}::${type}`;
  }
}

/** Conditions on rows of the ledger, of all but their time; at least one. */
export function toLedgerConditions(filter: LedgerFilter, bound: BoundValues): string[] {
  const conditions = ['true'];
  if (filter.keyIds !== undefined) {
    const ids = filter.keyIds.filter((id) => id !== '').map(toStorableText);
    conditions.push(`key_id = ANY (${bound.bind(ids, 'text[]')})`);
  }
  for (const column of ['principal', 'id', 'model', 'operation', 'session'] as const) {
    const value = filter[column];
    if (value !== undefined) conditions.push(`${column} = ${bound.bind(value, 'text')}`);
  }
  if (filter.status !== undefined) {
    const [from, to] = filter.status;
    conditions.push(`status BETWEEN ${bound.bind(from, 'bigint')} AND ${bound.bind(to, 'bigint')}`);
  }
  for (const [name, value] of Object.entries(filter.tags ?? {})) {
    conditions.push(`nullif(tags, '')::jsonb ->> ${bound.bind(name, 'text')} = ${bound.bind(value, 'text')}`);
  }
  return conditions;
}

/** Conditions on the time of rows: from the one to before the other. */
export function toTimes({ sinceMs, untilMs }: LedgerFilter, bound: BoundValues): string[] {
  const conditions: string[] = [];
  if (sinceMs !== undefined) conditions.push(`started_at_ms >= ${bound.bind(sinceMs, 'bigint')}`);
  if (untilMs !== undefined) conditions.push(`started_at_ms < ${bound.bind(untilMs, 'bigint')}`);
  return conditions;
}
