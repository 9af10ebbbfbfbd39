/** What `usage` can be asked for, in one place for the table of commands and for the command. */
import type { UsageGrouping } from '../../domain/ledger.ts';

/** What `--by` may be, beside `tag:NAME`. */
export const GROUPINGS: readonly UsageGrouping[] = [
  'key',
  'model',
  'day',
  'operation',
  'region',
  'upstream',
  'tier',
  'source',
  'client',
  'session',
  'agent',
  'tag',
];
/** The same for people. */
export const GROUPING_NAMES = [...GROUPINGS, 'tag:NAME'].join(', ');
/** How far back it looks unless told. */
export const DEFAULT_SINCE = '7d';
